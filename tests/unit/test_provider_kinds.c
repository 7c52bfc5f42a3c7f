/* Credentials, passphrases, recovery keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "provider_bed.h"
#include "scratch.h"
#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"

/* What a kind needs is asked for before anything is touched. */
static void
options_are_judged(void **state)
{
	static const struct { struct provider_options o; const char *why; } bad[] = {
		{ { .name = "a", .kind = "paper" }, "none of file, credential" },
		{ { .name = "a", .kind = "file" }, "lacks the key path" },
		{ { .name = "a", .kind = "passphrase", .secret = "ask" }, "lacks the key path" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "" }, "lacks the key secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "fd:1" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "fd:x" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "fd:3x" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "fd:" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "env:HOME" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "words" }, "secret" },
		{ { .name = "a", .kind = "passphrase", .path = "/p", .secret = "file:here" }, "absolute path" },
		{ { .name = "a", .kind = "recovery" }, "recovery_key" },
	};
	struct provider *p = NULL;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		assert_int_equal(provider_new(&bad[i].o, &p, &why), STATUS_CONFIG);
		assert_null(p);
		assert_non_null(strstr(why, bad[i].why));
	}
}

/* Made once out of the same content: the same key and id; nothing of it is changed or removed. */
static void
a_credential(void **state)
{
	struct provider *p = provider_made(&(struct provider_options){ .name = "kek", .kind = "credential" });
	struct provider_kek made, again[PROVIDER_VERSIONS_MAX];
	const char *path = scratch_path(provider_folder, "kek");
	const char *why = NULL;

	(void)state;
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	provider_refuses(p, "CREDENTIALS_DIRECTORY is not set", NULL);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", provider_folder, 1), 0);
	(void)unlink(path);
	provider_refuses(p, "cannot be opened", NULL);
	scratch_write(path, "0123456789abcdef0123456789abcde", 31);
	provider_refuses(p, "32 to 4096", NULL);
	scratch_write(path, "0123456789abcdef0123456789abcdef", 32);
	assert_int_equal(chmod(path, 0440), 0);
	assert_int_equal(provider_create(p, &made), STATUS_OK);
	assert_int_equal(provider_versions(p, again), 1);
	assert_true(provider_same(&made, &again[0]));
	for (unsigned i = 0; i < 3; i++) {
		static const mode_t open_[] = { 0460, 0441, 0404 };

		assert_int_equal(chmod(path, open_[i]), 0);
		provider_refuses(p, "open to others", "0123456789abcdef");
	}
	assert_int_equal(chmod(path, 0600), 0);
	scratch_write(path, "0123456789abcdef0123456789abcdeF", 32);
	assert_int_equal(provider_versions(p, again), 1);
	assert_false(provider_same(&made, &again[0]) || memcmp(made.id, again[0].id, sizeof(made.id)) == 0);
	scratch_log_begin();
	assert_int_equal(provider_renew(p, &made), STATUS_REFUSED);
	free(scratch_log_end(NULL));
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(provider_class(p, &why), PROVIDER_LASTING);
	assert_int_equal(unlink(path), 0);
	provider_free(p);
	assert_int_equal(secret_used(), 0);
}

static const char words[] = "correct horse battery staple";

/* With the passphrase on a new descriptor. */
static struct provider *
passphrase(const char *path, const char *text)
{
	char secret[32];
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd[1]);
	(void)snprintf(secret, sizeof(secret), "fd:%d", fd[0]);
	return provider_made(&(struct provider_options){ .name = "words", .kind = "passphrase", .path = path,
		.secret = secret });
}

static void
a_passphrase(void **state)
{
	struct provider_kek made, again[PROVIDER_VERSIONS_MAX];
	const char *path = scratch_path(provider_folder, "words"), *why = NULL;
	struct provider *p = passphrase(path, "correct horse battery staple\n"), *q;
	uint8_t file[64];
	ssize_t len;
	int fd;

	(void)state;
	assert_int_equal(provider_create(p, &made), STATUS_OK);
	assert_int_equal(provider_versions(p, again), 1);
	assert_true(provider_same(&made, &again[0]));
	fd = open(path, O_RDWR | O_CLOEXEC);
	len = read(fd, file, sizeof(file));
	assert_int_equal(len, 32);
	assert_memory_equal(file, "pdvpass1", 8);
	/* Another passphrase gives another key; only the anchor can tell. */
	q = passphrase(path, "correct horse battery stable");
	assert_int_equal(provider_versions(q, again), 1);
	assert_false(provider_same(&made, &again[0]));
	provider_free(q);
	/* What a file may ask for is bounded. */
	for (unsigned i = 0; i < 3; i++) {
		static const struct { off_t at; uint8_t value; } bad[] = { { 0, 'x' }, { 24, 1 }, { 28, 1 } };

		assert_int_equal(pwrite(fd, &bad[i].value, 1, bad[i].at), 1);
		provider_refuses(p, "not a file of this kind", words);
		assert_int_equal(pwrite(fd, file + bad[i].at, 1, bad[i].at), 1);
	}
	(void)close(fd);
	assert_int_equal(provider_class(p, &why), PROVIDER_LASTING);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_lives(p, path);
	provider_free(p);
	assert_int_equal(secret_used(), 0);
}

/* Where a passphrase may come from, and what is none. */
static void
secrets(void **state)
{
	const char *path = scratch_path(provider_folder, "secrets");
	char file[300], secret[320];
	struct provider_kek made, again[PROVIDER_VERSIONS_MAX];
	struct provider *p;
	char *text;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/gone", provider_folder);
	(void)snprintf(secret, sizeof(secret), "file:%s", file);
	p = provider_made(&(struct provider_options){ .name = "words", .kind = "passphrase", .path = path,
		.secret = secret });
	scratch_log_begin();
	assert_int_equal(provider_create(p, &made), STATUS_CONFIG);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, file));	/* it is that file that is not there */
	free(text);
	assert_int_equal(access(path, F_OK), -1);
	provider_free(p);
	(void)snprintf(file, sizeof(file), "%s/pin", provider_folder);
	(void)snprintf(secret, sizeof(secret), "file:%s", file);
	p = provider_made(&(struct provider_options){ .name = "words", .kind = "passphrase",
		.path = scratch_path(provider_folder, "secrets"), .secret = secret });
	scratch_write(file, "open\n", 5);
	assert_int_equal(chmod(file, 0644), 0);
	scratch_log_begin();
	assert_int_equal(provider_create(p, &made), STATUS_CONFIG);
	free(scratch_log_end(NULL));
	assert_int_equal(chmod(file, 0600), 0);
	assert_int_equal(provider_create(p, &made), STATUS_OK);
	/* It is read once. */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(provider_versions(p, again), 1);
	assert_true(provider_same(&made, &again[0]));
	assert_int_equal(provider_set_secret(p, bytes_of("", 0)), STATUS_CONFIG);
	assert_int_equal(provider_set_secret(p, bytes_of("other", 5)), STATUS_OK);
	assert_int_equal(provider_versions(p, again), 1);
	assert_false(provider_same(&made, &again[0]));
	provider_free(p);
	assert_int_equal(secret_used(), 0);
}

/* Those that are as long as may be, and one byte less and more, wherever they come from. */
static void
how_long_a_secret_is(void **state)
{
	const char *path = scratch_path(provider_folder, "long");
	char text[PROVIDER_SECRET_MAX + 3], from[320];
	struct bytes got;

	(void)state;
	(void)snprintf(from, sizeof(from), "file:%s", path);
	scratch_log_begin();
	for (size_t len = PROVIDER_SECRET_MAX - 1; len <= PROVIDER_SECRET_MAX + 1; len++)
		for (unsigned how = 0; how < 5; how++) {
			size_t written = len + (how % 2 == 0);
			enum status want = len <= PROVIDER_SECRET_MAX ? STATUS_OK : STATUS_CONFIG;
			struct provider *p;

			/* With the end of the line, or without. */
			memset(text, 'x', sizeof(text));
			if (how % 2 == 0)
				text[len] = '\n';
			if (how < 2) {
				scratch_write(path, text, written);
				p = provider_made(&(struct provider_options){ .name = "words",
					.kind = "passphrase", .path = path, .secret = from });
			} else {
				text[written] = '\0';
				p = passphrase(path, text);
			}
			if (how < 4) {
				assert_int_equal(provider_secret(p, false, &got), want);
				assert_true(want != STATUS_OK || got.len == len);
			} else {
				assert_int_equal(provider_set_secret(p, bytes_of(text, len)), want);
			}
			provider_free(p);
		}
	free(scratch_log_end(NULL));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(secret_used(), 0);
}

static void
a_recovery_key(void **state)
{
	const uint8_t public[SEAL_RECOVERY_KEY_LEN] = { 9 };
	struct provider *p = provider_made(&(struct provider_options){ .name = "paper", .kind = "recovery",
		.public = public });
	struct provider_kek made, again[PROVIDER_VERSIONS_MAX];
	const char *why = NULL;

	(void)state;
	assert_int_equal(provider_create(p, &made), STATUS_OK);
	assert_memory_equal(made.key.b, public, sizeof(public));
	assert_int_equal(provider_versions(p, again), 0);
	assert_false(provider_kind_of(p)->opens);
	assert_int_equal(provider_class(p, &why), PROVIDER_LASTING);
	provider_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_judged),
		cmocka_unit_test(a_credential),
		cmocka_unit_test(a_passphrase),
		cmocka_unit_test(secrets),
		cmocka_unit_test(how_long_a_secret_is),
		cmocka_unit_test(a_recovery_key),
	};

	return cmocka_run_group_tests(tests, provider_begin, provider_end);
}
