/*
 * A file of a backup that anybody may have written: a byte that says which, then a chunk, or a SignedManifest.
 * The digest and the signature would stop nearly everything: the digest is made to fit, and behind the
 * signature's back a manifest is looked at, too. Rows of a chunk that was taken are in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/backup/chunk.h"
#include "client/backup/digest.h"
#include "client/backup/manifest.h"
#include "client/backup/message.h"
#include "server/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
chunk(const uint8_t *data, size_t size)
{
	struct backup_chunk c = {.bytes = NULL};
	struct backup_row row, before = {.key_len = 0};
	uint8_t *bytes = malloc(size + 1);
	const uint8_t *at;

	must(bytes != NULL);
	memcpy(bytes, data, size);
	if (size >= BACKUP_DIGEST_LEN)
		backup_digest_of(bytes, size - BACKUP_DIGEST_LEN, bytes + size - BACKUP_DIGEST_LEN);
	if (!backup_chunk_parse(bytes, size, &c)) {
		free(bytes);
		return;
	}
	for (at = c.rows; backup_row_next(&at, c.rows_end, &row) == BACKUP_ROW; before = row) {
		must(backup_range_place(c.range, row.key, row.key_len) == 0);
		must(backup_key_compare(before.key, before.key_len, row.key, row.key_len) < 0);
	}
	must(at == c.rows_end);
	backup_chunk_free(&c);
}

static void
manifest(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *type = &pdvault__v1__backup_manifest__descriptor;
	Pdvault__V1__BackupManifest *m = NULL;
	struct backup_packed packed;
	struct backup_fault f;
	ProtobufCMessage *any;

	if (backup_manifest_parse(data, size, &m, &f) == BACKUP_OK)
		pdvault__v1__backup_manifest__free_unpacked(m, NULL);
	if (backup_message_unpack(type, data, size, &any) != BACKUP_OK)
		return;
	m = (Pdvault__V1__BackupManifest *)(void *)any;
	if (backup_manifest_pack(m, &packed, &f) == BACKUP_OK) {
		must(m->n_ranges > 0 && m->head != NULL && m->ranges[m->n_ranges - 1]->to.len == 0);
		free(packed.p);
	}
	protobuf_c_message_free_unpacked(any, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		chunk(data + 1, size - 1);
	else
		manifest(data + 1, size - 1);
	return 0;
}
