/*
 * A PKCS#11 token (OASIS PKCS#11 2.40), reached through p11-kit, and the keys of ours in it.
 * Nothing stays open between two operations: each loads the module, finds the token by its label,
 * logs in, and ends all that, so that a token that was away is found again, and a module holds no
 * session or key of ours while the vault runs.
 *
 * A key is an object of the token, sensitive and not extractable, with the label "pdvault NAME"
 * (of the provider) and the version's id as CKA_ID. The first TOKEN_FAMILY_LEN bytes of the id
 * are the same in all versions of one vault's provider, and the others random: two vaults may
 * share a token, and even the name of the provider, and none destroys the other's keys.
 *
 * All log what is wrong. STATUS_CONFIG: no such module, or the token cannot do the mechanism;
 * STATUS_REFUSED: the PIN is wrong or locked, or the token says no; STATUS_SEAL: it is not there.
 * One thread at a time.
 */
#ifndef SERVER_KEYS_TOKEN_H
#define SERVER_KEYS_TOKEN_H

#include "server/keys/provider_internal.h"

#define TOKEN_FAMILY_LEN 6u
#define TOKEN_IV_LEN 12u
#define TOKEN_TAG_LEN 16u
#define TOKEN_RSA_BITS 3072u
#define TOKEN_BOX_MAX (TOKEN_RSA_BITS / 8)

enum token_mechanism { TOKEN_AES_GCM = 1, TOKEN_RSA_OAEP = 2 };

struct token;

/* A key that the token's key of that id encrypted. */
struct token_box {
	enum token_mechanism mechanism;
	uint8_t id[PROVIDER_ID_LEN];
	uint8_t iv[TOKEN_IV_LEN];		/* TOKEN_AES_GCM; else zero */
	uint8_t ciphertext[TOKEN_BOX_MAX];	/* TOKEN_AES_GCM: the tag is at its end */
};

/* Length of the ciphertext of a struct key. */
size_t token_box_len(enum token_mechanism m);

/*
 * Module, token and name are those of ${p}, as is the PIN. A PIN that the token refused is wiped,
 * and not tried again until provider_set_secret(): tokens count, and lock.
 */
enum status token_open(struct provider *p, struct token **out) MUST_USE;

/* Logs out; NULL does nothing. */
void token_close(struct token *t);

/* Makes the key of ${box}, whose mechanism and id are set. */
enum status token_make_key(struct token *t, const struct token_box *box) MUST_USE;

/* Fills the rest of ${box}, bound to ${head} (TOKEN_AES_GCM; OAEP binds nothing). */
enum status token_encrypt(struct token *t, struct bytes head, const struct key *k,
    struct token_box *box) MUST_USE;

/*
 * STATUS_REFUSED: the token has no such key, or it does not open this. ${out} lies in secret
 * memory.
 */
enum status token_decrypt(struct token *t, struct bytes head, const struct token_box *box,
    struct key *out) MUST_USE;

/* STATUS_REFUSED: the token does not have the key of ${box}. */
enum status token_has_key(struct token *t, const struct token_box *box) MUST_USE;

/* Destroys keys of the family of ${id}: that of ${id} itself, the others, or all. */
enum token_which { TOKEN_THIS, TOKEN_OTHERS, TOKEN_ALL };
enum status token_destroy(struct token *t, const uint8_t id[static PROVIDER_ID_LEN],
    enum token_which which) MUST_USE;

/*
 * Whether the token's slot says that it is hardware; no PIN is needed. STATUS_SEAL, STATUS_CONFIG
 * as above.
 */
enum status token_is_hardware(struct provider *p, bool *out) MUST_USE;

#endif /* SERVER_KEYS_TOKEN_H */
