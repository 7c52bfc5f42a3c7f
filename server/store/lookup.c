#include "server/store/lookup.h"

#include <sodium.h>
#include <utf8proc.h>

#define FOLD_POINTS 1024u		/* code points of a value on its way, decomposed */
#define PHONE_DIGITS_MIN 5u
#define PHONE_DIGITS_MAX 15u		/* ITU-T E.164 */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes
trim(struct bytes b)
{
	while (b.len > 0 && is_blank(b.p[0])) {
		b.p++;
		b.len--;
	}
	while (b.len > 0 && is_blank(b.p[b.len - 1]))
		b.len--;
	return b;
}

/* In a buffer of our own, since what utf8proc allocates it does not wipe. */
static enum status
fold(struct bytes text, bool keep_case, struct lookup *out)
{
	utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
	    (keep_case ? 0 : UTF8PROC_CASEFOLD) | UTF8PROC_IGNORE;
	utf8proc_int32_t points[FOLD_POINTS + 1];
	utf8proc_ssize_t n;
	enum status rc = STATUS_INVALID;
	struct bytes b;

	n = utf8proc_decompose(text.p, (utf8proc_ssize_t)text.len, points, FOLD_POINTS, options);
	if (n < 0 || n > (utf8proc_ssize_t)FOLD_POINTS)
		goto out;
	if ((n = utf8proc_reencode(points, n, options)) < 0)
		goto out;
	/* NFKC turns other blanks into U+0020: cut those, too. */
	b = trim(bytes_of(points, (size_t)n));
	if (b.len > 0 && b.len <= LOOKUP_VALUE_MAX) {
		memcpy(out->value, b.p, b.len);
		out->len = (uint16_t)b.len;
		rc = STATUS_OK;
	}
out:
	sodium_memzero(points, sizeof(points));
	return rc;
}

/* The digits of a folded phone; letters and other signs make it no phone. */
static enum status
digits_of(const struct lookup *in, uint8_t out[static PHONE_DIGITS_MAX + 4], size_t *count,
    bool *international)
{
	size_t n = 0;

	*international = false;
	for (size_t i = 0; i < in->len; i++) {
		uint8_t c = in->value[i];

		if (c >= '0' && c <= '9') {
			if (n == PHONE_DIGITS_MAX + 4)
				return STATUS_INVALID;
			out[n++] = c;
		} else if (c == '+' && n == 0) {
			*international = true;
		} else if (c == 0 || c > 127 || strchr(" -./()", c) == NULL) {
			return STATUS_INVALID;
		}
	}
	*count = n;
	return STATUS_OK;
}

static enum status
phone(uint16_t country, struct lookup *l)
{
	uint8_t digits[PHONE_DIGITS_MAX + 4];
	char code[8] = "";
	size_t n, skip = 0, codelen;
	bool international;
	enum status rc;

	if ((rc = digits_of(l, digits, &n, &international)) != STATUS_OK)
		goto out;
	rc = STATUS_INVALID;
	if (!international && n > 2 && digits[0] == '0' && digits[1] == '0') {
		international = true;
		skip = 2;
	} else if (!international && country != 0) {
		/* The trunk prefix is not dialled behind a country code. */
		skip = n > 0 && digits[0] == '0';
		(void)snprintf(code, sizeof(code), "%u", country);
	}
	codelen = strlen(code);
	if (n - skip + codelen < PHONE_DIGITS_MIN || n - skip + codelen > PHONE_DIGITS_MAX)
		goto out;
	memcpy(l->value, code, codelen);
	memcpy(l->value + codelen, digits + skip, n - skip);
	l->len = (uint16_t)(codelen + n - skip);
	rc = STATUS_OK;
out:
	sodium_memzero(digits, sizeof(digits));
	return rc;
}

enum status
lookup_normalise(enum lookup_kind kind, struct bytes text, uint16_t country, struct lookup *out)
{
	enum status rc;

	out->kind = kind;
	out->len = 0;
	if (text.len > LOOKUP_VALUE_MAX)
		return STATUS_INVALID;
	if ((rc = fold(trim(text), kind == LOOKUP_ACCOUNT, out)) != STATUS_OK)
		return rc;
	return kind == LOOKUP_PHONE ? phone(country, out) : STATUS_OK;
}

int
lookup_is_shared(enum lookup_kind kind)
{
	return kind == LOOKUP_PHONE;
}

void
lookup_tag(const struct key *index, const struct lookup *l, unsigned n,
    uint8_t out[static SEAL_TAG16_LEN])
{
	uint8_t head[3] = { (uint8_t)l->kind };

	bytes_put16(head + 1, (uint16_t)n);
	seal_tag(index, "lookup", bytes_of(head, sizeof(head)), bytes_of(l->value, l->len), out);
}

bool
lookup_has_before(const struct root *root)
{
	return !seal_key_is_zero(&root->index_before);
}

void
lookup_entry(const struct root *root, enum lookup_age age, const struct lookup *l, unsigned n,
    struct bucket_entry *out)
{
	unsigned parity = root->index_parity ^ (age == LOOKUP_BEFORE);

	lookup_tag(age == LOOKUP_BEFORE ? &root->index_before : &root->index, l, n, out->tag);
	out->kind = (uint8_t)((unsigned)l->kind | (parity != 0 ? BUCKET_PARITY : 0));
}

int
lookup_in_bucket(const struct bucket *b, const uint8_t tag[static SEAL_TAG16_LEN])
{
	for (int i = 0; i < b->count; i++)
		if (crypto_verify_16(b->entry[i].tag, tag) == 0)
			return i;
	return -1;
}
