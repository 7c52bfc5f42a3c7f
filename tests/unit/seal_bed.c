#include "seal_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fault.h"
#include "scratch.h"

struct vault_bed seal_bed;
char seal_second[320];
uint8_t seal_person[16];

int
seal_setup(void **state)
{
	(void)state;
	vault_bed_make(&seal_bed, 1u << 26, 1u << 20);
	(void)snprintf(seal_second, sizeof(seal_second), "%s/second.key", seal_bed.dir);
	seal_bed.options.seal[1] =
	    (struct provider_options){ .name = "second", .kind = "file", .path = seal_second };
	seal_bed.options.seal_count = 2;
	scratch_log_begin();
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&seal_bed, 1, seal_person), STATUS_OK);
	return 0;
}

int
seal_teardown(void **state)
{
	(void)state;
	fault_none();
	free(scratch_log_end(NULL));
	if (seal_bed.vault != NULL)
		vault_bed_stop(&seal_bed);
	scratch_remove(seal_bed.dir);
	return 0;
}

struct seal_held
seal_hold(const char *path)
{
	struct seal_held h = { .fd = open(path, O_RDONLY | O_CLOEXEC) };

	assert_true(h.fd >= 0);
	assert_int_equal(read(h.fd, h.line, SEAL_LINE), SEAL_LINE);
	return h;
}

/* The end of the line is the key. */
bool
seal_is_destroyed(struct seal_held *h)
{
	char now[SEAL_LINE] = { 0 };
	bool is;

	assert_true(pread(h->fd, now, SEAL_LINE, 0) >= 0);
	is = memmem(now, SEAL_LINE, h->line + 50, 16) == NULL &&
	    memmem(now, SEAL_LINE, h->line + 80, 16) == NULL;
	(void)close(h->fd);
	return is;
}

bool
seal_is_there(const char *path, const char *suffix)
{
	char name[340];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

void
seal_run(enum job_kind kind, const char *name, struct job *j)
{
	struct rotate *r;

	*j = (struct job){ .kind = kind };
	(void)snprintf(j->seal, sizeof(j->seal), "%s", name);
	assert_int_equal(rotate_bed_ask(&seal_bed, j, j), STATUS_OK);
	r = rotate_bed_runner(&seal_bed, 0);
	rotate_bed_wait(&seal_bed, j);
	assert_true(rotate_stop(r, 30000));
}

void
seal_opens_alone(const char *path, const char *other)
{
	char away[340];
	bool has = other != NULL && seal_is_there(other, "");

	if (has) {
		(void)snprintf(away, sizeof(away), "%s.away", other);
		assert_int_equal(rename(other, away), 0);
	}
	assert_true(seal_is_there(path, ""));
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&seal_bed, seal_person), STATUS_OK);
	vault_bed_stop(&seal_bed);
	if (has)
		assert_int_equal(rename(away, other), 0);
}
