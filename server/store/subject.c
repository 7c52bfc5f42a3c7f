#include "server/store/subject.h"

#include <sodium.h>

#include "server/clock.h"
#include "server/mutant.h"
#include "server/store/vault_internal.h"

enum { ROW_LIVE = 1, ROW_ERASED = 2 };

struct subject_prefix
subject_prefix(const struct vault *v)
{
	struct subject_prefix p;

	bytes_put16(p.b, v->number);
	return p;
}

void
subject_new_id(const struct vault *v, uint8_t id[static SUBJECT_ID_LEN])
{
	bytes_put16(id, v->number);
	randombytes_buf(id + 2, SUBJECT_ID_LEN - 2);
}

bool
subject_id_is_zero(const uint8_t id[static SUBJECT_ID_LEN])
{
	static const uint8_t zero[SUBJECT_ID_LEN];

	return memcmp(id, zero, sizeof(zero)) == 0;
}

void
subject_row_live(uint64_t slot, uint8_t out[static SUBJECT_ROW_LEN])
{
	memset(out, 0, SUBJECT_ROW_LEN);
	out[0] = ROW_LIVE;
	bytes_put64(out + 1, slot);
}

void
subject_row_erased(const uint8_t erasure[static 16], uint8_t out[static SUBJECT_ROW_LEN])
{
	out[0] = ROW_ERASED;
	memcpy(out + 1, erasure, 16);
}

enum status
subject_parse(struct bytes row, uint64_t *slot, uint8_t *erasure)
{
	if (row.len != SUBJECT_ROW_LEN)
		return STATUS_CORRUPT;
	switch (row.p[0]) {
	case ROW_LIVE:
		*slot = bytes_get64(row.p + 1);
		return STATUS_OK;
	case ROW_ERASED:
		if (erasure != NULL)
			memcpy(erasure, row.p + 1, 16);
		return STATUS_ERASED;
	default:
		return STATUS_CORRUPT;
	}
}

enum status
subject_row(struct store_snapshot *s, const uint8_t id[static SUBJECT_ID_LEN], uint64_t *slot)
{
	struct bytes row;
	enum status rc = store_get(s, STORE_SUBJECTS, bytes_of(id, SUBJECT_ID_LEN), &row);

	if (rc == STATUS_ABSENT)
		return STATUS_NO_SUBJECT;
	return rc == STATUS_OK ? subject_parse(row, slot, NULL) : rc;
}

enum status
subject_check(const struct keyring *k, const uint8_t id[static SUBJECT_ID_LEN], uint64_t slot)
{
	if (sodium_memcmp(k->subject, id, SUBJECT_ID_LEN) != 0 || bytes_get64(k->slot) != slot)
		return STATUS_FORGED;
	return STATUS_OK;
}

enum status
subject_category(const struct keyring *k, unsigned category)
{
	must(category >= 1 && category <= CATEGORY_COUNT);
	switch (k->category[category - 1].state) {
	case CATEGORY_LIVE:
		return STATUS_OK;
	case CATEGORY_SHREDDED:
		return STATUS_CATEGORY_ERASED;
	default:
		return STATUS_NO_RECORD;
	}
}

bool
subject_keeps_before(unsigned category)
{
	return category >= CATEGORY_CONTENT && category < CATEGORY_CONTENT + KEYRING_BEFORE;
}

int
subject_is_retained(const struct keyring *k)
{
	for (unsigned i = 0; i < CATEGORY_COUNT; i++)
		if (k->category[i].state == CATEGORY_SHREDDED)
			return 1;
	return 0;
}

void
subject_new_keyring(struct keyring *k, const uint8_t id[static SUBJECT_ID_LEN], uint64_t slot)
{
	memset(k, 0, sizeof(*k));
	memcpy(k->subject, id, SUBJECT_ID_LEN);
	bytes_put64(k->slot, slot);
	randombytes_buf(k->pseudonym, sizeof(k->pseudonym));
	bytes_put64(k->create_time, (uint64_t)clock_wall_ms());
}

void
subject_shred_category(struct keyring *k, unsigned category)
{
	struct keyring_category *c = &k->category[category - 1];

	must(category >= 1 && category <= CATEGORY_COUNT);
	if (!mutant(category_key_left))
		seal_key_wipe(&c->key);
	c->state = CATEGORY_SHREDDED;
	if (subject_keeps_before(category))
		sodium_memzero(&k->before[category - CATEGORY_CONTENT], sizeof(k->before[0]));
}

void
subject_use_category(struct keyring *k, unsigned category)
{
	struct keyring_category *c = &k->category[category - 1];

	must(category >= 1 && category <= CATEGORY_COUNT && c->state == CATEGORY_UNUSED);
	seal_key_new(&c->key, SEAL_FOR_CATEGORY);
	if (mutant(category_key_derived))
		seal_digest(bytes_of(k->subject, SUBJECT_ID_LEN), c->key.b);
	bytes_put16(c->version, 1);
	bytes_put32(c->made, (uint32_t)(clock_wall_ms() / 1000));
	c->state = CATEGORY_LIVE;
}
