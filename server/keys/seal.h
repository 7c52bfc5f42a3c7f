/*
 * All authenticated encryption and key derivation of the server.
 *
 * A box is   version (1) || nonce (24) || com (32) || ciphertext || tag (16)
 * where      ek || com = BLAKE2b-512(key = key, nonce || context), each 32 bytes,
 * and the ciphertext is XChaCha20-Poly1305(ek, nonce) of the padded plaintext
 * (draft-irtf-cfrg-xchacha-03, RFC 7693). XChaCha20-Poly1305 does not commit to its key; com
 * does, and is compared in constant time before anything is decrypted
 * (Albertini et al., "How to Abuse and Fix Authenticated Encryption Without Key
 * Commitment", USENIX Security 2022). Padding is one byte 0x80, then zeros (ISO/IEC 7816-4).
 *
 * Any thread, after seal_init().
 */
#ifndef SERVER_KEYS_SEAL_H
#define SERVER_KEYS_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "server/bytes.h"
#include "server/status.h"

#define SEAL_KEY_LEN 32u
#define SEAL_NONCE_LEN 24u
#define SEAL_COM_LEN 32u
#define SEAL_TAG_LEN 16u
#define SEAL_OVERHEAD (1u + SEAL_NONCE_LEN + SEAL_COM_LEN + SEAL_TAG_LEN)
#define SEAL_BOX_LEN(padded) ((padded) + SEAL_OVERHEAD)
#define SEAL_VERSION 1u
#define SEAL_DIGEST_LEN 32u
#define SEAL_CONTEXT_LEN 64u

struct key {
	uint8_t b[SEAL_KEY_LEN];
};

enum seal_kind {
	SEAL_ROOT_WRAP = 1,	/* the root key, in a slot of the anchor; index = epoch */
	SEAL_ROOT_PAGE = 2,	/* index = epoch */
	SEAL_PAGE = 3,
	SEAL_BUCKET = 4,
	SEAL_KEYRING = 5,
	SEAL_RECORD = 6,
	SEAL_TRANSACTION = 7,
	SEAL_DATA_KEY = 8,	/* wrapped for a caller, who keeps it */
	SEAL_SEALS = 9,		/* the seals of a vault, in a slot of the anchor; index = epoch */
};

/* What a box is bound to; fields that a kind does not use are zero. */
struct seal_context {
	enum seal_kind kind;
	uint8_t vault[16];
	uint8_t tree, level;
	uint64_t index;
	uint8_t subject[16];
	uint8_t category;
	uint64_t record;
	uint32_t version;	/* of the key */
};

/* What a key is for; only the registry of forensic builds tells them apart. */
enum seal_purpose {
	SEAL_FOR_ROOT = 1, SEAL_FOR_PAGE, SEAL_FOR_BUCKET, SEAL_FOR_SUBJECT, SEAL_FOR_CATEGORY,
	SEAL_FOR_INDEX, SEAL_FOR_SIGNING, SEAL_FOR_KEK, SEAL_FOR_SLOT, SEAL_FOR_DATA,
};

#define SEAL_START_DRAWS 256u

/*
 * Initialises libsodium and draws SEAL_START_DRAWS times from the random source. STATUS_REFUSED: it repeats
 * itself. Later the process ends (SIGABRT, and a line in the log) when the source fails, or when
 * a nonce of the last thousands comes again: that box is not made. Keys that came again before it are not
 * noticed.
 */
enum status seal_init(void) MUST_USE;

/* 32 random bytes, never all zero: a zero key means "none". */
void seal_key_new(struct key *out, enum seal_purpose purpose);

/* ${count} of them at once, from one draw of the random source (seal_random()). */
void seal_keys_new(struct key *out, size_t count, enum seal_purpose purpose);

int seal_key_is_zero(const struct key *k);
void seal_key_wipe(struct key *k);

/* Constant time. */
int seal_key_equal(const struct key *a, const struct key *b);

/*
 * seal_box(k, ctx, plain, padded, out):
 * Seal ${plain}, padded to ${padded} bytes (> plain.len), into out[SEAL_BOX_LEN(padded)],
 * under a fresh nonce. ${plain} may not overlap ${out}.
 */
void seal_box(const struct key *k, const struct seal_context *ctx, struct bytes plain,
    size_t padded, uint8_t *out);

/*
 * seal_boxes(k, ctx, m):
 * seal_box() of ${count} plaintexts of ${len} bytes each, one behind the other; the boxes begin ${step} bytes
 * from each other. Their nonces are drawn as seal_random() does, which is faster.
 */
struct seal_many {
	const uint8_t *plain;
	size_t len, count, padded;
	uint8_t *out;
	size_t step;
};
void seal_boxes(const struct key *k, const struct seal_context *ctx, const struct seal_many *m);

/*
 * seal_open(k, ctx, box, out, len):
 * Open ${box} into out[box.len - SEAL_OVERHEAD]; *len becomes the length without
 * padding. STATUS_FORGED: not made under this key and context; out is wiped.
 */
enum status seal_open(const struct key *k, const struct seal_context *ctx, struct bytes box,
    uint8_t *out, size_t *len) MUST_USE;

/* The nonce inside a box, which must have at least SEAL_OVERHEAD bytes: the identity of a version. */
const uint8_t *seal_nonce(struct bytes box);

/* Keyed BLAKE2b-128 of label || a || b: tags of look-ups, fingerprints. label < 16 characters. */
#define SEAL_TAG16_LEN 16u
void seal_tag(const struct key *k, const char *label, struct bytes a, struct bytes b,
    uint8_t out[static SEAL_TAG16_LEN]);

/* Unkeyed BLAKE2b-256. */
void seal_digest(struct bytes in, uint8_t out[static SEAL_DIGEST_LEN]);

/* The same in pieces; seal_digest_end() wipes nothing, for what is hashed here is public. */
struct seal_digest_state {
	_Alignas(64) uint8_t opaque[384];
};
void seal_digest_begin(struct seal_digest_state *s);
void seal_digest_add(struct seal_digest_state *s, struct bytes in);
void seal_digest_end(struct seal_digest_state *s, uint8_t out[static SEAL_DIGEST_LEN]);

/* Ed25519 (RFC 8032); ${seed} is a key made SEAL_FOR_SIGNING, ${public} what seal_public() gave for it. */
#define SEAL_SIGNATURE_LEN 64u
#define SEAL_PUBLIC_LEN 32u
void seal_public(const struct key *seed, uint8_t out[static SEAL_PUBLIC_LEN]);
void seal_sign(const struct key *seed, const uint8_t public[static SEAL_PUBLIC_LEN], struct bytes said,
    uint8_t out[static SEAL_SIGNATURE_LEN]);

/* STATUS_FORGED: not signed so by the owner of that public key. */
enum status seal_verify(const uint8_t public[static SEAL_PUBLIC_LEN], struct bytes said,
    const uint8_t signature[static SEAL_SIGNATURE_LEN]) MUST_USE;

/*
 * For who has an X25519 key (RFC 7748), outside the vault: libsodium's sealed box (X25519,
 * XSalsa20-Poly1305) under a key pair that is made for it and forgotten. STATUS_REFUSED: ${public} is no
 * point that can be sealed for.
 */
#define SEAL_RECOVERY_KEY_LEN 32u
#define SEAL_FOR_RECOVERY_LEN(plain) ((plain) + 48u)
enum status seal_for_recovery(const uint8_t public[static SEAL_RECOVERY_KEY_LEN], struct bytes plain,
    uint8_t *out) MUST_USE;

/* Opens it into out[box.len - 48]. STATUS_FORGED: it was not sealed for that pair. */
enum status seal_recover(const uint8_t public[static SEAL_RECOVERY_KEY_LEN],
    const uint8_t secret[static SEAL_RECOVERY_KEY_LEN], struct bytes box, uint8_t *out) MUST_USE;

/*
 * The key under which an anchor slot wraps the root key for one provider:
 * BLAKE2b-256(key = kek, "pdvault wrap" || digest), digest = BLAKE2b-256(stripes), which is a
 * secret and never stored. Without the provider's KEK or without any 32 bytes of the
 * stripes it cannot be made again.
 */
void seal_wrap_key(const struct key *kek, const uint8_t digest[static SEAL_DIGEST_LEN],
    struct key *out);

/*
 * A key out of a secret that has the entropy of one itself (a hash of Argon2id, random bytes from elsewhere):
 * BLAKE2b-256(label padded with zeros to 16 bytes || secret). label < 16 characters.
 */
void seal_key_of(struct bytes secret, const char *label, struct key *out);

/*
 * The key under which data keys of one category and one caller's context are wrapped:
 * BLAKE2b-256(key = k, "pdvault data keys" || BLAKE2b-256(context)), so a box under it is bound to the
 * whole of ${context}, which has any length. Callers choose contexts, adversaries among them: two that give
 * one key would be a collision of BLAKE2b-256, some 2^128 steps away. What else is derived from a category's
 * key has another length of output (16 or 64 bytes), which BLAKE2b takes in (RFC 7693, 2.5), so is never this.
 */
void seal_context_key(const struct key *k, struct bytes context, struct key *out);

/*
 * ${len} random bytes: one fresh seed of 32 bytes, wiped, expanded by ChaCha20
 * (randombytes_buf_deterministic), six times as fast as the kernel for a slot of the anchor.
 */
void seal_random(void *buf, size_t len);

#ifdef PDV_TEST_HOOKS
/* Replaces the random source (NULL: the real one again), of which nothing was seen before. */
void seal_test_random(void (*fill)(void *buf, size_t len));
#endif

#endif /* SERVER_KEYS_SEAL_H */
