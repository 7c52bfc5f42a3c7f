/*
 * Wrapped data keys, any bytes. With the high bit of the first they are the text of a box that was sealed under
 * the right key, so that what lies behind the seal is reached.
 */
#include <string.h>

#include "server/store/data_key.h"
#include "server/store/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t vault[16] = "vault-of-a-test";

/* Never more than one key comes out, and only out of what was wrapped here. */
static void
try_sealed(const struct data_key_wrapper *w, struct bytes text)
{
	uint8_t wrapped[DATA_KEY_WRAPPED_LEN] = { DATA_KEY_FORM, 0, 1 };
	struct key out;
	enum status rc;

	if (text.len >= DATA_KEY_PADDED)
		text.len = DATA_KEY_PADDED - 1;
	seal_box(&w->key, &w->context, text, DATA_KEY_PADDED, wrapped + 3);
	rc = data_key_unwrap(w, bytes_of(wrapped, sizeof(wrapped)), &out);
	must((rc == STATUS_OK) == (text.len == DATA_KEY_LEN));
	must(rc != STATUS_OK || memcmp(out.b, text.p, DATA_KEY_LEN) == 0);
}

static void
try_any(const struct data_key_wrapper *w, struct bytes wrapped)
{
	struct key out;
	unsigned version = data_key_version(wrapped);

	must(version == 0 || (wrapped.len == DATA_KEY_WRAPPED_LEN && wrapped.p[0] == DATA_KEY_FORM));
	/* Nobody but us makes one under this key. */
	must(data_key_unwrap(w, wrapped, &out) == STATUS_NO_DATA_KEY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct keyring ring;
	struct data_key_place p = { &ring, vault, SUBJECT_CONTENT, { data, len < 9 ? len : 9 } };
	struct data_key_wrapper w;

	if (len < 2)
		return 0;
	if (ring.category[SUBJECT_CONTENT - 1].state != CATEGORY_LIVE) {
		must(seal_init() == STATUS_OK);
		subject_use_category(&ring, SUBJECT_CONTENT);
	}
	must(data_key_begin(&p, 1, &w) == STATUS_OK);
	if (data[0] >= 128)
		try_sealed(&w, bytes_of(data + 1, len - 1));
	else
		try_any(&w, bytes_of(data + 1, len - 1));
	data_key_end(&w);
	return 0;
}
