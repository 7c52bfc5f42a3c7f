#include "server/store/record.h"

#include "server/mutant.h"
#include "server/store/subject.h"

/* Engine pages of 4096 bytes with a head of 16; a row below this many bytes shares its page. */
#define SHARED_MAX 2016u
#define PAGE 4096u
#define PAGE_HEAD 16u

static const uint16_t classes[] = { 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1152,
	1280, 1536, 1792, 1920 };

_Static_assert(SEAL_BOX_LEN(1920) + RECORD_TRANSACTION_ID_KEY_LEN <= SHARED_MAX + 2, "largest class");

void
record_key(uint64_t slot, unsigned category, uint32_t number, uint8_t out[static RECORD_KEY_LEN])
{
	bytes_put64(out, slot);
	out[8] = (uint8_t)category;
	bytes_put32(out + 9, number);
}

void
record_transaction_key(uint64_t slot, uint64_t number,
    uint8_t out[static RECORD_TRANSACTION_KEY_LEN])
{
	bytes_put64(out, slot);
	out[8] = 1;
	bytes_put64(out + 9, number);
}

static const struct keyring_category *
category_of(const struct record_place *p)
{
	must(p->category >= 1 && p->category <= CATEGORY_COUNT);
	must(p->keyring->category[p->category - 1].state == CATEGORY_LIVE);
	if (mutant(billing_under_identity) && p->category == SUBJECT_BILLING)
		return &p->keyring->category[SUBJECT_IDENTITY - 1];
	return &p->keyring->category[p->category - 1];
}

void
record_transaction_id_key(const struct record_place *p, struct bytes id,
    uint8_t out[static RECORD_TRANSACTION_ID_KEY_LEN])
{
	memcpy(out, p->keyring->slot, 8);
	out[8] = 2;
	seal_tag(&category_of(p)->key, "transaction", bytes_of("", 0), id, out + 9);
}

size_t
record_class(size_t len)
{
	size_t pages;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (len < classes[i])
			return classes[i];
	/* Beyond: whole pages of the engine. */
	pages = (SEAL_BOX_LEN(len + 1) + PAGE_HEAD + PAGE - 1) / PAGE;
	return pages * PAGE - PAGE_HEAD - SEAL_OVERHEAD;
}

static struct seal_context
context(const struct record_place *p)
{
	struct seal_context c = { .kind = p->kind, .category = (uint8_t)p->category,
		.record = p->number, .version = bytes_get16(category_of(p)->version) };

	memcpy(c.vault, p->vault, sizeof(c.vault));
	memcpy(c.subject, p->keyring->subject, sizeof(c.subject));
	return c;
}

void
record_seal(const struct record_place *p, struct bytes plain, uint8_t *out)
{
	struct seal_context c = context(p);

	must(plain.len >= RECORD_HEAD && plain.len <= RECORD_HEAD + RECORD_MESSAGE_MAX);
	seal_box(&category_of(p)->key, &c, plain, record_class(plain.len), out);
}

enum status
record_open(const struct record_place *p, struct bytes box, uint8_t *out, size_t *len)
{
	struct seal_context c = context(p);
	enum status rc = seal_open(&category_of(p)->key, &c, box, out, len);

	return rc == STATUS_OK && *len < RECORD_HEAD ? STATUS_FORGED : rc;
}
