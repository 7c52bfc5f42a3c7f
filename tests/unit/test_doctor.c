/* What doctor makes of what it sees, at each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "server/doctor_judge.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DAY INT64_C(86400)

static struct doctor_finding f;

/* What is well needs no mending, and nothing else goes without. */
static void
judged(enum doctor_level level, const char *found, const char *mend)
{
	if (f.level != level || strstr(f.found, found) == NULL || strstr(f.mend, mend) == NULL)
		fail_msg("level %d, found \"%s\", mend \"%s\"", (int)f.level, f.found, f.mend);
	assert_int_equal(f.mend[0] == '\0', level == DOCTOR_OK);
}

static void
texts(void **state)
{
	static char longer[2 * DOCTOR_TEXT];

	(void)state;
	doctor_found(&f, DOCTOR_WARN, "a\tb\nc\x1b%s\x7f", "d");
	assert_string_equal(f.found, "a?b?c?d?");
	doctor_mend(&f, "x\ty");
	assert_string_equal(f.mend, "x?y");
	doctor_found(&f, DOCTOR_OK, "x");
	assert_string_equal(f.mend, "");
	memset(longer, 'a', sizeof(longer) - 1);
	doctor_found(&f, DOCTOR_OK, "%s", longer);
	assert_int_equal(strlen(f.found), DOCTOR_TEXT - 1);
}

static const char *encrypted_path;

static bool
is_encrypted(const char *path)
{
	return encrypted_path != NULL && strcmp(path, encrypted_path) == 0;
}

#define HEADING "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
#define DM "/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n"
#define ZRAM "/dev/zram0                              partition\t8388604\t\t0\t\t100\n"
#define PLAIN "/dev/sda2                               partition\t8388604\t\t512\t\t-3\n"
#define SPACED "/var/my\\040swap\\134file                   file\t\t1024\t\t0\t\t-4\n"

static void
swap(void **state)
{
	static const struct {
		const char *text, *encrypted, *found, *mend;
		enum doctor_level level;
	} cases[] = {
		{ "", NULL, "none is used", "", DOCTOR_OK },
		{ HEADING, NULL, "none is used", "", DOCTOR_OK },
		{ "Filename", NULL, "none is used", "", DOCTOR_OK },
		{ HEADING DM, "/dev/dm-1", "/dev/dm-1: on dm-crypt", "", DOCTOR_OK },
		{ HEADING DM, NULL, "/dev/dm-1: not on dm-crypt", "swapoff /dev/dm-1", DOCTOR_FAIL },
		{ HEADING ZRAM, "/dev/zram0", "/dev/zram0: compressed", "swapoff /dev/zram0", DOCTOR_WARN },
		{ HEADING PLAIN, NULL, "/dev/sda2: not on dm-crypt", "swapoff /dev/sda2", DOCTOR_FAIL },
		{ HEADING SPACED, NULL, "/var/my swap\\file:", "", DOCTOR_FAIL },
		{ HEADING SPACED, "/var/my swap\\file", "/var/my swap\\file:", "", DOCTOR_OK },
		/* The worst of several, wherever it stands. */
		{ HEADING DM ZRAM, "/dev/dm-1", "/dev/zram0", "", DOCTOR_WARN },
		{ HEADING ZRAM DM, "/dev/dm-1", "/dev/zram0", "", DOCTOR_WARN },
		{ HEADING DM PLAIN ZRAM, "/dev/dm-1", "/dev/sda2", "", DOCTOR_FAIL },
		{ HEADING PLAIN DM, "/dev/dm-1", "/dev/sda2", "", DOCTOR_FAIL },
		/* Without the last line end, as it is read. */
		{ HEADING "/dev/sdb1 partition 1 0 -2", NULL, "/dev/sdb1", "", DOCTOR_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		encrypted_path = cases[i].encrypted;
		doctor_judge_swap(cases[i].text, is_encrypted, &f);
		judged(cases[i].level, cases[i].found, cases[i].mend);
	}
}

/* A line of any length, and octal digits that are none or cut off. */
static void
swap_damaged(void **state)
{
	char text[8192];

	(void)state;
	encrypted_path = NULL;
	memset(text, 'x', sizeof(text));
	memcpy(text, HEADING, sizeof(HEADING) - 1);
	text[sizeof(text) - 1] = '\0';
	doctor_judge_swap(text, is_encrypted, &f);
	judged(DOCTOR_FAIL, "xxx", "");
	doctor_judge_swap(HEADING "/a\\04 x\n/b\\ x\n/c\\089 x\n\n\n", is_encrypted, &f);
	judged(DOCTOR_FAIL, "/a\\04:", "");
}

static void
core(void **state)
{
	static const struct {
		const char *pattern, *suid, *found;
		enum doctor_level level;
	} cases[] = {
		{ "core", "0", "the file core", DOCTOR_OK },
		{ "/var/crash/%p", "2", "/var/crash/%p", DOCTOR_OK },
		{ "", "0", "none", DOCTOR_OK },
		{ "|/bin/false", "0", "none", DOCTOR_OK },
		{ "|/usr/lib/systemd/systemd-coredump %P", "2", "systemd-coredump", DOCTOR_WARN },
		{ "core", "1", "suid_dumpable is 1", DOCTOR_WARN },
		{ "|/bin/false", "1", "suid_dumpable is 1", DOCTOR_WARN },
		{ "core", "", "the file core", DOCTOR_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		doctor_judge_core(cases[i].pattern, cases[i].suid, &f);
		judged(cases[i].level, cases[i].found, cases[i].level == DOCTOR_OK ? "" : "sysctl -w");
	}
}

static void
memory(void **state)
{
	struct doctor_memory m = { .need = 4333568 };

	(void)state;
	m.limit = m.need - 1;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_FAIL, "4333567 bytes may be locked, 4333568 are needed", "ulimit -l 4232");
	m.limit = m.need;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_OK, "4333568", "");
	m.limit = m.need + 1;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_OK, "4333569", "");
	m.limit = UINT64_MAX;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_OK, "no limit", "");
	m.limit = 0;
	m.privileged = true;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_OK, "no limit for this user", "");
	m.privileged = false;
	m.server = 42;
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_OK, "process 42", "");
	/* In whole KiB, rounded up. */
	m = (struct doctor_memory){ .need = 1025 };
	doctor_judge_memory(&m, &f);
	judged(DOCTOR_FAIL, "1025", "ulimit -l 2");
}

static void
lock_holder(void **state)
{
	static const char locks[] = "1: POSIX  ADVISORY  WRITE 10 fe:01:77 0 EOF\n"
	    "2: FLOCK  ADVISORY  WRITE 11 fe:01:777 0 EOF\n"
	    "2: -> FLOCK  ADVISORY  WRITE 12 fe:01:7777 0 EOF\n"
	    "3: FLOCK  ADVISORY  WRITE 13 fe:02:77 0 EOF\n"
	    "4: FLOCK  ADVISORY  WRITE 14 fe:01:77 0 EOF";

	(void)state;
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 1), 77), 14);
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 1), 777), 11);
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 2), 77), 13);
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 1), 7777), 0);	/* it only waits */
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 3), 77), 0);
	assert_int_equal(doctor_lock_holder(locks, makedev(0xfe, 1), 7), 0);
	assert_int_equal(doctor_lock_holder("", makedev(0xfe, 1), 77), 0);
	assert_int_equal(doctor_lock_holder(" fe:01:77 \n\n", makedev(0xfe, 1), 77), 0);
}

static void
kernel(void **state)
{
	static const char *const scopes[] = { "1", "2", "3" };

	(void)state;
	doctor_judge_secret(0, &f);
	judged(DOCTOR_OK, "", "");
	doctor_judge_secret(ENOSYS, &f);
	judged(DOCTOR_WARN, "ENOSYS", "secretmem.enable=1");
	doctor_judge_ptrace("", &f);
	judged(DOCTOR_WARN, "no Yama", "yama");
	doctor_judge_ptrace("0", &f);
	judged(DOCTOR_WARN, "is 0", "sysctl -w kernel.yama.ptrace_scope=1");
	for (size_t i = 0; i < COUNT(scopes); i++) {
		doctor_judge_ptrace(scopes[i], &f);
		judged(DOCTOR_OK, scopes[i], "");
	}
}

static void
wall_clock(void **state)
{
	const int64_t now = 1800000000;

	(void)state;
	doctor_judge_clock(true, now, now + DOCTOR_CLOCK_SLACK - 1, &f);
	judged(DOCTOR_OK, "synchronised", "");
	doctor_judge_clock(true, now, now + DOCTOR_CLOCK_SLACK, &f);
	judged(DOCTOR_OK, "synchronised", "");
	doctor_judge_clock(true, now, now + DOCTOR_CLOCK_SLACK + 1, &f);
	judged(DOCTOR_FAIL, "61 seconds before", "timedatectl");
	doctor_judge_clock(false, now, now, &f);
	judged(DOCTOR_WARN, "not synchronised", "timedatectl set-ntp true");
	doctor_judge_clock(false, now, now + 3600, &f);
	judged(DOCTOR_FAIL, "3600 seconds before", "timedatectl");
}

static void
class(void **state)
{
	(void)state;
	for (int c = ANCHOR_CLASS_A; c <= ANCHOR_CLASS_D; c++) {
		const bool bad = c == ANCHOR_CLASS_D;

		doctor_judge_class("/a", (enum anchor_class)c, "why", false, &f);
		judged(bad ? DOCTOR_FAIL : DOCTOR_OK, "(why)", bad ? "anchor move --from /a" : "");
		assert_int_equal(f.found[strlen("/a: class ")], c);
		doctor_judge_class("/a", (enum anchor_class)c, "why", true, &f);
		judged(bad ? DOCTOR_WARN : DOCTOR_OK, "/a", "");
		doctor_judge_store_class("/s", (enum anchor_class)c, "why", &f);
		judged(bad ? DOCTOR_WARN : DOCTOR_OK, "/s: class", bad ? "[vault] path" : "");
	}
}

static void
place(void **state)
{
	const struct doctor_place file = { .path = "/k", .type = S_IFREG, .mode = 07700, .owner = 7,
		.length = 100, .alone = true, .absent = "put it back" };
	const struct doctor_place folder = { .path = "/s", .type = S_IFDIR, .mode = 07700, .owner = 7,
		.absent = "restore" };
	const struct doctor_place key = { .path = "/t", .type = S_IFREG, .mode = 0600, .owner = 7 };
	const struct {
		const struct doctor_place *place;
		mode_t mode;
		uid_t owner;
		nlink_t names;
		off_t size;
		const char *found, *mend;
	} cases[] = {
		{ &file, S_IFREG | 0600, 7, 1, 100, NULL, NULL },
		{ &file, S_IFREG | 0400, 7, 1, 100, NULL, NULL },
		{ &file, S_IFREG | 0700, 7, 1, 100, NULL, NULL },
		{ &file, S_IFREG | 0640, 7, 1, 100, "mode 0640, open to others", "chmod go= /k" },
		{ &file, S_IFREG | 0601, 7, 1, 100, "mode 0601", "chmod go= /k" },
		{ &file, S_IFREG | 0600, 8, 1, 100, "belongs to user 8, not to 7", "chown 7 /k" },
		{ &file, S_IFREG | 0600, 7, 2, 100, "has 2 names", "-samefile /k" },
		{ &file, S_IFREG | 0600, 7, 1, 99, "99 bytes instead of 100", "put it back" },
		{ &file, S_IFREG | 0600, 7, 1, 101, "101 bytes instead of 100", "put it back" },
		{ &file, S_IFLNK | 0777, 7, 1, 100, "is not a regular file", "put it back" },
		{ &file, S_IFDIR | 0700, 7, 1, 100, "is not a regular file", "put it back" },
		{ &folder, S_IFDIR | 0700, 7, 5, 4096, NULL, NULL },
		{ &folder, S_IFDIR | 02700, 7, 5, 4096, NULL, NULL },
		{ &folder, S_IFDIR | 0750, 7, 5, 4096, "mode 0750", "chmod go= /s" },
		{ &folder, S_IFREG | 0700, 7, 1, 4096, "is not a folder", "restore" },
		{ &key, S_IFREG | 0400, 7, 2, 1, NULL, NULL },
		{ &key, S_IFREG | 0700, 7, 1, 1, "at most 0600", "chmod 0600 /t" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct stat st = { .st_mode = cases[i].mode, .st_uid = cases[i].owner,
			.st_nlink = cases[i].names, .st_size = cases[i].size };

		doctor_judge_place(cases[i].place, 0, &st, &f);
		if (cases[i].found == NULL)
			judged(DOCTOR_OK, cases[i].place->path, "");
		else
			judged(DOCTOR_FAIL, cases[i].found, cases[i].mend);
	}
	doctor_judge_place(&file, ENOENT, &(struct stat){ 0 }, &f);
	judged(DOCTOR_FAIL, "/k: is not there", "put it back");
	doctor_judge_place(&file, EACCES, &(struct stat){ 0 }, &f);
	judged(DOCTOR_FAIL, "/k: Permission denied", "as the vault's user, or as root");
}

static void
pair(void **state)
{
	struct doctor_pair p = { .anchor = "/a/anchor", .key = "/k/key", .seal = "x" };

	(void)state;
	doctor_judge_pair(&p, &f);
	judged(DOCTOR_OK, "/a/anchor", "");
	p.same_device = true;
	doctor_judge_pair(&p, &f);
	judged(DOCTOR_WARN, "on one device", "/k/key");
	p.same_folder = true;
	doctor_judge_pair(&p, &f);
	judged(DOCTOR_WARN, "in one folder", "copy /k/key to another device, [seal x] path");
}

static void
space(void **state)
{
	const uint64_t reserve = 16u << 20, growth = 256u << 20;

	(void)state;
	doctor_judge_space(reserve - 1, reserve, growth, &f);
	judged(DOCTOR_FAIL, "less than [vault] reserve", "make room");
	doctor_judge_space(reserve, reserve, growth, &f);
	judged(DOCTOR_WARN, "may grow by 256 MiB", "map_size");
	doctor_judge_space(growth - 1, reserve, growth, &f);
	judged(DOCTOR_WARN, "255 MiB are free", "map_size");
	doctor_judge_space(growth, reserve, growth, &f);
	judged(DOCTOR_OK, "256 MiB are free", "");
	doctor_judge_space(growth + 1, reserve, growth, &f);
	judged(DOCTOR_OK, "256 MiB are free", "");
	doctor_judge_space(reserve, reserve, 0, &f);
	judged(DOCTOR_OK, "16 MiB are free", "");
}

static void
flushes(void **state)
{
	static const struct {
		int error;
		enum doctor_level level;
		const char *mend;
	} errors[] = {
		{ EROFS, DOCTOR_FAIL, "remount" }, { ENOSPC, DOCTOR_FAIL, "room" },
		{ EIO, DOCTOR_FAIL, "disk" }, { EACCES, DOCTOR_WARN, "as root" },
		{ ENOENT, DOCTOR_WARN, "folder" },
	};

	(void)state;
	doctor_judge_flush("/s", 1900, 64, &f);
	judged(DOCTOR_WARN, "/s: flushes in 1.9 us: a cache that lies or a RAM disk", "a durable disk");
	doctor_judge_flush("/s", DOCTOR_FLUSH_NS - 1, 64, &f);
	judged(DOCTOR_WARN, "9.9 us", "a durable disk");
	doctor_judge_flush("/s", DOCTOR_FLUSH_NS, 64, &f);
	judged(DOCTOR_OK, "/s: flushes in 10.0 us, the median of 64", "");
	doctor_judge_flush("/s", DOCTOR_FLUSH_NS + 1, 64, &f);
	judged(DOCTOR_OK, "10.0 us", "");
	doctor_judge_flush("/s", 21000000, 3, &f);
	judged(DOCTOR_OK, "21000.0 us, the median of 3", "");
	for (size_t i = 0; i < COUNT(errors); i++) {
		doctor_judge_unmeasured("/s", errors[i].error, &f);
		judged(errors[i].level, "/s:", errors[i].mend);
	}
}

static void
terms(void **state)
{
	const int64_t now = 1800000000, soon = DOCTOR_SOON_DAYS * DAY;
	const struct {
		int64_t from, first, last;
		bool any;
		enum doctor_level level;
		const char *found;
	} cases[] = {
		{ 0, now - 1, now - 1, false, DOCTOR_FAIL, "ended" },
		{ 0, now, now, false, DOCTOR_FAIL, "ended 2027-01-15T08:00:00Z" },
		{ 0, now + 1, now + 1, false, DOCTOR_WARN, "in 0 days" },
		{ 0, now + soon - 1, now + soon - 1, false, DOCTOR_WARN, "in 13 days" },
		{ 0, now + soon, now + soon, false, DOCTOR_OK, "in 14 days" },
		{ 0, now + soon + 1, now + soon + 1, false, DOCTOR_OK, "in 14 days" },
		{ now - 1, now + soon, now + soon, false, DOCTOR_OK, "in 14 days" },
		{ now, now + soon, now + soon, false, DOCTOR_OK, "in 14 days" },
		{ now + 1, now + soon, now + soon, false, DOCTOR_FAIL, "is not yet" },
		/* Of a chain the first end counts, of several CAs the last one. */
		{ 0, now, now + soon, false, DOCTOR_FAIL, "ended" },
		{ 0, now + soon, now + 9 * soon, false, DOCTOR_OK, "in 14 days" },
		{ 0, now, now + soon, true, DOCTOR_WARN, "one of several ends" },
		{ 0, now + soon - 1, now + soon, true, DOCTOR_WARN, "one of several ends" },
		{ 0, now + soon, now + 2 * soon, true, DOCTOR_OK, "in 28 days" },
		{ 0, now - 2, now - 1, true, DOCTOR_FAIL, "ended" },
		{ now + 1, now + soon, now + soon, true, DOCTOR_OK, "in 14 days" },
		{ 0, INT64_MAX, INT64_MAX, false, DOCTOR_OK, "has no end" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct doctor_term t = { .path = "/c", .from = cases[i].from, .first = cases[i].first,
			.last = cases[i].last, .any = cases[i].any, .mend = "renew it:" };

		doctor_judge_term(&t, now, &f);
		judged(cases[i].level, cases[i].found, cases[i].level == DOCTOR_OK ? "" : "renew it: /c");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(swap),
		cmocka_unit_test(swap_damaged),
		cmocka_unit_test(core),
		cmocka_unit_test(memory),
		cmocka_unit_test(lock_holder),
		cmocka_unit_test(kernel),
		cmocka_unit_test(wall_clock),
		cmocka_unit_test(class),
		cmocka_unit_test(place),
		cmocka_unit_test(pair),
		cmocka_unit_test(space),
		cmocka_unit_test(flushes),
		cmocka_unit_test(terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
