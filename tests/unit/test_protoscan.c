/*
 * The look at a packed message before it is unpacked: bytes, texts, types.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/transport/protoscan.h"
#include "client/transport/protowire.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

#define TEXT(s) s, sizeof(s) - 1

static const struct {
	const char *text;
	size_t len;
	const char *rule;
} texts[] = {
	{ TEXT(""), NULL },
	{ TEXT("plain ~ text"), NULL },
	{ TEXT("\xc2\xa0 first after C1"), NULL },
	{ TEXT("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), NULL },
	{ TEXT("\xed\x9f\xbf\xee\x80\x80"), NULL },
	{ TEXT("a\0b"), "EMBEDDED_NUL" },
	{ TEXT("a\n"), "CONTROL_CHARACTER" },
	{ TEXT("\x1f"), "CONTROL_CHARACTER" },
	{ TEXT("\x7f"), "CONTROL_CHARACTER" },
	{ TEXT("\xc2\x80"), "CONTROL_CHARACTER" },
	{ TEXT("\xc2\x9f"), "CONTROL_CHARACTER" },
	{ TEXT("\x80"), "NOT_UTF8" },
	{ TEXT("\xc0\x80"), "NOT_UTF8" },		/* overlong NUL */
	{ TEXT("\xc1\xbf"), "NOT_UTF8" },
	{ TEXT("\xe0\x9f\xbf"), "NOT_UTF8" },
	{ TEXT("\xf0\x8f\xbf\xbf"), "NOT_UTF8" },
	{ TEXT("\xed\xa0\x80"), "NOT_UTF8" },		/* surrogates */
	{ TEXT("\xed\xbf\xbf"), "NOT_UTF8" },
	{ TEXT("\xf4\x90\x80\x80"), "NOT_UTF8" },	/* above U+10FFFF */
	{ TEXT("\xf5\x80\x80\x80"), "NOT_UTF8" },
	{ TEXT("\xff"), "NOT_UTF8" },
	{ TEXT("ab\xc3"), "NOT_UTF8" },			/* ends early */
	{ TEXT("\xe2\x82"), "NOT_UTF8" },
	{ TEXT("\xf0\x9f\x98"), "NOT_UTF8" },
	{ TEXT("\xe2\x28\xa1"), "NOT_UTF8" },
	{ TEXT("\xe2\x82\x28"), "NOT_UTF8" },
};

static void
test_texts(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *rule =
		    protowire_text_fault((const uint8_t *)texts[i].text, texts[i].len);

		if ((rule == NULL) != (texts[i].rule == NULL) ||
		    (rule != NULL && strcmp(rule, texts[i].rule) != 0))
			fail_msg("text %zu: %s", i, rule == NULL ? "accepted" : rule);
	}
}

static const struct {
	const char *bytes;
	size_t len;
	enum protowire_step first;
} fields[] = {
	{ TEXT(""), PROTOWIRE_END },
	{ TEXT("\x08\x01"), PROTOWIRE_FIELD },
	{ TEXT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), PROTOWIRE_FIELD },
	{ TEXT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), PROTOWIRE_BROKEN },
	{ TEXT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), PROTOWIRE_BROKEN },
	{ TEXT("\x08"), PROTOWIRE_BROKEN },
	{ TEXT("\x08\x80"), PROTOWIRE_BROKEN },
	{ TEXT("\x09" "12345678"), PROTOWIRE_FIELD },
	{ TEXT("\x09" "1234567"), PROTOWIRE_BROKEN },
	{ TEXT("\x0d" "1234"), PROTOWIRE_FIELD },
	{ TEXT("\x0d" "123"), PROTOWIRE_BROKEN },
	{ TEXT("\x0a\x00"), PROTOWIRE_FIELD },
	{ TEXT("\x0a\x01x"), PROTOWIRE_FIELD },
	{ TEXT("\x0a\x02x"), PROTOWIRE_BROKEN },
	{ TEXT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), PROTOWIRE_BROKEN },
	{ TEXT("\x0a\x81\x80\x80\x80\x00x"), PROTOWIRE_FIELD },	/* padded, to five bytes */
	{ TEXT("\x0a\x81\x80\x80\x80\x80\x00x"), PROTOWIRE_BROKEN },
	{ TEXT("\x88\x80\x80\x80\x80\x00\x01"), PROTOWIRE_BROKEN },
	{ TEXT("\x0b\x0c"), PROTOWIRE_BROKEN },			/* a group */
	{ TEXT("\x0e\x01"), PROTOWIRE_BROKEN },			/* no such type */
	{ TEXT("\x00\x01"), PROTOWIRE_BROKEN },			/* field 0 */
	{ TEXT("\xf8\xff\xff\xff\x0f\x01"), PROTOWIRE_FIELD },	/* the last number */
	{ TEXT("\x80\x80\x80\x80\x10\x01"), PROTOWIRE_BROKEN },	/* one more */
};

static void
test_fields(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const uint8_t *p = (const uint8_t *)fields[i].bytes;
		struct protowire_reader r = { p, p + fields[i].len };
		struct protowire_field f;
		enum protowire_step step = protowire_next(&r, &f);

		if (step != fields[i].first)
			fail_msg("field %zu: %d", i, (int)step);
		if (step == PROTOWIRE_FIELD)
			assert_int_equal(protowire_next(&r, &f), PROTOWIRE_END);
	}
}

#define CREATE &pdvault__v1__create_subject_request__descriptor
#define ERASE &pdvault__v1__erase_subject_request__descriptor
#define TIMES &pdvault__v1__get_erasure_response__descriptor

static const struct {
	const ProtobufCMessageDescriptor *type;
	const char *bytes;
	size_t len;
	enum protoscan_result result;
	const char *path, *rule;
} messages[] = {
	{ CREATE, TEXT(""), PROTOSCAN_OK },
	{ CREATE, TEXT("\x0a\x00"), PROTOSCAN_OK },
	/* identity.emails: "a", then something bad */
	{ CREATE, TEXT("\x0a\x06\x12\x01" "a\x12\x01\x00"), PROTOSCAN_RULE, "identity.emails[1]",
	    "EMBEDDED_NUL" },
	{ CREATE, TEXT("\x0a\x06\x12\x01\xff\x12\x01\x00"), PROTOSCAN_RULE, "identity.emails[0]",
	    "NOT_UTF8" },
	{ CREATE, TEXT("\x0a\x05\x0a\x03\x0a\x01\x0a"), PROTOSCAN_RULE, "identity.name.full",
	    "CONTROL_CHARACTER" },
	/* identity.postal_addresses[2].lines[1], with phones between */
	{ CREATE,
	    TEXT("\x0a\x11\x32\x00\x1a\x01" "1\x32\x00\x1a\x00\x32\x06\x22\x01"
		"a\x22\x01\x01"),
	    PROTOSCAN_RULE, "identity.postal_addresses[2].lines[1]", "CONTROL_CHARACTER" },
	{ CREATE, TEXT("\x0a\x00\x0a\x00"), PROTOSCAN_RULE, "identity", "DUPLICATE_FIELD" },
	{ CREATE, TEXT("\x0a\x04\x22\x00\x22\x00"), PROTOSCAN_RULE, "identity.locale",
	    "DUPLICATE_FIELD" },
	/* wrong wire type, broken inside, longer than what is around it */
	{ CREATE, TEXT("\x08\x01"), PROTOSCAN_BROKEN },
	{ CREATE, TEXT("\x0a\x02\x12\x05"), PROTOSCAN_BROKEN },
	{ CREATE, TEXT("\x0a\x02\x10\x05"), PROTOSCAN_BROKEN },
	/* enums, one by one and packed */
	{ ERASE, TEXT("\x10\x01\x10\x08"), PROTOSCAN_OK },
	{ ERASE, TEXT("\x12\x03\x01\x02\x08"), PROTOSCAN_OK },
	{ ERASE, TEXT("\x10\x01\x10\x09"), PROTOSCAN_RULE, "categories[1]",
	    "UNKNOWN_ENUM_VALUE" },
	{ ERASE, TEXT("\x12\x02\x01\x63"), PROTOSCAN_RULE, "categories[0]",
	    "UNKNOWN_ENUM_VALUE" },
	{ ERASE, TEXT("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), PROTOSCAN_RULE,
	    "categories[0]", "UNKNOWN_ENUM_VALUE" },
	{ ERASE, TEXT("\x10\x81\x80\x80\x80\x10"), PROTOSCAN_RULE, "categories[0]",
	    "UNKNOWN_ENUM_VALUE" },		/* 1 + 2^32 */
	{ ERASE, TEXT("\x12\x01\x80"), PROTOSCAN_BROKEN },
	{ ERASE, TEXT("\x0a\x03\x00\xff\x01"), PROTOSCAN_OK },	/* bytes may be anything */
	{ TIMES, TEXT("\x2a\x04\x08\x01\x10\x02"), PROTOSCAN_OK },
	{ TIMES, TEXT("\x2a\x02\x0a\x00"), PROTOSCAN_BROKEN },	/* not packed: one number */
};

static void
test_messages(void **state)
{
	struct protoscan_fault fault;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		enum protoscan_result got = protoscan(messages[i].type,
		    (const uint8_t *)messages[i].bytes, messages[i].len, &fault);

		if (got != messages[i].result)
			fail_msg("message %zu: %d", i, (int)got);
		if (got != PROTOSCAN_RULE)
			continue;
		assert_string_equal(fault.path, messages[i].path);
		assert_string_equal(fault.rule, messages[i].rule);
	}
}

/* Unknown fields count together, wherever they are: 10 outside, then some inside. */
static void
test_unknown(void **state)
{
	struct protoscan_fault fault;
	uint8_t bytes[256];
	unsigned inside, i;
	size_t n;

	(void)state;
	for (inside = 6; inside <= 7; inside++) {
		n = 0;
		for (i = 0; i < 10; i++) {
			bytes[n++] = 0x78;	/* field 15 */
			bytes[n++] = 1;
		}
		bytes[n++] = 0x0a;		/* identity */
		bytes[n++] = (uint8_t)(2 * inside);
		for (i = 0; i < inside; i++) {
			bytes[n++] = 0x7a;
			bytes[n++] = 0;
		}
		assert_int_equal(protoscan(CREATE, bytes, n, &fault),
		    inside == 6 ? PROTOSCAN_OK : PROTOSCAN_RULE);
	}
	assert_string_equal(fault.rule, "TOO_MANY_UNKNOWN_FIELDS");
	assert_string_equal(fault.path, "identity");
}

/* A type made here, that holds itself: as deep as one likes. */
static const ProtobufCMessageDescriptor self;
static const ProtobufCFieldDescriptor self_fields[] = {
	{ .name = "a_name_of_nineteen_b", .id = 1, .label = PROTOBUF_C_LABEL_NONE,
	    .type = PROTOBUF_C_TYPE_MESSAGE, .descriptor = &self },
	{ .name = "s", .id = 2, .label = PROTOBUF_C_LABEL_NONE, .type = PROTOBUF_C_TYPE_STRING },
};
static const ProtobufCIntRange self_ranges[] = { { 1, 0 }, { 0, 2 } };
static const ProtobufCMessageDescriptor self = { .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.n_fields = 2, .fields = self_fields, .n_field_ranges = 1, .field_ranges = self_ranges };

static void
test_depth(void **state)
{
	static const uint8_t inner[] = { 0x12, 1, 0 };	/* s: a NUL */
	struct protoscan_fault fault;
	uint8_t bytes[64];
	unsigned levels, i;

	(void)state;
	for (levels = 1; levels <= PROTOSCAN_DEPTH + 1; levels++) {
		size_t n = 0;

		for (i = 1; i < levels; i++) {
			bytes[n++] = 0x0a;
			bytes[n++] = (uint8_t)(2 * (levels - 1 - i) + sizeof(inner));
		}
		memcpy(bytes + n, inner, sizeof(inner));
		assert_int_equal(protoscan(&self, bytes, n + sizeof(inner), &fault),
		    levels <= PROTOSCAN_DEPTH ? PROTOSCAN_RULE : PROTOSCAN_BROKEN);
		assert_true(strlen(fault.path) < PROTOSCAN_PATH);
		if (levels == 3)
			assert_string_equal(
			    fault.path, "a_name_of_nineteen_b.a_name_of_nineteen_b.s");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
