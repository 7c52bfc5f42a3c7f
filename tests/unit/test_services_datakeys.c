/* Data keys: made and opened, bound to all that they are for, gone with their category. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "scratch.h"
#include "server/store/data_key.h"
#include "vault_bed.h"

#define MOST 256u
#define CONTENT PDVAULT__V1__CATEGORY__CONTENT
#define USAGE PDVAULT__V1__CATEGORY__USAGE

static struct vault_bed bed;
static uint8_t id[16], other[16];
static const uint8_t nobody[16] = { 0, 7, 1, 2, 3 }, elsewhere[16] = { 0, 8, 1, 2, 3 };
static const Pdvault__V1__Category content = CONTENT, usage = USAGE, billing = PDVAULT__V1__CATEGORY__BILLING;

/* What a caller keeps. */
static struct kept {
	uint8_t key[DATA_KEY_LEN], wrapped[DATA_KEY_WRAPPED_LEN];
} kept[MOST];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 2, other), STATUS_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* Whose, and for what. */
struct place {
	const uint8_t *subject;
	Pdvault__V1__Category category;
	const char *context;
};

static enum status
generate(struct place p, unsigned count)
{
	Pdvault__V1__GenerateDataKeysRequest q = PDVAULT__V1__GENERATE_DATA_KEYS_REQUEST__INIT;
	const Pdvault__V1__GenerateDataKeysResponse *r;
	struct vault_call c;
	enum status rc;

	q.subject = VAULT_BED_ID(p.subject);
	q.category = p.category;
	q.context = (ProtobufCBinaryData){ strlen(p.context), (uint8_t *)VAULT_BED_TEXT(p.context) };
	q.count = count;
	rc = vault_bed_call(&bed, "Vault.GenerateDataKeys", &q, &c);
	if (rc == STATUS_OK) {
		r = VAULT_BED_ANSWER(GenerateDataKeysResponse, &c);
		assert_int_equal(r->n_keys, count);
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(r->keys[i]->key.len, DATA_KEY_LEN);
			assert_int_equal(r->keys[i]->wrapped.len, DATA_KEY_WRAPPED_LEN);
			memcpy(kept[i].key, r->keys[i]->key.data, DATA_KEY_LEN);
			memcpy(kept[i].wrapped, r->keys[i]->wrapped.data, DATA_KEY_WRAPPED_LEN);
		}
	}
	vault_bed_done(&c);
	return rc;
}

/* Opens what is kept; those that open give the same key again. The outcome of each goes to got. */
static enum status
open_kept(struct place p, unsigned count, enum pdv_code *got)
{
	Pdvault__V1__OpenDataKeysRequest q = PDVAULT__V1__OPEN_DATA_KEYS_REQUEST__INIT;
	const Pdvault__V1__OpenDataKeysResponse *r;
	ProtobufCBinaryData list[MOST + 1];
	struct vault_call c;
	enum status rc;

	for (unsigned i = 0; i < count; i++)
		list[i] = (ProtobufCBinaryData){ DATA_KEY_WRAPPED_LEN, kept[i % MOST].wrapped };
	q.subject = VAULT_BED_ID(p.subject);
	q.category = p.category;
	q.context = (ProtobufCBinaryData){ strlen(p.context), (uint8_t *)VAULT_BED_TEXT(p.context) };
	q.wrapped = list;
	q.n_wrapped = count;
	rc = vault_bed_call(&bed, "Vault.OpenDataKeys", &q, &c);
	if (rc == STATUS_OK) {
		r = VAULT_BED_ANSWER(OpenDataKeysResponse, &c);
		assert_int_equal(r->n_outcomes, count);
		for (unsigned i = 0; i < count; i++) {
			const Pdvault__V1__DataKeyOutcome *o = r->outcomes[i];

			got[i] = (enum pdv_code)o->code;
			assert_string_equal(o->reason, o->code == PDV_OK ? "" : "DATA_KEY_INVALID");
			assert_int_equal(o->key.len, o->code == PDV_OK ? DATA_KEY_LEN : 0);
			assert_int_equal(o->rewrapped.len, 0);
			if (o->code == PDV_OK)
				assert_memory_equal(o->key.data, kept[i].key, DATA_KEY_LEN);
		}
	}
	vault_bed_done(&c);
	return rc;
}

/* The first alone. */
static enum status
open_first(struct place p, enum pdv_code *got)
{
	return open_kept(p, 1, got);
}

static enum status
erase_part(const uint8_t *who, Pdvault__V1__Category which)
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;

	q.subject = VAULT_BED_ID(who);
	q.n_categories = 1;
	q.categories = &which;
	return vault_bed_status(&bed, "Rights.EraseSubject", &q);
}

static void
made_and_opened(void **state)
{
	static const unsigned counts[] = { 1, 2, 16, 17, 64, 255, 256 };
	struct place p = { id, CONTENT, "chat 1" };
	enum pdv_code got[MOST];

	(void)state;
	for (unsigned n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
		assert_int_equal(generate(p, counts[n]), STATUS_OK);
		assert_int_equal(open_kept(p, counts[n], got), STATUS_OK);
		for (unsigned i = 0; i < counts[n]; i++) {
			assert_int_equal(got[i], PDV_OK);
			assert_false(sodium_is_zero(kept[i].key, DATA_KEY_LEN));
			for (unsigned j = 0; j < i; j++)
				assert_memory_not_equal(kept[i].key, kept[j].key, DATA_KEY_LEN);
		}
		vault_bed_restart(&bed);
		assert_int_equal(open_kept(p, counts[n], got), STATUS_OK);
		assert_int_equal(got[counts[n] - 1], PDV_OK);
	}
}

static uint64_t
epoch(void)
{
	return vault_epoch(bed.vault);
}

/* One switch for each category, at its first use; and none for what is refused. */
static void
category_made_once(void **state)
{
	struct place p = { id, CONTENT, "" };
	enum pdv_code got;
	uint64_t before = epoch();

	(void)state;
	memset(kept, 0, sizeof(kept));
	assert_int_equal(open_first(p, &got), STATUS_NO_RECORD);
	assert_int_equal(epoch(), before);
	assert_int_equal(generate(p, 1), STATUS_OK);
	assert_int_equal(epoch(), before + 1);
	assert_int_equal(generate(p, 256), STATUS_OK);
	assert_int_equal(open_first(p, &got), STATUS_OK);
	assert_int_equal(epoch(), before + 1);
	p.category = USAGE;
	assert_int_equal(open_first(p, &got), STATUS_NO_RECORD);
	assert_int_equal(generate(p, 1), STATUS_OK);
	assert_int_equal(epoch(), before + 2);
	/* What stood there before is not touched. */
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
}

/* Two who both find the category unused. */
static void
category_raced(void **state)
{
	Pdvault__V1__GenerateDataKeysRequest q = PDVAULT__V1__GENERATE_DATA_KEYS_REQUEST__INIT;
	struct place p = { id, CONTENT, "" };
	struct vault_call c[8];
	enum pdv_code got;

	(void)state;
	q.subject = VAULT_BED_ID(id);
	q.category = CONTENT;
	q.count = 1;
	for (unsigned i = 0; i < 8; i++)
		vault_bed_submit(&bed, "Vault.GenerateDataKeys", &q, &c[i]);
	for (unsigned i = 0; i < 8; i++) {
		const Pdvault__V1__DataKey *k;

		assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
		k = VAULT_BED_ANSWER(GenerateDataKeysResponse, &c[i])->keys[0];
		memcpy(kept[0].key, k->key.data, DATA_KEY_LEN);
		memcpy(kept[0].wrapped, k->wrapped.data, DATA_KEY_WRAPPED_LEN);
		vault_bed_done(&c[i]);
		assert_int_equal(open_first(p, &got), STATUS_OK);
		assert_int_equal(got, PDV_OK);
	}
}

static void
limits(void **state)
{
	static char context[258];
	struct place p = { id, CONTENT, context };
	enum pdv_code got[MOST + 1];

	(void)state;
	assert_int_equal(generate(p, 0), STATUS_INVALID);
	assert_int_equal(generate(p, 257), STATUS_INVALID);
	for (size_t len = 0; len <= 257; len += len == 1 ? 254 : 1) {
		memset(context, 'c', len);
		assert_int_equal(generate(p, 1), len <= 256 ? STATUS_OK : STATUS_INVALID);
		assert_int_equal(open_first(p, got), len <= 256 ? STATUS_OK : STATUS_INVALID);
		assert_int_equal(got[0], PDV_OK);
	}
	p.context = "";
	assert_int_equal(generate(p, MOST), STATUS_OK);
	assert_int_equal(open_kept(p, 0, got), STATUS_INVALID);
	assert_int_equal(open_kept(p, MOST, got), STATUS_OK);
	assert_int_equal(open_kept(p, MOST + 1, got), STATUS_INVALID);
	for (int c = 0; c <= 9; c++) {
		p.category = (Pdvault__V1__Category)c;
		assert_int_equal(generate(p, 1), c == CONTENT || c == USAGE ? STATUS_OK : STATUS_INVALID);
		assert_int_equal(open_first(p, got), c == CONTENT || c == USAGE ? STATUS_OK : STATUS_INVALID);
	}
}

/* Everything that a data key is for is needed to open it. */
static void
bound(void **state)
{
	static const struct place others[] = {
		{ other, CONTENT, "chat 1" }, { id, USAGE, "chat 1" }, { id, CONTENT, "chat 2" },
		{ id, CONTENT, "" }, { id, CONTENT, "chat 1 " }, { id, CONTENT, "chat" },
	};
	struct place p = { id, CONTENT, "chat 1" };
	enum pdv_code got;

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(generate(others[i], 1), STATUS_OK);
	assert_int_equal(generate(p, 1), STATUS_OK);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(open_first(others[i], &got), STATUS_OK);
		assert_int_equal(got, PDV_INVALID_ARGUMENT);
	}
	assert_int_equal(open_first(p, &got), STATUS_OK);
	assert_int_equal(got, PDV_OK);
}

/* One outcome for each: what is damaged, at whatever byte, does not hide the others. */
static void
damaged(void **state)
{
	struct place p = { id, CONTENT, "" };
	enum pdv_code got[MOST];

	(void)state;
	assert_int_equal(generate(p, MOST), STATUS_OK);
	for (unsigned i = 0; i < DATA_KEY_WRAPPED_LEN; i++)
		kept[i + 1].wrapped[i] ^= (uint8_t)(1u << i % 8);
	assert_int_equal(open_kept(p, MOST, got), STATUS_OK);
	for (unsigned i = 0; i < MOST; i++)
		assert_int_equal(got[i], i >= 1 && i <= DATA_KEY_WRAPPED_LEN ? PDV_INVALID_ARGUMENT : PDV_OK);
}

static void
of_another_length(void **state)
{
	static uint8_t longer[DATA_KEY_WRAPPED_LEN + 1];
	Pdvault__V1__OpenDataKeysRequest q = PDVAULT__V1__OPEN_DATA_KEYS_REQUEST__INIT;
	struct place p = { id, CONTENT, "" };
	ProtobufCBinaryData list[DATA_KEY_WRAPPED_LEN + 2];
	struct vault_call c;

	(void)state;
	assert_int_equal(generate(p, 1), STATUS_OK);
	memcpy(longer, kept[0].wrapped, DATA_KEY_WRAPPED_LEN);
	for (unsigned i = 0; i < DATA_KEY_WRAPPED_LEN + 2; i++)
		list[i] = (ProtobufCBinaryData){ i, longer };
	q.subject = VAULT_BED_ID(id);
	q.category = CONTENT;
	q.wrapped = list;
	q.n_wrapped = DATA_KEY_WRAPPED_LEN + 2;
	assert_int_equal(vault_bed_call(&bed, "Vault.OpenDataKeys", &q, &c), STATUS_OK);
	for (unsigned i = 0; i < DATA_KEY_WRAPPED_LEN + 2; i++)
		assert_int_equal(VAULT_BED_ANSWER(OpenDataKeysResponse, &c)->outcomes[i]->code,
		    i == DATA_KEY_WRAPPED_LEN ? PDV_OK : PDV_INVALID_ARGUMENT);
	vault_bed_done(&c);
}

static void
no_such_subject(void **state)
{
	static const struct {
		const uint8_t *who;
		enum status want;
	} cases[] = { { nobody, STATUS_NO_SUBJECT }, { elsewhere, STATUS_OTHER_VAULT } };
	enum pdv_code got;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct place p = { cases[i].who, CONTENT, "" };

		assert_int_equal(generate(p, 1), cases[i].want);
		assert_int_equal(open_first(p, &got), cases[i].want);
	}
}

/* E2: with the last category everything is gone, and nothing makes a new key. */
static void
erased(void **state)
{
	struct place used = { id, CONTENT, "" }, unused = { id, USAGE, "" };
	uint64_t before;
	enum pdv_code got;

	(void)state;
	assert_int_equal(generate(used, 1), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	before = epoch();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(open_first(used, &got), STATUS_ERASED);
		assert_int_equal(open_first(unused, &got), STATUS_ERASED);
		assert_int_equal(generate(used, 1), STATUS_ERASED);
		assert_int_equal(generate(unused, 1), STATUS_ERASED);
		vault_bed_restart(&bed);
	}
	assert_int_equal(epoch(), before);
}

/* E1: a category that is shredded opens nothing; what is retained opens, but gets no new keys. */
static void
erased_in_part(void **state)
{
	struct place c = { id, content, "" }, u = { id, usage, "" };
	static struct kept of_usage;
	enum pdv_code got;

	(void)state;
	assert_int_equal(generate(u, 1), STATUS_OK);
	of_usage = kept[0];
	assert_int_equal(generate(c, 1), STATUS_OK);
	assert_int_equal(erase_part(id, content), STATUS_OK);
	assert_int_equal(open_first(c, &got), STATUS_CATEGORY_ERASED);
	assert_int_equal(generate(c, 1), STATUS_CATEGORY_ERASED);
	kept[0] = of_usage;
	assert_int_equal(open_first(u, &got), STATUS_OK);
	assert_int_equal(got, PDV_OK);
	assert_int_equal(generate(u, 1), STATUS_RETAINED);
	/* Who was erased in another part gets no first key either. */
	assert_int_equal(vault_bed_create(&bed, 3, other), STATUS_OK);
	c.subject = u.subject = other;
	assert_int_equal(generate(c, 1), STATUS_OK);
	assert_int_equal(erase_part(other, PDVAULT__V1__CATEGORY__IDENTITY), STATUS_OK);
	assert_int_equal(generate(u, 1), STATUS_RETAINED);
	assert_int_equal(generate(c, 1), STATUS_RETAINED);
	assert_int_equal(erase_part(other, billing), STATUS_NO_RECORD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_and_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(category_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(category_raced, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(bound, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(of_another_length, setup, teardown),
		cmocka_unit_test_setup_teardown(no_such_subject, setup, teardown),
		cmocka_unit_test_setup_teardown(erased, setup, teardown),
		cmocka_unit_test_setup_teardown(erased_in_part, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
