/*
 * The two trees as a batch changes them, against a model; each batch is made durable by K2 to K6
 * and read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "server/keys/secret.h"
#include "server/store/batch.h"
#include "server/store/lookup.h"
#include "server/store/overlay_internal.h"
#include "server/store/subject.h"
#include "server/store/switch.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;
static struct overlay *o;

static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 28, 1u << 20);
	if (vault_open(&bed.options, &bed.vault) != STATUS_OK ||
	    overlay_new(bed.vault, &o) != STATUS_OK)
		return -1;
	return overlay_begin(o) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	overlay_end(o);
	overlay_free(o);
	vault_bed_free(&bed);
	return 0;
}

static void
next_batch(void)
{
	bool fatal = false, needed = switch_needed(o);
	uint64_t before = vault_epoch(bed.vault);

	overlay_check(o);
	assert_int_equal(batch_commit(bed.vault, o, false, &fatal), STATUS_OK);
	assert_false(fatal);
	assert_int_equal(vault_epoch(bed.vault), before + needed);
	assert_int_equal(vault_settled(bed.vault), before + needed);
	overlay_end(o);
	epoch_check(bed.vault->epochs);
	assert_int_equal(overlay_begin(o), STATUS_OK);
}

static void
put_keyring(uint64_t slot, uint8_t mark)
{
	struct keyring k;
	uint8_t id[SUBJECT_ID_LEN];

	memset(id, mark, sizeof(id));
	subject_new_keyring(&k, id, slot);
	assert_int_equal(overlay_put_keyring(o, &k), STATUS_OK);
}

/* mark 0: it is not there. */
static void
assert_keyring(uint64_t slot, uint8_t mark)
{
	const struct keyring *k;
	struct overlay_item *it;
	enum status looked = overlay_peek_keyring(o, slot, &k), rc;

	if (looked == STATUS_OK)
		assert_int_equal(k->subject[3], mark);
	rc = overlay_keyring(o, slot, &it);
	assert_int_equal(looked == STATUS_OK, rc == STATUS_OK);
	assert_int_equal(rc, mark != 0 ? STATUS_OK : STATUS_ABSENT);
	if (mark != 0)
		assert_int_equal(((const struct keyring *)(const void *)it->now)->subject[3], mark);
}

/* Tree S grows from one level to as many as the slot needs, and all slots before stay. */
static void
tree_s_grows(void **state)
{
	static const uint64_t slots[] = { 0, 1, 31, 32, 33, 1023, 1024, 32767, 32768, 1000000,
		UINT64_C(1) << 40, (UINT64_C(1) << 60) - 1 };
	static const uint8_t heights[] = { 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 9, 12 };
	const unsigned count = sizeof(slots) / sizeof(slots[0]);

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		put_keyring(slots[i], (uint8_t)(i + 1));
		assert_int_equal(overlay_root(o)->s_height, heights[i]);
		assert_int_equal(overlay_root(o)->next_slot, slots[i] + 1);
		if (i % 2 == 0)
			next_batch();
		for (unsigned j = 0; j < count; j++)
			assert_keyring(slots[j], j <= i ? (uint8_t)(j + 1) : 0);
	}
	/* Dropped one by one, in the same batch and in others. */
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(overlay_drop_keyring(o, slots[i]), STATUS_OK);
		assert_keyring(slots[i], 0);
		if (i % 3 == 0)
			next_batch();
		assert_int_equal(overlay_drop_keyring(o, slots[i]), STATUS_ABSENT);
	}
	next_batch();
	for (unsigned i = 0; i < count; i++)
		assert_keyring(slots[i], 0);
}

/* K2: every page on the way gets a fresh key; a place that nobody touched keeps its own. */
static void
fresh_keys(void **state)
{
	struct overlay_item *leaf;
	struct page was;
	struct root root;
	const struct page *now;

	(void)state;
	put_keyring(3, 1);
	put_keyring(4, 2);
	next_batch();
	assert_int_equal(overlay_page(o, (struct node){ NODE_S, 1, 0 }, &leaf), STATUS_OK);
	was = *(const struct page *)(const void *)leaf->now;
	root = *overlay_root(o);
	put_keyring(3, 9);
	next_batch();
	assert_int_equal(overlay_page(o, (struct node){ NODE_S, 1, 0 }, &leaf), STATUS_OK);
	now = (const struct page *)(const void *)leaf->now;
	assert_false(seal_key_equal(&was.key[3], &now->key[3]));
	assert_true(seal_key_equal(&was.key[4], &now->key[4]));
	assert_true(seal_key_is_zero(&now->key[5]));
	assert_false(seal_key_equal(&root.self, &overlay_root(o)->self));
	assert_false(seal_key_equal(&root.s_top, &overlay_root(o)->s_top));
	assert_int_equal(overlay_drop_keyring(o, 3), STATUS_OK);
	next_batch();
	assert_int_equal(overlay_page(o, (struct node){ NODE_S, 1, 0 }, &leaf), STATUS_OK);
	now = (const struct page *)(const void *)leaf->now;
	assert_true(seal_key_is_zero(&now->key[3]));
}

/* K2 and E2: a keyring that says "shredded" and still has the key is not sealed, whoever made it. */
static void
dead_key(void **state)
{
	struct keyring k;
	uint8_t id[SUBJECT_ID_LEN] = { 1 };
	bool fatal = false;

	(void)state;
	for (int round = 0; round < 2; round++) {
		subject_new_keyring(&k, id, 3);
		subject_use_category(&k, SUBJECT_IDENTITY);
		subject_use_category(&k, SUBJECT_BILLING);
		k.category[SUBJECT_BILLING - 1].state = CATEGORY_SHREDDED;
		if (round == 1)
			seal_key_wipe(&k.category[SUBJECT_BILLING - 1].key);
		assert_int_equal(overlay_put_keyring(o, &k), STATUS_OK);
		assert_int_equal(batch_commit(bed.vault, o, false, &fatal),
		    round == 0 ? STATUS_FORGED : STATUS_OK);
		overlay_end(o);
		assert_int_equal(overlay_begin(o), STATUS_OK);
	}
}

/* --- tree B --- */

#define TAGS 400u

struct model {
	uint8_t tag[SEAL_TAG16_LEN];
	bool there;
};

static struct model model[TAGS];

static struct bucket_entry
entry_of(unsigned i)
{
	struct bucket_entry e = { .kind = LOOKUP_EMAIL, .category = SUBJECT_IDENTITY };

	memcpy(e.tag, model[i].tag, sizeof(e.tag));
	bytes_put32(e.subject, i);
	return e;
}

/* Looking at it says the same, before it was loaded and after. */
static enum status
look(unsigned i, struct bucket *out)
{
	const struct bucket *b;
	enum status rc = overlay_peek_bucket(o, model[i].tag, &b);

	if (rc == STATUS_OK)
		*out = *b;
	return rc;
}

static bool
is_there(unsigned i)
{
	struct bucket before, after;
	enum status looked = look(i, &before), rc;
	struct overlay_item *it;
	const struct bucket *b;
	int at;

	rc = overlay_bucket(o, model[i].tag, &it);
	assert_int_equal(looked, rc);
	assert_int_equal(look(i, &after), rc);
	if (rc == STATUS_OK) {
		assert_memory_equal(&before, it->now, sizeof(before));
		assert_memory_equal(&after, it->now, sizeof(after));
	}

	if (rc == STATUS_ABSENT)
		return false;
	assert_int_equal(rc, STATUS_OK);
	b = (const struct bucket *)(const void *)it->now;
	if ((at = lookup_in_bucket(b, model[i].tag)) < 0)
		return false;
	assert_int_equal(bytes_get32(b->entry[at].subject), i);
	return true;
}

static void
check_model(void)
{
	for (unsigned i = 0; i < TAGS; i++)
		assert_int_equal(is_there(i), model[i].there);
}

static void
flip(unsigned i)
{
	struct bucket_entry e = entry_of(i);

	if (model[i].there)
		assert_int_equal(overlay_remove_entry(o, e.tag), STATUS_OK);
	else
		assert_int_equal(overlay_add_entry(o, &e), STATUS_OK);
	model[i].there = !model[i].there;
}

/* Half of the tags at random, half crowded under few leading bits, so that buckets split often. */
static void
make_tags(void)
{
	for (unsigned i = 0; i < TAGS; i++) {
		randombytes_buf(model[i].tag, sizeof(model[i].tag));
		if (i % 2 == 0)
			memset(model[i].tag, 0xA5, 1 + i % 5);
		model[i].there = false;
	}
}

static void
look_ups_against_a_model(void **state)
{
	(void)state;
	make_tags();
	for (unsigned round = 0; round < 60; round++) {
		unsigned changes = randombytes_uniform(40);

		for (unsigned n = 0; n < changes; n++)
			flip(randombytes_uniform(TAGS));
		if (round % 4 == 0)
			check_model();
		next_batch();
	}
	check_model();
	/* All of them, then none of them. */
	for (unsigned want = 2; want-- > 0; ) {
		for (unsigned i = 0; i < TAGS; i++) {
			if (model[i].there != (want == 1))
				flip(i);
			if (overlay_room(o) < OVERLAY_ROOM_ENTRY)
				next_batch();
		}
		next_batch();
		check_model();
	}
}

/* More tags than a bucket holds that agree in 55 bits: split down to the last level, and found there. */
#define DEEP (BUCKET_ENTRIES + 1)
static void
deep_split(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DEEP; i++) {
		memset(model[i].tag, 0x77, sizeof(model[i].tag));
		/* The last five of the sixty bits. */
		model[i].tag[6] = (uint8_t)(0x70 | (i >> 4));
		model[i].tag[7] = (uint8_t)(i << 4);
		model[i].there = false;
		flip(i);
		overlay_check(o);
	}
	next_batch();
	for (unsigned i = 0; i < DEEP; i++)
		assert_true(is_there(i));
	for (unsigned i = 0; i < DEEP; i++)
		flip(i);
	next_batch();
	for (unsigned i = 0; i < DEEP; i++)
		assert_false(is_there(i));
}

static void
rows_of_the_batch(void **state)
{
	struct bytes v;
	unsigned live = 0;

	(void)state;
	assert_int_equal(overlay_get(o, STORE_META, bytes_of("x", 1), &v), STATUS_ABSENT);
	assert_int_equal(overlay_put(o, STORE_META, bytes_of("x", 1), bytes_of("1", 1)), STATUS_OK);
	assert_int_equal(overlay_put(o, STORE_META, bytes_of("x", 1), bytes_of("22", 2)), STATUS_OK);
	assert_int_equal(overlay_get(o, STORE_META, bytes_of("x", 1), &v), STATUS_OK);
	assert_int_equal(bytes_compare(v, bytes_of("22", 2)), 0);
	/* The same key in another table is another row. */
	assert_int_equal(overlay_get(o, STORE_RECORDS, bytes_of("x", 1), &v), STATUS_ABSENT);
	for (struct overlay_row *r = overlay_rows(o); r != NULL; r = r->next)
		live += !r->replaced;
	assert_int_equal(live, 1);
	next_batch();
	assert_int_equal(overlay_get(o, STORE_META, bytes_of("x", 1), &v), STATUS_OK);
	assert_int_equal(v.len, 2);
	assert_int_equal(overlay_delete(o, STORE_META, bytes_of("x", 1)), STATUS_OK);
	assert_int_equal(overlay_get(o, STORE_META, bytes_of("x", 1), &v), STATUS_ABSENT);
	next_batch();
	assert_int_equal(overlay_get(o, STORE_META, bytes_of("x", 1), &v), STATUS_ABSENT);
}

/* A batch that is dropped changes nothing, and leaves nothing in secret memory. */
static void
dropped(void **state)
{
	size_t used = secret_used();

	(void)state;
	put_keyring(5, 5);
	overlay_end(o);
	assert_int_equal(overlay_begin(o), STATUS_OK);
	assert_keyring(5, 0);
	assert_int_equal(overlay_room(o), OVERLAY_SECRET);
	assert_int_equal(secret_used(), used);
}

/* Out of room half-way is said, and the batch that is dropped for it has hurt nobody. */
static void
out_of_room(void **state)
{
	struct keyring k;
	uint8_t id[SUBJECT_ID_LEN] = { 1 };
	enum status rc = STATUS_OK;

	(void)state;
	put_keyring(1, 7);
	next_batch();
	for (uint64_t slot = 2; rc == STATUS_OK; slot += 32) {
		subject_new_keyring(&k, id, slot);
		rc = overlay_put_keyring(o, &k);
	}
	assert_int_equal(rc, STATUS_NO_MEMORY);
	overlay_end(o);
	assert_int_equal(overlay_begin(o), STATUS_OK);
	assert_keyring(1, 7);
	put_keyring(2, 8);
	next_batch();
	assert_keyring(2, 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tree_s_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(fresh_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_key, setup, teardown),
		cmocka_unit_test_setup_teardown(look_ups_against_a_model, setup, teardown),
		cmocka_unit_test_setup_teardown(deep_split, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_of_the_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
