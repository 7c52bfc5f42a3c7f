#include "server/restore/resurrections.h"

#include <string.h>

#include "server/log.h"
#include "server/store/vault_internal.h"

enum { EACH = VAULT_RESURRECTION_LEN, OFF_TAKEN = 8, OFF_WANTED = 48 };

static bool
has(const struct resurrections *t, const uint8_t *row)
{
	for (size_t at = 0; at < t->len; at += EACH)
		if (memcmp(t->row + at, row, EACH) == 0)
			return true;
	return false;
}

enum status
resurrections_add(struct resurrections *t, struct bytes rows)
{
	for (size_t at = 0; at + EACH <= rows.len; at += EACH) {
		if (has(t, rows.p + at))
			continue;
		if (t->len == sizeof(t->row)) {
			log_event(LOG_FATAL, LOG_S(WHAT, "there were too many resurrections"));
			return STATUS_REFUSED;
		}
		memcpy(t->row + t->len, rows.p + at, EACH);
		t->len += EACH;
	}
	return STATUS_OK;
}

enum status
resurrections_of_store(struct resurrections *t, struct input *in)
{
	struct stream *s = NULL;
	struct bytes value;
	enum status rc;

	if ((rc = stream_new(in, STORE_META, &s)) == STATUS_OK &&
	    (rc = stream_get(s, META_KEY(META_RESURRECTED), &value)) == STATUS_OK)
		rc = resurrections_add(t, value);
	stream_free(s);
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static void
put_head(uint8_t *out, const struct ledger_head *h)
{
	bytes_put64(out, h->count);
	memcpy(out + 8, h->hash, SEAL_DIGEST_LEN);
}

enum status
resurrections_new(struct resurrections *t, int64_t now_ms, const struct ledger_head *taken,
    const struct ledger_head *wanted)
{
	uint8_t row[EACH];

	bytes_put64(row, (uint64_t)now_ms);
	put_head(row + OFF_TAKEN, taken);
	put_head(row + OFF_WANTED, wanted);
	return resurrections_add(t, bytes_of(row, sizeof(row)));
}

bool
resurrections_gave_up(const struct resurrections *t, const struct ledger_head *head)
{
	for (size_t at = 0; at < t->len; at += EACH)
		if (memcmp(t->row + at + OFF_WANTED + 8, head->hash, SEAL_DIGEST_LEN) == 0)
			return true;
	return false;
}
