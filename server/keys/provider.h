/*
 * Seal providers: each keeps a KEK somewhere else than the anchor (in a file, behind a passphrase, in a
 * token, in a TPM) and gives it once, at start. Wrapping in a switch is local, so that a slow
 * provider is never in the path of a request.
 *
 * A KEK is one version of its provider. A new one is made beside the old, durable before anything rests on
 * it; the switch that follows wraps the root key under it; then provider_keep() destroys the old. A
 * crash in between leaves two versions, and the live slot of the anchor, which names the one that it was
 * wrapped under, tells which of them counts. So provider_open() gives all that are there.
 *
 * Start-up's thread, or one thread at a time; slow ones take seconds.
 */
#ifndef SERVER_KEYS_PROVIDER_H
#define SERVER_KEYS_PROVIDER_H

#include <stdbool.h>

#include "server/keys/seal.h"

#define PROVIDER_MAX 8u
#define PROVIDER_NAME_MAX 31u
#define PROVIDER_ID_LEN 16u
#define PROVIDER_VERSIONS_MAX 2u	/* that can be there at once */
#define PROVIDER_SECRET_MAX 511u	/* bytes of a passphrase or PIN */

/* A version: id is random, made with the key (or derived from it), and names its wrap in a slot. */
struct provider_kek {
	uint8_t id[PROVIDER_ID_LEN];
	struct key key;
};

/* From the configuration; all strings are borrowed, NULL or "" where not given. docs/KEYS.md. */
struct provider_options {
	const char *name;	/* of its section, 1 to PROVIDER_NAME_MAX of a-z 0-9 - _ . */
	const char *kind;	/* "file", "credential", "passphrase", "pkcs11", "tpm", "recovery" */
	const char *path;	/* of the file that it keeps its state in; a new version is made at PATH.next.
				 * credential: its name, or an absolute path */
	const char *secret;	/* passphrase or PIN comes from: "fd:N", "file:PATH", "ask" */
	const char *module;	/* pkcs11: path of the module */
	const char *token;	/* pkcs11: label of the token */
	const char *mechanism;	/* pkcs11: "aes-gcm" or "rsa-oaep" */
	const char *tcti;	/* tpm: how it is reached, as tpm2-tss spells it, "device:/dev/tpmrm0" */
	const uint8_t *public;	/* recovery: SEAL_RECOVERY_KEY_LEN bytes, else NULL */
};

/*
 * How surely a version that was destroyed is gone, best first; as the letters of the anchor.
 * PROVIDER_LASTING: nothing destroys it: a passphrase that somebody remembers, a recovery key, a credential
 * that comes from elsewhere. One of those that opens a stolen old anchor decides the class of a vault.
 */
#define PROVIDER_CLASS_A 'A'	/* hardware */
#define PROVIDER_CLASS_B 'B'
#define PROVIDER_CLASS_C 'C'
#define PROVIDER_CLASS_D 'D'
#define PROVIDER_LASTING 'L'

struct provider;

/* What a kind is, as one static row of the table in provider.c. */
struct provider_kind {
	const char *name;
	bool renews;		/* false: a new version can only come from its operator */
	bool opens;		/* false: recovery; it wraps, and cannot unwrap while the vault runs */
	uint32_t interval_s;	/* at least between two versions: wear of what it is kept in */

	/*
	 * STATUS_CONFIG: something it needs is missing, wrong or open to others; STATUS_REFUSED: there is one
	 * already (create), or it says no (wrong PIN, locked out, an old state put back);
	 * STATUS_SEAL: it cannot be reached now; STATUS_IO; STATUS_NO_MEMORY. The log says which.
	 */
	enum status (*create)(struct provider *p, struct provider_kek *out);	/* the first version */
	enum status (*renew)(struct provider *p, struct provider_kek *out);	/* a further one, beside it */
	/* All versions, newest last, into out[PROVIDER_VERSIONS_MAX]. */
	enum status (*open)(struct provider *p, struct provider_kek *out, unsigned *count);
	/* Destroys every version but that one (NULL: all). Done again it does nothing. */
	enum status (*keep)(struct provider *p, const uint8_t *id);
	/* PROVIDER_CLASS_A to PROVIDER_LASTING; *why becomes a static text. */
	char (*class)(struct provider *p, const char **why);
};

/* NULL: there is none of that name. */
const struct provider_kind *provider_kind(const char *name);

/* Whether one of that kind keeps its state in the file at its path. */
bool provider_has_file(const char *kind);

/*
 * provider_new(o, out, why): judged by its options alone, nothing is touched; strings are copied.
 * STATUS_CONFIG: *why becomes a static text; STATUS_NO_MEMORY. The passphrase or PIN is read when it is first
 * needed, once.
 */
enum status provider_new(const struct provider_options *o, struct provider **out,
    const char **why) MUST_USE;

/* Wipes; NULL does nothing. */
void provider_free(struct provider *p);

/* There is a file of a version, or it cannot be found out. */
bool provider_has_versions(const struct provider *p);

const char *provider_name(const struct provider *p);
const struct provider_kind *provider_kind_of(const struct provider *p);

/* As of the kind. ${out} lies in secret memory. */
enum status provider_create(struct provider *p, struct provider_kek *out) MUST_USE;
enum status provider_renew(struct provider *p, struct provider_kek *out) MUST_USE;
enum status provider_open(struct provider *p, struct provider_kek out[static PROVIDER_VERSIONS_MAX],
    unsigned *count) MUST_USE;
enum status provider_keep(struct provider *p, const uint8_t *id) MUST_USE;
char provider_class(struct provider *p, const char **why);

/*
 * The passphrase or PIN from somewhere else than its options say: of a provider that is added while
 * the vault runs. 1 to PROVIDER_SECRET_MAX bytes, copied to secret memory. STATUS_CONFIG: its length.
 */
enum status provider_set_secret(struct provider *p, struct bytes secret) MUST_USE;

/* Wipes it; it is read anew when it is needed. */
void provider_forget_secret(struct provider *p);

#endif /* SERVER_KEYS_PROVIDER_H */
