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

#include "server/config.h"

#define BEFORE "[vault]\npath = store\n"
#define AFTER                                                         \
	"[anchor]\npath = /a/anchor\n"                                \
	"[seal file]\npath = key\n"                                   \
	"[listen]\nurls = tls+tcp://127.0.0.1:0\n"                    \
	"[tls]\nca = ca.pem\ncert = cert.pem\nkey = key.pem\n"        \
	"[principal shop]\nspiffe = spiffe://example.org/shop\n"      \
	"methods = Vault.GetIdentity, Vault.FindSubject\tRights.*\n"
#define AFTER_LINES 13u
#define PRINCIPAL(name, id) "[principal " name "]\nspiffe = spiffe://example.org/" id "\nmethods = *\n"

static enum status
parse(const char *text, struct config **c, struct ini_faults *f)
{
	memset(f, 0, sizeof(*f));
	*c = NULL;
	return config_parse(bytes_of(text, strlen(text)), "/etc/v", c, f);
}

static void
takes(const char *text, void (*look)(const struct config *))
{
	struct config *c;
	struct ini_faults f;
	enum status rc = parse(text, &c, &f);

	if (rc != STATUS_OK)
		fail_msg("line %u: %s", f.row[0].line, f.row[0].text);
	look(c);
	config_free(c);
}

static void
faults(const char *text, unsigned line, const char *part)
{
	struct config *c;
	struct ini_faults f;

	assert_int_equal(parse(text, &c, &f), STATUS_CONFIG);
	assert_null(c);
	assert_int_equal(f.count, 1);
	if (strstr(f.row[0].text, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", f.row[0].text, part);
	assert_int_equal(f.row[0].line, line);
}

static void
look_least(const struct config *c)
{
	assert_string_equal(c->vault_path, "/etc/v/store");
	assert_string_equal(c->anchor_path, "/a/anchor");
	assert_int_equal(c->seal_count, 1);
	assert_string_equal(c->seals[0].name, "file");
	assert_string_equal(c->seals[0].kind, "");
	assert_string_equal(c->seals[0].path, "/etc/v/key");
	assert_string_equal(c->seals[0].secret, "");
	assert_string_equal(c->tls_key, "/etc/v/key.pem");
	assert_string_equal(c->tls_crl, "");
	assert_int_equal(c->country_code, 0);
	assert_int_equal(c->vault_number, 1);
	assert_true(c->map_bytes == (uint64_t)64 << 30);
	assert_int_equal(c->reserve_bytes, 16 << 20);
	assert_int_equal(c->secret_bytes, 4 << 20);
	assert_int_equal(c->urls.count, 1);
	assert_int_equal(c->contexts, 256);
	assert_int_equal(c->idle_timeout_ms, 600000);
	assert_int_equal(c->send_timeout_ms, 1500);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_false(c->metrics.off);
	assert_string_equal(c->metrics.host, "127.0.0.1");
	assert_int_equal(c->metrics.port, 9464);
	assert_int_equal(c->principal_count, 1);
	assert_string_equal(c->principals[0].name, "shop");
	assert_string_equal(c->principals[0].spiffe, "spiffe://example.org/shop");
	assert_int_equal(c->principals[0].methods.count, 3);
	assert_string_equal(c->principals[0].methods.word[1], "Vault.FindSubject");
	assert_string_equal(c->principals[0].methods.word[2], "Rights.*");
}

static void
look_all(const struct config *c)
{
	assert_int_equal(c->vault_number, 65535);
	assert_int_equal(c->country_code, 49);
	assert_true(c->map_bytes == (uint64_t)1 << 40);
	assert_int_equal(c->reserve_bytes, 1 << 20);
	assert_int_equal(c->urls.count, 2);
	assert_string_equal(c->urls.word[1], "tls+tcp://[::1]:8201");
	assert_int_equal(c->max_timeout_ms, 3600000);
	assert_int_equal(c->default_timeout_ms, 120000);
	assert_true(c->metrics.off);
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_string_equal(c->tls_crl, "/etc/v/crl.pem");
	assert_int_equal(c->principal_count, 2);
}

static void
presets(void **state)
{
	(void)state;
	takes(BEFORE AFTER, look_least);
}

static void
everything(void **state)
{
	(void)state;
	takes("[vault]\npath = /v\nnumber = 65535\ndefault_country_code = 49\nmap_size = 1T\n"
	    "reserve = 1024K\n[anchor]\npath = a\n[seal file]\npath = k\n"
	    "[listen]\nurls = tls+tcp://127.0.0.1:8200 tls+tcp://[::1]:8201\n"
	    "[tls]\nca = a\ncert = b\nkey = c\ncrl = crl.pem\n"
	    "[limits]\nmax_timeout = 1h\ndefault_timeout = 2m\n[metrics]\naddress = off\n"
	    "[log]\nlevel = debug\n" PRINCIPAL("a", "a") PRINCIPAL("b-1", "b"), look_all);
}

static void
look_v6(const struct config *c)
{
	assert_string_equal(c->metrics.host, "::1");
	assert_int_equal(c->metrics.port, 0);
}

static void
addresses(void **state)
{
	(void)state;
	takes(BEFORE AFTER "[metrics]\naddress = [::1]:0\n", look_v6);
#define M AFTER_LINES + 4
	faults(BEFORE AFTER "[metrics]\naddress = 0.0.0.0:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = 10.0.0.1:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = [::]:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = ::1:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = [127.0.0.1]:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = localhost:1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = 127.0.0.1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = :1\n", M, "loopback");
	faults(BEFORE AFTER "[metrics]\naddress = 127.0.0.1:\n", M, "port");
	faults(BEFORE AFTER "[metrics]\naddress = 127.0.0.1:65536\n", M, "port");
	faults(BEFORE AFTER "[metrics]\naddress = 127.0.0.1:1x\n", M, "port");
#undef M
}

static void
names_the_nearest(void **state)
{
	(void)state;
	faults(BEFORE "resreve = 16M\n" AFTER, 3, "unknown key resreve in [vault]; did you mean reserve?");
	faults(BEFORE "zzz = 16M\n" AFTER, 3, "unknown key zzz in [vault]");
	faults(BEFORE AFTER "[limit]\n", AFTER_LINES + 3, "unknown section [limit]; did you mean "
	    "limits?");
	faults(BEFORE AFTER "method = x\n", AFTER_LINES + 3, "unknown key method in [principal shop]; "
	    "did you mean methods?");
}

static void
refuses_values(void **state)
{
	(void)state;
	faults(BEFORE "number = 0\n" AFTER, 3, "1 to 65535");
	faults(BEFORE "number = 65536\n" AFTER, 3, "1 to 65535");
	faults(BEFORE "number = -1\n" AFTER, 3, "a number");
	faults(BEFORE "number = 1x\n" AFTER, 3, "a number");
	faults(BEFORE "number =\n" AFTER, 3, "a number");
	faults(BEFORE "number = 9999999999999999999\n" AFTER, 3, "a number");
	faults(BEFORE "map_size = 1P\n" AFTER, 3, "bytes");
	faults(BEFORE "map_size = 999999999999999999T\n" AFTER, 3, "to");
	faults(BEFORE "map_size = 16777217T\n" AFTER, 3, "to");	/* 1T modulo 2^64 */
	faults(BEFORE "default_country_code = +49\n" AFTER, 3, "a number");
	faults(BEFORE "default_country_code = 4949\n" AFTER, 3, "0 to 999");
	faults(BEFORE "reserve = 2G\nmap_size = 1G\n" AFTER, 0, "quarter");
	faults(BEFORE AFTER "[limits]\nidle_timeout = 600\n", AFTER_LINES + 4, "a time");
	faults(BEFORE AFTER "[limits]\ndefault_timeout = 2m\n", 0, "above max_timeout");
	faults(BEFORE AFTER "[log]\nlevel = loud\n", AFTER_LINES + 4, "debug, info");
	faults("[vault]\npath =\n" AFTER, 2, "a path");
}

static void
refuses_wholes(void **state)
{
	(void)state;
	faults(AFTER, 0, "[vault] lacks the key path");
	faults(BEFORE BEFORE AFTER, 3, "given above");
	faults(BEFORE AFTER PRINCIPAL("b", "shop"), AFTER_LINES + 3, "SPIFFE id");
	faults(BEFORE AFTER PRINCIPAL("B", "b"), AFTER_LINES + 3, "a-z");
	faults(BEFORE AFTER PRINCIPAL("", "b"), AFTER_LINES + 3, "a-z");
	faults(BEFORE AFTER "[principal b]\nmethods = *\n", AFTER_LINES + 3, "lacks the key spiffe");
	faults(BEFORE AFTER "[principal b]\nspiffe = spiffe://example.org/b\n", AFTER_LINES + 3,
	    "lacks the key methods");
	faults(BEFORE AFTER "[principal b]\nspiffe = spiffe://example.org/b\nmethods = ,\n",
	    AFTER_LINES + 5, "at least one");
	faults(BEFORE AFTER "[principal b]\nspiffe = http://example.org/b\nmethods = *\n",
	    AFTER_LINES + 4, "spiffe://");
}

static void
refuses_urls(void **state)
{
	(void)state;
	faults(BEFORE "[anchor]\npath = a\n[seal file]\npath = k\n[listen]\nurls = tcp://127.0.0.1:1\n"
	    "[tls]\nca = a\ncert = b\nkey = c\n" PRINCIPAL("a", "a"), 8, "tls+tcp://");
	faults(BEFORE "[anchor]\npath = a\n[seal file]\npath = k\n[listen]\nurls = ipc:///x\n"
	    "[tls]\nca = a\ncert = b\nkey = c\n" PRINCIPAL("a", "a"), 8, "tls+tcp://");
	faults(BEFORE "[anchor]\npath = a\n[seal file]\npath = k\n"
	    "[tls]\nca = a\ncert = b\nkey = c\n" PRINCIPAL("a", "a"), 0, "[listen] lacks the key urls");
}

#define COPIES(list) BEFORE "[anchor]\npath = a\ncopies = " list "\n[seal file]\npath = k\n[listen]\n" \
	"urls = tls+tcp://127.0.0.1:1\n[tls]\nca = a\ncert = b\nkey = c\n" PRINCIPAL("a", "a")

static void
look_copies(const struct config *c)
{
	assert_int_equal(c->anchor_copies.count, 3);
	assert_string_equal(c->anchor_copies.word[0], "/b/anchor");
	assert_string_equal(c->anchor_copies.word[1], "/etc/v/c d");
	assert_string_equal(c->anchor_copies.word[2], "/etc/v/e");
}

static void
look_no_copies(const struct config *c)
{
	assert_int_equal(c->anchor_copies.count, 0);
}

static void
lists_copies(void **state)
{
	char text[4096], name[CONFIG_PATH_MAX + 2];

	(void)state;
	takes(BEFORE AFTER, look_no_copies);
	takes(COPIES("/b/anchor , c d,\te"), look_copies);
	faults(COPIES("b, c, d, e"), 5, "at most 3 paths");
	faults(COPIES("b,, c"), 5, "both sides of a comma");
	faults(COPIES("b,"), 5, "both sides of a comma");
	faults(COPIES(", b"), 5, "both sides of a comma");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text), COPIES("b, %s"), name);
	faults(text, 5, "a path of at most");
}

/* CONFIG_PATH_MAX counts the NUL: "/etc/v/" and the rest. */
static void
bounds_paths(void **state)
{
	char text[4096], name[CONFIG_PATH_MAX + 2];
	struct config *c;
	struct ini_faults f;
	size_t len = CONFIG_PATH_MAX - 1 - strlen("/etc/v/"), d;

	(void)state;
	memset(name, 'p', sizeof(name));
	for (d = 0; d < 3; d++) {
		(void)snprintf(text, sizeof(text), "[vault]\npath = %.*s\n%s", (int)(len - 1 + d), name,
		    AFTER);
		assert_int_equal(parse(text, &c, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
		config_free(c);
	}
}

static size_t
many_principals(char *text, size_t cap, unsigned count)
{
	size_t n = (size_t)snprintf(text, cap, "%s%s", BEFORE, AFTER);
	unsigned i;

	for (i = 1; i < count; i++)
		n += (size_t)snprintf(text + n, cap - n,
		    "[principal p%u]\nspiffe = spiffe://e.org/%u\nmethods = *\n", i, i);
	return n;
}

static void
bounds_principals(void **state)
{
	static char text[64 * 1024];
	struct config *c;
	struct ini_faults f;
	unsigned d;

	(void)state;
	for (d = 0; d < 3; d++) {
		(void)many_principals(text, sizeof(text), CONFIG_PRINCIPALS_MAX - 1 + d);
		assert_int_equal(parse(text, &c, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
		config_free(c);
	}
}

static void
bounds_words(void **state)
{
	char text[4096];
	struct config *c;
	struct ini_faults f;
	size_t n;
	unsigned d, i;

	(void)state;
	for (d = 0; d < 3; d++) {
		n = (size_t)snprintf(text, sizeof(text), "%s%s", BEFORE AFTER,
		    "[principal p]\nspiffe = spiffe://e.org/p\nmethods =");
		for (i = 0; i < CONFIG_WORDS_MAX - 1 + d; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " m%u", i);
		assert_int_equal(parse(text, &c, &f), d < 2 ? STATUS_OK : STATUS_CONFIG);
		config_free(c);
	}
}

static void
reads_a_file(void **state)
{
	char folder[] = "/tmp/pdv-config-XXXXXX", path[64], store[64];
	struct config *c = NULL;
	struct ini_faults f = { 0 };
	FILE *to;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/c", folder);
	(void)snprintf(store, sizeof(store), "%s/store", folder);
	to = fopen(path, "w");
	assert_non_null(to);
	assert_true(fputs(BEFORE AFTER, to) >= 0);
	assert_int_equal(fclose(to), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(config_read(path, &c, &f), STATUS_OK);
	assert_string_equal(c->vault_path, store);
	config_free(c);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_read(path, &c, &f), STATUS_CONFIG);
	assert_int_equal(rmdir(folder), 0);
}

static void
helps(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	assert_non_null(to);
	config_help(to);
	assert_int_equal(fclose(to), 0);
	assert_non_null(strstr(text, "| [vault] | path | a path | (must be given) |"));
	assert_non_null(strstr(text,
	    "| [limits] | idle_timeout | a time, as 500ms, 10s, 5m, 1h, 30d; 1s to 1d | 10m |"));
	assert_non_null(strstr(text,
	    "| [limits] | send_timeout | a time, as 500ms, 10s, 5m, 1h, 30d; 10ms to 1m |"));
	assert_non_null(strstr(text,
	    "| [vault] | map_size | bytes, as 4096, 64K, 4M, 1G; 16M to 16T | 64G |"));
	assert_non_null(strstr(text, "| [vault] | default_country_code | a number; 0 to 999 | 0 |"));
	assert_non_null(strstr(text, "| [anchor] | copies | paths with commas between them, at most 3 |"));
	assert_non_null(strstr(text, "| [principal NAME] | spiffe |"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets), cmocka_unit_test(everything), cmocka_unit_test(addresses),
		cmocka_unit_test(names_the_nearest), cmocka_unit_test(refuses_values),
		cmocka_unit_test(refuses_wholes), cmocka_unit_test(refuses_urls),
		cmocka_unit_test(lists_copies),
		cmocka_unit_test(bounds_paths), cmocka_unit_test(bounds_principals),
		cmocka_unit_test(bounds_words), cmocka_unit_test(reads_a_file), cmocka_unit_test(helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
