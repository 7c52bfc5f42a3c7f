#include "server/keys/provider.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/log.h"

#define TAG "pdvault-key-1 "
#define TAG_LEN (sizeof(TAG) - 1)
#define ID_HEX ((size_t)2 * PROVIDER_ID_LEN)
#define KEK_HEX ((size_t)2 * SEAL_KEY_LEN)
#define OFF_KEK (TAG_LEN + ID_HEX + 1)
#define LINE_LEN (OFF_KEK + KEK_HEX + 1)

static void
complain(const char *path, const char *why)
{
	if (errno != 0)
		log_event(LOG_CONFIG, LOG_S(WHAT, "key file"), LOG_S(PATH, path), LOG_S(WHY, why),
		    LOG_S(ERRNO, strerrorname_np(errno)));
	else
		log_event(LOG_CONFIG, LOG_S(WHAT, "key file"), LOG_S(PATH, path), LOG_S(WHY, why));
}

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

/* *p owns its kek afterwards. */
static bool
begin(struct provider *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->name, "file", sizeof("file"));
	return (p->kek = secret_alloc(sizeof(*p->kek))) != NULL;
}

enum status
provider_file_create(const char *path, struct provider *out)
{
	struct provider p = { .kek = NULL };
	const char *why = NULL;
	char *line = NULL;
	enum status rc = STATUS_NO_MEMORY;

	if (!begin(&p) || (line = secret_alloc(LINE_LEN)) == NULL)
		goto out;
	seal_random(p.id, sizeof(p.id));
	seal_key_new(p.kek, SEAL_FOR_KEK);
	memcpy(line, TAG, TAG_LEN);
	put_hex(line + TAG_LEN, p.id, sizeof(p.id));
	line[OFF_KEK - 1] = ' ';
	put_hex(line + OFF_KEK, p.kek->b, SEAL_KEY_LEN);
	line[LINE_LEN - 1] = '\n';
	if ((rc = own_file_create(path, bytes_of(line, LINE_LEN), &why)) != STATUS_OK) {
		complain(path, why);
		goto out;
	}
	*out = p;
	p.kek = NULL;
out:
	secret_free(line, LINE_LEN);
	provider_close(&p);
	return rc;
}

static bool
parse(const char *line, struct provider *p)
{
	return memcmp(line, TAG, TAG_LEN) == 0 && line[OFF_KEK - 1] == ' ' &&
	    line[LINE_LEN - 1] == '\n' && get_hex(line + TAG_LEN, p->id, sizeof(p->id)) &&
	    get_hex(line + OFF_KEK, p->kek->b, SEAL_KEY_LEN) && !seal_key_is_zero(p->kek);
}

enum status
provider_file_open(const char *path, struct provider *out)
{
	struct provider p = { .kek = NULL };
	const char *why = "is not a line \"pdvault-key-1 ID KEK\" in lower-case hexadecimal";
	char *line = NULL;
	enum status rc = STATUS_NO_MEMORY;
	ssize_t n;
	int fd = -1;

	if (!begin(&p) || (line = secret_alloc(LINE_LEN)) == NULL)
		goto out;
	errno = 0;
	rc = STATUS_CONFIG;
	if (own_file_open(path, false, LINE_LEN, &fd, &why) != STATUS_OK) {
		complain(path, why);
		goto out;
	}
	/* A regular file of this length gives it in one read, unless it is being changed. */
	n = read(fd, line, LINE_LEN);
	if (n != (ssize_t)LINE_LEN || !parse(line, &p)) {
		errno = n < 0 ? errno : 0;
		complain(path, n < 0 ? "cannot be read" : why);
		goto out;
	}
	*out = p;
	p.kek = NULL;
	rc = STATUS_OK;
out:
	if (fd >= 0)
		(void)close(fd);
	secret_free(line, LINE_LEN);
	provider_close(&p);
	return rc;
}

void
provider_close(struct provider *p)
{
	if (p == NULL)
		return;
	secret_free(p->kek, sizeof(*p->kek));
	sodium_memzero(p, sizeof(*p));
}
