/*
 * The key file: 0600, one line "pdvault-key-1 ID KEK" in lower-case hexadecimal. A version is a file, and is
 * destroyed by overwriting it where it lies, so that its class is that of its place.
 */
#include <errno.h>
#include <string.h>

#include "server/keys/anchor.h"
#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"

#define TAG "pdvault-key-1 "
#define TAG_LEN (sizeof(TAG) - 1)
#define ID_HEX ((size_t)2 * PROVIDER_ID_LEN)
#define KEK_HEX ((size_t)2 * SEAL_KEY_LEN)
#define OFF_KEK (TAG_LEN + ID_HEX + 1)
#define LINE_LEN (OFF_KEK + KEK_HEX + 1)

static const char not_a_line[] = "is not a line \"pdvault-key-1 ID KEK\" in lower-case hexadecimal";

static void
put_hex(char *out, const uint8_t *in, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
get_hex(const char *in, uint8_t *out, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (digit(in[2 * i]) < 0 || digit(in[2 * i + 1]) < 0)
			return false;
		out[i] = (uint8_t)(digit(in[2 * i]) << 4 | digit(in[2 * i + 1]));
	}
	return true;
}

static enum status
make(struct provider *p, enum version_place at, struct provider_kek *out)
{
	char *line = secret_alloc(LINE_LEN);
	enum status rc;

	if (line == NULL)
		return STATUS_NO_MEMORY;
	seal_random(out->id, sizeof(out->id));
	seal_key_new(&out->key, SEAL_FOR_KEK);
	memcpy(line, TAG, TAG_LEN);
	put_hex(line + TAG_LEN, out->id, sizeof(out->id));
	line[OFF_KEK - 1] = ' ';
	put_hex(line + OFF_KEK, out->key.b, SEAL_KEY_LEN);
	line[LINE_LEN - 1] = '\n';
	rc = provider_add_version(p, at, bytes_of(line, LINE_LEN));
	secret_free(line, LINE_LEN);
	return rc;
}

static enum status
create(struct provider *p, struct provider_kek *out)
{
	return make(p, VERSION_NOW, out);
}

static enum status
renew(struct provider *p, struct provider_kek *out)
{
	return make(p, VERSION_NEXT, out);
}

static bool
parse(const char *line, size_t len, struct provider_kek *out)
{
	return len == LINE_LEN && memcmp(line, TAG, TAG_LEN) == 0 && line[OFF_KEK - 1] == ' ' &&
	    line[LINE_LEN - 1] == '\n' && get_hex(line + TAG_LEN, out->id, sizeof(out->id)) &&
	    get_hex(line + OFF_KEK, out->key.b, SEAL_KEY_LEN) && !seal_key_is_zero(&out->key);
}

/* The version at that place. */
static enum status
load(struct provider *p, enum version_place at, struct provider_kek *out, const char **why)
{
	struct version_buffer line = { secret_alloc(LINE_LEN), LINE_LEN, 0 };
	enum status rc = STATUS_NO_MEMORY;

	if (line.p == NULL)
		return rc;
	if ((rc = versions_read(p->o.path, at, &line, why)) == STATUS_OK &&
	    !parse((const char *)line.p, line.len, out)) {
		errno = 0;
		*why = not_a_line;
		rc = STATUS_CONFIG;
	}
	secret_free(line.p, LINE_LEN);
	return rc;
}

static enum status
open_all(struct provider *p, struct provider_kek *out, unsigned *count)
{
	return provider_open_versions(p, load, out, count);
}

static enum status
keep(struct provider *p, const uint8_t *id)
{
	return provider_keep_versions(p, load, id);
}

static char
class(struct provider *p, const char **why)
{
	return (char)anchor_class_of(p->o.path, why);
}

const struct provider_kind provider_file = {
	.name = "file", .renews = true, .opens = true, .create = create, .renew = renew, .open = open_all,
	.keep = keep, .class = class,
};
