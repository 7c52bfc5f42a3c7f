/*
 * Data keys: 32 random bytes for data that are kept elsewhere, given out together with their wrapped form.
 * The vault keeps neither. The wrapped form opens under the key of the subject's category alone, so it
 * dies with it.
 *
 * Wrapped: version of the form (1), key version (2), box (SEAL_DATA_KEY) under the category's key for the
 * caller's context (seal_context_key()), bound to vault, subject, category and key version. Any thread.
 */
#ifndef SERVER_STORE_DATA_KEY_H
#define SERVER_STORE_DATA_KEY_H

#include "server/bytes.h"
#include "server/keys/page.h"

#define DATA_KEY_LEN SEAL_KEY_LEN
#define DATA_KEY_FORM 1u
#define DATA_KEY_PADDED 48u
#define DATA_KEY_WRAPPED_LEN (3u + SEAL_BOX_LEN(DATA_KEY_PADDED))

/* Whose data keys. */
struct data_key_place {
	const struct keyring *keyring;	/* has the category's live key */
	const uint8_t *vault;		/* id */
	unsigned category;
	struct bytes context;		/* the caller's */
};

/* The category's key of that version; NULL: it is not there, or not any more. */
const struct key *data_key_of(const struct keyring *k, unsigned category, unsigned version);

/* The present version of the category's key, which new data keys are wrapped under. */
unsigned data_key_present(const struct keyring *k, unsigned category);

/* The key version that a wrapped form names; 0, which no key has: it is none. */
unsigned data_key_version(struct bytes wrapped);

/* What wraps and unwraps under one version of the key. It is a secret, of the stack. */
struct data_key_wrapper {
	struct seal_context context;
	struct key key;
};

/* STATUS_NO_DATA_KEY: there is no key of that version. STATUS_OK is followed by data_key_end(), which wipes. */
enum status data_key_begin(const struct data_key_place *p, unsigned version,
    struct data_key_wrapper *out) MUST_USE;
void data_key_end(struct data_key_wrapper *w);

/* Wraps ${count} keys into as many times DATA_KEY_WRAPPED_LEN bytes. */
void data_key_wrap(const struct data_key_wrapper *w, const struct key *keys, size_t count, uint8_t *out);

/* STATUS_NO_DATA_KEY: it was not made by such a wrapper; ${out} is not written. */
enum status data_key_unwrap(const struct data_key_wrapper *w, struct bytes wrapped, struct key *out) MUST_USE;

#endif /* SERVER_STORE_DATA_KEY_H */
