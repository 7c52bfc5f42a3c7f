/* The command line, the settings behind it, help, and what the exit status says. */
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

#include "client/cli/args.h"
#include "client/cli/exitcode.h"
#include "client/cli/help.h"
#include "client/cli/meant.h"
#include "client/cli/nouns.h"
#include "client/cli/progress.h"
#include "client/cli/settings.h"

enum { WORDS = 16, TEXT_LEN = 65536, PATH_LEN = 512 };

/* The words of a command, parsed: its failure's detail, or "". */
static const char *
parse(const char *command, struct args *a)
{
	static struct failure f;
	static char text[512];
	static const char *words[WORDS];
	char *at = text;
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "%s", command);
	for (words[n] = strsep(&at, " "); words[n] != NULL; words[n] = strsep(&at, " "))
		assert_true(++n < WORDS);
	if (n == 1 && words[0][0] == '\0')
		words[0] = NULL;
	f.detail[0] = '\0';
	if (args_parse(&nouns_table, words, a, &f) != PDV_OK)
		assert_true(f.usage);
	return f.detail;
}

static void
commands(void **state)
{
	struct args a;

	(void)state;
	assert_string_equal(parse("subject get sub_1 --json", &a), "");
	assert_string_equal(a.verb->name, "get");
	assert_string_equal(a.operand, "sub_1");
	assert_non_null(a.values[FLAG_JSON]);
	assert_string_equal(parse("--json --server=u subject --ca f find --email -", &a), "");
	assert_string_equal(a.verb->name, "find");
	assert_string_equal(a.values[FLAG_SERVER], "u");
	assert_string_equal(a.values[FLAG_CA], "f");
	assert_string_equal(a.values[FLAG_EMAIL], "-");
	assert_string_equal(parse("import - --map m", &a), "");
	assert_string_equal(a.operand, "-");
	assert_string_equal(parse("import --map m -- --odd-name", &a), "");
	assert_string_equal(a.operand, "--odd-name");
	assert_string_equal(parse("subject erase s --category billing --category=usage --yes", &a), "");
	assert_int_equal(a.repeated_n, 2);
	assert_string_equal(a.repeated[1], "usage");
	assert_string_equal(parse("status", &a), "");
	assert_null(a.second);
	assert_string_equal(parse("blob seal in - --subject s --category usage --context c", &a), "");
	assert_string_equal(a.operand, "in");
	assert_string_equal(a.second, "-");
	assert_string_equal(a.repeated[0], "usage");
}

static void
wrong_commands(void **state)
{
	static const struct {
		const char *command, *detail;
	} cases[] = {
		{"", "a command is missing"},
		{"subject", "subject: a verb is missing"},
		{"sbject get x", "unknown command sbject; did you mean subject?"},
		{"subject gte x", "subject cannot gte; did you mean get?"},
		{"subject fly x", "subject cannot fly"},
		{"subject get", "SUBJECT is missing"},
		{"blob seal", "IN OUT is missing"},
		{"blob open a", "IN OUT is missing"},
		{"blob open a b c", "too many words after blob open"},
		{"blob open a b c d", "too many words after blob open"},
		{"blob open a b --subject s", "unknown flag --subject"},
		{"subject get a b", "too many words after subject get"},
		{"status x", "too many words after status"},
		{"subject get a --jsno", "unknown flag --jsno; did you mean --json?"},
		{"subject get a --emial=someone", "unknown flag --emial; did you mean --email?"},
		{"subject get a --limit 3", "unknown flag --limit"},
		{"subject get a --json=yes", "--json has no value"},
		{"subject find --email", "--email needs a value"},
		{"subject find --email a --email b", "--email is there twice"},
		{"import f --mpa m", "unknown flag --mpa; did you mean --map?"},
	};
	struct args a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(parse(cases[i].command, &a), cases[i].detail);
}

static void
numbers(void **state)
{
	struct failure f = {0};
	unsigned long n = 9;
	struct args a;

	(void)state;
	(void)parse("transaction list s", &a);
	assert_int_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
	assert_int_equal(n, 9);
	(void)parse("transaction list s --limit 100", &a);
	assert_int_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
	assert_int_equal(n, 100);
	(void)parse("transaction list s --limit 101", &a);
	assert_int_not_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
	(void)parse("transaction list s --limit 0", &a);
	assert_int_not_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
	(void)parse("transaction list s --limit 5x", &a);
	assert_int_not_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
	(void)parse("transaction list s --limit=-1", &a);
	assert_int_not_equal(args_number(&a, FLAG_LIMIT, 100, &n, &f), PDV_OK);
}

static char *
output_of(void (*print)(const struct args *a, FILE *to), const struct args *a)
{
	static char text[TEXT_LEN];
	FILE *to = fmemopen(text, sizeof(text), "w");

	assert_non_null(to);
	print(a, to);
	(void)fclose(to);
	return text;
}

static void
completion(const struct args *a, FILE *to)
{
	help_completion(a->table, to);
}

/* Everything in the tables is in the help, and where it belongs. */
static void
help_everywhere(void **state)
{
	static const char *const commands_with_help[] = {"--help", "subject --help",
	    "subject get --help", "import --help", "-h", "subject erase x --help"};
	struct args a;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(commands_with_help) / sizeof(commands_with_help[0]); i++) {
		assert_string_equal(parse(commands_with_help[i], &a), "");
		assert_non_null(a.values[FLAG_HELP]);
		assert_non_null(strstr(output_of(help_print, &a), "Exit codes:"));
	}
	(void)parse("--help", &a);
	text = output_of(help_print, &a);
	for (i = 0; i < nouns_table.n; i++)
		assert_non_null(strstr(text, nouns_table.verbs[i].summary));
	assert_null(strstr(text, "--category"));
	(void)parse("subject erase --help", &a);
	text = output_of(help_print, &a);
	assert_non_null(strstr(text, "--category"));
	assert_null(strstr(text, "--map"));
	assert_null(strstr(text, "subject create"));
	text = output_of(completion, &a);
	for (i = 0; i < nouns_table.n; i++)
		assert_non_null(strstr(text, nouns_table.verbs[i].noun));
	for (i = FLAG_NONE + 1; i < FLAGS; i++)
		assert_non_null(strstr(text, args_flags[i].name));
}

static void
tables_are_whole(void **state)
{
	const struct args_verb *v;
	size_t i, k;

	(void)state;
	for (i = FLAG_NONE + 1; i < FLAGS; i++) {
		assert_non_null(args_flags[i].summary);
		assert_true(strncmp(args_flags[i].name, "--", 2) == 0);
	}
	for (i = 0; i < nouns_table.n; i++) {
		v = &nouns_table.verbs[i];
		assert_non_null(v->run);
		for (k = i + 1; k < nouns_table.n; k++)
			assert_false(strcmp(v->noun, nouns_table.verbs[k].noun) == 0 &&
			    (v->name == NULL || strcmp(v->name, nouns_table.verbs[k].name) == 0));
		/* Only one kind of repeated flag fits into struct args. */
		assert_false(args_takes(v, FLAG_MASK) && args_takes(v, FLAG_CATEGORY));
	}
}

static void
exit_codes(void **state)
{
	static const struct {
		enum pdv_code code;
		const char *reason;
		enum exitcode exit;
	} cases[] = {
		{PDV_OK, "", EXITCODE_DONE},
		{PDV_OK, "SUBJECT_ERASED", EXITCODE_DONE},
		{PDV_NOT_FOUND, "", EXITCODE_NOT_FOUND},
		{PDV_NOT_FOUND, NULL, EXITCODE_NOT_FOUND},
		{PDV_FAILED_PRECONDITION, "SUBJECT_ERASED", EXITCODE_ERASED},
		{PDV_FAILED_PRECONDITION, "CATEGORY_ERASED", EXITCODE_ERASED},
		{PDV_FAILED_PRECONDITION, "READ_ONLY", EXITCODE_FAILED},
		{PDV_PERMISSION_DENIED, "", EXITCODE_DENIED},
		{PDV_UNAUTHENTICATED, "", EXITCODE_DENIED},
		{PDV_UNAVAILABLE, "", EXITCODE_UNAVAILABLE},
		{PDV_DEADLINE_EXCEEDED, "DEADLINE", EXITCODE_UNAVAILABLE},
		{PDV_RESOURCE_EXHAUSTED, "", EXITCODE_UNAVAILABLE},
		{PDV_DEADLINE_EXCEEDED, "OUTCOME_INDETERMINATE", EXITCODE_UNKNOWN_OUTCOME},
		{PDV_UNKNOWN, "OUTCOME_INDETERMINATE", EXITCODE_UNKNOWN_OUTCOME},
		{PDV_UNKNOWN, "", EXITCODE_FAILED},
		{PDV_ALREADY_EXISTS, "", EXITCODE_CONFLICT},
		{PDV_ABORTED, "", EXITCODE_CONFLICT},
		{PDV_INVALID_ARGUMENT, "MALFORMED_ID", EXITCODE_INVALID},
		{PDV_DATA_LOSS, "EPOCH_ROLLED_BACK", EXITCODE_FAILED},
		{PDV_INTERNAL, "", EXITCODE_FAILED},
		{(enum pdv_code)99, "", EXITCODE_FAILED},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(exitcode_of(cases[i].code, cases[i].reason), cases[i].exit);
}

static void
timeouts(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} cases[] = {{"10", 10000}, {"10s", 10000}, {"500ms", 500}, {"2m", 120000}, {"60m", 3600000},
	    {"1ms", 1}, {"61m", 0}, {"3601", 0}, {"0", 0}, {"-1", 0}, {"", 0}, {"s", 0}, {"1h", 0},
	    {"1.5s", 0}, {"99999999999999999999", 0}};
	uint32_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ms = 0;
		assert_int_equal(settings_timeout(cases[i].text, &ms), cases[i].ms != 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static const char *const variables[] = {"PDVAULT_SERVER", "PDVAULT_CA", "PDVAULT_CERT",
    "PDVAULT_KEY", "PDVAULT_CRL", "PDVAULT_SERVER_SPIFFE", "PDVAULT_TIMEOUT", "PDVAULT_PURPOSE"};

/* A home of our own, with this client.conf; NULL for none. */
static void
home_with(const char *conf, char home[static PATH_LEN])
{
	const char *tmp = getenv("TMPDIR");
	char path[2 * PATH_LEN];
	FILE *out;
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		(void)unsetenv(variables[i]);
	(void)snprintf(home, PATH_LEN, "%s/pdvault-home-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(home));
	assert_int_equal(setenv("HOME", home, 1), 0);
	(void)snprintf(path, sizeof(path), "%s/.config", home);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/.config/pdvault", home);
	assert_int_equal(mkdir(path, 0700), 0);
	if (conf == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s/.config/pdvault/client.conf", home);
	assert_non_null(out = fopen(path, "w"));
	assert_true(fputs(conf, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void
remove_home(const char *home)
{
	static const char *const parts[] = {"/.config/pdvault/client.conf", "/.config/pdvault",
	    "/.config", ""};
	char path[2 * PATH_LEN];
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", home, parts[i]);
		(void)remove(path);
	}
}

static void
settings_come_in_order(void **state)
{
	char home[PATH_LEN], path[2 * PATH_LEN];
	struct failure f = {0};
	struct settings s;
	struct args a;

	(void)state;
	home_with("server = tls+tcp://conf:1\nca = ca.pem\ncert = /abs/cert.pem\nkey = k.pem\n"
	    "timeout = 3s\n", home);
	(void)setenv("PDVAULT_SERVER", "tls+tcp://env:1, tls+tcp://env:2", 1);
	(void)setenv("PDVAULT_KEY", "env.key", 1);
	(void)parse("status --key flag.key", &a);
	assert_int_equal(settings_load(&a, &s, &f), PDV_OK);
	assert_int_equal(s.servers_n, 2);
	assert_string_equal(s.servers[0], "tls+tcp://env:1");
	assert_string_equal(s.servers[1], "tls+tcp://env:2");
	assert_string_equal(s.values[SETTINGS_KEY], "flag.key");
	(void)snprintf(path, sizeof(path), "%s/.config/pdvault/ca.pem", home);
	assert_string_equal(s.values[SETTINGS_CA], path);
	assert_string_equal(s.values[SETTINGS_CERT], "/abs/cert.pem");
	assert_int_equal(s.timeout_ms, 3000);
	assert_null(s.values[SETTINGS_CRL]);
	settings_free(&s);
	remove_home(home);
}

/* The settings of this file are refused with a text that ends so. */
static void
settings_refused(const char *conf, const char *end)
{
	char home[PATH_LEN];
	struct failure f = {0};
	struct settings s;
	struct args a;

	home_with(conf, home);
	(void)parse("status", &a);
	assert_int_not_equal(settings_load(&a, &s, &f), PDV_OK);
	assert_true(f.usage);
	assert_true(strlen(f.detail) >= strlen(end));
	assert_string_equal(f.detail + strlen(f.detail) - strlen(end), end);
	remove_home(home);
}

static void
wrong_settings(void **state)
{
	(void)state;
	settings_refused(NULL, "no server: give --server, set PDVAULT_SERVER, or write server = to "
	    "~/.config/pdvault/client.conf");
	settings_refused("server = u\nca = a\ncert = b\n", "no key: give --key, set PDVAULT_KEY, or "
	    "write key = to ~/.config/pdvault/client.conf");
	settings_refused("[client]\nsevrer = u\n",
	    "client.conf:2: unknown key \"sevrer\"; did you mean server?");
	settings_refused("[other]\n", "client.conf:1: unknown section \"other\"; did you mean client?");
	settings_refused("server = u\nserver = v\n", "client.conf:2: this key is there already");
	settings_refused("server = u\nca = a\ncert = b\nkey = k\ntimeout = soon\n",
	    "the timeout is a time from 1ms to 60m, as 10s");
	settings_refused("server = ,\nca = a\ncert = b\nkey = k\n", "the server's URL is missing");
}

static void
near_words(void **state)
{
	static const struct {
		const char *word, *candidate;
		bool near;
	} cases[] = {{"jsno", "json", true}, {"json", "json", true}, {"xy", "ab", false},
	    {"", "a", false}, {"emials", "emails", true}, {"subject", "status", false}};
	struct meant m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m = (struct meant)MEANT_START(cases[i].word);
		meant_offer(&m, cases[i].candidate);
		assert_int_equal(m.best != NULL, cases[i].near);
	}
	m = (struct meant)MEANT_START("fin");
	meant_offer(&m, "get");
	meant_offer(&m, "find");
	meant_offer(&m, "fine");
	assert_string_equal(m.best, "find");
}

/* The bar of something whose size is known, and of what has none; refusals only where there are any. */
static void
bar(void **state)
{
	struct progress_figures at = {.size = 200, .bytes = 50, .rows = 30, .ms = 2000};
	char line[128];

	(void)state;
	progress_line(line, sizeof(line), &at);
	assert_non_null(strstr(line, "]  25 %, 30 rows, 15/s, about 7 s left"));
	at.ms = 999;
	progress_line(line, sizeof(line), &at);
	assert_null(strstr(line, "left"));
	at.ms = 2000;
	at.refused = 2;
	at.bytes = 900;		/* it has grown meanwhile */
	progress_line(line, sizeof(line), &at);
	assert_non_null(strstr(line, "] 100 %, 30 rows, 2 refused, 15/s"));
	assert_null(strstr(line, "left"));
	at.size = 0;
	at.ms = 0;
	progress_line(line, sizeof(line), &at);
	assert_string_equal(line, "30 rows, 2 refused, 0/s");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bar),
		cmocka_unit_test(commands),
		cmocka_unit_test(wrong_commands),
		cmocka_unit_test(numbers),
		cmocka_unit_test(help_everywhere),
		cmocka_unit_test(tables_are_whole),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(settings_come_in_order),
		cmocka_unit_test(wrong_settings),
		cmocka_unit_test(near_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
