/* What people are found by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/store/lookup.h"

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK ? 0 : -1;
}

struct form {
	enum lookup_kind kind;
	uint16_t country;
	const char *text, *want;	/* NULL: it cannot be one */
};

static const struct form forms[] = {
	{ LOOKUP_EMAIL, 0, "Person@Example.ORG", "person@example.org" },
	{ LOOKUP_EMAIL, 0, " \t person@example.org\r\n", "person@example.org" },
	{ LOOKUP_EMAIL, 0, "STRASSE@example.org", "strasse@example.org" },
	{ LOOKUP_EMAIL, 0, "Stra\xC3\x9F" "e@example.org", "strasse@example.org" },
	/* U+FF21, a full-width A; U+212B, the Angstrom sign; e with a combining acute. */
	{ LOOKUP_EMAIL, 0, "\xEF\xBC\xA1@example.org", "a@example.org" },
	{ LOOKUP_EMAIL, 0, "\xE2\x84\xAB@example.org", "\xC3\xA5@example.org" },
	{ LOOKUP_EMAIL, 0, "Jose\xCC\x81@example.org", "jos\xC3\xA9@example.org" },
	{ LOOKUP_EMAIL, 0, "JOS\xC3\x89@example.org", "jos\xC3\xA9@example.org" },
	/* U+3000 and U+00A0 become blanks; U+00AD, a soft hyphen, is ignorable. */
	{ LOOKUP_EMAIL, 0, "\xE3\x80\x80" "a@b.org\xC2\xA0", "a@b.org" },
	{ LOOKUP_EMAIL, 0, "per\xC2\xADson@b.org", "person@b.org" },
	{ LOOKUP_EMAIL, 0, "", NULL },
	{ LOOKUP_EMAIL, 0, " \t\n ", NULL },
	{ LOOKUP_EMAIL, 0, "\xC2\xAD", NULL },
	{ LOOKUP_EMAIL, 0, "\xFF\xFE@example.org", NULL },
	{ LOOKUP_EMAIL, 0, "a\xC3", NULL },
	{ LOOKUP_ACCOUNT, 0, "  Account-7 ", "Account-7" },
	{ LOOKUP_ACCOUNT, 0, "\xEF\xBC\xA1", "A" },
	{ LOOKUP_ACCOUNT, 0, "", NULL },
	{ LOOKUP_PHONE, 0, "+49 (30) 123-456.7", "49301234567" },
	{ LOOKUP_PHONE, 49, "+1 (212) 555-0100", "12125550100" },
	{ LOOKUP_PHONE, 49, "0049 30 1234567", "49301234567" },
	{ LOOKUP_PHONE, 49, "030/1234567", "49301234567" },
	{ LOOKUP_PHONE, 49, "30 1234567", "49301234567" },
	{ LOOKUP_PHONE, 0, "030/1234567", "0301234567" },
	{ LOOKUP_PHONE, 49, "\xEF\xBC\x8B\xEF\xBC\x94\xEF\xBC\x99 30 1234567", "49301234567" },
	{ LOOKUP_PHONE, 0, "12345", "12345" },
	{ LOOKUP_PHONE, 0, "1234", NULL },
	{ LOOKUP_PHONE, 0, "123456789012345", "123456789012345" },
	{ LOOKUP_PHONE, 0, "1234567890123456", NULL },
	{ LOOKUP_PHONE, 49, "1234567890123", "491234567890123" },
	{ LOOKUP_PHONE, 49, "12345678901234", NULL },
	{ LOOKUP_PHONE, 49, "123", "49123" },
	{ LOOKUP_PHONE, 49, "12", NULL },
	{ LOOKUP_PHONE, 0, "00123456789012345", "123456789012345" },
	{ LOOKUP_PHONE, 0, "12345678901234567890123", NULL },
	{ LOOKUP_PHONE, 0, "phone 12345", NULL },
	{ LOOKUP_PHONE, 0, "12345 ext 6", NULL },
	{ LOOKUP_PHONE, 0, "123+456", NULL },
	{ LOOKUP_PHONE, 0, "+", NULL },
	{ LOOKUP_PHONE, 49, "00", NULL },
	/* U+0661 ..., Arabic digits, which NFKC keeps. */
	{ LOOKUP_PHONE, 0, "\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4\xD9\xA5", NULL },
};

static void
normal_forms(void **state)
{
	struct lookup l;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];
		enum status rc = lookup_normalise(f->kind, bytes_of(f->text, strlen(f->text)),
		    f->country, &l);

		if (rc != (f->want != NULL ? STATUS_OK : STATUS_INVALID))
			fail_msg("form %zu", i);
		if (f->want == NULL)
			continue;
		assert_int_equal(l.kind, f->kind);
		if (l.len != strlen(f->want) || memcmp(l.value, f->want, l.len) != 0)
			fail_msg("form %zu is %.*s", i, (int)l.len, (const char *)l.value);
	}
}

/* A NUL inside is neither a separator of digits nor the end. */
static void
nul_inside(void **state)
{
	struct lookup l;

	(void)state;
	assert_int_equal(lookup_normalise(LOOKUP_PHONE, bytes_of("12345\0" "6", 7), 0, &l),
	    STATUS_INVALID);
}

static void
limits(void **state)
{
	static char text[LOOKUP_VALUE_MAX + 1];
	struct lookup l;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t n = LOOKUP_VALUE_MAX - 1; n <= LOOKUP_VALUE_MAX + 1; n++)
		assert_int_equal(lookup_normalise(LOOKUP_ACCOUNT, bytes_of(text, n), 0, &l),
		    n <= LOOKUP_VALUE_MAX ? STATUS_OK : STATUS_INVALID);
	/* U+FDFA grows to eighteen characters: what counts is what is kept. */
	for (size_t i = 0; i + 3 <= LOOKUP_VALUE_MAX; i += 3)
		memcpy(text + i, "\xEF\xB7\xBA", 3);
	assert_int_equal(lookup_normalise(LOOKUP_ACCOUNT, bytes_of(text, 510), 0, &l),
	    STATUS_INVALID);
	assert_int_equal(lookup_normalise(LOOKUP_ACCOUNT, bytes_of(text, 30), 0, &l), STATUS_OK);
}

static void
tag(const struct key *k, enum lookup_kind kind, const char *value, unsigned n, uint8_t *out)
{
	struct lookup l = { .kind = kind, .len = (uint16_t)strlen(value) };

	memcpy(l.value, value, l.len);
	lookup_tag(k, &l, n, out);
}

static void
tags(void **state)
{
	const struct key k = { { 1 } }, other = { { 2 } };
	uint8_t t[6][SEAL_TAG16_LEN];

	(void)state;
	tag(&k, LOOKUP_EMAIL, "12345", 0, t[0]);
	tag(&k, LOOKUP_PHONE, "12345", 0, t[1]);
	tag(&k, LOOKUP_PHONE, "12345", 1, t[2]);
	tag(&k, LOOKUP_PHONE, "12345", 256, t[3]);
	tag(&other, LOOKUP_PHONE, "12345", 0, t[4]);
	tag(&k, LOOKUP_PHONE, "123456", 0, t[5]);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(t[i], t[j], SEAL_TAG16_LEN);
	tag(&k, LOOKUP_EMAIL, "12345", 0, t[1]);
	assert_memory_equal(t[0], t[1], SEAL_TAG16_LEN);
	assert_true(lookup_is_shared(LOOKUP_PHONE));
	assert_false(lookup_is_shared(LOOKUP_EMAIL) || lookup_is_shared(LOOKUP_ACCOUNT));
}

static void
places_in_a_bucket(void **state)
{
	struct bucket b = { .count = 0 };
	uint8_t zero[SEAL_TAG16_LEN] = { 0 };

	(void)state;
	for (unsigned i = 0; i < BUCKET_ENTRIES; i++)
		b.entry[i].tag[15] = (uint8_t)(i + 1);
	/* Beyond the count there is nothing, whatever the bytes are. */
	assert_int_equal(lookup_in_bucket(&b, b.entry[0].tag), -1);
	for (unsigned i = 0; i < BUCKET_ENTRIES; i++) {
		b.count = (uint8_t)(i + 1);
		assert_int_equal(lookup_in_bucket(&b, b.entry[i].tag), (int)i);
	}
	assert_int_equal(lookup_in_bucket(&b, zero), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_forms),
		cmocka_unit_test(nul_inside),
		cmocka_unit_test(limits),
		cmocka_unit_test(tags),
		cmocka_unit_test(places_in_a_bucket),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
