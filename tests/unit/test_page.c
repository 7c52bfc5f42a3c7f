/* Sealed pages, and the places that they stand at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "server/keys/page.h"

static const uint8_t vault[16] = "vault-of-a-test";
static struct key k;

static const enum seal_kind kinds[] = { SEAL_PAGE, SEAL_BUCKET, SEAL_KEYRING };

/* A struct of any kind with something in it. */
union any {
	struct page page;
	struct bucket bucket;
	struct keyring keyring;
	uint8_t bytes[PAGE_BUFFER_LEN];
};

static int
begin(void **state)
{
	(void)state;
	if (seal_init() != STATUS_OK)
		return -1;
	seal_key_new(&k, SEAL_FOR_PAGE);
	return 0;
}

static void
make(union any *u, enum seal_kind kind)
{
	memset(u, 0, sizeof(*u));
	randombytes_buf(u->bytes, page_len(kind));
	if (kind == SEAL_BUCKET)
		u->bucket.count = BUCKET_ENTRIES;
	if (kind == SEAL_KEYRING)
		u->keyring.category[CATEGORY_COUNT - 1].state = CATEGORY_LIVE;
}

static void
round_trip(void **state)
{
	const struct node n = { NODE_S, 1, 77 };
	union any in, out;
	uint8_t box[PAGE_BOX_MAX] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct page_box b = { kinds[i], n, { NULL, 0 } };

		make(&in, kinds[i]);
		b.box = bytes_of(box, page_box_len(kinds[i], &in));
		page_seal(&k, vault, &(struct page_box){ kinds[i], n, { NULL, 0 } }, &in, box);
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_OK);
		assert_memory_equal(&in, &out, page_len(kinds[i]));
	}
}

/* The kind, the place, the vault, the size: each is bound. */
static void
swapped(void **state)
{
	const struct node n = { NODE_S, 1, 77 };
	const struct node others[] = { { NODE_B, 1, 77 }, { NODE_S, 2, 77 }, { NODE_S, 1, 78 } };
	uint8_t box[PAGE_BOX_MAX + 1], foreign[16];
	union any in, out;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct page_box b = { kinds[i], n, { NULL, 0 } };

		make(&in, kinds[i]);
		b.box = bytes_of(box, page_box_len(kinds[i], &in));
		page_seal(&k, vault, &(struct page_box){ kinds[i], n, { NULL, 0 } }, &in, box);
		for (unsigned j = 0; j < 3; j++) {
			b.node = others[j];
			assert_int_equal(page_open(&k, vault, &b, &out), STATUS_FORGED);
		}
		b.node = n;
		b.kind = kinds[(i + 1) % 3];
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_FORGED);
		b.kind = kinds[i];
		b.box.len--;
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_FORGED);
		b.box.len += 2;
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_FORGED);
		b.box.len--;
		memcpy(foreign, vault, 16);
		foreign[0] ^= 1;
		assert_int_equal(page_open(&k, foreign, &b, &out), STATUS_FORGED);
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_OK);
	}
}

/* K2: a page that is written again has another nonce and other bytes, though its text is the same. */
static void
fresh_nonce(void **state)
{
	const struct node n = { NODE_B, 3, 5 };
	uint8_t a[PAGE_BOX_MAX], b[PAGE_BOX_MAX];
	union any in;

	(void)state;
	make(&in, SEAL_BUCKET);
	page_seal(&k, vault, &(struct page_box){ SEAL_BUCKET, n, { NULL, 0 } }, &in, a);
	page_seal(&k, vault, &(struct page_box){ SEAL_BUCKET, n, { NULL, 0 } }, &in, b);
	assert_memory_not_equal(seal_nonce(bytes_of(a, SEAL_OVERHEAD)),
	    seal_nonce(bytes_of(b, SEAL_OVERHEAD)), SEAL_NONCE_LEN);
	assert_memory_not_equal(a + SEAL_OVERHEAD - SEAL_TAG_LEN, b + SEAL_OVERHEAD - SEAL_TAG_LEN,
	    BUCKET_PADDED);
}

/* A bucket sealed to the length ${cut}, whatever is in it, and opened again. */
static enum status
open_cut(const union any *in, size_t cut, union any *out)
{
	struct seal_context c = { .kind = SEAL_BUCKET, .tree = NODE_B, .level = 3, .index = 5 };
	size_t padded = (cut / 16 + 1) * 16;
	uint8_t box[PAGE_BOX_MAX] = { 0 };

	memcpy(c.vault, vault, sizeof(c.vault));
	seal_box(&k, &c, bytes_of(in, cut), padded, box);
	return page_open(&k, vault, &(struct page_box){ SEAL_BUCKET, { NODE_B, 3, 5 },
	    bytes_of(box, SEAL_BOX_LEN(padded)) }, out);
}

/* Of a bucket the beginning is stored, to one of four lengths, and to no other than the shortest. */
static void
bucket_lengths(void **state)
{
	static const struct { unsigned most; size_t cut; } steps[] = { { 2, 78 }, { 6, 214 }, { 14, 486 },
		{ 30, 1030 } };
	const struct page_box at = { SEAL_BUCKET, { NODE_B, 3, 5 }, { NULL, 0 } };
	uint8_t box[PAGE_BOX_MAX] = { 0 };
	union any in, out;

	(void)state;
	for (unsigned count = 0, step = 0; count <= BUCKET_ENTRIES; count++) {
		struct page_box b = at;

		step += count > steps[step].most;
		memset(&in, 0, sizeof(in));
		in.bucket.count = (uint8_t)count;
		page_set_epoch(SEAL_BUCKET, &in, count);
		randombytes_buf(in.bucket.entry, count * sizeof(in.bucket.entry[0]));
		assert_int_equal(page_box_len(SEAL_BUCKET, &in),
		    SEAL_BOX_LEN((steps[step].cut / 16 + 1) * 16));
		assert_true(page_box_fits(SEAL_BUCKET, page_box_len(SEAL_BUCKET, &in)));
		assert_false(page_box_fits(SEAL_BUCKET, page_box_len(SEAL_BUCKET, &in) + 16));
		page_seal(&k, vault, &at, &in, box);
		b.box = bytes_of(box, page_box_len(SEAL_BUCKET, &in));
		memset(&out, 0xFF, sizeof(out));
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_OK);
		assert_memory_equal(&in, &out, sizeof(in.bucket));
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(open_cut(&in, steps[i].cut, &out),
			    i == step ? STATUS_OK : STATUS_FORGED);
	}
}

/* A keyring has two lengths: categories up to billing, and all with the versions before. */
static void
keyring_lengths(void **state)
{
	const struct page_box at = { SEAL_KEYRING, { NODE_S, 0, 5 }, { NULL, 0 } };
	uint8_t box[PAGE_BOX_MAX] = { 0 };
	union any in, out;

	(void)state;
	for (unsigned most = 0; most <= CATEGORY_COUNT; most++) {
		struct page_box b = at;

		memset(&in, 0, sizeof(in));
		randombytes_buf(in.keyring.subject, sizeof(in.keyring.subject));
		if (most > 0) {
			randombytes_buf(&in.keyring.category[most - 1], sizeof(in.keyring.category[0]));
			in.keyring.category[most - 1].state = most % 2 ? CATEGORY_LIVE : CATEGORY_SHREDDED;
		}
		b.box = bytes_of(box, page_box_len(SEAL_KEYRING, &in));
		assert_int_equal(b.box.len, SEAL_BOX_LEN(most <= 3 ? 192u : KEYRING_PADDED));
		page_seal(&k, vault, &at, &in, box);
		memset(&out, 0xFF, sizeof(out));
		assert_int_equal(page_open(&k, vault, &b, &out), STATUS_OK);
		assert_memory_equal(&in, &out, sizeof(in.keyring));
	}
	for (unsigned i = 0; i < KEYRING_BEFORE; i++) {
		memset(&in, 0, sizeof(in));
		in.keyring.before[i].state = CATEGORY_LIVE;
		assert_int_equal(page_box_len(SEAL_KEYRING, &in), SEAL_BOX_LEN(KEYRING_PADDED));
	}
}

/* Where docs/FORMAT.md has the epoch; nothing else is touched. */
static void
epochs(void **state)
{
	static const struct { enum seal_kind kind; size_t at; } rows[] = {
		{ SEAL_PAGE, 1024 }, { SEAL_BUCKET, 2 }, { SEAL_KEYRING, 48 } };
	union any in;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&in, 0, sizeof(in));
		assert_int_equal(page_epoch(rows[i].kind, &in), 0);
		page_set_epoch(rows[i].kind, &in, UINT64_C(0x0102030405060708));
		assert_int_equal(page_epoch(rows[i].kind, &in), UINT64_C(0x0102030405060708));
		assert_int_equal(bytes_get64(in.bytes + rows[i].at), UINT64_C(0x0102030405060708));
		memset(in.bytes + rows[i].at, 0, 8);
		assert_true(sodium_is_zero(in.bytes, sizeof(in)));
	}
}

/* A count that would read beyond the entries is as good as forged. */
static void
overfull_bucket(void **state)
{
	const struct node n = { NODE_B, 3, 5 };
	struct seal_context c = { .kind = SEAL_BUCKET, .tree = NODE_B, .level = 3, .index = 5 };
	uint8_t box[PAGE_BOX_MAX] = { 0 };
	struct page_box b = { SEAL_BUCKET, n, bytes_of(box, SEAL_BOX_LEN(BUCKET_PADDED)) };
	union any in, out;

	(void)state;
	memcpy(c.vault, vault, sizeof(c.vault));
	for (unsigned count = BUCKET_ENTRIES - 1; count <= BUCKET_ENTRIES + 1; count++) {
		make(&in, SEAL_BUCKET);
		in.bucket.count = (uint8_t)count;
		seal_box(&k, &c, bytes_of(&in, sizeof(in.bucket)), BUCKET_PADDED, box);
		assert_int_equal(page_open(&k, vault, &b, &out),
		    count <= BUCKET_ENTRIES ? STATUS_OK : STATUS_FORGED);
	}
	assert_true(sodium_is_zero(out.bytes, BUCKET_PADDED));
}

/* A box of the right kind and place with a text of another length cannot be taken for a page. */
static void
short_text(void **state)
{
	const struct node n = { NODE_S, 1, 0 };
	struct seal_context c = { .kind = SEAL_PAGE, .tree = NODE_S, .level = 1 };
	uint8_t box[PAGE_BOX_MAX] = { 0 };
	struct page_box b = { SEAL_PAGE, n, bytes_of(box, SEAL_BOX_LEN(PAGE_PADDED)) };
	union any in, out;

	(void)state;
	make(&in, SEAL_PAGE);
	memcpy(c.vault, vault, sizeof(c.vault));
	for (size_t len = sizeof(struct page) - 1; len <= sizeof(struct page) + 1; len++) {
		seal_box(&k, &c, bytes_of(&in, len), PAGE_PADDED, box);
		assert_int_equal(page_open(&k, vault, &b, &out),
		    len == sizeof(struct page) ? STATUS_OK : STATUS_FORGED);
	}
}

static void
nodes(void **state)
{
	static const uint8_t tag[8] = { 0xFF, 0, 0, 0, 0, 0, 0, 0x1F };
	const struct node n = node_of_slot(0x1234567);
	uint8_t a[NODE_KEY_LEN], b[NODE_KEY_LEN];

	(void)state;
	assert_int_equal(node_place(n), 0x1234567 % 32);
	assert_true(node_equal(node_parent(n), (struct node){ NODE_S, 1, 0x1234567 / 32 }));
	/* The top of tree B covers every tag; a level below has the first five bits. */
	assert_true(node_equal(node_of_tag(tag, NODE_B_TOP), (struct node){ NODE_B, NODE_B_TOP, 0 }));
	assert_int_equal(node_of_tag(tag, NODE_B_TOP - 1).index, 0x1F);
	assert_int_equal(node_of_tag(tag, NODE_B_TOP - 2).index, 0x1F << 5 | 0x1C);
	assert_int_equal(node_of_tag(tag, 0).index, UINT64_C(0xFF0000000000001));
	for (unsigned level = 0; level < NODE_B_TOP; level++)
		assert_true(node_equal(node_parent(node_of_tag(tag, level)), node_of_tag(tag, level + 1)));
	/* The order of keys is the order of nodes. */
	node_key((struct node){ NODE_S, 1, 255 }, a);
	node_key((struct node){ NODE_S, 1, 256 }, b);
	assert_true(memcmp(a, b, sizeof(a)) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(swapped),
		cmocka_unit_test(fresh_nonce),
		cmocka_unit_test(bucket_lengths),
		cmocka_unit_test(keyring_lengths),
		cmocka_unit_test(epochs),
		cmocka_unit_test(overfull_bucket),
		cmocka_unit_test(short_text),
		cmocka_unit_test(nodes),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
