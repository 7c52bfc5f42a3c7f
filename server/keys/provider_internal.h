/*
 * What the kinds of seal providers share.
 */
#ifndef SERVER_KEYS_PROVIDER_INTERNAL_H
#define SERVER_KEYS_PROVIDER_INTERNAL_H

#include "server/keys/provider.h"
#include "server/keys/provider_versions.h"

#define PROVIDER_SECRET_ROOM (PROVIDER_SECRET_MAX + 1u)	/* with the end of its line */

struct provider {
	const struct provider_kind *kind;
	struct provider_options o;	/* its strings point into text, public at own_public */
	char *text;
	uint8_t own_public[SEAL_RECOVERY_KEY_LEN];
	char *secret;			/* PROVIDER_SECRET_ROOM bytes of secret memory; NULL: not read yet */
	size_t secret_len;
};

extern const struct provider_kind provider_file, provider_credential, provider_passphrase,
    provider_recovery, provider_pkcs11, provider_tpm;

/*
 * The passphrase or PIN, read when it is first needed; ${twice}: one that is asked for is asked for again.
 * *out points into secret memory until provider_free(). STATUS_CONFIG: it cannot be had; the log says why.
 */
enum status provider_secret(struct provider *p, bool twice, struct bytes *out) MUST_USE;

/* Logs what is wrong with it, with its file and, where it is not 0, errno. */
void provider_complain(const struct provider *p, const char *why);

/* The same with another file than its own. */
void provider_complain_of(const struct provider *p, const char *path, const char *why);

/* Why nothing can come from there, as the configuration has it: a static text; NULL: something may. */
const char *provider_secret_fault(const char *from);

/*
 * For kinds whose versions lie in files (provider_versions.h). ${load} gives the version at a place:
 * STATUS_ABSENT: there is none; else a failure, *why a static text where nothing was logged yet, or
 * NULL. provider_open_versions(): open() of the kind. provider_keep_versions(): keep() of one whose
 * versions are nowhere but in those files; STATUS_CONFIG: none has that id, and the log says so.
 */
typedef enum status provider_load(struct provider *p, enum version_place at, struct provider_kek *out,
    const char **why);
enum status provider_open_versions(struct provider *p, provider_load *load, struct provider_kek *out,
    unsigned *count) MUST_USE;
enum status provider_keep_versions(struct provider *p, provider_load *load, const uint8_t *id) MUST_USE;

/* The files of all versions but that at ${at} are destroyed; VERSION_NONE: of all. */
enum status provider_keep_version(struct provider *p, enum version_place at) MUST_USE;

/* STATUS_REFUSED: there is a file of a version at that place already; logged. */
enum status provider_vacant(const struct provider *p, enum version_place at) MUST_USE;

/* A new file of a version at that place; logged when it fails. */
enum status provider_add_version(struct provider *p, enum version_place at, struct bytes content) MUST_USE;

/* The key out of what was made from a passphrase or came from elsewhere, and its id: both derived. */
void provider_derive(struct bytes secret, struct provider_kek *out);

#endif /* SERVER_KEYS_PROVIDER_INTERNAL_H */
