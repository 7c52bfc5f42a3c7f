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
#include <unistd.h>

#include "anchors.h"
#include "server/keys/anchor_internal.h"

struct vault_bed anchors_bed;
char anchors_name[ANCHORS][320];

int
anchors_setup(void **state)
{
	(void)state;
	vault_bed_make(&anchors_bed, 1u << 30, 1u << 20);
	(void)snprintf(anchors_name[0], sizeof(anchors_name[0]), "%s", anchors_bed.anchor);
	for (size_t i = 1; i < ANCHORS; i++)
		(void)snprintf(anchors_name[i], sizeof(anchors_name[i]), "%s/copy%zu", anchors_bed.dir, i);
	return 0;
}

int
anchors_teardown(void **state)
{
	(void)state;
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	vault_bed_free(&anchors_bed);
	return 0;
}

void
anchors_use(size_t first, size_t count)
{
	anchors_bed.options.anchor.count = count;
	for (size_t i = 0; i < count; i++)
		anchors_bed.options.anchor.path[i] = anchors_name[first + i];
}

void
anchors_three(void)
{
	for (size_t i = 1; i < ANCHORS; i++)
		assert_int_equal(anchor_create(anchors_name[i]), STATUS_OK);
	anchors_use(0, ANCHORS);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

void
anchors_image(const char *path, uint8_t out[static ANCHOR_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, out, ANCHOR_LEN), ANCHOR_LEN);
	(void)close(fd);
}

void
anchors_put(const char *path, const uint8_t bytes[static ANCHOR_LEN])
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, ANCHOR_LEN, 0), ANCHOR_LEN);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

void
anchors_noise(const char *path)
{
	uint8_t bytes[ANCHOR_LEN];

	randombytes_buf(bytes, sizeof(bytes));
	anchors_put(path, bytes);
}

void
anchors_slots(const char *path, uint64_t epoch[static 2])
{
	static uint8_t bytes[ANCHOR_LEN];
	uint8_t digest[SEAL_DIGEST_LEN], id[VAULT_ID_LEN] = { 0 };
	struct anchor_slot s;

	anchors_image(path, bytes);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(id, bytes + i * ANCHOR_SLOT_LEN + 16, sizeof(id));
		anchor_slot_decode(bytes + i * ANCHOR_SLOT_LEN, id, i, &s, digest);
		epoch[i] = s.valid ? s.epoch : 0;
	}
}

void
anchors_assert_only(const char *path, uint64_t epoch)
{
	uint64_t found[2];

	anchors_slots(path, found);
	assert_int_equal(found[epoch % 2], epoch);
	assert_int_equal(found[(epoch + 1) % 2], 0);
}
