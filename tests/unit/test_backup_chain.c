/* Manifests, and a full backup with two since it, read as one: against the rows in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup_bed.h"
#include "client/backup/chain.h"
#include "client/backup/chunk.h"
#include "client/backup/file.h"
#include "client/backup/message.h"
#include "scratch.h"

enum { LAYERS = 3, PATH = 512 };

/* A vault as it was when each backup was made. */
static struct backup_bed_vault vaults[LAYERS];
static struct backup_bed_plan plans[LAYERS];
static char folder[256], paths[LAYERS][PATH];
static const char *const all[LAYERS] = {paths[0], paths[1], paths[2]};
static struct backup_fault fault;

static void
make(size_t changes, size_t each)
{
	size_t i;

	scratch_make(folder);
	memset(vaults, 0, sizeof(vaults));
	for (i = 0; i < LAYERS; i++) {
		if (i > 0)
			vaults[i] = vaults[i - 1];
		backup_bed_change(&vaults[i], i == 0 ? 10 * changes : changes);
		(void)snprintf(paths[i], PATH, "%s/%zu", folder, i);
		backup_bed_plan(&plans[i], paths[i], &vaults[i]);
		if (i > 0) {
			plans[i].before = &plans[i - 1];
			plans[i].base = &vaults[i - 1];
		}
		backup_bed_write(&plans[i], each);
	}
}

static void
unmake(void)
{
	size_t i;

	for (i = 0; i < LAYERS; i++)
		backup_bed_free(&plans[i]);
	scratch_remove(folder);
}

static int
begin(void **state)
{
	(void)state;
	make(8, 5);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	unmake();
	return 0;
}

/* Open and verify. */
static enum backup_result
verify(const char *const *path, size_t count)
{
	struct backup_chain *c = NULL;
	enum backup_result r;

	fault.text[0] = '\0';
	if ((r = backup_chain_open(path, count, &c, &fault)) == BACKUP_OK)
		r = backup_chain_verify(c, NULL, NULL, &fault);
	backup_chain_close(c);
	assert_true((r == BACKUP_OK) == (fault.text[0] == '\0'));
	return r;
}

static void
is_row(const struct backup_row *got, const struct backup_bed_row *want)
{
	assert_false(got->gone);
	assert_int_equal(got->key_len, want->key_len);
	assert_memory_equal(got->key, want->key, want->key_len);
	assert_int_equal(got->value_len, want->value_len);
	assert_memory_equal(got->value, want->value, want->value_len);
}

/* From where it stands, up to ${most} rows. */
static void
follow(struct backup_cursor *k, const struct backup_bed_table *t, size_t at, size_t most)
{
	struct backup_row row;
	bool over = false;

	for (; most > 0; most--, at++) {
		assert_int_equal(backup_cursor_next(k, &row, &over, &fault), BACKUP_OK);
		assert_true(over == (at >= t->n));
		if (over)
			return;
		is_row(&row, &t->rows[at]);
	}
}

static void
jump(struct backup_cursor *k, const struct backup_bed_table *t)
{
	uint8_t key[BACKUP_BED_KEY];
	size_t len = 1 + backup_bed_below(BACKUP_BED_KEY), i;

	for (i = 0; i < len; i++)
		key[i] = (uint8_t)backup_bed_below(256);
	if (t->n > 0 && backup_bed_below(2) == 0) {
		const struct backup_bed_row *r = &t->rows[backup_bed_below(t->n)];

		memcpy(key, r->key, len = r->key_len);
	}
	assert_int_equal(backup_cursor_seek(k, key, len, &fault), BACKUP_OK);
	follow(k, t, backup_bed_find(t, key, len), backup_bed_below(8));
}

/* Forward by small steps, as a restore goes. */
static void
walk(struct backup_cursor *k, const struct backup_bed_table *t)
{
	uint8_t key[2];
	unsigned n;

	for (n = 0; n < 0x10000; n += 1 + (unsigned)backup_bed_below(997)) {
		key[0] = (uint8_t)(n >> 8);
		key[1] = (uint8_t)n;
		assert_int_equal(backup_cursor_seek(k, key, 2, &fault), BACKUP_OK);
		follow(k, t, backup_bed_find(t, key, 2), backup_bed_below(3));
	}
}

static void
check_chain(size_t count)
{
	const struct backup_bed_vault *v = &vaults[count - 1];
	struct backup_chain *c = NULL;
	struct backup_cursor *k = NULL;
	size_t t, i;

	assert_int_equal(backup_chain_open(all, count, &c, &fault), BACKUP_OK);
	assert_memory_equal(backup_chain_head(c)->backup.data, plans[count - 1].id, BACKUP_ID_LEN);
	for (t = 0; t < BACKUP_BED_TABLES; t++) {
		assert_int_equal(backup_chain_rows(c, backup_bed_names[t]), v->tables[t].n);
		assert_int_equal(backup_cursor_new(c, backup_bed_names[t], &k, &fault), BACKUP_OK);
		follow(k, &v->tables[t], 0, SIZE_MAX);
		for (i = 0; i < 200; i++)
			jump(k, &v->tables[t]);
		walk(k, &v->tables[t]);
		backup_cursor_free(k);
	}
	assert_int_equal(backup_chain_rows(c, "nodes"), 0);
	assert_int_equal(backup_cursor_new(c, "nodes", &k, &fault), BACKUP_OK);
	follow(k, &(const struct backup_bed_table){ .n = 0 }, 0, 1);
	backup_cursor_free(k);
	backup_chain_close(c);
	assert_int_equal(verify(all, count), BACKUP_OK);
}

static void
model(void **state)
{
	size_t i, count;

	(void)state;
	for (i = 0; i < 20; i++) {
		make(backup_bed_below(30), 1 + backup_bed_below(30));
		for (count = 1; count <= LAYERS; count++)
			check_chain(count);
		unmake();
	}
}

static void
saw(void *arg, uint64_t done, uint64_t of)
{
	uint64_t *seen = arg;

	assert_true(done > seen[0] && done <= of);
	seen[0] = done;
	seen[1] = of;
}

static void
progress(void **state)
{
	struct backup_chain *c = NULL;
	uint64_t seen[2] = {0, 1};

	(void)state;
	assert_int_equal(backup_chain_open(all, LAYERS, &c, &fault), BACKUP_OK);
	assert_int_equal(backup_chain_verify(c, saw, seen, &fault), BACKUP_OK);
	assert_true(seen[0] == seen[1]);
	backup_chain_close(c);
}

/* The first chunk of a layer: its number and path. */
static uint32_t
chunk_of(size_t layer, size_t skip, char path[static PATH])
{
	char name[BACKUP_CHUNK_NAME];
	size_t i = 0;

	for (;; i++) {
		assert_true(i < plans[layer].n);
		if (plans[layer].ranges[i]->chunk != 0 && skip-- == 0)
			break;
	}
	backup_chunk_name(plans[layer].ranges[i]->chunk, name);
	(void)snprintf(path, PATH, "%s", scratch_path(paths[layer], name));
	return plans[layer].ranges[i]->chunk;
}

static void
chunks_missing_and_swapped(void **state)
{
	char one[PATH], two[PATH], aside[PATH];
	size_t layer;

	(void)state;
	for (layer = 0; layer < LAYERS; layer++) {
		(void)snprintf(aside, PATH, "%s", scratch_path(folder, "aside"));
		(void)chunk_of(layer, 0, one);
		(void)chunk_of(layer, 1, two);
		assert_int_equal(rename(one, aside), 0);
		assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
		assert_non_null(strstr(fault.text, one));
		assert_int_equal(rename(two, one), 0);
		assert_int_equal(rename(aside, two), 0);
		assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
		assert_int_equal(rename(one, aside), 0);
		assert_int_equal(rename(two, one), 0);
		assert_int_equal(rename(aside, two), 0);
		assert_int_equal(verify(all, LAYERS), BACKUP_OK);
		assert_int_equal(truncate(two, 100), 0);
		assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
		assert_non_null(strstr(fault.text, two));
		assert_int_equal(verify(all, layer), layer == 0 ? BACKUP_BAD : BACKUP_OK);
		unmake();
		make(8, 5);
	}
}

/* A chunk that is whole, of this backup and this range, but not the one that was signed. */
static void
chunk_made_anew(void **state)
{
	uint8_t digest[BACKUP_DIGEST_LEN];
	Pdvault__V1__BackupRange *r;
	size_t i = 0;

	(void)state;
	for (r = plans[1].ranges[0]; r->chunk == 0; r = plans[1].ranges[i])
		i++;
	assert_int_equal(
	    backup_chunk_write(
		&(struct backup_chunk_new){ paths[1], plans[1].id, NULL, 0 }, r, digest, &fault),
	    BACKUP_OK);
	assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
	/* And signed, by a vault that lost rows: its digests say so. */
	memcpy(r->chunk_digest.data, digest, sizeof(digest));
	backup_bed_sign(&plans[1]);
	assert_int_equal(verify(all, 2), BACKUP_BAD);
	assert_non_null(strstr(fault.text, "has not the rows"));
}

static void
digests_of_ranges(void **state)
{
	Pdvault__V1__BackupRange *last = plans[2].ranges[plans[2].n - 1], *first = plans[2].ranges[0];

	(void)state;
	first->chunk = 0;
	first->chunk_digest.len = 0;
	first->digest.data[5] ^= 1;
	backup_bed_sign(&plans[2]);
	assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
	first->digest.data[5] ^= 1;
	last->rows++;
	last->chunk = 0;
	last->chunk_digest.len = 0;
	backup_bed_sign(&plans[2]);
	assert_int_equal(verify(all, LAYERS), BACKUP_BAD);
}

static void
manifest_flipped(void **state)
{
	uint8_t *bytes;
	size_t len, i;

	(void)state;
	assert_int_equal(backup_file_read(scratch_path(paths[0], "manifest"), BACKUP_MANIFEST_MAX, &bytes, &len,
	    &fault), BACKUP_OK);
	for (i = 0; i < 8 * len; i++) {
		Pdvault__V1__BackupManifest *m = NULL;

		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(backup_manifest_parse(bytes, len, &m, &fault), BACKUP_BAD);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < len; i++) {
		Pdvault__V1__BackupManifest *m = NULL;

		assert_int_equal(backup_manifest_parse(bytes, i, &m, &fault), BACKUP_BAD);
	}
	free(bytes);
}

static void
order_of_folders(void **state)
{
	const char *const swapped[] = {paths[1], paths[0]}, *const gap[] = {paths[0], paths[2]},
	    *const twice[] = {paths[0], paths[0]}, *const absent[] = {paths[0], folder};
	const char *many[BACKUP_CHAIN_MAX + 1] = {paths[0]};

	(void)state;
	assert_int_equal(verify(swapped, 2), BACKUP_BAD);
	assert_int_equal(verify(gap, 2), BACKUP_BAD);
	assert_int_equal(verify(twice, 2), BACKUP_BAD);
	assert_int_equal(verify(&all[1], 1), BACKUP_BAD);
	assert_non_null(strstr(fault.text, "named before"));
	assert_int_equal(verify(absent, 2), BACKUP_BAD);
	assert_non_null(strstr(fault.text, "not complete"));
	assert_int_equal(verify(all, 0), BACKUP_BAD);
	assert_int_equal(verify(many, BACKUP_CHAIN_MAX + 1), BACKUP_BAD);
}

static void
other_vault(void **state)
{
	static uint8_t vault[BACKUP_ID_LEN] = "somebody else's";

	(void)state;
	plans[1].head.vault = backup_message_bytes(vault, sizeof(vault));
	backup_bed_sign(&plans[1]);
	assert_int_equal(verify(all, 2), BACKUP_BAD);
	assert_non_null(strstr(fault.text, "another vault"));
}

/* The signing key was rotated between two backups; what the newest says of all rows holds, whoever signed. */
static void
other_keys(void **state)
{
	(void)state;
	backup_bed_turn();
	backup_bed_sign(&plans[1]);
	assert_int_equal(verify(all, 2), BACKUP_OK);
	assert_int_equal(verify(all, 3), BACKUP_OK);
	plans[1].ranges[0]->digest.data[0] ^= 1;
	backup_bed_sign(&plans[1]);
	assert_int_equal(verify(all, 2), BACKUP_BAD);
}

/* What a manifest may not say, though it is signed. */
static enum backup_result
load_signed(void)
{
	Pdvault__V1__BackupManifest *m = NULL;
	enum backup_result r;

	backup_bed_sign(&plans[0]);
	fault.text[0] = '\0';
	r = backup_manifest_load(paths[0], &m, &fault);
	pdvault__v1__backup_manifest__free_unpacked(m, NULL);
	return r;
}

static void
heads(void **state)
{
	Pdvault__V1__BackupHead *h = &plans[0].head;
	const Pdvault__V1__BackupHead whole = *h;
	Pdvault__V1__Timestamp time = *h->time;
	struct {
		ProtobufCBinaryData *field;
	} fields[] = {{&h->backup}, {&h->ledger_head}};
	size_t i;

	(void)state;
	assert_int_equal(load_signed(), BACKUP_OK);
	h->format = BACKUP_FORMAT + 1;
	assert_int_equal(load_signed(), BACKUP_BAD);
	assert_non_null(strstr(fault.text, "a newer one is needed"));
	h->format = 0;
	assert_int_equal(load_signed(), BACKUP_BAD);
	*h = whole;
	h->kind = PDVAULT__V1__BACKUP_KIND__KEYS;	/* which would have a root page */
	assert_int_equal(load_signed(), BACKUP_BAD);
	h->kind = PDVAULT__V1__BACKUP_KIND__BACKUP_KIND_UNSPECIFIED;
	assert_int_equal(load_signed(), BACKUP_BAD);
	*h = whole;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		fields[i].field->len--;
		assert_int_equal(load_signed(), BACKUP_BAD);
		*h = whole;
	}
	h->root_page = h->vault;
	assert_int_equal(load_signed(), BACKUP_BAD);
	*h = whole;
	h->time = NULL;
	assert_int_equal(load_signed(), BACKUP_BAD);
	h->time = &time;
	time.nanos = 1000000000;
	assert_int_equal(load_signed(), BACKUP_BAD);
	time.nanos--;
	assert_int_equal(load_signed(), BACKUP_OK);
}

static void
ranges(void **state)
{
	struct backup_bed_plan *p = &plans[0];
	Pdvault__V1__BackupRange *r = p->ranges[0];
	size_t n = p->n;

	(void)state;
	p->n = n - 1;
	assert_int_equal(load_signed(), BACKUP_BAD);	/* not to the end of its table */
	p->n = 0;
	assert_int_equal(load_signed(), BACKUP_BAD);
	p->n = n;
	p->ranges[0] = p->ranges[1];
	assert_int_equal(load_signed(), BACKUP_BAD);	/* not from the beginning */
	p->ranges[0] = r;
	p->ranges[1]->from.data[0] ^= 1;
	assert_int_equal(load_signed(), BACKUP_BAD);	/* a gap */
	p->ranges[1]->from.data[0] ^= 1;
	r->digest.len--;
	assert_int_equal(load_signed(), BACKUP_BAD);
	r->digest.len++;
	r->chunk_digest.len = 0;
	assert_int_equal(load_signed(), BACKUP_BAD);
	r->chunk_digest.len = BACKUP_DIGEST_LEN;
	r->chunk = 0;
	assert_int_equal(load_signed(), BACKUP_BAD);	/* in a full backup each has a chunk */
	r->chunk = BACKUP_CHUNKS_MAX + 1;
	assert_int_equal(load_signed(), BACKUP_BAD);
	r->chunk = 1;
	r->table[0] = '/';
	assert_int_equal(load_signed(), BACKUP_BAD);
	r->table[0] = 'r';
	assert_int_equal(load_signed(), BACKUP_OK);
	/* The table once more, behind the other one. */
	p->ranges[p->n++] = r;
	assert_int_equal(load_signed(), BACKUP_BAD);
	p->n--;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model),
		cmocka_unit_test_setup_teardown(progress, begin, end),
		cmocka_unit_test_setup_teardown(chunks_missing_and_swapped, begin, end),
		cmocka_unit_test_setup_teardown(chunk_made_anew, begin, end),
		cmocka_unit_test_setup_teardown(digests_of_ranges, begin, end),
		cmocka_unit_test_setup_teardown(manifest_flipped, begin, end),
		cmocka_unit_test_setup_teardown(order_of_folders, begin, end),
		cmocka_unit_test_setup_teardown(other_vault, begin, end),
		cmocka_unit_test_setup_teardown(other_keys, begin, end),
		cmocka_unit_test_setup_teardown(heads, begin, end),
		cmocka_unit_test_setup_teardown(ranges, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
