/*
 * The recovery key: an X25519 pair (RFC 7748) that exists outside the vault. The public half stands in the
 * vault's configuration, and key backups are sealed for it; the secret half is in one file, or in n files of
 * which any k give it back (Shamir's secret sharing over GF(2^8), libgfshare). docs/FORMAT.md, recovery key.
 *
 * One thread at a time: libgfshare's source of random bytes is a global variable. sodium_init() goes before.
 */
#ifndef CLIENT_BACKUP_RECOVERY_H
#define CLIENT_BACKUP_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/backup/fault.h"

#define RECOVERY_KEY_LEN 32u
#define RECOVERY_SHARES_MAX 16u
#define RECOVERY_TEXT_MAX 256u		/* more than any of the files has */

/* Lies in memory of sodium_malloc(), and is wiped by who has it. */
struct recovery_pair {
	uint8_t secret[RECOVERY_KEY_LEN], public[RECOVERY_KEY_LEN];
};

/* recovery_new(out): a new pair. */
void recovery_new(struct recovery_pair *out);

/* recovery_text(p, out, f): the text of the secret file, and a NUL. ${out} is as secret as ${p}. */
enum backup_result recovery_text(const struct recovery_pair *p, char out[static RECOVERY_TEXT_MAX],
    struct backup_fault *f);

/*
 * recovery_write(p, path, f):
 * The secret file, 0600, durable when this returns. BACKUP_EXISTS: there is something of that name. After any
 * other failure there is nothing.
 */
enum backup_result recovery_write(const struct recovery_pair *p, const char *path, struct backup_fault *f);

/*
 * recovery_split(p, k, n, prefix, f):
 * As recovery_write(), the files PREFIX.1 to PREFIX.n of a new split, any ${k} of which give the secret, and
 * fewer say nothing of it: all of them, or none. 2 <= k <= n <= RECOVERY_SHARES_MAX.
 */
enum backup_result recovery_split(const struct recovery_pair *p, unsigned k, unsigned n, const char *prefix,
    struct backup_fault *f);

/*
 * recovery_read(path, count, out, f):
 * From one file with the secret, or from at least k with shares of the same split, in any order; more than k
 * are fine. BACKUP_BAD: too few, of different splits, twice the same, damaged, or what they give is not the
 * secret of the public key that they name; ${f} says which. ${out} is written on BACKUP_OK only.
 */
enum backup_result recovery_read(const char *const *path, size_t count, struct recovery_pair *out,
    struct backup_fault *f);

/*
 * recovery_public(hex, out):
 * The public key in a text of 64 hexadecimal digits. False: it is no such text, or a key for which nothing can
 * be sealed (of small order); ${out} then stays as it is.
 */
bool recovery_public(const char *hex, uint8_t out[static RECOVERY_KEY_LEN]);

#endif /* CLIENT_BACKUP_RECOVERY_H */
