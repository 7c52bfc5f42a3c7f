#include "client/backup/range.h"

#include <stdlib.h>
#include <string.h>

static bool
same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool
table_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

	return n > 0 && n <= BACKUP_TABLE_MAX && name[n] == '\0';
}

bool
backup_range_ok(const Pdvault__V1__BackupRange *r)
{
	if (!table_ok(r->table) || r->from.len > BACKUP_KEY_MAX || r->to.len > BACKUP_KEY_MAX)
		return false;
	if (r->to.len > 0 && backup_key_compare(r->from.data, r->from.len, r->to.data, r->to.len) >= 0)
		return false;
	return r->digest.len == BACKUP_DIGEST_LEN && r->chunk <= BACKUP_CHUNKS_MAX &&
	    (r->chunk_digest.len == 0 || r->chunk_digest.len == BACKUP_DIGEST_LEN);
}

bool
backup_range_same(const Pdvault__V1__BackupRange *a, const Pdvault__V1__BackupRange *b)
{
	return strcmp(a->table, b->table) == 0 && same_bytes(a->from, b->from) && same_bytes(a->to, b->to) &&
	    a->rows == b->rows && same_bytes(a->digest, b->digest) && a->chunk == b->chunk;
}

int
backup_range_place(const Pdvault__V1__BackupRange *r, const uint8_t *key, size_t key_len)
{
	if (backup_key_compare(key, key_len, r->from.data, r->from.len) < 0)
		return -1;
	return r->to.len > 0 && backup_key_compare(key, key_len, r->to.data, r->to.len) >= 0;
}

/* Appends to the memory behind the copy. */
static ProtobufCBinaryData
carry(uint8_t **at, ProtobufCBinaryData from, size_t room)
{
	ProtobufCBinaryData out = {from.len, *at};

	if (from.len > 0)
		memcpy(*at, from.data, from.len);
	*at += room;
	return out;
}

Pdvault__V1__BackupRange *
backup_range_copy(const Pdvault__V1__BackupRange *r)
{
	size_t name = strlen(r->table) + 1;
	Pdvault__V1__BackupRange *out = malloc(sizeof(*out) + name + r->from.len + r->to.len +
	    r->digest.len + BACKUP_DIGEST_LEN);
	uint8_t *at = (uint8_t *)(out + 1);

	if (out == NULL)
		return NULL;
	pdvault__v1__backup_range__init(out);
	out->rows = r->rows;
	out->chunk = r->chunk;
	out->table = memcpy(at, r->table, name);
	at += name;
	out->from = carry(&at, r->from, r->from.len);
	out->to = carry(&at, r->to, r->to.len);
	out->digest = carry(&at, r->digest, r->digest.len);
	out->chunk_digest = carry(&at, r->chunk_digest, BACKUP_DIGEST_LEN);
	return out;
}
