#include "server/store/data_key.h"

#include <sodium.h>

#include "server/store/subject.h"

#define OFF_VERSION 1u
#define OFF_BOX 3u

const struct key *
data_key_of(const struct keyring *k, unsigned category, unsigned version)
{
	const struct keyring_category *c, *before;

	must(subject_keeps_before(category));
	c = &k->category[category - 1];
	before = &k->before[category - CATEGORY_CONTENT];
	if (c->state != CATEGORY_LIVE)
		return NULL;
	if (bytes_get16(c->version) == version)
		return &c->key;
	/* After a rotation, until it is retired. */
	return before->state == CATEGORY_LIVE && bytes_get16(before->version) == version ? &before->key : NULL;
}

unsigned
data_key_present(const struct keyring *k, unsigned category)
{
	must(category >= 1 && category <= CATEGORY_COUNT);
	return bytes_get16(k->category[category - 1].version);
}

unsigned
data_key_version(struct bytes wrapped)
{
	if (wrapped.len != DATA_KEY_WRAPPED_LEN || wrapped.p[0] != DATA_KEY_FORM)
		return 0;
	return bytes_get16(wrapped.p + OFF_VERSION);
}

enum status
data_key_begin(const struct data_key_place *p, unsigned version, struct data_key_wrapper *out)
{
	const struct key *k = version != 0 ? data_key_of(p->keyring, p->category, version) : NULL;

	if (k == NULL)
		return STATUS_NO_DATA_KEY;
	out->context = (struct seal_context){ .kind = SEAL_DATA_KEY, .category = (uint8_t)p->category,
		.version = version };
	memcpy(out->context.vault, p->vault, sizeof(out->context.vault));
	memcpy(out->context.subject, p->keyring->subject, sizeof(out->context.subject));
	seal_context_key(k, p->context, &out->key);
	return STATUS_OK;
}

void
data_key_end(struct data_key_wrapper *w)
{
	seal_key_wipe(&w->key);
}

_Static_assert(sizeof(struct key) == DATA_KEY_LEN, "keys lie one behind the other");

void
data_key_wrap(const struct data_key_wrapper *w, const struct key *keys, size_t count, uint8_t *out)
{
	const struct seal_many many = { keys->b, DATA_KEY_LEN, count, DATA_KEY_PADDED, out + OFF_BOX,
		DATA_KEY_WRAPPED_LEN };

	for (size_t i = 0; i < count; i++) {
		out[i * DATA_KEY_WRAPPED_LEN] = DATA_KEY_FORM;
		bytes_put16(out + i * DATA_KEY_WRAPPED_LEN + OFF_VERSION, (uint16_t)w->context.version);
	}
	seal_boxes(&w->key, &w->context, &many);
}

enum status
data_key_unwrap(const struct data_key_wrapper *w, struct bytes wrapped, struct key *out)
{
	uint8_t text[DATA_KEY_PADDED];
	enum status rc = STATUS_NO_DATA_KEY;
	size_t len;

	if (data_key_version(wrapped) != w->context.version)
		return rc;
	if (seal_open(&w->key, &w->context, bytes_of(wrapped.p + OFF_BOX, wrapped.len - OFF_BOX), text, &len) !=
	    STATUS_OK || len != DATA_KEY_LEN)
		goto out;
	memcpy(out->b, text, DATA_KEY_LEN);
	rc = STATUS_OK;
out:
	sodium_memzero(text, sizeof(text));
	return rc;
}
