/*
 * The recorder's inside: a call is made between tape_begin and tape_end if tape_recorded says so.
 */
#ifndef TAPE_H
#define TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TAPE_PATH 512u
#define TAPE_PIECES 1024u		/* IOV_MAX: of one writev */

/* FLUSH: fsync, fdatasync. RANGE: sync_file_range, which makes nothing durable. */
enum tape_kind {
	START = 1, OPEN, CLOSE, WRITE, TRUNCATE, ALLOCATE, FLUSH, RANGE, MSYNC, MAP, RENAME, UNLINK, SEND
};

struct tape_record {
	uint32_t magic, kind;
	uint64_t number, offset, length;
	int64_t result;
	uint64_t time;
	uint32_t flags, fd, path_len, data_len;
};
_Static_assert(sizeof(struct tape_record) == 64, "the head of a record");

struct tape_map {
	void *where;
	size_t len;
	int protection, flags, fd;
	off_t at;
};

bool tape_is_on(void);

/* Whether the path is one of those that are recorded. */
bool tape_is_below(const char *path);

/* The same of a descriptor, with its path; "" for what cannot be told. errno stays. */
bool tape_recorded(int fd, char path[static TAPE_PATH]);

uint32_t tape_flags(int fd);

/* Takes the lock; whether the call is to be made, or is to fail (tape_fails). May end the process. */
bool tape_begin(struct tape_record *r);

/* Puts the record on the tape, releases the lock; result and errno are the call's own. */
long tape_end(struct tape_record *r, long result, const char *path, const struct iovec *iov,
    size_t count);

/* -1, with errno. */
long tape_fails(void);

/* Whether only half of what this record is to write shall be written. */
bool tape_is_short(const struct tape_record *r);

/* Before tape_begin, and without its lock: a flush that is to be slow waits. */
void tape_wait(const struct tape_record *r);

/* Whether this is a flush at a time when flushes fail. */
bool tape_is_sick(const struct tape_record *r);

/* A record of bytes for a socket, before they are sent; nothing for another descriptor. */
void tape_send(int fd, size_t length);

/* What glibc exports and does not declare. */
int __open_2(const char *name, int flags);
int __open64_2(const char *name, int flags);
int __openat_2(int dir, const char *name, int flags);
int __openat64_2(int dir, const char *name, int flags);

#endif
