#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/provider.h"
#include "server/keys/secret.h"

#define LINE_LEN 112u

static char folder[256];

static int
begin(void **state)
{
	(void)state;
	scratch_make(folder);
	return seal_init() == STATUS_OK && secret_init(SECRET_DEFAULT) == STATUS_OK ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	secret_end();
	scratch_remove(folder);
	return 0;
}

static void
read_line(const char *path, char out[static LINE_LEN + 2])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, out, LINE_LEN + 1);

	assert_true(fd >= 0 && n == (ssize_t)LINE_LEN);
	out[n] = '\0';
	(void)close(fd);
}

static void
hex(const uint8_t *in, size_t len, char *out)
{
	size_t i;

	for (i = 0; i < len; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static void
a_key_file_opens_to_what_was_made(void **state)
{
	const char *path = scratch_path(folder, "kek");
	char line[LINE_LEN + 2], want[LINE_LEN + 2], id[33], kek[65];
	struct provider made = { .kek = NULL }, opened = { .kek = NULL };
	struct stat st;

	(void)state;
	assert_int_equal(provider_file_create(path, &made), STATUS_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, LINE_LEN);
	assert_int_equal(provider_file_open(path, &opened), STATUS_OK);
	assert_string_equal(opened.name, "file");
	assert_memory_equal(opened.id, made.id, PROVIDER_ID_LEN);
	assert_memory_equal(opened.kek, made.kek, SEAL_KEY_LEN);
	assert_false(seal_key_is_zero(opened.kek));
	hex(made.id, PROVIDER_ID_LEN, id);
	hex(made.kek->b, SEAL_KEY_LEN, kek);
	(void)snprintf(want, sizeof(want), "pdvault-key-1 %s %s\n", id, kek);
	read_line(path, line);
	assert_string_equal(line, want);
	provider_close(&made);
	provider_close(&opened);
	assert_null(opened.kek);
	provider_close(&opened);
	provider_close(NULL);
	assert_int_equal(secret_used(), 0);
}

static void
two_files_have_nothing_in_common(void **state)
{
	struct provider a = { .kek = NULL }, b = { .kek = NULL };

	(void)state;
	assert_int_equal(provider_file_create(scratch_path(folder, "a"), &a), STATUS_OK);
	assert_int_equal(provider_file_create(scratch_path(folder, "b"), &b), STATUS_OK);
	assert_memory_not_equal(a.id, b.id, PROVIDER_ID_LEN);
	assert_memory_not_equal(a.kek, b.kek, SEAL_KEY_LEN);
	provider_close(&a);
	provider_close(&b);
}

/* What is there is never touched. */
static void
an_existing_file_is_refused(void **state)
{
	const char *path = scratch_path(folder, "there");
	struct provider p = { .kek = NULL };
	char *text, kept[8] = "";
	int fd;

	(void)state;
	scratch_write(path, "mine", 4);
	scratch_log_begin();
	assert_int_equal(provider_file_create(path, &p), STATUS_REFUSED);
	assert_int_equal(provider_file_create(scratch_path(folder, "no/such"), &p), STATUS_IO);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "exists"));
	assert_null(p.kek);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, kept, sizeof(kept)), 4);
	assert_string_equal(kept, "mine");
	(void)close(fd);
	free(text);
	assert_int_equal(secret_used(), 0);
}

/* Refused, with ${why} and the path in the log, and none of the key. */
static void
assert_refused(const char *path, const char *why, const char *secret)
{
	struct provider p = { .kek = NULL };
	enum status rc;
	char *text;

	scratch_log_begin();
	rc = provider_file_open(path, &p);
	text = scratch_log_end(NULL);
	assert_int_equal(rc, STATUS_CONFIG);
	assert_null(p.kek);
	assert_non_null(strstr(text, "\"event\":\"config\""));
	assert_non_null(strstr(text, path));
	if (strstr(text, why) == NULL)
		fail_msg("%s not in %s", why, text);
	if (secret != NULL)
		assert_null(strstr(text, secret));
	free(text);
	assert_int_equal(secret_used(), 0);
}

static void
only_a_file_of_our_own_will_do(void **state)
{
	const char *path = scratch_path(folder, "own"), *link_ = scratch_path(folder, "link");
	struct provider p = { .kek = NULL };
	mode_t mode;

	(void)state;
	assert_refused(path, "cannot be opened", NULL);
	assert_int_equal(provider_file_create(path, &p), STATUS_OK);
	provider_close(&p);
	for (mode = 01; mode <= 040; mode <<= 1) {
		assert_int_equal(chmod(path, 0600 | mode), 0);
		assert_refused(path, "open to others", NULL);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(symlink(path, link_), 0);
	assert_refused(link_, "symbolic link", NULL);
	assert_int_equal(unlink(link_), 0);
	assert_int_equal(link(path, link_), 0);
	assert_refused(path, "one name", NULL);
	assert_int_equal(unlink(link_), 0);
	assert_refused(folder, "not a regular file", NULL);
	assert_int_equal(mkfifo(link_, 0600), 0);
	assert_refused(link_, "not a regular file", NULL);
	assert_int_equal(unlink(link_), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
		assert_refused(path, "another user", NULL);
		assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	}
	assert_int_equal(provider_file_open(path, &p), STATUS_OK);
	provider_close(&p);
}

static void
every_damaged_line_is_refused(void **state)
{
	const char *path = scratch_path(folder, "line");
	struct provider p = { .kek = NULL };
	char line[LINE_LEN + 2], zero[LINE_LEN + 2], bad[LINE_LEN + 2];
	size_t i;

	(void)state;
	assert_int_equal(provider_file_create(path, &p), STATUS_OK);
	provider_close(&p);
	read_line(path, line);
	for (i = 0; i < LINE_LEN; i++) {
		memcpy(bad, line, sizeof(bad));
		bad[i] = i % 2 == 0 ? 'G' : 'A';	/* capitals are not hexadecimal here */
		scratch_write(path, bad, LINE_LEN);
		assert_refused(path, "lower-case", line + 47);
	}
	memcpy(zero, line, sizeof(zero));
	memset(zero + 47, '0', 64);
	scratch_write(path, zero, LINE_LEN);
	assert_refused(path, "lower-case", NULL);
	scratch_write(path, line, LINE_LEN - 1);
	assert_refused(path, "wrong length", NULL);
	line[LINE_LEN] = '\n';
	scratch_write(path, line, LINE_LEN + 1);
	assert_refused(path, "wrong length", NULL);
	scratch_write(path, "", 0);
	assert_refused(path, "wrong length", NULL);
	scratch_write(path, line, LINE_LEN);
	assert_int_equal(provider_file_open(path, &p), STATUS_OK);
	provider_close(&p);
}

static void
out_of_secret_memory(void **state)
{
	const char *path = scratch_path(folder, "full");
	struct provider p = { .kek = NULL };
	void *all = secret_alloc(SECRET_DEFAULT), *most;

	(void)state;
	assert_int_equal(provider_file_create(path, &p), STATUS_NO_MEMORY);
	assert_int_equal(provider_file_open(path, &p), STATUS_NO_MEMORY);
	secret_free(all, SECRET_DEFAULT);
	/* Room for the key, not for the line. */
	most = secret_alloc(SECRET_DEFAULT - 64);
	assert_int_equal(provider_file_create(path, &p), STATUS_NO_MEMORY);
	assert_int_equal(access(path, F_OK), -1);
	secret_free(most, SECRET_DEFAULT - 64);
	assert_int_equal(secret_used(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_file_opens_to_what_was_made),
		cmocka_unit_test(two_files_have_nothing_in_common),
		cmocka_unit_test(an_existing_file_is_refused),
		cmocka_unit_test(only_a_file_of_our_own_will_do),
		cmocka_unit_test(every_damaged_line_is_refused),
		cmocka_unit_test(out_of_secret_memory),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
