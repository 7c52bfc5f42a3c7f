#include "provider_bed.h"

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

#include "remains.h"
#include "scratch.h"
#include "server/keys/provider.h"
#include "server/keys/secret.h"

char provider_folder[256];

int
provider_begin(void **state)
{
	(void)state;
	scratch_make(provider_folder);
	return seal_init() == STATUS_OK && secret_init(SECRET_DEFAULT) == STATUS_OK ? 0 : -1;
}

int
provider_end(void **state)
{
	(void)state;
	secret_end();
	scratch_remove(provider_folder);
	return 0;
}

struct provider *
provider_made(const struct provider_options *o)
{
	struct provider *p = NULL;
	const char *why = NULL;

	assert_int_equal(provider_new(o, &p, &why), STATUS_OK);
	return p;
}

unsigned
provider_versions(struct provider *p, struct provider_kek out[static PROVIDER_VERSIONS_MAX])
{
	unsigned n = 0;

	assert_int_equal(provider_open(p, out, &n), STATUS_OK);
	return n;
}

bool
provider_same(const struct provider_kek *a, const struct provider_kek *b)
{
	return memcmp(a->id, b->id, sizeof(a->id)) == 0 && seal_key_equal(&a->key, &b->key);
}

/*
 * A version after the other. After each step a process may end; what is there then is opened, and
 * the one that counts is kept.
 */
void
provider_lives(struct provider *p, const char *path)
{
	struct provider_kek first, second, opened[PROVIDER_VERSIONS_MAX];
	char next[300], kept[4096];
	ssize_t len;
	int fd;

	(void)snprintf(next, sizeof(next), "%s.next", path);
	assert_int_equal(provider_create(p, &first), STATUS_OK);
	assert_int_equal(provider_renew(p, &second), STATUS_OK);
	assert_false(provider_same(&first, &second));
	assert_true(memcmp(first.id, second.id, sizeof(first.id)) != 0);
	assert_int_equal(provider_versions(p, opened), 2);
	assert_true(provider_same(&opened[0], &first) && provider_same(&opened[1], &second));
	/* The switch was not decided: the new one goes. */
	assert_int_equal(provider_keep(p, first.id), STATUS_OK);
	assert_int_equal(access(next, F_OK), -1);
	assert_int_equal(provider_versions(p, opened), 1);
	assert_true(provider_same(&opened[0], &first));
	/* It was: the old one goes, by being overwritten. */
	assert_int_equal(provider_renew(p, &second), STATUS_OK);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = read(fd, kept, sizeof(kept));
	assert_int_equal(provider_keep(p, second.id), STATUS_OK);
	assert_true(len > 0 && pread(fd, kept + len, (size_t)len, 0) == len);
	assert_memory_not_equal(kept, kept + len, (size_t)len);
	(void)close(fd);
	assert_int_equal(provider_versions(p, opened), 1);
	assert_true(provider_same(&opened[0], &second));
	/* Cut off where the old one is overwritten, and where it has no name any more. */
	assert_int_equal(provider_renew(p, &first), STATUS_OK);
	scratch_write(path, "overwritten", 11);
	scratch_log_begin();
	assert_int_equal(provider_versions(p, opened), 1);
	free(scratch_log_end(NULL));
	assert_true(provider_same(&opened[0], &first));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(provider_versions(p, opened), 1);
	assert_true(provider_same(&opened[0], &first));
	for (int i = 0; i < 2; i++)
		assert_int_equal(provider_keep(p, first.id), STATUS_OK);
	assert_int_equal(provider_versions(p, opened), 1);
	assert_true(provider_same(&opened[0], &first));
	/* Another one than is there: nothing is destroyed. */
	assert_int_equal(provider_renew(p, &second), STATUS_OK);
	scratch_log_begin();
	assert_int_equal(provider_keep(p, (const uint8_t *)"0123456789abcdef"), STATUS_CONFIG);
	free(scratch_log_end(NULL));
	assert_int_equal(provider_versions(p, opened), 2);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	assert_true(access(path, F_OK) != 0 && access(next, F_OK) != 0);
	assert_false(provider_same(&first, &second));
}

/* Refused, with ${why} and its path in the log, and none of the key. */
void
provider_refuses(struct provider *p, const char *why, const char *secret)
{
	struct provider_kek out[PROVIDER_VERSIONS_MAX];
	size_t used = secret_used();
	unsigned n = 0;
	enum status rc;
	char *text;

	scratch_log_begin();
	rc = provider_open(p, out, &n);
	text = scratch_log_end(NULL);
	assert_int_equal(rc, STATUS_CONFIG);
	assert_int_equal(n, 0);
	assert_non_null(strstr(text, "\"event\":\"seal\""));
	assert_non_null(strstr(text, provider_name(p)));
	if (strstr(text, why) == NULL)
		fail_msg("%s not in %s", why, text);
	if (secret != NULL)
		assert_null(strstr(text, secret));
	free(text);
	assert_int_equal(secret_used(), used);
}

size_t
provider_read(const char *name, uint8_t out[static PROVIDER_FILE_MAX])
{
	int fd = open(scratch_path(provider_folder, name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, PROVIDER_FILE_MAX);

	assert_true(fd >= 0 && n >= 0);
	(void)close(fd);
	return (size_t)n;
}

void
provider_write(const char *name, const void *bytes, size_t len)
{
	scratch_write(scratch_path(provider_folder, name), bytes, len);
}

void
provider_copy(const char *from, const char *to)
{
	uint8_t b[PROVIDER_FILE_MAX];
	size_t n = provider_read(from, b);

	provider_write(to, b, n);
}

bool
provider_stands(const char *name)
{
	return access(scratch_path(provider_folder, name), F_OK) == 0;
}

void
provider_opens(struct provider *p, const struct provider_kek *want, unsigned n)
{
	struct provider_kek *out = secret_alloc(PROVIDER_VERSIONS_MAX * sizeof(*out));
	unsigned count = 99;

	assert_non_null(out);
	assert_int_equal(provider_open(p, out, &count), STATUS_OK);
	assert_int_equal(count, n);
	for (unsigned i = 0; i < n; i++)
		assert_true(provider_same(&out[i], &want[i]));
	secret_free(out, PROVIDER_VERSIONS_MAX * sizeof(*out));
}

void
provider_logged(const char *why, const char *secret)
{
	char *text = scratch_log_end(NULL);

	if (strstr(text, why) == NULL)
		fail_msg("%s not in %s", why, text);
	assert_true(secret == NULL || strstr(text, secret) == NULL);
	free(text);
}

void
provider_closed(struct provider *p, enum status want, const char *why, const char *secret)
{
	struct provider_kek *out = secret_alloc(PROVIDER_VERSIONS_MAX * sizeof(*out));
	unsigned count = 99;

	assert_non_null(out);
	scratch_log_begin();
	assert_int_equal(provider_open(p, out, &count), want);
	provider_logged(why, secret);
	secret_free(out, PROVIDER_VERSIONS_MAX * sizeof(*out));
}

void
provider_destroy(struct provider *p)
{
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_free(p);
}

void
provider_notices_damage(struct provider *p, const char *name, size_t len)
{
	uint8_t file[PROVIDER_FILE_MAX], bad[PROVIDER_FILE_MAX] = { 0 };
	struct provider_kek v;
	size_t i;

	assert_int_equal(provider_create(p, &v), STATUS_OK);
	len = len == 0 ? provider_read(name, file) : len;
	assert_int_equal(provider_read(name, file), len);
	for (i = 0; i < len; i++) {
		memcpy(bad, file, len);
		bad[i] ^= (uint8_t)(1u << i % 8);
		provider_write(name, bad, len);
		provider_closed(p, STATUS_CONFIG, "damaged", NULL);
	}
	memcpy(bad, file, len);
	for (i = 0; i <= PROVIDER_FILE_MAX; i++) {
		if (i == len)
			continue;
		provider_write(name, bad, i);
		provider_closed(p, STATUS_CONFIG, name, NULL);
	}
	provider_write(name, file, len);
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

void
provider_leaves_nothing(struct provider *p)
{
	struct provider_kek *v = secret_alloc(PROVIDER_VERSIONS_MAX * sizeof(*v));
	uint8_t made[REMAINS_LEN], next[REMAINS_LEN], id[PROVIDER_ID_LEN];
	unsigned n = 0;

	assert_non_null(v);
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	memcpy(id, v[1].id, sizeof(id));
	/* It is found where it is. */
	remains_hide(v[0].key.b, made);
	remains_hide(v[1].key.b, next);
	assert_int_equal(remains_of(made), 0);
	assert_int_equal(remains_of(next), 0);
	assert_int_equal(provider_open(p, v, &n), STATUS_OK);
	assert_int_equal(n, 2);
	assert_true(remains_of(made) == 2 && remains_of(next) == 2);
	secret_free(v, PROVIDER_VERSIONS_MAX * sizeof(*v));
	assert_int_equal(provider_keep(p, id), STATUS_OK);
	assert_int_equal(remains_of(made), 0);
	assert_int_equal(remains_of(next), 0);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
}
