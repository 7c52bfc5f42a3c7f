/* One sealed value of a category. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/store/record.h"

#define SHARED_MAX 2016u	/* a row above this many bytes has pages of its own */
#define PAGE 4096u

static const uint8_t vault[16] = "vault-of-a-test";
static struct keyring keyring;

static int
begin(void **state)
{
	(void)state;
	if (seal_init() != STATUS_OK)
		return -1;
	memset(keyring.subject, 5, sizeof(keyring.subject));
	bytes_put64(keyring.slot, 9);
	for (unsigned i = 0; i < 2; i++) {
		seal_key_new(&keyring.category[i].key, SEAL_FOR_CATEGORY);
		bytes_put16(keyring.category[i].version, 1);
		keyring.category[i].state = CATEGORY_LIVE;
	}
	return 0;
}

/* The length says only which class a record is of; every class holds more than its text. */
static void
classes(void **state)
{
	size_t last = 0;
	unsigned count = 0;

	(void)state;
	for (size_t len = RECORD_HEAD; len <= RECORD_HEAD + RECORD_MESSAGE_MAX; len++) {
		size_t c = record_class(len), row = SEAL_BOX_LEN(c);

		assert_true(c > len && c >= last);
		count += c != last;
		/* Rows of their own pages fill them, so they are as long as they look. */
		assert_true(row + RECORD_TRANSACTION_ID_KEY_LEN <= SHARED_MAX + 2 ||
		    (row + 16) % PAGE == 0);
		last = c;
	}
	assert_int_equal(record_class(63), 64);
	assert_int_equal(record_class(64), 128);
	assert_int_equal(record_class(1919), 1920);
	assert_int_equal(SEAL_BOX_LEN(record_class(1920)), PAGE - 16);
	assert_int_equal(SEAL_BOX_LEN(record_class(4095 - 16 - SEAL_OVERHEAD)), PAGE - 16);
	assert_int_equal(SEAL_BOX_LEN(record_class(4096 - 16 - SEAL_OVERHEAD)), 2 * PAGE - 16);
	assert_true(count < 40);
}

static void
keys_are_ordered(void **state)
{
	uint8_t a[RECORD_KEY_LEN], b[RECORD_KEY_LEN];
	uint8_t c[RECORD_TRANSACTION_KEY_LEN], d[RECORD_TRANSACTION_KEY_LEN];

	(void)state;
	record_key(255, 8, UINT32_MAX, a);
	record_key(256, 1, 0, b);
	assert_true(memcmp(a, b, sizeof(a)) < 0);
	record_transaction_key(1, 255, c);
	record_transaction_key(1, 256, d);
	assert_true(memcmp(c, d, sizeof(c)) < 0);
	/* Rows by number come before rows by id. */
	assert_int_equal(c[8], 1);
}

static void
round_trip(void **state)
{
	static uint8_t plain[RECORD_HEAD + RECORD_MESSAGE_MAX], box[2 * RECORD_MESSAGE_MAX],
	    out[2 * RECORD_MESSAGE_MAX];
	static const size_t lens[] = { RECORD_HEAD, 63, 64, 65, 1919, 1920, 4000, 8000,
		RECORD_HEAD + RECORD_MESSAGE_MAX };
	struct record_place p = { SEAL_RECORD, &keyring, vault, 1, 0 };

	(void)state;
	memset(plain, 0x80, sizeof(plain));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = 0, box_len = SEAL_BOX_LEN(record_class(lens[i]));

		record_seal(&p, bytes_of(plain, lens[i]), box);
		assert_int_equal(record_open(&p, bytes_of(box, box_len), out, &len), STATUS_OK);
		assert_int_equal(len, lens[i]);
		assert_memory_equal(out, plain, len);
	}
}

static void
bound_to_its_place(void **state)
{
	struct keyring other = keyring, later = keyring;
	const struct record_place p = { SEAL_RECORD, &keyring, vault, 1, 4 };
	const uint8_t foreign[16] = { 1 };
	const struct record_place wrong[] = {
		{ SEAL_TRANSACTION, &keyring, vault, 1, 4 },
		{ SEAL_RECORD, &other, vault, 1, 4 },
		{ SEAL_RECORD, &later, vault, 1, 4 },
		{ SEAL_RECORD, &keyring, foreign, 1, 4 },
		{ SEAL_RECORD, &keyring, vault, 2, 4 },
		{ SEAL_RECORD, &keyring, vault, 1, 5 },
	};
	uint8_t plain[RECORD_HEAD] = { 1 }, box[SEAL_BOX_LEN(64)], out[64];
	size_t len;

	(void)state;
	/* The same key, but another subject, or another version of the key. */
	other.subject[0] ^= 1;
	later.category[0].version[1]++;
	record_seal(&p, bytes_of(plain, sizeof(plain)), box);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(record_open(&wrong[i], bytes_of(box, sizeof(box)), out, &len),
		    STATUS_FORGED);
	assert_int_equal(record_open(&p, bytes_of(box, sizeof(box)), out, &len), STATUS_OK);
	for (size_t n = 0; n < sizeof(box); n++)
		assert_int_equal(record_open(&p, bytes_of(box, n), out, &len), STATUS_FORGED);
}

/* A text without a head under the right key: it would be read beyond its end. */
static void
short_text(void **state)
{
	const struct record_place p = { SEAL_RECORD, &keyring, vault, 1, 0 };
	struct seal_context c = { .kind = SEAL_RECORD, .category = 1, .version = 1 };
	uint8_t box[SEAL_BOX_LEN(64)], out[64], plain[RECORD_HEAD] = { 0 };
	size_t len;

	(void)state;
	memcpy(c.vault, vault, sizeof(c.vault));
	memcpy(c.subject, keyring.subject, sizeof(c.subject));
	for (size_t n = RECORD_HEAD - 1; n <= RECORD_HEAD; n++) {
		seal_box(&keyring.category[0].key, &c, bytes_of(plain, n), 64, box);
		assert_int_equal(record_open(&p, bytes_of(box, sizeof(box)), out, &len),
		    n < RECORD_HEAD ? STATUS_FORGED : STATUS_OK);
	}
}

static void
id_keys(void **state)
{
	const struct record_place p = { SEAL_TRANSACTION, &keyring, vault, 1, 0 };
	const struct record_place q = { SEAL_TRANSACTION, &keyring, vault, 2, 0 };
	uint8_t a[RECORD_TRANSACTION_ID_KEY_LEN], b[RECORD_TRANSACTION_ID_KEY_LEN];

	(void)state;
	record_transaction_id_key(&p, bytes_of("one", 3), a);
	record_transaction_id_key(&p, bytes_of("one", 3), b);
	assert_memory_equal(a, b, sizeof(a));
	record_transaction_id_key(&p, bytes_of("two", 3), b);
	assert_memory_not_equal(a, b, sizeof(a));
	/* Without the category's key it says nothing. */
	record_transaction_id_key(&q, bytes_of("one", 3), b);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_equal(a, keyring.slot, 8);
	assert_int_equal(a[8], 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(keys_are_ordered),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(bound_to_its_place),
		cmocka_unit_test(short_text),
		cmocka_unit_test(id_keys),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
