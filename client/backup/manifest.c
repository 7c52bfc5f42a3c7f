#include "client/backup/manifest.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "client/backup/digest.h"
#include "client/backup/file.h"
#include "client/backup/message.h"

#define MAGIC "pdvault backup 1"

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	SIGNED_LEN = MAGIC_LEN + BACKUP_ID_LEN + BACKUP_DIGEST_LEN,
	ROOT_PAGE_LEN = 329,
	RECOVERY_LEN = 32,
	NANOS_MAX = 999999999,
	TABLES_MAX = 16
};

static bool
time_ok(const Pdvault__V1__Timestamp *t)
{
	return t != NULL && t->nanos >= 0 && t->nanos <= NANOS_MAX;
}

static bool
kind_ok(const Pdvault__V1__BackupHead *h)
{
	if (h->kind == PDVAULT__V1__BACKUP_KIND__KEYS)
		return h->root_page.len == ROOT_PAGE_LEN && time_ok(h->expire_time) &&
		    h->recovery_key.len == RECOVERY_LEN;
	return h->kind == PDVAULT__V1__BACKUP_KIND__DATA && h->root_page.len == 0 && h->expire_time == NULL &&
	    h->recovery_key.len == 0;
}

enum backup_result
backup_manifest_head_ok(const Pdvault__V1__BackupHead *h, struct backup_fault *f)
{
	if (h == NULL || h->format == 0)
		return backup_fault_set(f, BACKUP_BAD, "is no backup");
	if (h->format > BACKUP_FORMAT)
		return backup_fault_set(f, BACKUP_BAD,
		    "is of format %u, and this program knows %u only: a newer "
		    "one is needed",
		    (unsigned)h->format, BACKUP_FORMAT);
	if (!kind_ok(h) || h->backup.len != BACKUP_ID_LEN || h->vault.len != BACKUP_ID_LEN ||
	    h->vault_number > UINT16_MAX || !time_ok(h->time) ||
	    h->signing_key.len != crypto_sign_PUBLICKEYBYTES || h->ledger_head.len != BACKUP_DIGEST_LEN)
		return backup_fault_set(f, BACKUP_BAD, "has a head that is not whole");
	return BACKUP_OK;
}

/* The table of a range comes here for the first time. */
static bool
table_new(const Pdvault__V1__BackupManifest *m, size_t at)
{
	size_t i;

	/* Only where a table begins, and there are few. */
	for (i = 0; i < at; i++)
		if (m->ranges[i]->from.len == 0 && strcmp(m->ranges[i]->table, m->ranges[at]->table) == 0)
			return false;
	return true;
}

static bool
follows(const Pdvault__V1__BackupManifest *m, size_t i)
{
	const Pdvault__V1__BackupRange *r = m->ranges[i], *before = i > 0 ? m->ranges[i - 1] : NULL;

	if (before == NULL || before->to.len == 0)
		return r->from.len == 0 && table_new(m, i);
	return strcmp(before->table, r->table) == 0 &&
	    backup_key_compare(before->to.data, before->to.len, r->from.data, r->from.len) == 0;
}

static enum backup_result
ranges_ok(const Pdvault__V1__BackupManifest *m, struct backup_fault *f)
{
	const Pdvault__V1__BackupRange *r;
	size_t i, tables = 0;
	uint64_t rows = 0;

	for (i = 0; i < m->n_ranges; i++) {
		r = m->ranges[i];
		if (r->from.len == 0 && ++tables > TABLES_MAX)
			return backup_fault_set(f, BACKUP_BAD, "has more than %d tables", TABLES_MAX);
		if (!backup_range_ok(r) || (r->chunk == 0) != (r->chunk_digest.len == 0) ||
		    (r->chunk == 0 && m->since.len == 0) || r->rows > UINT64_MAX / 2 - rows)
			return backup_fault_set(f, BACKUP_BAD, "has a range that is none");
		rows += r->rows;
		if (!follows(m, i))
			return backup_fault_set(f, BACKUP_BAD, "has ranges that do not follow on each other");
	}
	if (m->n_ranges == 0 || m->ranges[m->n_ranges - 1]->to.len != 0)
		return backup_fault_set(f, BACKUP_BAD, "has ranges that do not cover a table");
	return BACKUP_OK;
}

enum backup_result
backup_manifest_ok(const Pdvault__V1__BackupManifest *m, struct backup_fault *f)
{
	enum backup_result r = backup_manifest_head_ok(m->head, f);

	if (r != BACKUP_OK)
		return r;
	if (m->since.len != 0 &&
	    (m->since.len != BACKUP_ID_LEN || m->head->kind != PDVAULT__V1__BACKUP_KIND__DATA ||
	    memcmp(m->since.data, m->head->backup.data, BACKUP_ID_LEN) == 0))
		return backup_fault_set(f, BACKUP_BAD, "is since a backup that cannot be");
	return ranges_ok(m, f);
}

enum backup_result
backup_manifest_pack(const Pdvault__V1__BackupManifest *m, struct backup_packed *out, struct backup_fault *f)
{
	size_t len = pdvault__v1__backup_manifest__get_packed_size(m);
	enum backup_result r = backup_manifest_ok(m, f);
	uint8_t *p;

	if (r != BACKUP_OK)
		return r;
	if (len > BACKUP_MANIFEST_MAX - 2 * BACKUP_SIGNATURE_LEN)
		return backup_fault_set(f, BACKUP_BAD, "a manifest has at most %u bytes", BACKUP_MANIFEST_MAX);
	if ((p = malloc(len)) == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory for a manifest");
	(void)pdvault__v1__backup_manifest__pack(m, p);
	backup_digest_of(p, len, out->digest);
	out->p = p;
	out->len = len;
	return BACKUP_OK;
}

bool
backup_manifest_signed(const Pdvault__V1__BackupHead *h, const uint8_t digest[static BACKUP_DIGEST_LEN],
    const uint8_t signature[static BACKUP_SIGNATURE_LEN])
{
	uint8_t text[SIGNED_LEN];

	memcpy(text, MAGIC, MAGIC_LEN);
	memcpy(text + MAGIC_LEN, h->vault.data, BACKUP_ID_LEN);
	memcpy(text + MAGIC_LEN + BACKUP_ID_LEN, digest, BACKUP_DIGEST_LEN);
	return crypto_sign_verify_detached(signature, text, sizeof(text), h->signing_key.data) == 0;
}

enum backup_result
backup_manifest_prepare(const char *folder, const struct backup_packed *packed, struct backup_fault *f)
{
	static const uint8_t unsigned_yet[BACKUP_SIGNATURE_LEN];
	Pdvault__V1__SignedManifest m = PDVAULT__V1__SIGNED_MANIFEST__INIT;
	struct backup_piece all = {.p = NULL};
	char path[BACKUP_PATH_MAX];
	enum backup_result r;
	uint8_t *p = NULL;

	m.manifest = backup_message_bytes(packed->p, packed->len);
	m.signature = backup_message_bytes(unsigned_yet, BACKUP_SIGNATURE_LEN);	/* stands last */
	all.len = pdvault__v1__signed_manifest__get_packed_size(&m);
	if ((p = malloc(all.len)) == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory for a manifest");
	(void)pdvault__v1__signed_manifest__pack(&m, p);
	all.p = p;
	/* The chunks' names are durable before the manifest says that they are there. */
	if ((r = backup_file_path(folder, BACKUP_UNSIGNED_NAME, path, f)) == BACKUP_OK &&
	    (r = backup_file_write(path, &all, 1, f)) == BACKUP_OK)
		r = backup_file_flush(folder, f);
	free(p);
	return r;
}

enum backup_result
backup_manifest_complete(const char *folder, const uint8_t signature[static BACKUP_SIGNATURE_LEN],
    struct backup_fault *f)
{
	const struct backup_piece end = {signature, BACKUP_SIGNATURE_LEN};
	char unfinished[BACKUP_PATH_MAX], path[BACKUP_PATH_MAX];
	enum backup_result r;

	if ((r = backup_file_path(folder, BACKUP_UNSIGNED_NAME, unfinished, f)) == BACKUP_OK &&
	    (r = backup_file_path(folder, BACKUP_MANIFEST_NAME, path, f)) == BACKUP_OK &&
	    (r = backup_file_complete(unfinished, end, path, f)) == BACKUP_OK)
		r = backup_file_flush(folder, f);
	return r;
}

static enum backup_result
unpack(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len, ProtobufCMessage **out,
    struct backup_fault *f)
{
	enum backup_result r = backup_message_unpack(type, p, len, out);

	if (r == BACKUP_BAD)
		return backup_fault_set(f, r, "is damaged, or is no manifest");
	return r == BACKUP_OK ? r : backup_fault_set(f, r, "not enough memory");
}

enum backup_result
backup_manifest_parse(const uint8_t *p, size_t len, Pdvault__V1__BackupManifest **out, struct backup_fault *f)
{
	Pdvault__V1__SignedManifest *s;
	Pdvault__V1__BackupManifest *m = NULL;
	uint8_t digest[BACKUP_DIGEST_LEN];
	ProtobufCMessage *outer = NULL, *inner = NULL;
	enum backup_result r;

	if ((r = unpack(&pdvault__v1__signed_manifest__descriptor, p, len, &outer, f)) != BACKUP_OK)
		return r;
	s = (Pdvault__V1__SignedManifest *)(void *)outer;
	if ((r = unpack(&pdvault__v1__backup_manifest__descriptor, s->manifest.data, s->manifest.len, &inner,
	    f)) != BACKUP_OK)
		goto out;
	m = (Pdvault__V1__BackupManifest *)(void *)inner;
	if ((r = backup_manifest_head_ok(m->head, f)) != BACKUP_OK)
		goto out;
	backup_digest_of(s->manifest.data, s->manifest.len, digest);
	if (s->signature.len != BACKUP_SIGNATURE_LEN ||
	    !backup_manifest_signed(m->head, digest, s->signature.data)) {
		r = backup_fault_set(f, BACKUP_BAD, "is not signed by the vault that it names");
		goto out;
	}
	if ((r = backup_manifest_ok(m, f)) != BACKUP_OK)
		goto out;
	*out = m;
	inner = NULL;
out:
	protobuf_c_message_free_unpacked(inner, NULL);
	protobuf_c_message_free_unpacked(outer, NULL);
	return r;
}

enum backup_result
backup_manifest_load(const char *folder, Pdvault__V1__BackupManifest **out, struct backup_fault *f)
{
	char path[BACKUP_PATH_MAX];
	struct backup_fault why;
	enum backup_result r;
	uint8_t *bytes = NULL;
	size_t len;

	if ((r = backup_file_path(folder, BACKUP_MANIFEST_NAME, path, f)) != BACKUP_OK)
		return r;
	r = backup_file_read(path, BACKUP_MANIFEST_MAX, &bytes, &len, f);
	if (r == BACKUP_ABSENT)
		return backup_fault_set(f, r, "%.200s: has no manifest: is no backup, or one that is not "
		    "complete", folder);
	if (r == BACKUP_OK && (r = backup_manifest_parse(bytes, len, out, &why)) != BACKUP_OK)
		(void)backup_fault_set(f, r, "%.200s: %.100s", path, why.text);
	free(bytes);
	return r;
}
