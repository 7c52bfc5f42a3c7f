/* Files of the recovery key: made once, whole or not at all; what is read for one; golden vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/backup/recovery.h"
#include "scratch.h"

enum { LEN = RECOVERY_KEY_LEN };

static char folder[256];
static struct recovery_pair pair;
static struct backup_fault fault;

/* --- flushes, counted, of which one may fail --- */

static unsigned flushes, fail_at, folders;

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	folders += S_ISDIR(st.st_mode);
	if (++flushes == fail_at) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static void
flush_fails(unsigned at)
{
	flushes = folders = 0;
	fail_at = at;
}

/* --- */

static const char *
in(const char *name)
{
	return scratch_path(folder, name);
}

/* How many files are called like that. */
static size_t
count(const char *pattern)
{
	glob_t g;
	size_t n;

	if (glob(in(pattern), 0, NULL, &g) != 0)
		return 0;
	n = g.gl_pathc;
	globfree(&g);
	return n;
}

static bool
holds(const char *path, const char *text)
{
	char got[2 * RECOVERY_TEXT_MAX] = "";
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) < sizeof(got));
	assert_int_equal(fclose(f), 0);
	return strcmp(got, text) == 0;
}

static enum backup_result
read_one(const char *path)
{
	struct recovery_pair got;

	return recovery_read(&path, 1, &got, &fault);
}

static void
modes(void **state)
{
	mode_t before = umask(0);
	struct stat st;

	(void)state;
	assert_int_equal(recovery_write(&pair, in("mode"), &fault), BACKUP_OK);
	assert_int_equal(recovery_split(&pair, 2, 3, in("mode"), &fault), BACKUP_OK);
	(void)umask(before);
	assert_int_equal(stat(in("mode"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(stat(in("mode.3"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(count("mode*"), 4);
}

static void
nothing_is_overwritten(void **state)
{
	(void)state;
	scratch_write(in("mine"), "mine", 4);
	assert_int_equal(recovery_write(&pair, in("mine"), &fault), BACKUP_EXISTS);
	assert_non_null(strstr(fault.text, "mine: is there already"));
	assert_true(holds(in("mine"), "mine"));
	assert_int_equal(symlink(in("target"), in("link")), 0);
	assert_int_equal(recovery_write(&pair, in("link"), &fault), BACKUP_EXISTS);
	assert_int_equal(count("target"), 0);
	assert_int_equal(recovery_write(&pair, folder, &fault), BACKUP_EXISTS);
	assert_int_equal(recovery_write(&pair, in("none/file"), &fault), BACKUP_IO);
	/* The shares before the one whose name is taken go again, and that one stays. */
	scratch_write(in("taken.3"), "mine", 4);
	assert_int_equal(recovery_split(&pair, 2, 3, in("taken"), &fault), BACKUP_EXISTS);
	assert_non_null(strstr(fault.text, "taken.3: is there already"));
	assert_int_equal(count("taken*"), 1);
	assert_true(holds(in("taken.3"), "mine"));
}

/* File and folder are flushed for each; with any of the flushes failing there is nothing. */
static void
durable_or_nothing(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1; n <= 2; n++) {
		flush_fails(n);
		assert_int_equal(recovery_write(&pair, in("whole"), &fault), BACKUP_IO);
		assert_non_null(strstr(fault.text, "whole: cannot be written"));
		assert_int_equal(count("whole*"), 0);
	}
	for (n = 1; n <= 6; n++) {
		flush_fails(n);
		assert_int_equal(recovery_split(&pair, 2, 3, in("whole"), &fault), BACKUP_IO);
		assert_int_equal(count("whole*"), 0);
	}
	flush_fails(0);
	assert_int_equal(recovery_split(&pair, 2, 3, in("whole"), &fault), BACKUP_OK);
	assert_int_equal(flushes, 6);
	assert_int_equal(folders, 3);
}

/* A name without a folder lies in the current one. */
static void
beside_us(void **state)
{
	char *before = getcwd(NULL, 0);

	(void)state;
	assert_non_null(before);
	assert_int_equal(chdir(folder), 0);
	flush_fails(0);
	assert_int_equal(recovery_write(&pair, "beside", &fault), BACKUP_OK);
	assert_int_equal(folders, 1);
	assert_int_equal(read_one("beside"), BACKUP_OK);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(count("beside"), 1);
	free(before);
}

static void
not_such_files(void **state)
{
	static const char much[8 * RECOVERY_TEXT_MAX];
	static const struct {
		const char *name;
		enum backup_result rc;
		const char *what;
	} cases[] = {{"none", BACKUP_ABSENT, "none: is not there"},
	    {"fifo", BACKUP_BAD, "is not a regular file"}, {"folder", BACKUP_BAD, "is not a regular file"},
	    {"empty", BACKUP_BAD, "is no file of a recovery key"},
	    {"much", BACKUP_BAD, "is no file of a recovery key"}, {"link", BACKUP_BAD, "is a symbolic link"},
	    {"file/x", BACKUP_IO, "cannot be opened"}};
	size_t i;

	(void)state;
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(mkdir(in("folder"), 0700), 0);
	scratch_write(in("empty"), "", 0);
	scratch_write(in("much"), much, sizeof(much));
	assert_int_equal(recovery_write(&pair, in("file"), &fault), BACKUP_OK);
	(void)unlink(in("link"));
	assert_int_equal(symlink(in("file"), in("link")), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_one(in(cases[i].name)), cases[i].rc);
		assert_non_null(strstr(fault.text, cases[i].what));
		assert_non_null(strstr(fault.text, in(cases[i].name)));
	}
	assert_int_equal(read_one(in("file")), BACKUP_OK);
}

static void
long_names(void **state)
{
	static char path[8192];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	assert_int_equal(recovery_write(&pair, path, &fault), BACKUP_IO);
	assert_int_equal(recovery_split(&pair, 2, 3, path, &fault), BACKUP_IO);
	assert_non_null(strstr(fault.text, "the name is too long"));
	assert_int_equal(read_one(path), BACKUP_IO);
}

/* The text of one file in tests/vectors/recovery.txt, which was made by other code from docs/FORMAT.md. */
static char *
vector(const char *name)
{
	static char text[8192], out[RECOVERY_TEXT_MAX];
	char path[512], head[32], *at;
	size_t n = sizeof(__FILE__) - sizeof("unit/test_recovery_file.c");
	FILE *f;

	(void)snprintf(path, sizeof(path), "%.*s/vectors/recovery.txt", (int)n, __FILE__);
	assert_non_null(f = fopen(path, "re"));
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	(void)snprintf(head, sizeof(head), "\n%s\n\n", name);
	assert_non_null(at = strstr(text, head));
	at += strlen(head);
	n = (size_t)(strstr(at, "\n\n") - at) + 1;
	assert_true(n < sizeof(out));
	memcpy(out, at, n);
	out[n] = '\0';
	return out;
}

static void
golden_vectors(void **state)
{
	static const char *const names[] = {"share.1", "share.2", "share.3", "share.4", "share.5"};
	static const char secret[] = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
	static const char public[] = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
	const char *const some[] = {in(names[4]), in(names[1]), in(names[3])}, *whole;
	char text[RECOVERY_TEXT_MAX];
	struct recovery_pair got, bob;
	size_t i, len;

	(void)state;
	assert_int_equal(sodium_hex2bin(bob.secret, LEN, secret, strlen(secret), NULL, &len, NULL), 0);
	assert_int_equal(sodium_hex2bin(bob.public, LEN, public, strlen(public), NULL, &len, NULL), 0);
	assert_int_equal(recovery_text(&bob, text, &fault), BACKUP_OK);
	assert_string_equal(text, vector("secret"));
	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		const char *name = strrchr(some[i], '/') + 1;

		scratch_write(some[i], vector(name), strlen(vector(name)));
	}
	assert_int_equal(recovery_read(some, 3, &got, &fault), BACKUP_OK);
	assert_memory_equal(&got, &bob, sizeof(bob));
	whole = in("vector");
	scratch_write(whole, vector("secret"), strlen(vector("secret")));
	memset(&got, 0, sizeof(got));
	assert_int_equal(recovery_read(&whole, 1, &got, &fault), BACKUP_OK);
	assert_memory_equal(&got, &bob, sizeof(bob));
}

static void
publics(void **state)
{
	char hex[2 * LEN + 2];
	uint8_t got[LEN] = {0};

	(void)state;
	(void)sodium_bin2hex(hex, sizeof(hex), pair.public, LEN);
	assert_true(recovery_public(hex, got));
	assert_memory_equal(got, pair.public, LEN);
	hex[2 * LEN] = '0';
	hex[2 * LEN + 1] = '\0';
	assert_false(recovery_public(hex, got));
	hex[2 * LEN - 1] = '\0';
	assert_false(recovery_public(hex, got));
	hex[2 * LEN - 1] = 'g';
	hex[2 * LEN] = '\0';
	assert_false(recovery_public(hex, got));
	assert_false(recovery_public("", got));
	memset(hex, '0', (size_t)2 * LEN);
	assert_false(recovery_public(hex, got));
	hex[1] = '1';
	assert_false(recovery_public(hex, got));
	assert_memory_equal(got, pair.public, LEN);
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
		cmocka_unit_test(modes),
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(durable_or_nothing),
		cmocka_unit_test(beside_us),
		cmocka_unit_test(not_such_files),
		cmocka_unit_test(long_names),
		cmocka_unit_test(golden_vectors),
		cmocka_unit_test(publics),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
