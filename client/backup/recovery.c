#include "client/backup/recovery.h"

#include <libgfshare.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/backup/recovery_internal.h"
#include "client/transport/must.h"

/*
 * libgfshare keeps what it is given, and its random coefficients, in memory of malloc(), which can reach a swap
 * device. Sharing is linear: what is added to the secret is added to each share. So the library is given secret
 * and shares with a pad on them, and the pad stays here.
 */
struct work {
	uint8_t pad[RECOVERY_KEY_LEN], padded[RECOVERY_KEY_LEN];
	struct recovery_content content[RECOVERY_SHARES_MAX];
	struct recovery_file file, scratch;
	struct recovery_pair pair;
};

static enum backup_result
no_memory(struct backup_fault *f)
{
	return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory");
}

static void
fill(unsigned char *out, unsigned len)
{
	randombytes_buf(out, len);
}

/* With it gfshare_ctx_free() wipes what it frees; it crashes without one, and there is none from the start. */
static void
set_random(void)
{
	gfshare_fill_rand = fill;
}

static void
add_pad(uint8_t *out, const uint8_t *in, const uint8_t *pad)
{
	size_t i;

	for (i = 0; i < RECOVERY_KEY_LEN; i++)
		out[i] = in[i] ^ pad[i];
}

void
recovery_new(struct recovery_pair *out)
{
	must(crypto_box_keypair(out->public, out->secret) == 0);
	sodium_stackzero(RECOVERY_STACK);
}

/* The text of the secret file, in ${w->file}. */
static void
say_secret(const struct recovery_pair *p, struct work *w)
{
	struct recovery_content *c = &w->content[0];

	c->share = false;
	memcpy(c->public, p->public, sizeof(c->public));
	memcpy(c->data, p->secret, sizeof(c->data));
	recovery_text_put(c, &w->file);
}

enum backup_result
recovery_text(const struct recovery_pair *p, char out[static RECOVERY_TEXT_MAX], struct backup_fault *f)
{
	struct work *w = sodium_malloc(sizeof(*w));

	if (w == NULL)
		return no_memory(f);
	say_secret(p, w);
	must(w->file.len < RECOVERY_TEXT_MAX);
	memcpy(out, w->file.text, w->file.len);
	out[w->file.len] = '\0';
	sodium_free(w);
	sodium_stackzero(RECOVERY_STACK);
	return BACKUP_OK;
}

enum backup_result
recovery_write(const struct recovery_pair *p, const char *path, struct backup_fault *f)
{
	struct work *w = sodium_malloc(sizeof(*w));
	enum backup_result rc;

	if (w == NULL)
		return no_memory(f);
	say_secret(p, w);
	rc = recovery_file_put(path, &w->file, f);
	sodium_free(w);
	sodium_stackzero(RECOVERY_STACK);
	return rc;
}

/* The shares of a new split, in ${w->content}. False: no memory. */
static bool
deal(const struct recovery_pair *p, unsigned k, unsigned n, struct work *w)
{
	uint8_t split[RECOVERY_SPLIT_LEN], numbers[RECOVERY_SHARES_MAX];
	struct recovery_content *c;
	gfshare_ctx *g;
	unsigned i;

	for (i = 0; i < n; i++)
		numbers[i] = (uint8_t)(i + 1);
	set_random();
	g = gfshare_ctx_init_enc(numbers, n, (unsigned char)k, RECOVERY_KEY_LEN);
	if (g == NULL)
		return false;
	randombytes_buf(split, sizeof(split));
	randombytes_buf(w->pad, sizeof(w->pad));
	add_pad(w->padded, p->secret, w->pad);
	gfshare_ctx_enc_setsecret(g, w->padded);
	for (i = 0; i < n; i++) {
		c = &w->content[i];
		gfshare_ctx_enc_getshare(g, (unsigned char)i, w->padded);
		add_pad(c->data, w->padded, w->pad);
		c->share = true;
		c->number = numbers[i];
		c->n = n;
		c->k = k;
		memcpy(c->public, p->public, sizeof(c->public));
		memcpy(c->split, split, sizeof(c->split));
	}
	gfshare_ctx_free(g);
	return true;
}

static enum backup_result
share_path(const char *prefix, unsigned number, char out[static PATH_MAX], struct backup_fault *f)
{
	int n = snprintf(out, PATH_MAX, "%s.%u", prefix, number);

	return n > 0 && n < PATH_MAX ? BACKUP_OK :
	    backup_fault_set(f, BACKUP_IO, "%.200s: the name is too long", prefix);
}

enum backup_result
recovery_split(const struct recovery_pair *p, unsigned k, unsigned n, const char *prefix,
    struct backup_fault *f)
{
	struct work *w = sodium_malloc(sizeof(*w));
	enum backup_result rc = BACKUP_OK;
	struct backup_fault ignored;
	char path[PATH_MAX];
	unsigned done = 0;

	must(k >= 2 && k <= n && n <= RECOVERY_SHARES_MAX);
	if (w == NULL || !deal(p, k, n, w)) {
		rc = no_memory(f);
		goto out;
	}
	while (done < n) {
		recovery_text_put(&w->content[done], &w->file);
		if ((rc = share_path(prefix, done + 1, path, f)) != BACKUP_OK ||
		    (rc = recovery_file_put(path, &w->file, f)) != BACKUP_OK)
			break;
		done++;
	}
	/* They are of a key that nobody will use: it is enough that nobody takes them for shares of another. */
	for (; rc != BACKUP_OK && done > 0; done--)
		if (share_path(prefix, done, path, &ignored) == BACKUP_OK)
			(void)unlink(path);
out:
	sodium_free(w);
	sodium_stackzero(RECOVERY_STACK);
	return rc;
}

static enum backup_result
read_one(const char *path, struct work *w, struct recovery_content *out, struct backup_fault *f)
{
	enum backup_result rc = recovery_file_get(path, &w->file, f);
	const char *wrong;

	if (rc != BACKUP_OK)
		return rc;
	wrong = recovery_text_get(&w->file, &w->scratch, out);
	return wrong == NULL ? BACKUP_OK : backup_fault_set(f, BACKUP_BAD, "%.200s: %s", path, wrong);
}

/* The file number ${i} with those before it. */
static enum backup_result
compare(const char *const *path, size_t i, const struct recovery_content *c, struct backup_fault *f)
{
	const struct recovery_content *first = &c[0], *it = &c[i];
	size_t k;

	if (i > 0 && it->share != first->share)
		return backup_fault_set(f, BACKUP_BAD, "%.120s: is a %s, and %.120s a %s", path[i],
		    it->share ? "share" : "secret", path[0], first->share ? "share" : "secret");
	if (i > 0 && !it->share)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is a second secret: one is enough", path[i]);
	if (i > 0 && (memcmp(it->split, first->split, sizeof(it->split)) != 0 ||
	    memcmp(it->public, first->public, sizeof(it->public)) != 0 ||
	    it->k != first->k || it->n != first->n))
		return backup_fault_set(f, BACKUP_BAD, "%.120s: is of another split than %.120s", path[i],
		    path[0]);
	for (k = 0; k < i; k++)
		if (c[k].number == it->number)
			return backup_fault_set(f, BACKUP_BAD, "%.120s: is share %u, as %.120s is", path[i],
			    it->number, path[k]);
	return BACKUP_OK;
}

/* The secret at 0. False: no memory. */
static bool
combine(struct work *w, size_t count, uint8_t *out)
{
	uint8_t numbers[RECOVERY_SHARES_MAX];
	gfshare_ctx *g;
	size_t i;

	for (i = 0; i < count; i++)
		numbers[i] = (uint8_t)w->content[i].number;
	set_random();
	if ((g = gfshare_ctx_init_dec(numbers, (unsigned)count, RECOVERY_KEY_LEN)) == NULL)
		return false;
	randombytes_buf(w->pad, sizeof(w->pad));
	for (i = 0; i < count; i++) {
		add_pad(w->padded, w->content[i].data, w->pad);
		gfshare_ctx_dec_giveshare(g, (unsigned char)i, w->padded);
	}
	gfshare_ctx_dec_extract(g, w->padded);
	add_pad(out, w->padded, w->pad);
	gfshare_ctx_free(g);
	return true;
}

/* What all files give, in ${w->pair}. */
static enum backup_result
solve(const char *const *path, size_t count, struct work *w, struct backup_fault *f)
{
	const struct recovery_content *first = &w->content[0];

	if (first->share && count < first->k)
		return backup_fault_set(f, BACKUP_BAD,
		    "%.200s: too few shares of its split: %zu given, %u of %u needed", path[0], count,
		    first->k, first->n);
	if (!first->share)
		memcpy(w->pair.secret, first->data, sizeof(w->pair.secret));
	else if (!combine(w, count, w->pair.secret))
		return no_memory(f);
	must(crypto_scalarmult_base(w->pair.public, w->pair.secret) == 0);
	if (memcmp(w->pair.public, first->public, sizeof(first->public)) != 0)
		return backup_fault_set(f, BACKUP_BAD,
		    "%.200s: %s not the secret of the public key that it names", path[0],
		    first->share ? "with the other shares it gives" : "has");
	return BACKUP_OK;
}

enum backup_result
recovery_read(const char *const *path, size_t count, struct recovery_pair *out, struct backup_fault *f)
{
	enum backup_result rc = BACKUP_OK;
	struct work *w;
	size_t i;

	must(count > 0);
	if (count > RECOVERY_SHARES_MAX)
		return backup_fault_set(f, BACKUP_BAD, "%.200s and %zu more: a split has at most %u shares",
		    path[0], count - 1, RECOVERY_SHARES_MAX);
	if ((w = sodium_malloc(sizeof(*w))) == NULL)
		return no_memory(f);
	for (i = 0; i < count && rc == BACKUP_OK; i++)
		if ((rc = read_one(path[i], w, &w->content[i], f)) == BACKUP_OK)
			rc = compare(path, i, w->content, f);
	if (rc == BACKUP_OK && (rc = solve(path, count, w, f)) == BACKUP_OK)
		*out = w->pair;
	sodium_free(w);
	sodium_stackzero(RECOVERY_STACK);
	return rc;
}

bool
recovery_public(const char *hex, uint8_t out[static RECOVERY_KEY_LEN])
{
	static const uint8_t any[RECOVERY_KEY_LEN] = {1};
	uint8_t key[RECOVERY_KEY_LEN], ignored[RECOVERY_KEY_LEN];
	size_t got = 0;

	if (strlen(hex) != 2 * sizeof(key) ||
	    sodium_hex2bin(key, sizeof(key), hex, 2 * sizeof(key), NULL, &got, NULL) != 0 ||
	    got != sizeof(key) || crypto_scalarmult(ignored, any, key) != 0)
		return false;
	memcpy(out, key, sizeof(key));
	return true;
}
