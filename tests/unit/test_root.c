/* The root page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "server/keys/node.h"
#include "server/keys/root.h"

static const uint8_t vault[16] = "vault-of-a-test";

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK ? 0 : -1;
}

static void
make(struct root *r)
{
	root_new(r);
	r->epoch = 5;
	r->next_slot = 1234567;
	r->s_height = 4;
	seal_key_new(&r->s_top, SEAL_FOR_PAGE);
	seal_key_new(&r->b_top, SEAL_FOR_PAGE);
	seal_key_new(&r->index_before, SEAL_FOR_INDEX);
	r->index_parity = 1;
	r->index_ms = 1700000000000;
	r->signing_ms = 1600000000000;
	r->signer = 3;
}

static void
fresh(void **state)
{
	struct root r;

	(void)state;
	root_new(&r);
	assert_int_equal(r.epoch, 0);
	assert_int_equal(r.s_height, 1);
	assert_true(seal_key_is_zero(&r.s_top) && seal_key_is_zero(&r.b_top));
	assert_false(seal_key_is_zero(&r.index) || seal_key_is_zero(&r.signing));
	assert_true(seal_key_is_zero(&r.index_before) && r.index_parity == 0);
	assert_int_equal(r.signer, 1);
	assert_true(r.index_ms > 0 && r.signing_ms > 0);
}

static void
round_trip(void **state)
{
	uint8_t box[ROOT_BOX_LEN], digest[SEAL_DIGEST_LEN];
	struct root in, out;

	(void)state;
	make(&in);
	root_seal(&in, vault, box);
	seal_digest(bytes_of(box, sizeof(box)), digest);
	assert_memory_equal(in.commitment, digest, sizeof(digest));
	memset(&out, 0, sizeof(out));
	assert_int_equal(root_open(&in.self, vault, 5, bytes_of(box, sizeof(box)), &out), STATUS_OK);
	assert_memory_equal(&out.self, &in.self, sizeof(in.self));
	assert_memory_equal(out.commitment, in.commitment, sizeof(in.commitment));
	assert_memory_equal(&out.s_top, &in.s_top, sizeof(in.s_top));
	assert_memory_equal(&out.b_top, &in.b_top, sizeof(in.b_top));
	assert_memory_equal(&out.index, &in.index, sizeof(in.index));
	assert_memory_equal(&out.signing, &in.signing, sizeof(in.signing));
	assert_memory_equal(&out.index_before, &in.index_before, sizeof(in.index_before));
	assert_int_equal(out.index_parity, 1);
	assert_int_equal(out.index_ms, 1700000000000);
	assert_int_equal(out.signing_ms, 1600000000000);
	assert_int_equal(out.signer, 3);
	assert_int_equal(out.epoch, 5);
	assert_int_equal(out.next_slot, 1234567);
	assert_int_equal(out.s_height, 4);
	root_wipe(&out);
	assert_true(sodium_is_zero((const uint8_t *)&out, sizeof(out)));
}

/* K2: each sealing makes a root key of its own. */
static void
fresh_key(void **state)
{
	uint8_t box[ROOT_BOX_LEN];
	struct root r, out;
	struct key first;

	(void)state;
	make(&r);
	root_seal(&r, vault, box);
	first = r.self;
	root_seal(&r, vault, box);
	assert_memory_not_equal(&first, &r.self, sizeof(first));
	assert_int_equal(root_open(&first, vault, 5, bytes_of(box, sizeof(box)), &out), STATUS_FORGED);
}

static void
forged(void **state)
{
	uint8_t box[ROOT_BOX_LEN + 1], foreign[16] = { 1 };
	struct root r, out;

	(void)state;
	make(&r);
	root_seal(&r, vault, box);
	assert_int_equal(root_open(&r.self, vault, 4, bytes_of(box, ROOT_BOX_LEN), &out),
	    STATUS_FORGED);
	assert_int_equal(root_open(&r.self, foreign, 5, bytes_of(box, ROOT_BOX_LEN), &out),
	    STATUS_FORGED);
	assert_int_equal(root_open(&r.self, vault, 5, bytes_of(box, ROOT_BOX_LEN - 1), &out),
	    STATUS_FORGED);
	assert_int_equal(root_open(&r.self, vault, 5, bytes_of(box, ROOT_BOX_LEN + 1), &out),
	    STATUS_FORGED);
	box[100] ^= 1;
	assert_int_equal(root_open(&r.self, vault, 5, bytes_of(box, ROOT_BOX_LEN), &out),
	    STATUS_FORGED);
}

/* A height that no tree can have would be walked. */
static void
heights(void **state)
{
	uint8_t box[ROOT_BOX_LEN];
	struct root r, out;

	(void)state;
	make(&r);
	for (unsigned h = 0; h <= NODE_S_TOP_MAX + 1; h++) {
		r.s_height = (uint8_t)h;
		root_seal(&r, vault, box);
		assert_int_equal(root_open(&r.self, vault, 5, bytes_of(box, sizeof(box)), &out),
		    h >= 1 && h <= NODE_S_TOP_MAX ? STATUS_OK : STATUS_FORGED);
	}
}

/* There are two generations of the index key at most. */
static void
parities(void **state)
{
	uint8_t box[ROOT_BOX_LEN];
	struct root r, out;

	(void)state;
	make(&r);
	for (unsigned p = 0; p <= 2; p++) {
		r.index_parity = (uint8_t)p;
		root_seal(&r, vault, box);
		assert_int_equal(root_open(&r.self, vault, 5, bytes_of(box, sizeof(box)), &out),
		    p <= 1 ? STATUS_OK : STATUS_FORGED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(fresh_key),
		cmocka_unit_test(forged),
		cmocka_unit_test(heights),
		cmocka_unit_test(parities),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
