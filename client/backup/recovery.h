/*
 * The recovery key: an X25519 pair (RFC 7748) that exists outside the vault. The public half stands in
 * the vault's configuration, and key backups are sealed for it; the secret half is in one file, or in n
 * files of which any k give it back (Shamir's secret sharing over GF(2^8), libgfshare). docs/FORMAT.md,
 * recovery key. One thread.
 */
#ifndef CLIENT_BACKUP_RECOVERY_H
#define CLIENT_BACKUP_RECOVERY_H

#include <stddef.h>
#include <stdint.h>

#include "client/backup/fault.h"

#define RECOVERY_KEY_LEN 32u
#define RECOVERY_SHARES_MAX 16u
#define RECOVERY_TEXT_MAX 512u		/* of a file, with a NUL */

/* Lies in memory of its owner that is locked, and wiped by who has it. */
struct recovery_pair {
	uint8_t secret[RECOVERY_KEY_LEN], public[RECOVERY_KEY_LEN];
};

/* A new pair. */
void recovery_new(struct recovery_pair *out);

/* The file with the secret, as text; it is secret. */
void recovery_text(const struct recovery_pair *p, char out[static RECOVERY_TEXT_MAX]);

/* recovery_write(p, path, f): that text into a new file, 0600, durable. BACKUP_IO: also when it exists. */
enum backup_result recovery_write(const struct recovery_pair *p, const char *path, struct backup_fault *f);

/*
 * recovery_split(p, k, n, prefix, f): n files PREFIX.1 to PREFIX.n, 2 <= k <= n <= RECOVERY_SHARES_MAX; any
 * k of them give the secret, fewer say nothing of it. Else as recovery_write(); then none is left.
 */
enum backup_result recovery_split(const struct recovery_pair *p, unsigned k, unsigned n, const char *prefix,
    struct backup_fault *f);

/*
 * recovery_read(path, count, out, f):
 * From one file with the secret, or from at least k with shares of the same split, in any order; more than
 * k are fine. BACKUP_BAD: too few, of different splits, twice the same, damaged, or what they give is not
 * the secret of the public key that they name; BACKUP_ABSENT, BACKUP_IO; ${f} says which. ${out} is written
 * on BACKUP_OK only.
 */
enum backup_result recovery_read(const char *const *path, size_t count, struct recovery_pair *out,
    struct backup_fault *f);

#endif /* CLIENT_BACKUP_RECOVERY_H */
