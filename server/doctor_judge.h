/*
 * What doctor makes of what it sees: each judgement depends on its arguments alone. Any thread.
 */
#ifndef SERVER_DOCTOR_JUDGE_H
#define SERVER_DOCTOR_JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "server/keys/anchor.h"

#define DOCTOR_TEXT 2560u		/* of two paths and some words */
#define DOCTOR_FLUSH_NS 10000u		/* no medium that keeps what it was given is faster */
#define DOCTOR_SOON_DAYS 14		/* before a certificate ends */
#define DOCTOR_CLOCK_SLACK 60		/* seconds that a clock may be behind what it has written */

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
	enum doctor_level level;
	char found[DOCTOR_TEXT];
	char mend[DOCTOR_TEXT];		/* a command, or a line of a configuration; "" of what is well */
};

/* Both write printable text, cut where it is too long; doctor_found() empties what mends. */
void doctor_found(struct doctor_finding *f, enum doctor_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_mend(struct doctor_finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ${swaps} as /proc/swaps has it; encrypted(path): whether that device, or that file's, is dm-crypt's. */
void doctor_judge_swap(const char *swaps, bool (*encrypted)(const char *path), struct doctor_finding *f);

/* core_pattern and suid_dumpable as /proc/sys has them. */
void doctor_judge_core(const char *pattern, const char *suid_dumpable, struct doctor_finding *f);

struct doctor_memory {
	uint64_t limit, need;		/* bytes; limit UINT64_MAX: none */
	bool privileged;		/* for whom no limit counts */
	pid_t server;			/* it runs and has its memory; 0: it does not */
};
void doctor_judge_memory(const struct doctor_memory *m, struct doctor_finding *f);

/* The process that holds the lock of flock(2) on an inode, in the text of /proc/locks; 0: none. */
pid_t doctor_lock_holder(const char *locks, dev_t dev, ino_t inode);

/* error: of memfd_secret(2), 0 if it gave a file. */
void doctor_judge_secret(int error, struct doctor_finding *f);

/* ${scope} as /proc/sys has it; "": there is no such file. */
void doctor_judge_ptrace(const char *scope, struct doctor_finding *f);

/* Seconds since 1970; newest: when the program was built, or the store was written. */
void doctor_judge_clock(bool synchronised, int64_t now, int64_t newest, struct doctor_finding *f);

/* Of a file of the anchor, and of the store, whose class only says whether it will be there tomorrow. */
void doctor_judge_class(const char *path, enum anchor_class class, const char *why, bool forced,
    struct doctor_finding *f);
void doctor_judge_store_class(const char *path, enum anchor_class class, const char *why,
    struct doctor_finding *f);

/* What must be true of a file or folder of the vault's. */
struct doctor_place {
	const char *path;
	mode_t type, mode;		/* S_IFREG or S_IFDIR; the permissions that it may have */
	uid_t owner;
	size_t length;			/* of a file; 0: any */
	bool alone;			/* it has exactly one name */
	const char *absent;		/* what mends it when it is not there */
};

/* error: errno of lstat(2), 0 if it gave ${st}. */
void doctor_judge_place(const struct doctor_place *p, int error, const struct stat *st,
    struct doctor_finding *f);

/* Where a file of the anchor lies, seen from the key file. */
struct doctor_pair {
	const char *anchor, *key, *seal;	/* seal: NAME of its section */
	bool same_device, same_folder;
};
void doctor_judge_pair(const struct doctor_pair *p, struct doctor_finding *f);

/* Bytes: free for the vault's user, [vault] reserve, and by how much the store may grow yet. */
void doctor_judge_space(uint64_t free, uint64_t reserve, uint64_t growth, struct doctor_finding *f);

/* Of ${rounds} flushes beside ${path}; and of a file that could not be made, written or flushed there. */
void doctor_judge_flush(const char *path, uint64_t median_ns, unsigned rounds, struct doctor_finding *f);
void doctor_judge_unmeasured(const char *path, int error, struct doctor_finding *f);

/* Certificates or revocation lists of one file. Seconds since 1970. */
struct doctor_term {
	const char *path;
	int64_t from, first, last;	/* as tls_expiry.h has them */
	bool any;			/* one that has not ended will do, as of several CAs */
	const char *mend;		/* of what has ended, or soon will; behind it comes the path */
};
void doctor_judge_term(const struct doctor_term *t, int64_t now, struct doctor_finding *f);

#endif /* SERVER_DOCTOR_JUDGE_H */
