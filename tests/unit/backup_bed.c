#include "backup_bed.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "client/backup/chunk.h"
#include "client/backup/digest.h"
#include "client/backup/message.h"
#include "scratch.h"
#include "server/must.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

enum { PACKED = 1 << 20 };

const char *const backup_bed_names[BACKUP_BED_TABLES] = {"records", "transactions"};

static struct {
	uint64_t state;
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	uint8_t vault[BACKUP_ID_LEN], hash[BACKUP_DIGEST_LEN];
	Pdvault__V1__Timestamp time;
} bed;

static void
start(void)
{
	const char *seed = getenv("PDV_TEST_SEED");

	if (bed.state != 0)
		return;
	bed.state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	(void)printf("PDV_TEST_SEED=%llu\n", (unsigned long long)bed.state);
	must(crypto_sign_keypair(bed.public, bed.secret) == 0);
	memset(bed.vault, 0x5a, sizeof(bed.vault));
	memset(bed.hash, 0x11, sizeof(bed.hash));
	bed.time = (Pdvault__V1__Timestamp)PDVAULT__V1__TIMESTAMP__INIT;
	bed.time.seconds = 1700000000;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
size_t
backup_bed_below(size_t n)
{
	uint64_t z;

	start();
	z = (bed.state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (size_t)((z ^ (z >> 31)) % n);
}

size_t
backup_bed_find(const struct backup_bed_table *t, const uint8_t *key, size_t key_len)
{
	size_t i = 0;

	while (i < t->n && backup_key_compare(t->rows[i].key, t->rows[i].key_len, key, key_len) < 0)
		i++;
	return i;
}

/* Keys are of few letters, so that they begin alike, and one is another's beginning. */
static void
change(struct backup_bed_table *t)
{
	struct backup_bed_row row = {.key_len = 1 + backup_bed_below(BACKUP_BED_KEY)};
	bool there;
	size_t i;

	for (i = 0; i < row.key_len; i++)
		row.key[i] = (uint8_t)(backup_bed_below(6) * 51);
	row.value_len = backup_bed_below(BACKUP_BED_VALUE + 1);
	for (i = 0; i < row.value_len; i++)
		row.value[i] = (uint8_t)backup_bed_below(256);
	i = backup_bed_find(t, row.key, row.key_len);
	there = i < t->n && backup_key_compare(t->rows[i].key, t->rows[i].key_len, row.key, row.key_len) == 0;
	if (there && backup_bed_below(2) == 0) {
		memmove(&t->rows[i], &t->rows[i + 1], (--t->n - i) * sizeof(row));
	} else if (there) {
		t->rows[i] = row;
	} else if (t->n < BACKUP_BED_ROWS) {
		memmove(&t->rows[i + 1], &t->rows[i], (t->n++ - i) * sizeof(row));
		t->rows[i] = row;
	}
}

void
backup_bed_change(struct backup_bed_vault *v, size_t times)
{
	while (times-- > 0)
		change(&v->tables[backup_bed_below(BACKUP_BED_TABLES)]);
}

void
backup_bed_plan(struct backup_bed_plan *p, const char *folder, const struct backup_bed_vault *now)
{
	start();
	memset(p, 0, sizeof(*p));
	p->folder = folder;
	p->now = now;
	randombytes_buf(p->id, sizeof(p->id));
	pdvault__v1__backup_head__init(&p->head);
	p->head.format = 1;
	p->head.kind = PDVAULT__V1__BACKUP_KIND__DATA;
	p->head.backup = backup_message_bytes(p->id, sizeof(p->id));
	p->head.vault = backup_message_bytes(bed.vault, sizeof(bed.vault));
	p->head.time = &bed.time;
	p->head.signing_key = backup_message_bytes(bed.public, sizeof(bed.public));
	p->head.ledger_head = backup_message_bytes(bed.hash, sizeof(bed.hash));
}

static struct backup_row
row_of(const struct backup_bed_row *r)
{
	return (struct backup_row){ r->key, r->value, r->key_len, r->value_len, false };
}

static void
put(uint8_t *out, size_t *len, struct backup_row row)
{
	*len = (size_t)(backup_row_put(&row, out + *len) - out);
}

/* The rows of the range, as they are and as what differs from the base; the rest of the range is filled in. */
static void
write_range(struct backup_bed_plan *p, size_t table, Pdvault__V1__BackupRange *r)
{
	static uint8_t all[PACKED], some[PACKED], digest[BACKUP_DIGEST_LEN], chunk[BACKUP_DIGEST_LEN];
	static const struct backup_bed_table nothing;
	const struct backup_bed_table *t = &p->now->tables[table],
	    *base = p->base != NULL ? &p->base->tables[table] : &nothing;
	size_t len = 0, diff = 0, i = backup_bed_find(t, r->from.data, r->from.len),
	    k = backup_bed_find(base, r->from.data, r->from.len);
	size_t end = r->to.len > 0 ? backup_bed_find(t, r->to.data, r->to.len) : t->n,
	    base_end = r->to.len > 0 ? backup_bed_find(base, r->to.data, r->to.len) : base->n;
	struct backup_fault f;

	r->rows = end - i;
	while (i < end || k < base_end) {
		int d = i == end        ? 1
			: k == base_end ? -1
					: backup_key_compare(t->rows[i].key, t->rows[i].key_len,
					      base->rows[k].key, base->rows[k].key_len);

		if (d <= 0)
			put(all, &len, row_of(&t->rows[i]));
		if (d < 0 || (d == 0 && (t->rows[i].value_len != base->rows[k].value_len ||
		    memcmp(t->rows[i].value, base->rows[k].value, t->rows[i].value_len) != 0)))
			put(some, &diff, row_of(&t->rows[i]));
		if (d > 0)
			put(some, &diff, (struct backup_row){ .key = base->rows[k].key,
			    .key_len = base->rows[k].key_len, .gone = true });
		i += d <= 0;
		k += d >= 0;
	}
	must(len < PACKED && diff < PACKED && p->n < BACKUP_BED_RANGES);
	backup_digest_of(all, len, digest);
	r->digest = backup_message_bytes(digest, sizeof(digest));
	r->chunk = p->before != NULL && diff == 0 ? 0 : (uint32_t)p->n + 1;
	if (r->chunk != 0) {
		must(backup_chunk_write(&(struct backup_chunk_new){ p->folder, p->id, some, diff }, r, chunk,
		    &f) == BACKUP_OK);
		r->chunk_digest = backup_message_bytes(chunk, sizeof(chunk));
	}
	must((p->ranges[p->n++] = backup_range_copy(r)) != NULL);
}

/* [from, to), split where ${each} rows are full. */
static void
write_ranges(struct backup_bed_plan *p, size_t table, const Pdvault__V1__BackupRange *whole, size_t each)
{
	const struct backup_bed_table *t = &p->now->tables[table];
	ProtobufCBinaryData from = whole->from;
	char name[32];
	size_t i;

	(void)snprintf(name, sizeof(name), "%s", backup_bed_names[table]);
	for (;;) {
		Pdvault__V1__BackupRange r = PDVAULT__V1__BACKUP_RANGE__INIT;

		r.table = name;
		r.from = from;
		r.to = whole->to;
		i = backup_bed_find(t, from.data, from.len) + each;
		if (i < t->n && (whole->to.len == 0 || backup_key_compare(t->rows[i].key, t->rows[i].key_len,
		    whole->to.data, whole->to.len) < 0))
			r.to = backup_message_bytes(t->rows[i].key, t->rows[i].key_len);
		write_range(p, table, &r);
		if (r.to.len == whole->to.len && (r.to.len == 0 || r.to.data == whole->to.data))
			return;
		from = r.to;
	}
}

void
backup_bed_write(struct backup_bed_plan *p, size_t each)
{
	const struct backup_bed_plan *b = p->before;
	const Pdvault__V1__BackupRange all = PDVAULT__V1__BACKUP_RANGE__INIT;
	size_t t, i;

	must(mkdir(p->folder, 0700) == 0);
	for (t = 0; t < BACKUP_BED_TABLES; t++) {
		if (b == NULL)
			write_ranges(p, t, &all, each);
		for (i = 0; b != NULL && i < b->n; i++)
			if (strcmp(b->ranges[i]->table, backup_bed_names[t]) == 0)
				write_ranges(p, t, b->ranges[i],
				    backup_bed_below(4) == 0 ? 1 + each / 2 : each * 2);
	}
	backup_bed_sign(p);
}

void
backup_bed_signature(const uint8_t digest[static BACKUP_DIGEST_LEN], uint8_t out[static BACKUP_SIGNATURE_LEN])
{
	uint8_t text[16 + BACKUP_ID_LEN + BACKUP_DIGEST_LEN] = "pdvault backup 1";

	start();
	memcpy(text + 16, bed.vault, BACKUP_ID_LEN);
	memcpy(text + 16 + BACKUP_ID_LEN, digest, BACKUP_DIGEST_LEN);
	must(crypto_sign_detached(out, NULL, text, sizeof(text), bed.secret) == 0);
}

void
backup_bed_sign(const struct backup_bed_plan *p)
{
	Pdvault__V1__BackupManifest m = PDVAULT__V1__BACKUP_MANIFEST__INIT;
	struct backup_packed packed;
	uint8_t text[16 + BACKUP_ID_LEN + BACKUP_DIGEST_LEN] = "pdvault backup 1";
	uint8_t signature[BACKUP_SIGNATURE_LEN];
	Pdvault__V1__BackupHead head = p->head;
	struct backup_fault f;

	m.head = &head;
	if (p->before != NULL)
		m.since = backup_message_bytes(p->before->id, BACKUP_ID_LEN);
	m.n_ranges = p->n;
	m.ranges = malloc((p->n + 1) * sizeof(*m.ranges));
	must(m.ranges != NULL);
	memcpy(m.ranges, p->ranges, p->n * sizeof(*m.ranges));
	packed.len = pdvault__v1__backup_manifest__get_packed_size(&m);
	must((packed.p = malloc(packed.len)) != NULL);
	(void)pdvault__v1__backup_manifest__pack(&m, packed.p);
	backup_digest_of(packed.p, packed.len, packed.digest);
	memcpy(text + 16, p->head.vault.data, BACKUP_ID_LEN);
	memcpy(text + 16 + BACKUP_ID_LEN, packed.digest, BACKUP_DIGEST_LEN);
	must(crypto_sign_detached(signature, NULL, text, sizeof(text), bed.secret) == 0);
	must(backup_manifest_prepare(p->folder, &packed, &f) == BACKUP_OK);
	must(backup_manifest_complete(p->folder, signature, &f) == BACKUP_OK);
	free(packed.p);
	free(m.ranges);
}

void
backup_bed_turn(void)
{
	must(crypto_sign_keypair(bed.public, bed.secret) == 0);
}

void
backup_bed_free(struct backup_bed_plan *p)
{
	while (p->n > 0)
		free(p->ranges[--p->n]);
}
