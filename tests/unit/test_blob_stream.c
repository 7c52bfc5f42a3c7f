/* Header and chunks of a blob, without a vault: sizes, cuts, swaps, damage; golden vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/blob/stream.h"

#define CHUNK PDV_BLOB_CHUNK
#define SEALED STREAM_SEALED
#define LARGEST (3 * CHUNK + 2)

static struct stream s;
static uint8_t plain[LARGEST], sealed[PDV_BLOB_ROOM(LARGEST)], opened[PDV_BLOB_ROOM(LARGEST)];
static const uint8_t key[PDV_DATA_KEY_LEN] = "a data key of thirty-two bytes..";
static uint8_t nonce[HEADER_STREAM_LEN];

/* Seals ${len} bytes in pieces of ${piece}; the length of the chunks. */
static size_t
seal(size_t len, size_t piece)
{
	struct pdv_blob_buffer b = {.data = sealed, .size = sizeof(sealed)};

	stream_seal(&s, key, nonce);
	for (size_t at = 0; at < len; at += piece)
		stream_seal_more(&s, plain + at, len - at < piece ? len - at : piece, &b);
	stream_seal_last(&s, &b);
	return b.length;
}

/* Opens bytes in pieces; NULL, or why not. *len becomes how much came out. */
static const char *
open_pieces(const uint8_t *p, size_t sealed_len, size_t piece, size_t *len)
{
	struct pdv_blob_buffer b = {.data = opened, .size = sizeof(opened)};
	const char *why = NULL;

	stream_open(&s, key, nonce);
	for (size_t at = 0; at < sealed_len && why == NULL; at += piece)
		why = stream_open_more(&s, p + at, sealed_len - at < piece ? sealed_len - at : piece, &b);
	if (why == NULL)
		why = stream_open_last(&s, &b);
	*len = b.length;
	/* Whatever came is a beginning of what was sealed. */
	assert_memory_equal(opened, plain, b.length);
	return why;
}

static void
sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 17, CHUNK - 17, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 17,
	    2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK, LARGEST};
	static const size_t pieces[] = {LARGEST + 1, CHUNK, CHUNK - 1, CHUNK + 1, SEALED, 1000, 65537 * 2};
	size_t len, chunks;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
			chunks = sizes[i] == 0 ? 1 : (sizes[i] + CHUNK - 1) / CHUNK;
			assert_int_equal(seal(sizes[i], pieces[j]), sizes[i] + chunks * PDV_BLOB_CHUNK_EXTRA);
			for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
				assert_null(open_pieces(sealed, sizes[i] + chunks * PDV_BLOB_CHUNK_EXTRA,
				    pieces[k] + 3, &len));
				assert_int_equal(len, sizes[i]);
			}
		}
}

/* Cut off anywhere it is never whole. */
static void
cuts(void **state)
{
	size_t whole = seal(300, 300), len, cut;

	(void)state;
	for (cut = 0; cut < whole; cut++)
		assert_string_equal(open_pieces(sealed, cut, 7, &len), cut < PDV_BLOB_CHUNK_EXTRA ?
		    PDV_REASON_BLOB_TRUNCATED : PDV_REASON_BLOB_DAMAGED);
	whole = seal(2 * CHUNK + 5, LARGEST);
	for (cut = 0; cut < whole; cut += cut % SEALED < 40 || cut % SEALED > SEALED - 40 ? 1 : 997) {
		const char *why = open_pieces(sealed, cut, LARGEST, &len);

		assert_string_equal(why, cut % SEALED < PDV_BLOB_CHUNK_EXTRA ? PDV_REASON_BLOB_TRUNCATED :
		    PDV_REASON_BLOB_DAMAGED);
		assert_int_equal(len, cut / SEALED * CHUNK);
	}
}

static void
trailing(void **state)
{
	static const size_t sizes[] = {0, 5, CHUNK - 1, CHUNK, CHUNK + 1};
	size_t len, whole;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		whole = seal(sizes[i], LARGEST);
		sealed[whole] = 0;
		/* What is longer than a last chunk may be looks like one that was changed. */
		assert_string_equal(open_pieces(sealed, whole + 1, 11, &len), sizes[i] == CHUNK ?
		    PDV_REASON_BLOB_TRAILING : PDV_REASON_BLOB_DAMAGED);
	}
	/* Another blob behind it. */
	whole = seal(CHUNK, LARGEST);
	memcpy(sealed + whole, sealed, whole);
	assert_string_equal(open_pieces(sealed, 2 * whole, LARGEST, &len), PDV_REASON_BLOB_TRAILING);
}

static void
swap(size_t a, size_t b)
{
	static uint8_t keep[SEALED];

	memcpy(keep, sealed + a * SEALED, SEALED);
	memcpy(sealed + a * SEALED, sealed + b * SEALED, SEALED);
	memcpy(sealed + b * SEALED, keep, SEALED);
}

/* Chunks in another order, left out, twice, of another blob under the same key. */
static void
swaps(void **state)
{
	static uint8_t other[sizeof(sealed)];
	size_t len, whole = seal(3 * CHUNK, LARGEST);

	(void)state;
	for (size_t a = 0; a < 3; a++)
		for (size_t b = 0; b < a; b++) {
			swap(a, b);
			assert_string_equal(open_pieces(sealed, whole, LARGEST, &len), PDV_REASON_BLOB_DAMAGED);
			assert_int_equal(len, b * CHUNK);
			swap(a, b);
		}
	assert_string_equal(open_pieces(sealed + SEALED, whole - SEALED, LARGEST, &len),
	    PDV_REASON_BLOB_DAMAGED);
	memcpy(other, sealed, sizeof(other));
	whole = seal(3 * CHUNK, LARGEST);
	memcpy(sealed + SEALED, other + SEALED, SEALED);
	assert_string_equal(open_pieces(sealed, whole, LARGEST, &len), PDV_REASON_BLOB_DAMAGED);
	assert_int_equal(len, CHUNK);
}

static void
damage(void **state)
{
	size_t len, whole = seal(100, 100);

	(void)state;
	for (size_t bit = 0; bit < 8 * whole; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_string_equal(open_pieces(sealed, whole, whole, &len), PDV_REASON_BLOB_DAMAGED);
		assert_int_equal(len, 0);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t i = 0; i < sizeof(nonce); i++) {
		nonce[i] ^= 1;
		assert_string_equal(open_pieces(sealed, whole, whole, &len), PDV_REASON_BLOB_DAMAGED);
		nonce[i] ^= 1;
	}
	assert_null(open_pieces(sealed, whole, whole, &len));
}

static void
another_key(void **state)
{
	static const uint8_t wrong[PDV_DATA_KEY_LEN] = "another data key, of 32 bytes...";
	struct pdv_blob_buffer b = {.data = opened, .size = sizeof(opened)};
	size_t whole = seal(100, 100);

	(void)state;
	stream_open(&s, wrong, nonce);
	assert_null(stream_open_more(&s, sealed, whole, &b));
	assert_string_equal(stream_open_last(&s, &b), PDV_REASON_BLOB_DAMAGED);
	assert_int_equal(b.length, 0);
}

/* Of the key, and of each byte that is said. */
static void
commitments(void **state)
{
	uint8_t said[40] = "said", as[PDV_DATA_KEY_LEN], one[HEADER_COMMITMENT_LEN], other[sizeof(one)];

	(void)state;
	memcpy(as, key, sizeof(as));
	stream_commit(key, said, sizeof(said), one);
	for (size_t i = 0; i < sizeof(said) + sizeof(as) + 1; i++) {
		uint8_t *at = i < sizeof(said) ? &said[i] : &as[(i - sizeof(said)) % sizeof(as)];

		*at ^= 1;
		stream_commit(as, said, i == sizeof(said) + sizeof(as) ? 39 : 40, other);
		assert_memory_not_equal(one, other, sizeof(one));
		*at ^= 1;
	}
	stream_commit(as, said, sizeof(said), other);
	assert_memory_equal(one, other, sizeof(one));
}

/* Chunks under the right key that no sealer makes: short ones inside, and other tags. */
static void
irregular(void **state)
{
	static const unsigned char tags[] = {crypto_secretstream_xchacha20poly1305_TAG_PUSH,
	    crypto_secretstream_xchacha20poly1305_TAG_REKEY, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE};
	crypto_secretstream_xchacha20poly1305_state st;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		size_t n = i < 3 ? CHUNK : 9, at = n + PDV_BLOB_CHUNK_EXTRA;

		crypto_secretstream_xchacha20poly1305_init_push(&st, nonce, key);
		crypto_secretstream_xchacha20poly1305_push(&st, sealed, NULL, plain, n, NULL, 0, tags[i % 3]);
		crypto_secretstream_xchacha20poly1305_push(&st, sealed + at, NULL, plain + n, 4, NULL, 0,
		    crypto_secretstream_xchacha20poly1305_TAG_FINAL);
		if (i == 2) {
			assert_null(open_pieces(sealed, at + 21, LARGEST, &len));
			continue;
		}
		assert_string_equal(open_pieces(sealed, at + 21, LARGEST, &len), PDV_REASON_BLOB_DAMAGED);
		assert_int_equal(len, 0);
		if (i == 5)	/* alone, too: it is not the last */
			assert_string_equal(open_pieces(sealed, at, LARGEST, &len), PDV_REASON_BLOB_DAMAGED);
	}
}

static void
headers(void **state)
{
	static uint8_t context[PDV_CONTEXT_MAX], wrapped[PDV_WRAPPED_KEY_MAX], out[HEADER_MAX + 1];
	static const uint8_t commitment[HEADER_COMMITMENT_LEN] = "what it commits to, of 32 bytes";
	static const size_t lengths[] = {0, 1, 255, 256};
	struct header h, got;

	(void)state;
	memset(context, 'c', sizeof(context));
	memset(wrapped, 'w', sizeof(wrapped));
	for (size_t i = 0; i < 16; i++) {
		memset(&h, 0, sizeof(h));
		memset(h.place.subject.bytes, 's', PDV_ID_LEN);
		h.place.category = i % 2 == 0 ? PDV_CATEGORY_CONTENT : PDV_CATEGORY_USAGE;
		h.place.context = context;
		h.place.context_length = lengths[i / 4];
		h.wrapped = (struct pdv_wrapped_key){wrapped, i % 4 == 0 ? 1 : lengths[i % 4]};
		h.commitment = commitment;
		h.stream = nonce;
		header_write(&h, out);
		assert_int_equal(h.length, 61 + lengths[i / 4] + h.wrapped.length + HEADER_STREAM_LEN);
		assert_int_equal(h.said, 27 + lengths[i / 4]);
		for (size_t len = 0; len < h.length; len++)
			assert_int_equal(header_read(out, len, &got), HEADER_MORE);
		assert_int_equal(header_read(out, sizeof(out), &got), HEADER_OK);
		assert_true(header_same(&got.place, &h.place));
		assert_int_equal(got.said, h.said);
		assert_memory_equal(got.commitment, commitment, sizeof(commitment));
		assert_int_equal(got.length, h.length);
		assert_int_equal(got.wrapped.length, h.wrapped.length);
		assert_memory_equal(got.wrapped.bytes, wrapped, h.wrapped.length);
		assert_memory_equal(got.stream, nonce, sizeof(nonce));
	}
	assert_int_equal(h.length, HEADER_MAX);
}

static void
bad_headers(void **state)
{
	uint8_t out[HEADER_MAX], context[4] = "ctx", commitment[HEADER_COMMITMENT_LEN] = "c";
	struct header h = {.place = {.category = PDV_CATEGORY_CONTENT, .context = context, .context_length = 3},
	    .commitment = commitment, .wrapped = {context, 4}, .stream = nonce}, got;

	(void)state;
	header_write(&h, out);
	for (size_t i = 0; i < HEADER_MAGIC_LEN; i++) {
		out[i] ^= 1;
		assert_int_equal(header_read(out, i + 1, &got), HEADER_BAD);
		assert_int_equal(header_read(out, h.length, &got), HEADER_BAD);
		out[i] ^= 1;
	}
	for (unsigned c = 0; c < 256; c++) {
		out[24] = (uint8_t)c;
		assert_int_equal(header_read(out, h.length, &got), c == 4 || c == 5 ? HEADER_OK : HEADER_BAD);
	}
	out[24] = 4;
	out[25] = 1;
	out[26] = 0;	/* a context of 256 bytes may come, */
	assert_int_equal(header_read(out, h.length, &got), HEADER_MORE);
	out[26] = 1;	/* of 257 not */
	assert_int_equal(header_read(out, h.length, &got), HEADER_BAD);
	header_write(&h, out);
	out[62] = 1;
	out[63] = 0;
	assert_int_equal(header_read(out, h.length, &got), HEADER_MORE);
	out[63] = 1;
	assert_int_equal(header_read(out, h.length, &got), HEADER_BAD);
	out[62] = out[63] = 0;
	assert_int_equal(header_read(out, h.length, &got), HEADER_BAD);
}

/* --- tests/vectors/blob.txt, made by other code from docs/FORMAT.md --- */

static uint8_t fixed[HEADER_STREAM_LEN];

static const char *
fixed_name(void)
{
	return "fixed";
}

static void
fixed_buf(void *const buf, const size_t len)
{
	assert_int_equal(len, sizeof(fixed));
	memcpy(buf, fixed, len);
}

static size_t
unhex(const char *text, uint8_t *out, size_t size)
{
	size_t n = 0;

	if (strcmp(text, "-") != 0)
		assert_int_equal(sodium_hex2bin(out, size, text, strlen(text), NULL, &n, NULL), 0);
	return n;
}

/* Sealed here with the header of the vector, and opened again. */
static size_t
make_blob(const struct header *from, const uint8_t *data_key, size_t len)
{
	static randombytes_implementation fake = {.implementation_name = fixed_name, .buf = fixed_buf};
	struct pdv_blob_buffer b = {.data = sealed, .size = sizeof(sealed)};
	struct pdv_blob_buffer o = {.data = opened, .size = sizeof(opened)};
	uint8_t commitment[HEADER_COMMITMENT_LEN];
	struct header h = *from, got;

	randombytes_set_implementation(&fake);
	stream_seal(&s, data_key, nonce);
	randombytes_set_implementation(&randombytes_sysrandom_implementation);
	h.stream = nonce;
	h.commitment = commitment;
	header_say(&h, sealed);
	stream_commit(data_key, sealed, h.said, commitment);
	header_write(&h, sealed);
	b.length = h.length;
	stream_seal_more(&s, plain, len, &b);
	stream_seal_last(&s, &b);
	assert_int_equal(header_read(sealed, b.length, &got), HEADER_OK);
	stream_open(&s, data_key, got.stream);
	assert_null(stream_open_more(&s, sealed + got.length, b.length - got.length, &o));
	assert_null(stream_open_last(&s, &o));
	assert_int_equal(o.length, len);
	assert_memory_equal(opened, plain, len);
	return b.length;
}

static void
golden_line(const char *line)
{
	static char hex[6][2100];
	uint8_t context[PDV_CONTEXT_MAX], wrapped[PDV_WRAPPED_KEY_MAX], data_key[PDV_DATA_KEY_LEN];
	uint8_t want[1000], got[32];
	struct header h = {.place = {.context = context}};
	size_t len, whole, n;
	unsigned category, start;

	assert_int_equal(sscanf(line, "blob %2099s %u %2099s %2099s %2099s %u %zu %zu %2099s %2099s", hex[0],
	    &category, hex[1], hex[2], hex[3], &start, &len, &whole, hex[4], hex[5]), 10);
	(void)unhex(hex[0], h.place.subject.bytes, PDV_ID_LEN);
	h.place.category = (enum pdv_category)category;
	h.place.context_length = unhex(hex[1], context, sizeof(context));
	h.wrapped = (struct pdv_wrapped_key){wrapped, unhex(hex[2], wrapped, sizeof(wrapped))};
	(void)unhex(hex[3], data_key, sizeof(data_key));
	n = unhex(hex[4], want, sizeof(want));
	(void)unhex(hex[5], fixed, sizeof(fixed));
	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)(start + i);
	assert_int_equal(make_blob(&h, data_key, len), whole);
	crypto_generichash(got, sizeof(got), sealed, whole, NULL, 0);
	if (whole <= sizeof(want)) {
		assert_int_equal(n, whole);
		assert_memory_equal(sealed, want, whole);
	} else {
		assert_memory_equal(got, want, sizeof(got));
	}
}

static void
golden_vectors(void **state)
{
	static char line[8192], path[4096];
	size_t n = strlen(__FILE__) - strlen("unit/test_blob_stream.c");
	unsigned count = 0;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%.*s/vectors/blob.txt", (int)n, __FILE__);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#')
			continue;
		golden_line(line);
		count++;
	}
	(void)fclose(f);
	assert_int_equal(count, 7);
}

static int
begin(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	randombytes_buf(plain, sizeof(plain));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(cuts),
		cmocka_unit_test(trailing),
		cmocka_unit_test(swaps),
		cmocka_unit_test(damage),
		cmocka_unit_test(another_key),
		cmocka_unit_test(commitments),
		cmocka_unit_test(irregular),
		cmocka_unit_test(headers),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(golden_vectors),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
