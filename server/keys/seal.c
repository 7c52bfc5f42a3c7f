#include "server/keys/seal.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "server/keys/registry.h"
#include "server/log.h"
#include "server/mutant.h"

_Static_assert(SEAL_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SEAL_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SEAL_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SEAL_COM_LEN == 32 && SEAL_KEY_LEN == 32, "crypto_verify_32");
_Static_assert(SEAL_KEY_LEN + SEAL_COM_LEN == crypto_generichash_BYTES_MAX, "ek and com");

#define OFF_NONCE 1u
#define OFF_COM (OFF_NONCE + SEAL_NONCE_LEN)
#define OFF_CIPHER (OFF_COM + SEAL_COM_LEN)

struct split {
	uint8_t ek[SEAL_KEY_LEN], com[SEAL_COM_LEN];
};

#define MANY 64u		/* nonces that come from one seed */
#define SEEN 4096u		/* nonces that are remembered; a power of two */

static void (*random_fill)(void *, size_t) = randombytes_buf;

/* Of nonces drawn lately eight bytes each, at the place that eight others name. */
static _Atomic uint64_t seen[SEEN];

/* A mutant's: the same bytes in each process. */
static void
mutant_fill(void *buf, size_t len)
{
	static _Atomic uint64_t count;
	uint8_t seed[randombytes_SEEDBYTES] = { 0 };

	bytes_put64(seed, ++count);
	randombytes_buf_deterministic(buf, len, seed);
}

/* Every field has its place in every kind: two contexts are never the same bytes. */
static void
encode_context(const struct seal_context *c, uint8_t out[static SEAL_CONTEXT_LEN])
{
	memset(out, 0, SEAL_CONTEXT_LEN);
	out[0] = SEAL_VERSION;
	out[1] = (uint8_t)c->kind;
	memcpy(out + 2, c->vault, 16);
	out[18] = c->tree;
	out[19] = c->level;
	bytes_put64(out + 20, c->index);
	memcpy(out + 28, c->subject, 16);
	out[44] = c->category;
	bytes_put64(out + 45, c->record);
	bytes_put32(out + 53, c->version);
}

static void
split_key(const struct key *k, const uint8_t nonce[static SEAL_NONCE_LEN],
    const struct seal_context *ctx, struct split *out)
{
	uint8_t in[SEAL_NONCE_LEN + SEAL_CONTEXT_LEN];

	memcpy(in, nonce, SEAL_NONCE_LEN);
	encode_context(ctx, in + SEAL_NONCE_LEN);
	must(crypto_generichash((uint8_t *)out, sizeof(*out), in, sizeof(in), k->b, SEAL_KEY_LEN) ==
	    0);
}

/*
 * Remembers a nonce; false: one of the last thousands comes again (or is zero). Nonces alone are remembered,
 * since they are no secret: a source that repeats itself is found by them, not always at once. Two that differ
 * look alike once in 2^64.
 */
static bool
is_fresh(const uint8_t nonce[static SEAL_NONCE_LEN])
{
	return atomic_exchange_explicit(&seen[bytes_get64(nonce) % SEEN], bytes_get64(nonce + 8),
	    memory_order_relaxed) != bytes_get64(nonce + 8);
}

static bool
fresh_nonce(uint8_t out[static SEAL_NONCE_LEN])
{
	random_fill(out, SEAL_NONCE_LEN);
	return is_fresh(out);
}

/* Called before libsodium aborts, which it does when the kernel gives no random bytes. */
static void
misused(void)
{
	log_event(LOG_FATAL, LOG_S(WHAT, "libsodium gave up: the random source failed, or a call was wrong"));
}

enum status
seal_init(void)
{
	uint8_t nonce[SEAL_NONCE_LEN];

	if (sodium_set_misuse_handler(misused) != 0 || sodium_init() < 0)
		return STATUS_REFUSED;
	if (mutant(constant_random))
		random_fill = mutant_fill;
	for (unsigned i = 0; i < SEAL_START_DRAWS; i++)
		if (!fresh_nonce(nonce))
			return STATUS_REFUSED;
	return STATUS_OK;
}

/* A mutant's: keys of a generator of its own. */
static void
mutant_seeded(uint8_t out[static SEAL_KEY_LEN])
{
	static uint8_t seed[randombytes_SEEDBYTES];
	static _Atomic uint64_t count;

	if (atomic_fetch_add(&count, 1) == 0)
		randombytes_buf(seed + 8, sizeof(seed) - 8);
	bytes_put64(seed, count);
	randombytes_buf_deterministic(out, SEAL_KEY_LEN, seed);
}

void
seal_key_new(struct key *out, enum seal_purpose purpose)
{
	if (mutant(keys_seeded))
		mutant_seeded(out->b);
	else
		random_fill(out->b, SEAL_KEY_LEN);
	must(!seal_key_is_zero(out));
	registry_add(out, purpose);
}

void
seal_keys_new(struct key *out, size_t count, enum seal_purpose purpose)
{
	seal_random(out, count * sizeof(*out));
	for (size_t i = 0; i < count; i++) {
		must(!seal_key_is_zero(&out[i]));
		registry_add(&out[i], purpose);
	}
}

int
seal_key_is_zero(const struct key *k)
{
	return sodium_is_zero(k->b, SEAL_KEY_LEN);
}

int
seal_key_equal(const struct key *a, const struct key *b)
{
	return crypto_verify_32(a->b, b->b) == 0;
}

void
seal_key_wipe(struct key *k)
{
	sodium_memzero(k, sizeof(*k));
}

static _Noreturn void
repeats_itself(void)
{
	log_event(LOG_FATAL, LOG_S(WHAT, "the random source repeats itself"));
	abort();
}

/* The nonce is in its place already. */
static void
fill_box(const struct key *k, const struct seal_context *ctx, struct bytes plain, size_t padded, uint8_t *out)
{
	struct split s;
	uint8_t *text = out + OFF_CIPHER;

	must(plain.len < padded);
	out[0] = SEAL_VERSION;
	split_key(k, out + OFF_NONCE, ctx, &s);
	memcpy(out + OFF_COM, s.com, SEAL_COM_LEN);
	if (plain.len > 0)
		memcpy(text, plain.p, plain.len);
	text[plain.len] = 0x80;
	memset(text + plain.len + 1, 0, padded - plain.len - 1);
	must(crypto_aead_xchacha20poly1305_ietf_encrypt(text, NULL, text, padded, NULL, 0, NULL,
	    out + OFF_NONCE, s.ek) == 0);
	sodium_memzero(&s, sizeof(s));
}

void
seal_box(const struct key *k, const struct seal_context *ctx, struct bytes plain, size_t padded,
    uint8_t *out)
{
	if (!fresh_nonce(out + OFF_NONCE))
		repeats_itself();
	fill_box(k, ctx, plain, padded, out);
}

void
seal_boxes(const struct key *k, const struct seal_context *ctx, const struct seal_many *m)
{
	uint8_t nonces[MANY][SEAL_NONCE_LEN];

	if (m->count == 1) {
		seal_box(k, ctx, bytes_of(m->plain, m->len), m->padded, m->out);
		return;
	}
	for (size_t i = 0; i < m->count; i++) {
		uint8_t *box = m->out + i * m->step;

		if (i % MANY == 0)
			seal_random(nonces, (m->count - i < MANY ? m->count - i : MANY) * SEAL_NONCE_LEN);
		if (!is_fresh(nonces[i % MANY]))
			repeats_itself();
		memcpy(box + OFF_NONCE, nonces[i % MANY], SEAL_NONCE_LEN);
		fill_box(k, ctx, bytes_of(m->plain + i * m->len, m->len), m->padded, box);
	}
}

enum status
seal_open(const struct key *k, const struct seal_context *ctx, struct bytes box, uint8_t *out,
    size_t *len)
{
	struct split s;
	size_t padded, n;
	enum status rc = STATUS_FORGED;

	if (box.len <= SEAL_OVERHEAD || box.p[0] != SEAL_VERSION)
		return STATUS_FORGED;
	padded = box.len - SEAL_OVERHEAD;
	split_key(k, box.p + OFF_NONCE, ctx, &s);
	if (crypto_verify_32(s.com, box.p + OFF_COM) != 0)
		goto out;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, box.p + OFF_CIPHER,
	    padded + SEAL_TAG_LEN, NULL, 0, box.p + OFF_NONCE, s.ek) != 0)
		goto out;
	for (n = padded; n > 0 && out[n - 1] == 0; n--)
		;
	if (n == 0 || out[n - 1] != 0x80)
		goto out;
	*len = n - 1;
	rc = STATUS_OK;
out:
	if (rc != STATUS_OK)
		sodium_memzero(out, padded);
	sodium_memzero(&s, sizeof(s));
	return rc;
}

const uint8_t *
seal_nonce(struct bytes box)
{
	must(box.len >= SEAL_OVERHEAD);
	return box.p + OFF_NONCE;
}

void
seal_tag(const struct key *k, const char *label, struct bytes a, struct bytes b,
    uint8_t out[static SEAL_TAG16_LEN])
{
	crypto_generichash_state st;
	uint8_t head[16 + 8] = { 0 };
	size_t n = strlen(label);

	/* The fixed-width head makes label, a and b injective. */
	must(n < 16);
	memcpy(head, label, n);
	bytes_put64(head + 16, a.len);
	must(crypto_generichash_init(&st, k->b, SEAL_KEY_LEN, SEAL_TAG16_LEN) == 0);
	must(crypto_generichash_update(&st, head, sizeof(head)) == 0);
	must(crypto_generichash_update(&st, a.p, a.len) == 0);
	must(crypto_generichash_update(&st, b.p, b.len) == 0);
	must(crypto_generichash_final(&st, out, SEAL_TAG16_LEN) == 0);
	sodium_memzero(&st, sizeof(st));
}

void
seal_digest(struct bytes in, uint8_t out[static SEAL_DIGEST_LEN])
{
	must(crypto_generichash(out, SEAL_DIGEST_LEN, in.p, in.len, NULL, 0) == 0);
}

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct seal_digest_state), "it fits");

static crypto_generichash_state *
state_of(struct seal_digest_state *s)
{
	return (crypto_generichash_state *)(void *)s->opaque;
}

void
seal_digest_begin(struct seal_digest_state *s)
{
	must(crypto_generichash_init(state_of(s), NULL, 0, SEAL_DIGEST_LEN) == 0);
}

void
seal_digest_add(struct seal_digest_state *s, struct bytes in)
{
	must(crypto_generichash_update(state_of(s), in.p, in.len) == 0);
}

void
seal_digest_end(struct seal_digest_state *s, uint8_t out[static SEAL_DIGEST_LEN])
{
	must(crypto_generichash_final(state_of(s), out, SEAL_DIGEST_LEN) == 0);
}

_Static_assert(SEAL_SIGNATURE_LEN == crypto_sign_BYTES, "Ed25519");
_Static_assert(SEAL_PUBLIC_LEN == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(SEAL_KEY_LEN == crypto_sign_SEEDBYTES, "Ed25519");

void
seal_public(const struct key *seed, uint8_t out[static SEAL_PUBLIC_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	must(crypto_sign_seed_keypair(out, secret, seed->b) == 0);
	sodium_memzero(secret, sizeof(secret));
}

void
seal_sign(const struct key *seed, const uint8_t public[static SEAL_PUBLIC_LEN], struct bytes said,
    uint8_t out[static SEAL_SIGNATURE_LEN])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	/* libsodium's form of a secret key; making it from the seed alone takes as long as signing. */
	memcpy(secret, seed->b, SEAL_KEY_LEN);
	memcpy(secret + SEAL_KEY_LEN, public, SEAL_PUBLIC_LEN);
	must(crypto_sign_detached(out, NULL, said.p, said.len, secret) == 0);
	sodium_memzero(secret, sizeof(secret));
}

enum status
seal_verify(const uint8_t public[static SEAL_PUBLIC_LEN], struct bytes said,
    const uint8_t signature[static SEAL_SIGNATURE_LEN])
{
	if (crypto_sign_verify_detached(signature, said.p, said.len, public) != 0)
		return STATUS_FORGED;
	return STATUS_OK;
}

_Static_assert(SEAL_RECOVERY_KEY_LEN == crypto_box_PUBLICKEYBYTES, "X25519");
_Static_assert(SEAL_RECOVERY_KEY_LEN == crypto_box_SECRETKEYBYTES, "X25519");
_Static_assert(SEAL_FOR_RECOVERY_LEN(0) == crypto_box_SEALBYTES, "X25519");

enum status
seal_for_recovery(const uint8_t public[static SEAL_RECOVERY_KEY_LEN], struct bytes plain, uint8_t *out)
{
	return crypto_box_seal(out, plain.p, plain.len, public) == 0 ? STATUS_OK : STATUS_REFUSED;
}

enum status
seal_recover(const uint8_t public[static SEAL_RECOVERY_KEY_LEN],
    const uint8_t secret[static SEAL_RECOVERY_KEY_LEN], struct bytes box, uint8_t *out)
{
	if (box.len < crypto_box_SEALBYTES ||
	    crypto_box_seal_open(out, box.p, box.len, public, secret) != 0)
		return STATUS_FORGED;
	return STATUS_OK;
}

void
seal_wrap_key(const struct key *kek, const uint8_t digest[static SEAL_DIGEST_LEN], struct key *out)
{
	static const char label[] = "pdvault wrap";
	uint8_t in[sizeof(label) - 1 + SEAL_DIGEST_LEN];

	memcpy(in, label, sizeof(label) - 1);
	memcpy(in + sizeof(label) - 1, digest, SEAL_DIGEST_LEN);
	must(crypto_generichash(out->b, SEAL_KEY_LEN, in, sizeof(in), kek->b, SEAL_KEY_LEN) == 0);
	sodium_memzero(in, sizeof(in));
}

void
seal_key_of(struct bytes secret, const char *label, struct key *out)
{
	crypto_generichash_state st;
	uint8_t head[16] = { 0 };
	size_t n = strlen(label);

	must(n < sizeof(head));
	memcpy(head, label, n);
	must(crypto_generichash_init(&st, NULL, 0, SEAL_KEY_LEN) == 0);
	must(crypto_generichash_update(&st, head, sizeof(head)) == 0);
	must(crypto_generichash_update(&st, secret.p, secret.len) == 0);
	must(crypto_generichash_final(&st, out->b, SEAL_KEY_LEN) == 0);
	sodium_memzero(&st, sizeof(st));
}

void
seal_context_key(const struct key *k, struct bytes context, struct key *out)
{
	static const char label[] = "pdvault data keys";
	uint8_t in[sizeof(label) - 1 + SEAL_DIGEST_LEN];

	memcpy(in, label, sizeof(label) - 1);
	seal_digest(context, in + sizeof(label) - 1);
	must(crypto_generichash(out->b, SEAL_KEY_LEN, in, sizeof(in), k->b, SEAL_KEY_LEN) == 0);
}

void
seal_random(void *buf, size_t len)
{
	uint8_t seed[randombytes_SEEDBYTES];

	random_fill(seed, sizeof(seed));
	randombytes_buf_deterministic(buf, len, seed);
	sodium_memzero(seed, sizeof(seed));
}

#ifdef PDV_TEST_HOOKS
void
seal_test_random(void (*fill)(void *, size_t))
{
	random_fill = fill != NULL ? fill : randombytes_buf;
	for (unsigned i = 0; i < SEEN; i++)
		seen[i] = 0;
}
#endif
