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
}

static void
round_trip(void **state)
{
	const struct node n = { NODE_S, 1, 77 };
	union any in, out;
	uint8_t box[PAGE_BOX_MAX];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct page_box b = { kinds[i], n, bytes_of(box, page_box_len(kinds[i])) };

		make(&in, kinds[i]);
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
		struct page_box b = { kinds[i], n, bytes_of(box, page_box_len(kinds[i])) };

		make(&in, kinds[i]);
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

/* A count that would read beyond the entries is as good as forged. */
static void
overfull_bucket(void **state)
{
	const struct node n = { NODE_B, 3, 5 };
	uint8_t box[PAGE_BOX_MAX];
	struct page_box b = { SEAL_BUCKET, n, bytes_of(box, page_box_len(SEAL_BUCKET)) };
	union any in, out;

	(void)state;
	for (unsigned count = BUCKET_ENTRIES - 1; count <= BUCKET_ENTRIES + 1; count++) {
		make(&in, SEAL_BUCKET);
		in.bucket.count = (uint8_t)count;
		page_seal(&k, vault, &(struct page_box){ SEAL_BUCKET, n, { NULL, 0 } }, &in, box);
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
	uint8_t box[PAGE_BOX_MAX];
	struct page_box b = { SEAL_PAGE, n, bytes_of(box, page_box_len(SEAL_PAGE)) };
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
		cmocka_unit_test(overfull_bucket),
		cmocka_unit_test(short_text),
		cmocka_unit_test(nodes),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
