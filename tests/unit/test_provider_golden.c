/* What seals keep: tests/vectors/provider.txt was made by other code from docs/FORMAT.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "provider_bed.h"
#include "scratch.h"
#include "server/keys/secret.h"

#define CONTENT_MAX 256u

static char text[8192];

static int
load(void **state)
{
	size_t n = strlen(__FILE__) - strlen("unit/test_provider_golden.c");
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%.*s/vectors/provider.txt", (int)n, __FILE__);
	assert_non_null(f = fopen(path, "re"));
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	return provider_begin(state);
}

/* The word behind ${skip} others of the line that begins with ${name}, as bytes of hexadecimal. */
static size_t
word(const char *name, unsigned skip, uint8_t *out, size_t cap)
{
	char line[64];
	const char *at;
	size_t len = 0;

	(void)snprintf(line, sizeof(line), "\n%s ", name);
	assert_non_null(at = strstr(text, line));
	for (at += strlen(line); skip > 0; skip--)
		at = strchr(at, ' ') + 1;
	assert_int_equal(sodium_hex2bin(out, cap, at, strcspn(at, " \n"), NULL, &len, NULL), 0);
	return len;
}

/* The content stands in a file of that name; a provider of it gives that id and that key. */
static void
gives(const char *name, struct provider_options o)
{
	const char *path = scratch_path(provider_folder, name);
	struct provider_kek want, got[PROVIDER_VERSIONS_MAX];
	uint8_t content[CONTENT_MAX];
	size_t len = word(name, 0, content, sizeof(content));
	struct provider *p;

	scratch_write(path, content, len);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(word(name, 1, want.id, sizeof(want.id)), PROVIDER_ID_LEN);
	assert_int_equal(word(name, 2, want.key.b, SEAL_KEY_LEN), SEAL_KEY_LEN);
	o.name = name;
	o.path = path;
	p = provider_made(&o);
	if (strcmp(o.kind, "passphrase") == 0) {
		len = word("passphrase", 0, content, sizeof(content));
		assert_int_equal(provider_set_secret(p, bytes_of(content, len)), STATUS_OK);
	}
	assert_int_equal(provider_versions(p, got), 1);
	assert_true(provider_same(&got[0], &want));
	provider_free(p);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(secret_used(), 0);
}

static void
golden_vectors(void **state)
{
	(void)state;
	gives("file", (struct provider_options){ .kind = "file" });
	gives("words", (struct provider_options){ .kind = "passphrase", .secret = "ask" });
	gives("credential32", (struct provider_options){ .kind = "credential" });
	gives("credential100", (struct provider_options){ .kind = "credential" });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors),
	};

	return cmocka_run_group_tests(tests, load, provider_end);
}
