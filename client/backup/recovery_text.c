#include <sodium.h>
#include <string.h>

#include "client/backup/recovery_internal.h"

#define SECRET_HEAD "pdvault recovery secret "
#define SHARE_HEAD "pdvault recovery share "
#define VERSION "1\n"
#define CHECK_LEN 8u
#define DIGEST_LEN 32u

/* Where a text is read, and whether all so far was there. */
struct scan {
	const char *at, *end;
	bool good;
};

static void
put(struct recovery_file *f, const char *text)
{
	size_t len = strlen(text);

	memcpy(f->text + f->len, text, len);
	f->len += len;
}

static void
put_hex(struct recovery_file *f, const char *name, const uint8_t *bytes, size_t len)
{
	put(f, name);
	(void)sodium_bin2hex(f->text + f->len, sizeof(f->text) - f->len, bytes, len);
	f->len += 2 * len;
	put(f, "\n");
}

/* Below 100. */
static void
put_number(struct recovery_file *f, const char *before, unsigned n)
{
	put(f, before);
	if (n >= 10)
		f->text[f->len++] = (char)('0' + n / 10);
	f->text[f->len++] = (char)('0' + n % 10);
}

void
recovery_text_put(const struct recovery_content *c, struct recovery_file *out)
{
	uint8_t digest[DIGEST_LEN];

	out->len = 0;
	put(out, c->share ? SHARE_HEAD : SECRET_HEAD);
	put(out, VERSION);
	put_hex(out, "public ", c->public, sizeof(c->public));
	if (c->share) {
		put_hex(out, "split ", c->split, sizeof(c->split));
		put_number(out, "share ", c->number);
		put_number(out, " of ", c->n);
		put_number(out, ", any ", c->k);
		put(out, "\n");
	}
	put_hex(out, c->share ? "data " : "secret ", c->data, sizeof(c->data));
	(void)crypto_generichash(digest, sizeof(digest), (const uint8_t *)out->text, out->len, NULL, 0);
	put_hex(out, "check ", digest, CHECK_LEN);
}

static void
get(struct scan *s, const char *text)
{
	size_t len = strlen(text);

	s->good = s->good && (size_t)(s->end - s->at) >= len && memcmp(s->at, text, len) == 0;
	if (s->good)
		s->at += len;
}

static void
get_hex(struct scan *s, const char *name, uint8_t *out, size_t len)
{
	size_t got = 0;

	get(s, name);
	s->good = s->good && (size_t)(s->end - s->at) >= 2 * len &&
	    sodium_hex2bin(out, len, s->at, 2 * len, NULL, &got, NULL) == 0 && got == len;
	if (s->good)
		s->at += 2 * len;
	get(s, "\n");
}

static unsigned
get_number(struct scan *s, const char *before)
{
	unsigned n = 0;

	get(s, before);
	for (; s->good && s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
		n = 10 * n + (unsigned)(*s->at - '0');
		s->good = n <= RECOVERY_SHARES_MAX;
	}
	return n;
}

static bool
sound(const struct recovery_content *c)
{
	return c->k >= 2 && c->k <= c->n && c->number >= 1 && c->number <= c->n;
}

/* Behind the first line. */
static bool
get_lines(struct scan *s, struct recovery_content *out)
{
	uint8_t check[CHECK_LEN];

	get_hex(s, "public ", out->public, sizeof(out->public));
	if (out->share) {
		get_hex(s, "split ", out->split, sizeof(out->split));
		out->number = get_number(s, "share ");
		out->n = get_number(s, " of ");
		out->k = get_number(s, ", any ");
		get(s, "\n");
	}
	get_hex(s, out->share ? "data " : "secret ", out->data, sizeof(out->data));
	get_hex(s, "check ", check, sizeof(check));
	return s->good && s->at == s->end && (!out->share || sound(out));
}

const char *
recovery_text_get(const struct recovery_file *in, struct recovery_file *scratch, struct recovery_content *out)
{
	struct scan secret = {in->text, in->text + in->len, true}, share = secret, *s = &secret;

	get(&secret, SECRET_HEAD);
	get(&share, SHARE_HEAD);
	out->share = share.good;
	if (share.good)
		s = &share;
	if (!s->good)
		return "is no file of a recovery key";
	get(s, VERSION);
	if (!s->good)
		return "is of another format than this program knows";
	if (!get_lines(s, out))
		return "is damaged";
	/* Digits in another form, and a check that does not fit, make another text. */
	recovery_text_put(out, scratch);
	if (scratch->len != in->len || sodium_memcmp(scratch->text, in->text, in->len) != 0)
		return "is damaged: its check line does not fit";
	return NULL;
}
