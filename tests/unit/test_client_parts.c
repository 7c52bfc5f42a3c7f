/* The parts of the client library that need no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/backoff.h"
#include "client/bump.h"
#include "client/epochs.h"
#include "pdvault/pdvault.h"

/* --- ids --- */

static const uint8_t id_bytes[PDV_ID_LEN] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff};
/* Python: base64.b32encode(bytes([0..14, 255])).lower() */
static const char id_text[] = "sub_aaaqeayeaudaocajbifqydio74";

static void
test_id_vector(void **state)
{
	struct pdv_subject_id id;
	struct pdv_erasure_id era;
	char text[PDV_ID_TEXT_LEN + 1];

	(void)state;
	assert_int_equal(pdv_subject_id_parse(id_text, &id), PDV_OK);
	assert_memory_equal(id.bytes, id_bytes, PDV_ID_LEN);
	pdv_subject_id_format(&id, text);
	assert_string_equal(text, id_text);
	memcpy(era.bytes, id_bytes, PDV_ID_LEN);
	pdv_erasure_id_format(&era, text);
	assert_memory_equal(text, "era_", 4);
	assert_string_equal(text + 4, id_text + 4);
}

static void
test_id_round_trip(void **state)
{
	struct pdv_subject_id in, out;
	char text[PDV_ID_TEXT_LEN + 1];
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		randombytes_buf(&in, sizeof(in));
		pdv_subject_id_format(&in, text);
		assert_int_equal(strlen(text), PDV_ID_TEXT_LEN);
		assert_int_equal(pdv_subject_id_parse(text, &out), PDV_OK);
		assert_memory_equal(&in, &out, sizeof(in));
	}
}

static void
test_id_refused(void **state)
{
	static const char *const bad[] = {
	    "", "sub_", "sub_aaaqeayeaudaocajbifqydio7", "sub_aaaqeayeaudaocajbifqydio744",
	    "era_aaaqeayeaudaocajbifqydio74", "SUB_aaaqeayeaudaocajbifqydio74",
	    "sub_AAAQEAYEAUDAOCAJBIFQYDIO74", "sub_aaaqeayeaudaocajbifqydio71",
	    "sub_aaaqeayeaudaocajbifqydio7=", "sub_aaaqeayeaudaocajbifqydio75", /* spare bits */
	    " sub_aaaqeayeaudaocajbifqydio7", "sub_aaaqeayeaudaoc\xc3\xa4jbifqydio74"};
	struct pdv_subject_id id;
	size_t i;

	(void)state;
	memset(&id, 0x55, sizeof(id));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pdv_subject_id_parse(bad[i], &id), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_subject_id_parse(NULL, &id), PDV_INVALID_ARGUMENT);
	assert_int_equal(id.bytes[0], 0x55);
}

/* One id has one text: of all single-character changes none gives the same id. */
static void
test_id_canonical(void **state)
{
	struct pdv_subject_id id;
	char text[PDV_ID_TEXT_LEN + 1];
	int c;
	size_t i;

	(void)state;
	for (i = 0; i < PDV_ID_TEXT_LEN; i++) {
		for (c = 1; c < 256; c++) {
			memcpy(text, id_text, sizeof(text));
			text[i] = (char)c;
			if (memcmp(text, id_text, sizeof(text)) != 0 &&
			    pdv_subject_id_parse(text, &id) == PDV_OK)
				assert_memory_not_equal(id.bytes, id_bytes, PDV_ID_LEN);
		}
	}
}

static void
test_key_is_uuid7(void **state)
{
	uint8_t a[PDV_KEY_LEN], b[PDV_KEY_LEN];
	uint64_t ms = 0, now;
	struct timespec t;
	int i;

	(void)state;
	pdv_idempotency_key(a);
	for (i = 0; i < 6; i++)
		ms = ms << 8 | a[i];
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	assert_true(ms <= now && ms + 3600000 > now);
	assert_int_equal(a[6] >> 4, 7);
	assert_int_equal(a[8] >> 6, 2);
	for (i = 0; i < 100; i++) {
		pdv_idempotency_key(b);
		assert_memory_not_equal(a, b, sizeof(a));
		assert_true(memcmp(b, a, 6) >= 0); /* time-ordered */
		memcpy(a, b, sizeof(a));
	}
}

static void
test_names(void **state)
{
	enum pdv_category c = PDV_CATEGORY_UNSPECIFIED;

	(void)state;
	assert_string_equal(pdv_code_name(PDV_NOT_FOUND), "NOT_FOUND");
	assert_string_equal(pdv_code_name(PDV_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(pdv_code_name((enum pdv_code)17), "UNKNOWN");
	assert_string_equal(pdv_category_name(PDV_CATEGORY_CONSENT), "CONSENT");
	assert_string_equal(pdv_category_name((enum pdv_category)9), "UNSPECIFIED");
	assert_string_equal(pdv_state_name(PDV_STATE_PENDING_ERASURE), "PENDING_ERASURE");
	assert_string_equal(pdv_erasure_state_name(PDV_ERASURE_SHREDDED), "SHREDDED");
	assert_string_equal(pdv_serving_state_name(PDV_SERVING_READ_ONLY), "READ_ONLY");
	assert_int_equal(pdv_category_parse("identity", &c), PDV_OK);
	assert_int_equal(c, PDV_CATEGORY_IDENTITY);
	assert_int_equal(pdv_category_parse("UNSPECIFIED", &c), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_category_parse("identit", &c), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_category_parse(NULL, &c), PDV_INVALID_ARGUMENT);
	assert_true(strlen(pdv_version()) >= 5);
}

/* --- back-off --- */

static void
test_backoff_bounds(void **state)
{
	uint32_t tries, dice, ms, top;

	(void)state;
	for (tries = 1; tries < 70; tries++) {
		top = PDV_BACKOFF_MAX_MS;
		if (tries < 10 && (PDV_BACKOFF_MIN_MS << tries) < top)
			top = PDV_BACKOFF_MIN_MS << tries;
		for (dice = 0; dice < 3 * PDV_BACKOFF_MAX_MS; dice += 7) {
			ms = backoff_ms(tries, 0, dice);
			assert_in_range(ms, 1, top);
			assert_true(backoff_ms(tries, 500, dice) >= 500);
		}
		/* The whole range is used: full jitter. */
		assert_int_equal(backoff_ms(tries, 0, 0), 1);
		assert_int_equal(backoff_ms(tries, 0, top), top);
	}
	assert_int_equal(backoff_ms(3, UINT32_MAX, 5), PDV_DEADLINE_MAX_MS);
}

/* --- epochs --- */

static void
test_epochs(void **state)
{
	const uint8_t a[PDV_ID_LEN] = {1}, b[PDV_ID_LEN] = {2};
	struct epochs e = {.count = 0};
	struct epochs_mark before, after;

	(void)state;
	epochs_mark(&e, &before);
	assert_int_equal(epochs_note(&e, &before, a, (struct epochs_at){2, 7}), EPOCHS_FINE);
	epochs_mark(&e, &after);
	/* Asked before 7 was seen: overtaken, not rolled back. */
	assert_int_equal(epochs_note(&e, &before, a, (struct epochs_at){2, 6}), EPOCHS_FINE);
	/* Asked after: rolled back. */
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){2, 6}), EPOCHS_ROLLED_BACK);
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){2, 7}), EPOCHS_FINE);
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){2, 8}), EPOCHS_FINE);
	/* An overtaken answer did not lower it. */
	epochs_mark(&e, &after);
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){2, 7}), EPOCHS_ROLLED_BACK);
	/* A restored vault begins anew; what it was before is an old copy from then on. */
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){3, 1}), EPOCHS_FINE);
	epochs_mark(&e, &after);
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){2, 9}), EPOCHS_ROLLED_BACK);
	assert_int_equal(epochs_note(&e, &after, a, (struct epochs_at){3, 1}), EPOCHS_FINE);
	/* Another vault has its own. */
	assert_int_equal(epochs_note(&e, &after, b, (struct epochs_at){2, 1}), EPOCHS_FINE);
}

static void
test_epochs_full(void **state)
{
	struct epochs e = {.count = 0};
	struct epochs_mark mark;
	uint8_t vault[PDV_ID_LEN] = {0};
	unsigned i;

	(void)state;
	epochs_mark(&e, &mark);
	for (i = 0; i < EPOCHS_MAX; i++) {
		vault[0] = (uint8_t)i;
		assert_int_equal(epochs_note(&e, &mark, vault, (struct epochs_at){2, 5}), EPOCHS_FINE);
	}
	vault[0] = EPOCHS_MAX;
	assert_int_equal(epochs_note(&e, &mark, vault, (struct epochs_at){2, 5}), EPOCHS_TOO_MANY);
	vault[0] = 0;
	epochs_mark(&e, &mark);
	assert_int_equal(epochs_note(&e, &mark, vault, (struct epochs_at){2, 4}), EPOCHS_ROLLED_BACK);
}

/* --- the bump allocator --- */

#define BUDGET 100000

static void
test_bump_budget(void **state)
{
	_Alignas(max_align_t) unsigned char base[256] = {0};
	struct bump b;
	unsigned char *p;
	size_t total = 0;

	(void)state;
	bump_init(&b, base, sizeof(base), BUDGET);
	while ((p = bump_alloc(&b, 100)) != NULL) {
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		memset(p, 0x5a, 100);
		total += 112;
		bump_check(&b);
	}
	assert_true(total <= BUDGET && total > BUDGET / 2);
	assert_null(bump_alloc(&b, SIZE_MAX));
	assert_null(bump_alloc(&b, SIZE_MAX - 8));
	assert_null(bump_alloc(&b, BUDGET));
	assert_null(bump_array(&b, SIZE_MAX / 2, 3));
	bump_end(&b);
	bump_check(&b);
	assert_true(sodium_is_zero(base, sizeof(base)));
}

static void
test_bump_limits(void **state)
{
	_Alignas(max_align_t) unsigned char base[256];
	struct bump b;

	(void)state;
	bump_init(&b, base, sizeof(base), sizeof(base));
	assert_ptr_equal(bump_alloc(&b, sizeof(base)), base);
	assert_null(bump_alloc(&b, 0)); /* also nothing takes a place */
	bump_end(&b);
	assert_null(bump_alloc(&b, sizeof(base) + 1));
	assert_non_null(bump_alloc(&b, sizeof(base) - 1));
	bump_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_id_vector),
	    cmocka_unit_test(test_id_round_trip),
	    cmocka_unit_test(test_id_refused),
	    cmocka_unit_test(test_id_canonical),
	    cmocka_unit_test(test_key_is_uuid7),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_backoff_bounds),
	    cmocka_unit_test(test_epochs),
	    cmocka_unit_test(test_epochs_full),
	    cmocka_unit_test(test_bump_budget),
	    cmocka_unit_test(test_bump_limits),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
