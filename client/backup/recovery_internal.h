/*
 * What the files of the recovery key share: what one file says, and its text. Both are secret, lie in memory of
 * sodium_malloc(), and are wiped by who has them.
 */
#ifndef CLIENT_BACKUP_RECOVERY_INTERNAL_H
#define CLIENT_BACKUP_RECOVERY_INTERNAL_H

#include "client/backup/recovery.h"

#define RECOVERY_SPLIT_LEN 8u

/* What libsodium leaves of a secret on the stack is less. */
#define RECOVERY_STACK 8192u

/* Unless it is a share, only public and data mean something. */
struct recovery_content {
	bool share;
	uint8_t public[RECOVERY_KEY_LEN];
	uint8_t data[RECOVERY_KEY_LEN];		/* the secret, or a share of it */
	uint8_t split[RECOVERY_SPLIT_LEN];
	unsigned number, n, k;			/* share ${number} of ${n}, any ${k} */
};

struct recovery_file {
	size_t len;
	char text[RECOVERY_TEXT_MAX + 1];	/* room for the NUL that sodium_bin2hex() writes */
};

/* recovery_text_put(c, out): the text of a file that says this. */
void recovery_text_put(const struct recovery_content *c, struct recovery_file *out);

/*
 * recovery_text_get(in, scratch, out):
 * NULL: it is exactly what recovery_text_put() makes of ${out}; else what is wrong with it, and ${out} holds
 * anything.
 */
const char *recovery_text_get(const struct recovery_file *in, struct recovery_file *scratch,
    struct recovery_content *out);

/* recovery_file_get(path, out, f): all of a regular file. BACKUP_BAD: it is none, or too long. */
enum backup_result recovery_file_get(const char *path, struct recovery_file *out, struct backup_fault *f);

/* recovery_file_put(path, in, f): as recovery_write(). */
enum backup_result recovery_file_put(const char *path, const struct recovery_file *in, struct backup_fault *f);

#endif /* CLIENT_BACKUP_RECOVERY_INTERNAL_H */
