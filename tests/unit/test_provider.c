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
#include "server/keys/provider.h"
#include "server/keys/secret.h"

#define LINE_LEN 112u

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

static struct provider *
key_file(const char *path)
{
	return provider_made(&(struct provider_options){ .name = "main", .kind = "file", .path = path });
}

static void
a_key_file_opens_to_what_was_made(void **state)
{
	const char *path = scratch_path(provider_folder, "kek");
	char line[LINE_LEN + 2], want[LINE_LEN + 2], id[33], kek[65];
	struct provider *p = key_file(path);
	struct provider_kek made, opened[PROVIDER_VERSIONS_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(provider_create(p, &made), STATUS_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, LINE_LEN);
	assert_string_equal(provider_name(p), "main");
	assert_int_equal(provider_versions(p, opened), 1);
	assert_true(provider_same(&opened[0], &made));
	assert_false(seal_key_is_zero(&made.key));
	hex(made.id, PROVIDER_ID_LEN, id);
	hex(made.key.b, SEAL_KEY_LEN, kek);
	(void)snprintf(want, sizeof(want), "pdvault-key-1 %s %s\n", id, kek);
	read_line(path, line);
	assert_string_equal(line, want);
	provider_free(p);
	provider_free(NULL);
	assert_int_equal(secret_used(), 0);
}

/* S1 makes it beside the old one; S3 destroys either. */
static void
a_new_version_of_a_key_file(void **state)
{
	const char *path = scratch_path(provider_folder, "versions");
	struct provider *p = key_file(path);

	(void)state;
	provider_lives(p, path);
	provider_free(p);
	assert_int_equal(secret_used(), 0);
}

/* What is there is never touched. */
static void
an_existing_file_is_refused(void **state)
{
	const char *path = scratch_path(provider_folder, "there");
	struct provider *p = key_file(path), *q;
	struct provider_kek kek;
	char *text, kept[8] = "";
	int fd;

	(void)state;
	scratch_write(path, "mine", 4);
	q = key_file(scratch_path(provider_folder, "no/such"));
	scratch_log_begin();
	assert_int_equal(provider_create(p, &kek), STATUS_REFUSED);
	assert_int_equal(provider_create(q, &kek), STATUS_IO);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "exists"));
	fd = open(scratch_path(provider_folder, "there"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, kept, sizeof(kept)), 4);
	assert_string_equal(kept, "mine");
	(void)close(fd);
	free(text);
	provider_free(p);
	provider_free(q);
	assert_int_equal(secret_used(), 0);
}

static void
only_a_file_of_our_own_will_do(void **state)
{
	char path[300], link_[300];
	struct provider *p, *linked, *dir;
	struct provider_kek kek, out[PROVIDER_VERSIONS_MAX];
	mode_t mode;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/own", provider_folder);
	(void)snprintf(link_, sizeof(link_), "%s/link", provider_folder);
	p = key_file(path);
	linked = key_file(link_);
	dir = key_file(provider_folder);
	provider_refuses(p, "is not there", NULL);
	assert_int_equal(provider_create(p, &kek), STATUS_OK);
	for (mode = 01; mode <= 040; mode <<= 1) {
		assert_int_equal(chmod(path, 0600 | mode), 0);
		provider_refuses(p, "open to others", NULL);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(symlink(path, link_), 0);
	provider_refuses(linked, "symbolic link", NULL);
	assert_int_equal(unlink(link_), 0);
	assert_int_equal(link(path, link_), 0);
	provider_refuses(linked, "one name", NULL);
	assert_int_equal(unlink(link_), 0);
	provider_refuses(dir, "not a regular file", NULL);
	assert_int_equal(mkfifo(link_, 0600), 0);
	provider_refuses(linked, "not a regular file", NULL);
	assert_int_equal(unlink(link_), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
		provider_refuses(p, "another user", NULL);
		assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	}
	assert_int_equal(provider_versions(p, out), 1);
	provider_free(p);
	provider_free(linked);
	provider_free(dir);
}

static void
every_damaged_line_is_refused(void **state)
{
	char path[300], line[LINE_LEN + 2], zero[LINE_LEN + 2], bad[LINE_LEN + 2];
	struct provider_kek kek, out[PROVIDER_VERSIONS_MAX];
	struct provider *p;
	size_t i;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/line", provider_folder);
	p = key_file(path);
	assert_int_equal(provider_create(p, &kek), STATUS_OK);
	read_line(path, line);
	for (i = 0; i < LINE_LEN; i++) {
		memcpy(bad, line, sizeof(bad));
		bad[i] = i % 2 == 0 ? 'G' : 'A';	/* capitals are not hexadecimal here */
		scratch_write(path, bad, LINE_LEN);
		provider_refuses(p, "lower-case", line + 47);
	}
	memcpy(zero, line, sizeof(zero));
	memset(zero + 47, '0', 64);
	scratch_write(path, zero, LINE_LEN);
	provider_refuses(p, "lower-case", NULL);
	scratch_write(path, line, LINE_LEN - 1);
	provider_refuses(p, "lower-case", NULL);
	line[LINE_LEN] = '\n';
	scratch_write(path, line, LINE_LEN + 1);
	provider_refuses(p, "wrong length", NULL);
	scratch_write(path, "", 0);
	provider_refuses(p, "wrong length", NULL);
	scratch_write(path, line, LINE_LEN);
	assert_int_equal(provider_versions(p, out), 1);
	provider_free(p);
}

static void
out_of_secret_memory(void **state)
{
	const char *path = scratch_path(provider_folder, "full");
	struct provider *p = key_file(path);
	struct provider_kek kek, out[PROVIDER_VERSIONS_MAX];
	void *all = secret_alloc(SECRET_DEFAULT);
	unsigned n;

	(void)state;
	assert_int_equal(provider_create(p, &kek), STATUS_NO_MEMORY);
	assert_int_equal(access(path, F_OK), -1);
	secret_free(all, SECRET_DEFAULT);
	assert_int_equal(provider_create(p, &kek), STATUS_OK);
	all = secret_alloc(SECRET_DEFAULT);
	assert_int_equal(provider_open(p, out, &n), STATUS_NO_MEMORY);
	secret_free(all, SECRET_DEFAULT);
	provider_free(p);
	assert_int_equal(secret_used(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_file_opens_to_what_was_made),
		cmocka_unit_test(a_new_version_of_a_key_file),
		cmocka_unit_test(an_existing_file_is_refused),
		cmocka_unit_test(only_a_file_of_our_own_will_do),
		cmocka_unit_test(every_damaged_line_is_refused),
		cmocka_unit_test(out_of_secret_memory),
	};

	return cmocka_run_group_tests(tests, provider_begin, provider_end);
}
