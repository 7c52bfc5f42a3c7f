/*
 * Blobs. The first byte says how: any bytes as a blob; data that are sealed and opened again in pieces of any
 * sizes; a blob that is changed in places, cut off, or longer, of which only its beginning may come out.
 */
#include <string.h>

#include "client/blob/stream.h"
#include "server/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define DATA_MAX (PDV_BLOB_CHUNK + 5000u)
#define BLOB_MAX PDV_BLOB_ROOM((size_t)DATA_MAX)

static const uint8_t key[PDV_DATA_KEY_LEN] = "a data key of thirty-two bytes..";
static struct stream stream;
static uint8_t plain[DATA_MAX], blob[BLOB_MAX], out[PDV_BLOB_ROOM(BLOB_MAX)];

/* Opens it under our key, in pieces of ${piece}. True: it was whole. *got: what came. */
static bool
open_blob(const uint8_t *p, size_t len, size_t piece, size_t *got)
{
	struct pdv_blob_buffer b = { .data = out, .size = sizeof(out) };
	uint8_t commitment[HEADER_COMMITMENT_LEN];
	const char *why = NULL;
	struct header h;

	*got = 0;
	if (header_read(p, len, &h) != HEADER_OK)
		return false;
	stream_commit(key, p, h.said, commitment);
	if (memcmp(commitment, h.commitment, sizeof(commitment)) != 0)
		return false;
	stream_open(&stream, key, h.stream);
	for (size_t at = h.length; at < len && why == NULL; at += piece)
		why = stream_open_more(&stream, p + at, len - at < piece ? len - at : piece, &b);
	if (why == NULL)
		why = stream_open_last(&stream, &b);
	*got = b.length;
	return why == NULL;
}

/* What is a header is what would be written. */
static void
try_bytes(const uint8_t *p, size_t len)
{
	uint8_t again[HEADER_MAX];
	struct header h, copy;
	size_t got;

	switch (header_read(p, len, &h)) {
	case HEADER_OK:
		copy = h;
		header_write(&copy, again);
		must(copy.length == h.length && copy.said == h.said && h.length <= len);
		must(memcmp(again, p, h.length) == 0 && header_same(&copy.place, &h.place));
		break;
	case HEADER_MORE:
		must(len < HEADER_MAX);
		return;
	default:
		return;
	}
	if (len > sizeof(blob))
		return;
	must(!open_blob(p, len, len, &got) && got == 0);	/* nobody but us seals under this key */
}

static size_t
seal(size_t data_len, size_t piece)
{
	struct pdv_blob_buffer b = { .data = blob, .size = sizeof(blob) };
	uint8_t nonce[HEADER_STREAM_LEN], commitment[HEADER_COMMITMENT_LEN];
	struct header h = { .commitment = commitment,
		.place = { .category = PDV_CATEGORY_USAGE, .context = key, .context_length = 9 },
		.wrapped = { key, 20 }, .stream = nonce };

	stream_seal(&stream, key, nonce);
	header_say(&h, blob);
	stream_commit(key, blob, h.said, commitment);
	header_write(&h, blob);
	b.length = h.length;
	for (size_t at = 0; at < data_len; at += piece)
		stream_seal_more(&stream, plain + at, data_len - at < piece ? data_len - at : piece, &b);
	stream_seal_last(&stream, &b);
	return b.length;
}

static size_t
number(const uint8_t *p)
{
	return (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
}

static void
try_pieces(const uint8_t *p)
{
	size_t data_len = number(p) % DATA_MAX, got;
	size_t len = seal(data_len, number(p + 3) % DATA_MAX + 1);

	must(open_blob(blob, len, number(p + 6) % BLOB_MAX + 1, &got));
	must(got == data_len && memcmp(out, plain, got) == 0);
}

/* Three bytes: where; one: what is xored there. */
static void
try_changes(const uint8_t *p, size_t len)
{
	size_t data_len = number(p) % DATA_MAX, whole = seal(data_len, DATA_MAX), cut = number(p + 3), got;
	bool changed = false, good;

	static uint8_t before[BLOB_MAX];

	memcpy(before, blob, whole);
	for (p += 6, len -= 6; len >= 4; p += 4, len -= 4)
		blob[number(p) % whole] ^= p[3];
	/* The wrapped key is the vault's to judge. */
	memcpy(blob + 61 + 9, before + 61 + 9, 20);
	changed = memcmp(blob, before, whole) != 0;
	cut = cut % 4 == 0 ? whole : cut % (whole + 9);
	if (cut > whole)
		memset(blob + whole, 0, cut - whole);
	good = open_blob(blob, cut, DATA_MAX, &got);
	must(good == (!changed && cut == whole));
	must(got <= data_len && memcmp(out, plain, got) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (plain[1] == 0) {
		must(sodium_init() >= 0);
		for (size_t i = 0; i < sizeof(plain); i++)
			plain[i] = (uint8_t)(i * 7 + i / 251);
	}
	if (len < 10)
		return 0;
	switch (data[0] % 4) {
	case 0:
	case 1:
		try_bytes(data + 1, len - 1);
		break;
	case 2:
		try_pieces(data + 1);
		break;
	default:
		try_changes(data + 1, len - 1);
	}
	return 0;
}
