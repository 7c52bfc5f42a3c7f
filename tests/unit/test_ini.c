#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/ini.h"

/* What was told, as text. */
struct told {
	char text[8192];
	size_t len;
};

static void
on_section(void *owner, const char *name, unsigned line)
{
	struct told *t = owner;

	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%u[%s]", line, name);
}

static void
on_pair(void *owner, const struct ini_pair *p)
{
	struct told *t = owner;

	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%u<%s|%s|%s>",
	    p->line, p->section, p->key, p->value);
}

static enum status
scan(const char *text, size_t len, struct told *t, struct ini_faults *f)
{
	const struct ini_receiver to = { t, on_section, on_pair };

	memset(t, 0, sizeof(*t));
	memset(f, 0, sizeof(*f));
	return ini_read(bytes_of(text, len), &to, f);
}

static void
tells(const char *text, const char *expected)
{
	struct told t;
	struct ini_faults f;

	assert_int_equal(scan(text, strlen(text), &t, &f), STATUS_OK);
	assert_string_equal(t.text, expected);
}

/* The one fault of text. */
static void
faults(const char *text, unsigned line, const char *part)
{
	struct told t;
	struct ini_faults f;

	assert_int_equal(scan(text, strlen(text), &t, &f), STATUS_CONFIG);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.row[0].line, line);
	if (strstr(f.row[0].text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", f.row[0].text, part);
}

static void
reads(void **state)
{
	(void)state;
	tells("", "");
	tells("# c\n; c\n\n[a]\nk = v\nl=w \t\n\n[b c]\r\nk =\r\n",
	    "4[a]5<a|k|v>6<a|l|w>8[b c]9<b c|k|>");
	tells("[empty]\n[other]\nk = v", "1[empty]2[other]3<other|k|v>");
	tells("\xef\xbb\xbf[a]\nk = v\n", "1[a]2<a|k|v>");
	tells("[a]\nu = tls+tcp://h:1 x=y\n", "1[a]2<a|u|tls+tcp://h:1 x=y>");
	tells("[a]\nk = a#1;2\n", "1[a]2<a|k|a#1;2>");
}

static void
refuses(void **state)
{
	(void)state;
	faults("k = v\n", 1, "before any section");
	faults("[a]\nk = v\nk = w\n", 3, "given above");
	faults("[a]\n[b]\n[a]\n", 3, "given above");
	faults("[a]\nk = v\n  more\n", 3, "begin with a blank");
	faults("[a]\nk = v\n\tk2 = v\n", 3, "begin with a blank");
	faults("[a]\nk = v ; comment\n", 2, "comment");
	faults("[a]\nk = v\t# comment\n", 2, "comment");
	faults("[a]\nk = # comment\n", 2, "comment");
	faults("[a]\nnothing\n", 2, "KEY = VALUE");
	faults("[a]\nk: v\n", 2, "KEY = VALUE");
	faults("[a]\nk: v = w\n", 2, "KEY = VALUE");
	faults("[a]\n= v\n", 2, "KEY = VALUE");
	faults("[a\n", 1, "[NAME]");
	faults("[]\n", 1, "[NAME]");
	faults("[a]b]\n", 1, "[NAME]");
	faults("[a] k = v\n", 1, "[NAME]");
	faults("[a]\nk = \x01\n", 2, "control");
	faults("[a]\nk = \x7f\n", 2, "control");
	faults("[a]\nk = v\rw\n", 2, "control");
}

static void
refuses_nul(void **state)
{
	static const char text[] = "[a]\nk = v\0w\n";
	struct told t;
	struct ini_faults f;

	(void)state;
	assert_int_equal(scan(text, sizeof(text) - 1, &t, &f), STATUS_CONFIG);
	assert_string_equal(t.text, "1[a]");
	assert_int_equal(f.row[0].line, 2);
}

/* The keys of a section at fault belong to nobody, above all not to the section before. */
static void
skips_a_faulty_section(void **state)
{
	static const char text[] = "[a]\nk = v\n[a]\nk = w\n[b]\nm = x\n";
	struct told t;
	struct ini_faults f;

	(void)state;
	assert_int_equal(scan(text, sizeof(text) - 1, &t, &f), STATUS_CONFIG);
	assert_string_equal(t.text, "1[a]2<a|k|v>5[b]6<b|m|x>");
	assert_int_equal(f.count, 1);
}

/* A line "PREFIX aaa..." that is len bytes long. */
static const char *
filled(const char *prefix, size_t len, const char *suffix)
{
	static char text[2 * INI_LINE_MAX];
	size_t n = strlen(prefix);

	memcpy(text, prefix, n);
	memset(text + n, 'a', len - n);
	memcpy(text + len, suffix, strlen(suffix) + 1);
	return text;
}

static void
meets_its_limits(void **state)
{
	struct told t;
	struct ini_faults f;
	const char *text;
	size_t head = strlen("[a]\n"), d;

	(void)state;
	for (d = 0; d < 3; d++) {		/* n-1, n, n+1 */
		text = filled("[a]\nk = ", head + INI_LINE_MAX - 1 + d, "\nl = w\n");
		assert_int_equal(scan(text, strlen(text), &t, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
		assert_non_null(strstr(t.text, "3<a|l|w>"));
		text = filled("[", INI_NAME_MAX + d, "]\nl = w\n");
		assert_int_equal(scan(text, strlen(text), &t, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
		text = filled("[a]\n", head + INI_NAME_MAX - 1 + d, " = w\n");
		assert_int_equal(scan(text, strlen(text), &t, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
	}
}

static void
bounds_what_it_counts(void **state)
{
	static char text[64 * (INI_SECTIONS_MAX + 2)];
	struct told t;
	struct ini_faults f;
	size_t n = 0;
	unsigned i;

	(void)state;
	for (i = 0; i <= INI_KEYS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sk%u = v\n", i == 0 ? "[a]\n" : "", i);
	assert_int_equal(scan(text, n, &t, &f), STATUS_CONFIG);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.row[0].line, INI_KEYS_MAX + 2);
	for (i = 0, n = 0; i <= INI_SECTIONS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[%u]\n", i);
	assert_int_equal(scan(text, n, &t, &f), STATUS_CONFIG);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.row[0].line, INI_SECTIONS_MAX + 1);
	for (i = 0, n = 0; i <= INI_FAULTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "x\n");
	assert_int_equal(scan(text, n, &t, &f), STATUS_CONFIG);
	assert_int_equal(f.count, INI_FAULTS_MAX);
}

static void
prints_no_control_bytes(void **state)
{
	struct ini_faults f = { 0 };

	(void)state;
	ini_fault(&f, 1, "a%cb\xc3\xa4", '\x1b');
	assert_string_equal(f.row[0].text, "a?b??");
}

static void
write_file(const char *path, size_t len, mode_t mode)
{
	FILE *to = fopen(path, "w");
	size_t i;

	assert_non_null(to);
	for (i = 0; i < len; i++)
		assert_int_equal(fputc('#', to), '#');
	assert_int_equal(fclose(to), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static enum status
load(const char *path, size_t *len)
{
	struct ini_faults f = { 0 };
	struct bytes b;
	enum status rc = ini_load(path, &b, &f);

	if (rc == STATUS_OK) {
		*len = b.len;
		free((void *)(uintptr_t)b.p);
	} else {
		assert_int_equal(f.count, 1);
	}
	return rc;
}

static void
loads_only_what_it_should(void **state)
{
	char folder[] = "/tmp/pdv-ini-XXXXXX", path[64];
	size_t len = 1;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/f", folder);
	assert_int_equal(load(path, &len), STATUS_CONFIG);	/* not there */
	assert_int_equal(load(folder, &len), STATUS_CONFIG);
	write_file(path, 0, 0644);
	assert_int_equal(load(path, &len), STATUS_OK);
	assert_int_equal(len, 0);
	write_file(path, INI_FILE_MAX, 0600);
	assert_int_equal(load(path, &len), STATUS_OK);
	assert_int_equal(len, INI_FILE_MAX);
	write_file(path, INI_FILE_MAX + 1, 0600);
	assert_int_equal(load(path, &len), STATUS_CONFIG);
	write_file(path, 1, 0620);
	assert_int_equal(load(path, &len), STATUS_CONFIG);
	write_file(path, 1, 0602);
	assert_int_equal(load(path, &len), STATUS_CONFIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(path, &len), STATUS_CONFIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_nul),
		cmocka_unit_test(skips_a_faulty_section),
		cmocka_unit_test(meets_its_limits),
		cmocka_unit_test(bounds_what_it_counts),
		cmocka_unit_test(prints_no_control_bytes),
		cmocka_unit_test(loads_only_what_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
