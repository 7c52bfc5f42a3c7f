/*
 * Text of ids (base32 of RFC 4648, in lower case, without padding) and idempotency keys.
 * The contract of these functions is in pdvault/pdvault.h.
 */
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "client/transport/must.h"
#include "pdvault/pdvault.h"

#define PREFIX_LEN 4
#define DIGITS (PDV_ID_TEXT_LEN - PREFIX_LEN)
#define SPARE_BITS (DIGITS * 5 - PDV_ID_LEN * 8)

_Static_assert(SPARE_BITS == 2, "26 digits hold 16 bytes and two bits, which are zero");

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static int
digit(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

static enum pdv_code
parse(const char *prefix, const char *text, uint8_t out[static PDV_ID_LEN])
{
	uint8_t id[PDV_ID_LEN];
	unsigned bits = 0, held = 0;
	size_t i, n = 0;
	int d;

	if (text == NULL || strnlen(text, PDV_ID_TEXT_LEN + 1) != PDV_ID_TEXT_LEN ||
	    strncmp(text, prefix, PREFIX_LEN) != 0)
		return PDV_INVALID_ARGUMENT;
	for (i = PREFIX_LEN; i < PDV_ID_TEXT_LEN; i++) {
		if ((d = digit(text[i])) < 0)
			return PDV_INVALID_ARGUMENT;
		bits = (bits << 5 | (unsigned)d) & 0xfff;
		held += 5;
		if (held >= 8) {
			held -= 8;
			id[n++] = (uint8_t)(bits >> held);
		}
	}
	must(n == PDV_ID_LEN && held == SPARE_BITS);
	if ((bits & ((1u << SPARE_BITS) - 1)) != 0)
		return PDV_INVALID_ARGUMENT;
	memcpy(out, id, PDV_ID_LEN);
	return PDV_OK;
}

static void
format(const char *prefix, const uint8_t id[static PDV_ID_LEN], char *out)
{
	unsigned bits = 0, held = 0;
	size_t i;

	memcpy(out, prefix, PREFIX_LEN);
	out += PREFIX_LEN;
	for (i = 0; i < PDV_ID_LEN; i++) {
		bits = (bits << 8 | id[i]) & 0xfff;
		for (held += 8; held >= 5; held -= 5)
			*out++ = alphabet[bits >> (held - 5) & 31];
	}
	*out++ = alphabet[bits << (5 - held) & 31];
	*out = '\0';
}

enum pdv_code
pdv_subject_id_parse(const char *text, struct pdv_subject_id *out)
{
	return parse("sub_", text, out->bytes);
}

enum pdv_code
pdv_erasure_id_parse(const char *text, struct pdv_erasure_id *out)
{
	return parse("era_", text, out->bytes);
}

void
pdv_subject_id_format(const struct pdv_subject_id *id, char *out)
{
	format("sub_", id->bytes, out);
}

void
pdv_erasure_id_format(const struct pdv_erasure_id *id, char *out)
{
	format("era_", id->bytes, out);
}

void
pdv_idempotency_key(uint8_t *out)
{
	struct timespec now;
	uint64_t ms;
	size_t i;

	must(sodium_init() >= 0);
	must(clock_gettime(CLOCK_REALTIME, &now) == 0);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	randombytes_buf(out, PDV_KEY_LEN);
	for (i = 0; i < 6; i++)
		out[i] = (uint8_t)(ms >> (40 - 8 * i));
	/* Version 7 and variant 10, as RFC 9562 section 5.7 lays them out. */
	out[6] = (uint8_t)(0x70 | (out[6] & 0x0f));
	out[8] = (uint8_t)(0x80 | (out[8] & 0x3f));
}
