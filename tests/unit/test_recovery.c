/* The recovery key: its files, its shares, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <dlfcn.h>
#include <libgfshare.h>
#include <sodium.h>

#include "client/backup/recovery.h"
#include "scratch.h"

enum { ALL = RECOVERY_SHARES_MAX, LEN = RECOVERY_KEY_LEN, NAME_LEN = 300 };

static char folder[256];
static struct recovery_pair pair;	/* of every test */
static struct backup_fault fault;

/* --- what libgfshare is given --- */

static unsigned given, freed;

/* Not the secret, nor a share that is in a file: only with a pad on it. */
void
gfshare_ctx_enc_setsecret(gfshare_ctx *ctx, unsigned char *secret)
{
	void *found = dlsym(RTLD_NEXT, "gfshare_ctx_enc_setsecret");
	void (*real)(gfshare_ctx *, unsigned char *);

	given++;
	assert_memory_not_equal(secret, pair.secret, LEN);
	memcpy(&real, &found, sizeof(real));
	real(ctx, secret);
	assert_ptr_not_equal(gfshare_fill_rand, gfshare_bad_idea_but_fill_rand_using_random);
}

void
gfshare_ctx_dec_extract(gfshare_ctx *ctx, unsigned char *secret)
{
	void *found = dlsym(RTLD_NEXT, "gfshare_ctx_dec_extract");
	void (*real)(gfshare_ctx *, unsigned char *);

	given++;
	memcpy(&real, &found, sizeof(real));
	real(ctx, secret);
	assert_memory_not_equal(secret, pair.secret, LEN);
}

void
gfshare_ctx_free(gfshare_ctx *ctx)
{
	void *found = dlsym(RTLD_NEXT, "gfshare_ctx_free");
	void (*real)(gfshare_ctx *);

	freed++;
	assert_non_null(gfshare_fill_rand);
	memcpy(&real, &found, sizeof(real));
	real(ctx);
}

/* --- files --- */

static const char *
named(const char *prefix, unsigned number)
{
	static char paths[8 * ALL][NAME_LEN];
	static unsigned turn;
	char *out = paths[turn++ % (8 * ALL)];

	(void)snprintf(out, NAME_LEN, "%s/%s.%u", folder, prefix, number);
	return out;
}

static void
put(const char *path, const char *text)
{
	scratch_write(path, text, strlen(text));
}

static size_t
get(const char *path, char out[static RECOVERY_TEXT_MAX])
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, RECOVERY_TEXT_MAX - 1, f);
	out[n] = '\0';
	assert_int_equal(fclose(f), 0);
	return n;
}

static void
deal(const char *prefix, unsigned needed, unsigned shares)
{
	char path[NAME_LEN];
	unsigned i;

	for (i = 1; i <= ALL; i++)
		(void)remove(named(prefix, i));
	(void)snprintf(path, sizeof(path), "%s/%s", folder, prefix);
	assert_int_equal(recovery_split(&pair, needed, shares, path, &fault), BACKUP_OK);
}

/* They give the pair. */
static void
gives(const char *const *path, size_t count)
{
	struct recovery_pair got;

	assert_int_equal(recovery_read(path, count, &got, &fault), BACKUP_OK);
	assert_memory_equal(&got, &pair, sizeof(pair));
}

/* They do not, with a fault that has this text and the last of the names, and nothing is written. */
static void
refused(const char *const *path, size_t count, enum backup_result rc, const char *text)
{
	struct recovery_pair got, before;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	memset(&fault, 0, sizeof(fault));
	assert_int_equal(recovery_read(path, count, &got, &fault), rc);
	assert_memory_equal(&got, &before, sizeof(got));
	if (strstr(fault.text, text) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", fault.text, text);
	assert_non_null(strstr(fault.text, folder));
	assert_null(strchr(fault.text, '\n'));
}

/* A file with these lines before its check, which fits. */
static void
forge(const char *path, const char *lines)
{
	char text[2 * RECOVERY_TEXT_MAX], check[17];
	uint8_t digest[32];

	(void)crypto_generichash(digest, sizeof(digest), (const uint8_t *)lines, strlen(lines), NULL, 0);
	(void)sodium_bin2hex(check, sizeof(check), digest, 8);
	(void)snprintf(text, sizeof(text), "%scheck %s\n", lines, check);
	put(path, text);
}

/* The bytes of a line of a file, from docs/FORMAT.md alone. */
static void
line(const char *text, const char *name, uint8_t out[static LEN])
{
	const char *at = strchr(text, '\n');
	size_t len = 0;

	while (at != NULL && strncmp(at + 1, name, strlen(name)) != 0)
		at = strchr(at + 1, '\n');
	assert_non_null(at);
	at++;
	assert_int_equal(sodium_hex2bin(out, LEN, at + strlen(name), (size_t)2 * LEN, NULL, &len, NULL), 0);
	assert_int_equal(len, LEN);
}

/* --- the field, without tables: x^8 + x^4 + x^3 + x^2 + 1 --- */

static uint8_t
times(uint8_t a, uint8_t b)
{
	unsigned product = 0, shifted = a, i;

	for (i = 0; i < 8; i++) {
		if ((b >> i & 1) != 0)
			product ^= shifted;
		shifted = shifted << 1 ^ ((shifted & 0x80) != 0 ? 0x11d : 0);
	}
	return (uint8_t)product;
}

static uint8_t
inverse(uint8_t a)
{
	unsigned b;

	for (b = 1; b < 256; b++)
		if (times(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	fail();
	return 0;
}

/* Lagrange: the value at ${x} of the polynomial through ${count} points (from[i], data[i][byte]). */
static uint8_t
interpolate(const uint8_t *from, uint8_t (*data)[LEN], size_t count, size_t byte, uint8_t x)
{
	uint8_t sum = 0, term;
	size_t i, k;

	for (i = 0; i < count; i++) {
		term = data[i][byte];
		for (k = 0; k < count; k++)
			if (k != i)
				term = times(term, times(x ^ from[k], inverse(from[i] ^ from[k])));
		sum ^= term;
	}
	return sum;
}

/* --- tests --- */

static void
round_trip(void **state)
{
	const char *path = named("secret", 0);
	char text[RECOVERY_TEXT_MAX], file[RECOVERY_TEXT_MAX];
	uint8_t public[LEN], secret[LEN];
	struct recovery_pair other;

	(void)state;
	assert_int_equal(recovery_write(&pair, path, &fault), BACKUP_OK);
	gives(&path, 1);
	assert_int_equal(recovery_text(&pair, text, &fault), BACKUP_OK);
	(void)get(path, file);
	assert_string_equal(file, text);
	line(file, "public ", public);
	line(file, "secret ", secret);
	assert_memory_equal(secret, pair.secret, LEN);
	assert_int_equal(crypto_scalarmult_base(secret, pair.secret), 0);
	assert_memory_equal(public, secret, LEN);
	recovery_new(&other);
	assert_memory_not_equal(other.secret, pair.secret, LEN);
}

/* Every subset of every small split, in both orders. */
static void
every_subset(void **state)
{
	unsigned needed, shares, set, i, count, before = given;
	const char *path[ALL], *swapped;
	char text[64];

	(void)state;
	for (shares = 2; shares <= 5; shares++) for (needed = 2; needed <= shares; needed++) {
		deal("subset", needed, shares);
		(void)snprintf(text, sizeof(text), "given, %u of %u needed", needed, shares);
		for (set = 1; set < 1u << shares; set++) {
			for (count = i = 0; i < shares; i++)
				if ((set >> i & 1) != 0)
					path[count++] = named("subset", i + 1);
			for (i = 0; set % 2 == 0 && i < count / 2; i++) {
				swapped = path[i];
				path[i] = path[count - 1 - i];
				path[count - 1 - i] = swapped;
			}
			if (count < needed)
				refused(path, count, BACKUP_BAD, text);
			else
				gives(path, count);
		}
	}
	assert_true(given > before);
	assert_int_equal(given, freed);
}

static void
of_sixteen(void **state)
{
	const char *path[ALL + 1];
	unsigned i;

	(void)state;
	for (i = 0; i <= ALL; i++)
		path[i] = named("sixteen", i == ALL ? 1 : i + 1);
	deal("sixteen", 16, 16);
	gives(path, 16);
	refused(path, 15, BACKUP_BAD, "15 given, 16 of 16 needed");
	refused(path, 17, BACKUP_BAD, "at most 16 shares");
	deal("sixteen", 2, 16);
	gives(path, 16);
	gives(path + 14, 2);
	refused(path, 1, BACKUP_BAD, "1 given, 2 of 16 needed");
}

/* docs/FORMAT.md: 32 polynomials of degree K - 1 over GF(2^8) with 0x11d, whose values at 0 are the secret. */
static void
shares_are_as_the_format_says(void **state)
{
	static const struct {
		unsigned needed, shares;
	} splits[] = {{2, 2}, {2, 3}, {3, 5}, {5, 5}, {7, 16}, {16, 16}};
	uint8_t data[ALL][LEN], from[ALL];
	char text[RECOVERY_TEXT_MAX];
	unsigned needed, shares;
	size_t n, i, byte, low;

	(void)state;
	for (n = 0; n < sizeof(splits) / sizeof(splits[0]); n++) {
		needed = splits[n].needed;
		shares = splits[n].shares;
		deal("format", needed, shares);
		for (i = 0; i < shares; i++) {
			(void)get(named("format", (unsigned)i + 1), text);
			line(text, "data ", data[i]);
			from[i] = (uint8_t)(i + 1);
		}
		for (low = byte = 0; byte < LEN; byte++) {
			assert_int_equal(interpolate(from, data, needed, byte, 0), pair.secret[byte]);
			for (i = needed; i < shares; i++)
				assert_int_equal(interpolate(from, data, needed, byte, from[i]),
				    data[i][byte]);
			low += interpolate(from, data, needed - 1, byte, 0) == pair.secret[byte];
		}
		/* By chance one in 256. */
		assert_true(low < 8);
	}
}

/* libgfshare's own source of random bytes is a generator with a seed. */
static void
splits_differ(void **state)
{
	char one[RECOVERY_TEXT_MAX], other[RECOVERY_TEXT_MAX];

	(void)state;
	srandom(1);
	deal("random", 2, 2);
	(void)get(named("random", 1), one);
	srandom(1);
	deal("random", 2, 2);
	(void)get(named("random", 1), other);
	assert_true(strcmp(strstr(one, "data "), strstr(other, "data ")) != 0);
}

static void
mixed_up(void **state)
{
	const char *secret = named("mixed", 0), *a1, *a2, *b1, *b2;

	(void)state;
	deal("a", 2, 3);
	deal("b", 2, 3);
	a1 = named("a", 1);
	a2 = named("a", 2);
	b1 = named("b", 1);
	b2 = named("b", 2);
	assert_int_equal(recovery_write(&pair, secret, &fault), BACKUP_OK);
	refused((const char *const []){a1, b2}, 2, BACKUP_BAD, "b.2: is of another split than ");
	refused((const char *const []){a1, a2, b1}, 3, BACKUP_BAD, "b.1: is of another split than ");
	refused((const char *const []){a2, a2}, 2, BACKUP_BAD, "a.2: is share 2, as ");
	refused((const char *const []){a1, a2, a1}, 3, BACKUP_BAD, "a.1: is share 1, as ");
	refused((const char *const []){a1, secret}, 2, BACKUP_BAD, "mixed.0: is a secret, and ");
	refused((const char *const []){secret, a1}, 2, BACKUP_BAD, "a.1: is a share, and ");
	refused((const char *const []){secret, secret}, 2, BACKUP_BAD, "is a second secret");
	refused((const char *const []){a1, named("a", 4)}, 2, BACKUP_ABSENT, "a.4: is not there");
	gives((const char *const []){b2, b1}, 2);
}

/* Each byte of the file, changed in several ways; each place where it may be cut off; and bytes behind it. */
static void
damage(const char *const *path, size_t count)
{
	static const uint8_t flips[] = {1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80};
	char text[RECOVERY_TEXT_MAX], changed[RECOVERY_TEXT_MAX];
	size_t len = get(path[0], text), i, k;

	for (i = 0; i < len; i++) {
		for (k = 0; k < sizeof(flips); k++) {
			memcpy(changed, text, len);
			changed[i] = (char)(changed[i] ^ (char)flips[k]);
			scratch_write(path[0], changed, len);
			refused(path, count, BACKUP_BAD, "");
		}
		scratch_write(path[0], text, i);
		refused(path, count, BACKUP_BAD, "");
	}
	memcpy(changed, text, len);
	changed[len] = '\n';
	scratch_write(path[0], changed, len + 1);
	refused(path, count, BACKUP_BAD, "is damaged");
	put(path[0], text);
	gives(path, count);
}

static void
damaged(void **state)
{
	const char *path[] = {named("flip", 1), named("flip", 2)};

	(void)state;
	deal("flip", 2, 2);
	damage(path, 2);
	path[0] = named("flip", 3);
	assert_int_equal(recovery_write(&pair, path[0], &fault), BACKUP_OK);
	damage(path, 1);
}

/* Lines whose check fits, and which are wrong all the same. */
static void
forged(void **state)
{
	static const struct {
		const char *numbers, *what;
	} cases[] = {{"share 1 of 2, any 2", "too few shares"}, {"share 1 of 16, any 16", "too few shares"},
	    {"share 01 of 2, any 2", "is damaged"}, {"share 0 of 2, any 2", "is damaged"},
	    {"share 3 of 2, any 2", "is damaged"}, {"share 1 of 2, any 1", "is damaged"},
	    {"share 1 of 2, any 3", "is damaged"}, {"share 1 of 17, any 2", "is damaged"},
	    {"share  of 2, any 2", "is damaged"}, {"share 1 of 2, any 4294967298", "is damaged"}};
	char text[RECOVERY_TEXT_MAX], lines[2 * RECOVERY_TEXT_MAX], hex[2 * LEN + 1];
	const char *path = named("forged", 1);
	size_t i;

	(void)state;
	(void)sodium_bin2hex(hex, sizeof(hex), pair.public, LEN);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(lines, sizeof(lines), "pdvault recovery share 1\npublic %s\n"
		    "split 0001020304050607\n%s\ndata %s\n", hex, cases[i].numbers, hex);
		forge(path, lines);
		refused(&path, 1, BACKUP_BAD, cases[i].what);
	}
	assert_int_equal(recovery_text(&pair, text, &fault), BACKUP_OK);
	*strstr(text, "check ") = '\0';
	forge(path, text);
	gives(&path, 1);
	text[strlen("pdvault recovery secret ")] = '2';
	forge(path, text);
	refused(&path, 1, BACKUP_BAD, "of another format");
	text[strlen("pdvault recovery secret ")] = '1';
	for (i = strlen("pdvault recovery secret 1\npublic "); text[i] != '\n'; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	forge(path, text);
	refused(&path, 1, BACKUP_BAD, "is damaged");
}

static void
of_another_key(void **state)
{
	struct recovery_pair wrong = pair;
	const char *path[] = {named("wrong", 1), named("wrong", 2)};
	char text[RECOVERY_TEXT_MAX], *at;

	(void)state;
	wrong.public[7] ^= 1;
	assert_int_equal(recovery_write(&wrong, path[0], &fault), BACKUP_OK);
	refused(path, 1, BACKUP_BAD, "wrong.1: has not the secret of the public key that it names");
	deal("wrong", 2, 2);
	(void)get(path[1], text);
	*strstr(text, "check ") = '\0';
	at = strstr(text, "data ") + 5;
	*at = *at == '0' ? '1' : '0';
	forge(path[1], text);
	refused(path, 2, BACKUP_BAD, "gives not the secret of the public key that it names");
}

static int
begin(void **state)
{
	(void)state;
	scratch_make(folder);
	recovery_new(&pair);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	scratch_remove(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_subset),
		cmocka_unit_test(of_sixteen),
		cmocka_unit_test(shares_are_as_the_format_says),
		cmocka_unit_test(splits_differ),
		cmocka_unit_test(mixed_up),
		cmocka_unit_test(damaged),
		cmocka_unit_test(forged),
		cmocka_unit_test(of_another_key),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
