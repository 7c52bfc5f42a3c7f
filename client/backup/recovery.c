#include "client/backup/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <libgfshare.h>
#include <limits.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPLIT_LEN 8u
#define CHECK_LEN 8u
#define HEX(len) (2 * (len) + 1)
#define SECRET_FIRST "pdvault recovery secret 1\n"
#define SHARE_FIRST "pdvault recovery share 1\n"

/* What stands in a file: the secret, or a share of it. */
struct part {
	uint8_t public[RECOVERY_KEY_LEN], data[RECOVERY_KEY_LEN], split[SPLIT_LEN];
	unsigned index, n, k;		/* index 0: it is the secret */
};

/* Everything secret in one piece of memory that is locked and wiped. */
struct work {
	struct part part[RECOVERY_SHARES_MAX];
	char text[RECOVERY_TEXT_MAX], hex[HEX(RECOVERY_KEY_LEN)];
	struct recovery_pair pair;
	uint8_t share[RECOVERY_KEY_LEN];
};

/* --- writing --- */

void
recovery_new(struct recovery_pair *out)
{
	(void)crypto_box_keypair(out->public, out->secret);
}

/* The last line: the beginning of the hash of all lines before. */
static void
check_line(const char *text, size_t len, char out[static HEX(CHECK_LEN)])
{
	uint8_t hash[crypto_generichash_BYTES];

	(void)crypto_generichash(hash, sizeof(hash), (const uint8_t *)text, len, NULL, 0);
	(void)sodium_bin2hex(out, HEX(CHECK_LEN), hash, CHECK_LEN);
}

static void
write_text(struct work *w, const struct part *p, char out[static RECOVERY_TEXT_MAX])
{
	char public[HEX(RECOVERY_KEY_LEN)], split[HEX(SPLIT_LEN)], check[HEX(CHECK_LEN)];
	int len;

	(void)sodium_bin2hex(public, sizeof(public), p->public, sizeof(p->public));
	(void)sodium_bin2hex(split, sizeof(split), p->split, sizeof(p->split));
	(void)sodium_bin2hex(w->hex, sizeof(w->hex), p->data, sizeof(p->data));
	if (p->index == 0)
		len = snprintf(out, RECOVERY_TEXT_MAX, SECRET_FIRST "public %s\nsecret %s\n", public, w->hex);
	else
		len = snprintf(out, RECOVERY_TEXT_MAX,
		    SHARE_FIRST "public %s\nsplit %s\nshare %u of %u, any %u\ndata %s\n", public,
		    split, p->index, p->n, p->k, w->hex);
	check_line(out, (size_t)len, check);
	(void)snprintf(out + len, RECOVERY_TEXT_MAX - (size_t)len, "check %s\n", check);
}

static void
part_of(const struct recovery_pair *p, struct part *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->public, p->public, sizeof(out->public));
	memcpy(out->data, p->secret, sizeof(out->data));
}

static struct work *
work_new(void)
{
	struct work *w = sodium_malloc(sizeof(*w));

	if (w != NULL)
		memset(w, 0, sizeof(*w));
	return w;
}

void
recovery_text(const struct recovery_pair *p, char out[static RECOVERY_TEXT_MAX])
{
	struct work *w = work_new();

	out[0] = '\0';
	if (w == NULL)
		return;
	part_of(p, &w->part[0]);
	write_text(w, &w->part[0], out);
	sodium_free(w);
}

static bool
flush_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
	bool ok;
	int fd;

	if (len >= sizeof(folder))
		return false;
	memcpy(folder, slash == NULL ? "." : path, len);
	folder[len] = '\0';
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	ok = fsync(fd) == 0;
	(void)close(fd);
	return ok;
}

static enum backup_result
save(const char *path, const char *text, struct backup_fault *f)
{
	size_t len = strlen(text), done = 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return backup_fault_set(f, BACKUP_IO, "%s: cannot be made: %s", path, strerror(errno));
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == len && fsync(fd) == 0 && close(fd) == 0 && flush_folder(path))
		return BACKUP_OK;
	(void)backup_fault_set(f, BACKUP_IO, "%s: cannot be written: %s", path, strerror(errno));
	(void)close(fd);
	(void)unlink(path);
	return BACKUP_IO;
}

enum backup_result
recovery_write(const struct recovery_pair *p, const char *path, struct backup_fault *f)
{
	struct work *w = work_new();
	enum backup_result rc;

	if (w == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "out of memory that can be locked");
	part_of(p, &w->part[0]);
	write_text(w, &w->part[0], w->text);
	rc = save(path, w->text, f);
	sodium_free(w);
	return rc;
}

static void
fill(unsigned char *p, unsigned int len)
{
	randombytes_buf(p, len);
}

static enum backup_result
write_share(struct work *w, const struct part *p, const char *prefix, struct backup_fault *f)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.%u", prefix, p->index) >= (int)sizeof(path))
		return backup_fault_set(f, BACKUP_IO, "%s: the name is too long", prefix);
	write_text(w, p, w->text);
	return save(path, w->text, f);
}

/* Those that this run has made. */
static void
remove_shares(const char *prefix, unsigned count)
{
	char path[PATH_MAX];

	for (unsigned i = 1; i <= count; i++)
		if (snprintf(path, sizeof(path), "%s.%u", prefix, i) < (int)sizeof(path))
			(void)unlink(path);
}

enum backup_result
recovery_split(const struct recovery_pair *p, unsigned k, unsigned n, const char *prefix,
    struct backup_fault *f)
{
	unsigned char numbers[RECOVERY_SHARES_MAX];
	struct work *w = work_new();
	gfshare_ctx *g = NULL;
	enum backup_result rc = BACKUP_OK;
	unsigned made = 0;

	for (unsigned i = 0; i < n; i++)
		numbers[i] = (unsigned char)(i + 1);
	/* It has none of its own, and wipes with it what it frees. */
	gfshare_fill_rand = fill;
	if (w == NULL || (g = gfshare_ctx_init_enc(numbers, n, (unsigned char)k, RECOVERY_KEY_LEN)) == NULL) {
		rc = backup_fault_set(f, BACKUP_NO_MEMORY, "out of memory that can be locked");
		goto out;
	}
	w->pair = *p;
	gfshare_ctx_enc_setsecret(g, w->pair.secret);
	part_of(p, &w->part[0]);
	randombytes_buf(w->part[0].split, SPLIT_LEN);
	w->part[0].n = n;
	w->part[0].k = k;
	for (; made < n && rc == BACKUP_OK; made += rc == BACKUP_OK) {
		w->part[0].index = made + 1;
		gfshare_ctx_enc_getshare(g, (unsigned char)made, w->part[0].data);
		rc = write_share(w, &w->part[0], prefix, f);
	}
	if (rc != BACKUP_OK)
		remove_shares(prefix, made);
out:
	if (g != NULL)
		gfshare_ctx_free(g);
	sodium_free(w);
	return rc;
}

/* --- reading --- */

static bool
word(const char **at, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

/* ${len} bytes in lower case, and a line feed. */
static bool
hex(const char **at, uint8_t *out, size_t len)
{
	size_t got = 0;

	if (strspn(*at, "0123456789abcdef") != 2 * len || (*at)[2 * len] != '\n' ||
	    sodium_hex2bin(out, len, *at, 2 * len, NULL, &got, NULL) != 0 || got != len)
		return false;
	*at += 2 * len + 1;
	return true;
}

static bool
number(const char **at, unsigned *out)
{
	size_t digits = strspn(*at, "0123456789");

	if (digits < 1 || digits > 2 || **at == '0')
		return false;
	for (*out = 0; digits > 0; digits--)
		*out = *out * 10 + (unsigned)(*(*at)++ - '0');
	return true;
}

static bool
parse(const char *text, struct part *p)
{
	const char *at = text, *before;
	char check[HEX(CHECK_LEN)];

	memset(p, 0, sizeof(*p));
	if (word(&at, SECRET_FIRST)) {
		if (!word(&at, "public ") || !hex(&at, p->public, sizeof(p->public)) || !word(&at, "secret ") ||
		    !hex(&at, p->data, sizeof(p->data)))
			return false;
	} else if (!word(&at, SHARE_FIRST) || !word(&at, "public ") ||
		   !hex(&at, p->public, sizeof(p->public)) || !word(&at, "split ") ||
		   !hex(&at, p->split, sizeof(p->split)) || !word(&at, "share ") ||
		   !number(&at, &p->index) || !word(&at, " of ") || !number(&at, &p->n) ||
		   !word(&at, ", any ") || !number(&at, &p->k) || !word(&at, "\ndata ") ||
		   !hex(&at, p->data, sizeof(p->data)) || p->k < 2 || p->k > p->n ||
		   p->n > RECOVERY_SHARES_MAX || p->index > p->n) {
		return false;
	}
	before = at;
	check_line(text, (size_t)(before - text), check);
	return word(&at, "check ") && word(&at, check) && strcmp(at, "\n") == 0;
}

static enum backup_result
load(struct work *w, const char *path, struct part *out, struct backup_fault *f)
{
	struct stat st;
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return backup_fault_set(f, errno == ENOENT ? BACKUP_ABSENT : BACKUP_IO, "%s: %s", path,
		    strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		len = read(fd, w->text, sizeof(w->text) - 1);
	(void)close(fd);
	if (len < 0)
		return backup_fault_set(f, BACKUP_IO, "%s: cannot be read", path);
	w->text[len] = '\0';
	if (strlen(w->text) != (size_t)len || !parse(w->text, out))
		return backup_fault_set(f, BACKUP_BAD,
		    "%s: is damaged, or no recovery secret and no share of one", path);
	return BACKUP_OK;
}

static bool
same_split(const struct part *a, const struct part *b)
{
	return memcmp(a->split, b->split, SPLIT_LEN) == 0 &&
	       memcmp(a->public, b->public, RECOVERY_KEY_LEN) == 0 && a->n == b->n && a->k == b->k;
}

static enum backup_result
judge(const struct work *w, const char *const *path, size_t count, struct backup_fault *f)
{
	const struct part *p = w->part;

	for (size_t i = 0; i < count; i++) {
		if (count > 1 && p[i].index == 0)
			return backup_fault_set(
			    f, BACKUP_BAD, "%s: is the secret itself: give it alone", path[i]);
		if (!same_split(&p[0], &p[i]))
			return backup_fault_set(f, BACKUP_BAD,
			    "%s: is a share of another split than %s", path[i], path[0]);
		for (size_t j = 0; j < i; j++)
			if (p[i].index == p[j].index)
				return backup_fault_set(
				    f, BACKUP_BAD, "%s: is the same share as %s", path[i], path[j]);
	}
	if (p[0].index > 0 && count < p[0].k)
		return backup_fault_set(f, BACKUP_BAD, "%s: %zu of the %u shares that are needed",
		    path[0], count, p[0].k);
	return BACKUP_OK;
}

static enum backup_result
join(struct work *w, size_t count, struct backup_fault *f)
{
	unsigned char numbers[RECOVERY_SHARES_MAX];
	gfshare_ctx *g;

	if (w->part[0].index == 0) {
		memcpy(w->pair.secret, w->part[0].data, RECOVERY_KEY_LEN);
		return BACKUP_OK;
	}
	for (size_t i = 0; i < count; i++)
		numbers[i] = (unsigned char)w->part[i].index;
	gfshare_fill_rand = fill;
	if ((g = gfshare_ctx_init_dec(numbers, (unsigned)count, RECOVERY_KEY_LEN)) == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++)
		gfshare_ctx_dec_giveshare(g, (unsigned char)i, w->part[i].data);
	gfshare_ctx_dec_extract(g, w->pair.secret);
	gfshare_ctx_free(g);
	return BACKUP_OK;
}

enum backup_result
recovery_read(const char *const *path, size_t count, struct recovery_pair *out, struct backup_fault *f)
{
	struct work *w = work_new();
	enum backup_result rc = BACKUP_OK;

	if (w == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "out of memory that can be locked");
	if (count == 0 || count > RECOVERY_SHARES_MAX)
		rc = backup_fault_set(f, BACKUP_BAD, "1 to %u files are expected", RECOVERY_SHARES_MAX);
	for (size_t i = 0; i < count && rc == BACKUP_OK; i++)
		rc = load(w, path[i], &w->part[i], f);
	if (rc != BACKUP_OK || (rc = judge(w, path, count, f)) != BACKUP_OK ||
	    (rc = join(w, count, f)) != BACKUP_OK)
		goto out;
	(void)crypto_scalarmult_base(w->pair.public, w->pair.secret);
	if (sodium_memcmp(w->pair.public, w->part[0].public, RECOVERY_KEY_LEN) != 0) {
		rc = backup_fault_set(f, BACKUP_BAD,
		    "%s: does not give the secret of the public key that it names", path[0]);
		goto out;
	}
	*out = w->pair;
out:
	sodium_free(w);
	return rc;
}
