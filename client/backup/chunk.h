/*
 * Files with the rows of one range (docs/FORMAT.md, chunk). Any thread.
 */
#ifndef CLIENT_BACKUP_CHUNK_H
#define CLIENT_BACKUP_CHUNK_H

#include "client/backup/fault.h"
#include "client/backup/range.h"

#define BACKUP_CHUNK_MAX (16u << 20)	/* bytes of a file */
#define BACKUP_CHUNK_NAME 32u

/* What was read; all zero: nothing. */
struct backup_chunk {
	uint8_t *bytes;				/* of the file */
	size_t len;
	const uint8_t *backup;			/* BACKUP_ID_LEN, in bytes */
	const uint8_t *rows, *rows_end;		/* in bytes; each is a row of the range, in the order of keys */
	Pdvault__V1__BackupRange *range;	/* without chunk_digest */
	uint8_t digest[BACKUP_DIGEST_LEN];	/* chunk_digest */
};

/* "000001.chunk" */
void backup_chunk_name(uint32_t number, char out[static BACKUP_CHUNK_NAME]);

/* The number in such a name; 0: it is none. */
uint32_t backup_chunk_number(const char *name);

/*
 * backup_chunk_parse(bytes, len, out):
 * Take a whole file, whose ${bytes} become the chunk's. False: it is damaged, or there is no memory; the bytes
 * stay the caller's.
 */
bool backup_chunk_parse(uint8_t *bytes, size_t len, struct backup_chunk *out);

/*
 * backup_chunk_read(folder, number, backup, out, f):
 * The chunk of that number of the backup with that id (BACKUP_ID_LEN bytes), for backup_chunk_free().
 * BACKUP_BAD: it is damaged, too large, of another backup, or of another number; BACKUP_ABSENT: there is none.
 */
enum backup_result backup_chunk_read(const char *folder, uint32_t number, const uint8_t *backup,
    struct backup_chunk *out, struct backup_fault *f);

/* NULL is not allowed, all zero is. */
void backup_chunk_free(struct backup_chunk *c);

struct backup_chunk_new {
	const char *folder;
	const uint8_t *backup;			/* BACKUP_ID_LEN bytes */
	const uint8_t *rows;
	size_t len;
};

/*
 * backup_chunk_write(n, range, digest, f):
 * Write the file of ${range->chunk}, flushed, under its name, which is durable after backup_file_flush(); its
 * digest goes to ${digest}. The digest in the range is not looked at. The rows are in order and of the range.
 */
enum backup_result backup_chunk_write(const struct backup_chunk_new *n, const Pdvault__V1__BackupRange *range,
    uint8_t digest[static BACKUP_DIGEST_LEN], struct backup_fault *f);

#endif /* CLIENT_BACKUP_CHUNK_H */
