/*
 * Boxes and rows out of the store, any bytes. The first byte says what they are taken for; with its
 * high bit set they are the text of a box that was sealed under the right key, so that what lies
 * behind the seal is reached.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/store/erasure.h"
#include "server/store/ledger.h"
#include "server/store/lookup.h"
#include "server/store/record.h"
#include "server/store/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define TEXT_MAX 70000u

static const uint8_t vault[16] = "vault-of-a-test";
static const struct key key = { { 1, 2, 3 } };

/* Sealed here under the context that opening will ask for, or taken as it is. */
static struct bytes
box_of(const struct seal_context *c, struct bytes in, bool sealed, size_t padded)
{
	static uint8_t box[SEAL_BOX_LEN(TEXT_MAX)];

	if (!sealed)
		return in;
	if (in.len >= padded)
		in.len = padded - 1;
	seal_box(&key, c, in, padded, box);
	return bytes_of(box, SEAL_BOX_LEN(padded));
}

static void
try_page(enum seal_kind kind, struct bytes in, bool sealed)
{
	static union {
		struct bucket bucket;
		uint8_t bytes[PAGE_BUFFER_LEN];
	} out;
	struct node n = { kind == SEAL_KEYRING ? NODE_S : NODE_B, 0, 7 };
	struct seal_context c = { .kind = kind, .tree = n.tree, .index = 7 };
	struct page_box b = { kind, n, { NULL, 0 } };
	uint8_t tag[SEAL_TAG16_LEN] = { 0 };

	memcpy(c.vault, vault, sizeof(c.vault));
	b.box = box_of(&c, in, sealed, (in.len / 16 + 1) * 16 < page_padded(kind) ? (in.len / 16 + 1) * 16 :
	    page_padded(kind));
	if (page_open(&key, vault, &b, &out) != STATUS_OK)
		return;
	/* Nobody but us makes a box under this key. */
	must(sealed);
	if (kind == SEAL_BUCKET)
		must(out.bucket.count <= BUCKET_ENTRIES && lookup_in_bucket(&out.bucket, tag) <
		    (int)BUCKET_ENTRIES);
}

static void
try_root(struct bytes in, bool sealed)
{
	struct seal_context c = { .kind = SEAL_ROOT_PAGE, .index = 9 };
	struct root r;

	memcpy(c.vault, vault, sizeof(c.vault));
	if (root_open(&key, vault, 9, box_of(&c, in, sealed, ROOT_PADDED), &r) != STATUS_OK)
		return;
	must(sealed && r.epoch == 9 && r.s_height >= 1 && r.s_height <= NODE_S_TOP_MAX && r.index_parity <= 1);
}

static void
try_record(struct bytes in, bool sealed)
{
	static uint8_t out[SEAL_BOX_LEN(TEXT_MAX)];
	static struct keyring k;
	struct record_place p = { SEAL_RECORD, &k, vault, 1, 3 };
	struct seal_context c = { .kind = SEAL_RECORD, .category = 1, .record = 3 };
	size_t text;

	k.category[0].state = CATEGORY_LIVE;
	k.category[0].key = key;
	memcpy(c.vault, vault, sizeof(c.vault));
	if (in.len > RECORD_HEAD + RECORD_MESSAGE_MAX)
		in.len = RECORD_HEAD + RECORD_MESSAGE_MAX;
	if (record_open(&p, box_of(&c, in, sealed, record_class(in.len)), out, &text) != STATUS_OK)
		return;
	must(sealed && text == in.len && text >= RECORD_HEAD);
}

static void
try_rows(struct bytes in)
{
	struct erasure e = { .final = false };
	uint8_t row[ERASURE_ROW_LEN], erasure[16], entry[LEDGER_ENTRY_LEN];
	struct ledger_entry l;
	uint64_t slot;
	enum status rc = subject_parse(in, &slot, erasure);

	must(rc == STATUS_OK || rc == STATUS_ERASED || rc == STATUS_CORRUPT);
	must(rc == STATUS_CORRUPT || in.len == SUBJECT_ROW_LEN);
	if (erasure_decode(in, &e) == STATUS_OK) {
		erasure_encode(&e, row);
		/* All but one byte, which is true or false. */
		must(memcmp(row, in.p, 34) == 0 && memcmp(row + 35, in.p + 35, ERASURE_ROW_LEN - 35) == 0);
	}
	if (ledger_decode(in, &l) == STATUS_OK) {
		ledger_encode(&l, entry);
		must(memcmp(entry, in.p, LEDGER_ENTRY_LEN) == 0);
	}
}

static void
try_lookup(struct bytes in, unsigned way)
{
	static const uint16_t countries[] = { 0, 1, 49, 9999 };
	struct lookup l, again;
	enum lookup_kind kind = (enum lookup_kind)(1 + way % 3);

	if (lookup_normalise(kind, in, countries[way / 3 % 4], &l) != STATUS_OK)
		return;
	must(l.len > 0 && l.len <= LOOKUP_VALUE_MAX && l.kind == kind);
	/* A phone is digits, and with its country code in front it is itself. */
	if (kind != LOOKUP_PHONE)
		return;
	must(lookup_normalise(kind, bytes_of(l.value, l.len), 0, &again) == STATUS_OK ||
	    memcmp(l.value, "00", 2) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in;
	bool sealed;

	if (len < 2)
		return 0;
	sealed = data[0] >= 128;
	in = bytes_of(data + 1, len - 1);
	switch (data[0] % 8) {
	case 0:
		try_page(SEAL_PAGE, in, sealed);
		break;
	case 1:
		try_page(SEAL_BUCKET, in, sealed);
		break;
	case 2:
		try_page(SEAL_KEYRING, in, sealed);
		break;
	case 3:
		try_root(in, sealed);
		break;
	case 4:
		try_record(in, sealed);
		break;
	case 5:
		try_rows(in);
		break;
	default:
		try_lookup(bytes_of(in.p + 1, in.len - 1), in.p[0]);
	}
	return 0;
}
