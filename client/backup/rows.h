/*
 * Rows of the store on their way: key length (1), value length (4, big-endian; ffffffff: the row is gone), key,
 * value; one behind the other, in the order of their keys (docs/FORMAT.md, rows of a backup). Any thread.
 */
#ifndef CLIENT_BACKUP_ROWS_H
#define CLIENT_BACKUP_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_ROW_HEAD 5u
#define BACKUP_DIGEST_LEN 32u		/* BLAKE2b-256 */
#define BACKUP_ROWS_MAX 1000000u	/* bytes of rows in one answer of the vault */

struct backup_row {
	const uint8_t *key, *value;	/* of whoever gave the row */
	size_t key_len, value_len;	/* key: 1 to 255 bytes */
	bool gone;			/* the backup before has it, this one has not; no value */
};

/* How many bytes a row takes. */
size_t backup_row_len(const struct backup_row *r);

/* Writes it to out[backup_row_len(r)] and returns where it ends. */
uint8_t *backup_row_put(const struct backup_row *r, uint8_t *out);

/* Its head and key alone, BACKUP_ROW_HEAD + r->key_len bytes; what follows is the value. */
void backup_row_put_head(const struct backup_row *r, uint8_t *out);

enum backup_step {
	BACKUP_ROW,			/* *out is the next row, pointing into the bytes; *at is behind it */
	BACKUP_END,			/* none is left */
	BACKUP_BROKEN,			/* cut off, or no row */
};
enum backup_step backup_row_next(const uint8_t **at, const uint8_t *end, struct backup_row *out);

/* As memcmp: order of keys. */
int backup_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

#endif /* CLIENT_BACKUP_ROWS_H */
