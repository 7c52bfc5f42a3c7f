#include "client/backup/chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/backup/digest.h"
#include "client/backup/file.h"
#include "client/backup/message.h"

#define MAGIC "pdvault chunk 1\n"

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	HEAD_LEN = MAGIC_LEN + BACKUP_ID_LEN,
	COUNT_LEN = 4,
	TAIL_LEN = COUNT_LEN + BACKUP_DIGEST_LEN,
	RANGE_MAX = 1024,		/* bytes of a BackupRange, packed */
	DIGITS = 6
};

_Static_assert(3 * BACKUP_KEY_MAX + 2 * BACKUP_DIGEST_LEN < RANGE_MAX, "a range fits");

void
backup_chunk_name(uint32_t number, char out[static BACKUP_CHUNK_NAME])
{
	(void)snprintf(out, BACKUP_CHUNK_NAME, "%06u.chunk", (unsigned)number);
}

uint32_t
backup_chunk_number(const char *name)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = 10 * n + (uint32_t)(name[i] - '0');
	}
	return strcmp(name + DIGITS, ".chunk") == 0 ? n : 0;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Every row is one, inside the range, and behind the one before. */
static bool
rows_ok(const struct backup_chunk *c)
{
	const uint8_t *at = c->rows;
	struct backup_row row, before = {.key_len = 0};
	enum backup_step step;

	while ((step = backup_row_next(&at, c->rows_end, &row)) == BACKUP_ROW) {
		if (backup_range_place(c->range, row.key, row.key_len) != 0 ||
		    backup_key_compare(before.key, before.key_len, row.key, row.key_len) >= 0)
			return false;
		before = row;
	}
	return step == BACKUP_END;
}

bool
backup_chunk_parse(uint8_t *bytes, size_t len, struct backup_chunk *out)
{
	const ProtobufCMessageDescriptor *type = &pdvault__v1__backup_range__descriptor;
	struct backup_chunk c = {.bytes = bytes, .len = len};
	ProtobufCMessage *m = NULL;
	const uint8_t *tail;
	uint32_t n;

	if (len < HEAD_LEN + TAIL_LEN || len > BACKUP_CHUNK_MAX || memcmp(bytes, MAGIC, MAGIC_LEN) != 0)
		return false;
	tail = bytes + len - TAIL_LEN;
	backup_digest_of(bytes, len - BACKUP_DIGEST_LEN, c.digest);
	if (memcmp(c.digest, tail + COUNT_LEN, BACKUP_DIGEST_LEN) != 0)
		return false;
	n = get32(tail);
	if (n > len - HEAD_LEN - TAIL_LEN || backup_message_unpack(type, tail - n, n, &m) != BACKUP_OK)
		return false;
	c.backup = bytes + MAGIC_LEN;
	c.rows = bytes + HEAD_LEN;
	c.rows_end = tail - n;
	c.range = (Pdvault__V1__BackupRange *)(void *)m;
	if (!backup_range_ok(c.range) || c.range->chunk == 0 || c.range->chunk_digest.len != 0 ||
	    !rows_ok(&c)) {
		protobuf_c_message_free_unpacked(m, NULL);
		return false;
	}
	*out = c;
	return true;
}

enum backup_result
backup_chunk_read(const char *folder, uint32_t number, const uint8_t *backup, struct backup_chunk *out,
    struct backup_fault *f)
{
	char name[BACKUP_CHUNK_NAME], path[BACKUP_PATH_MAX];
	struct backup_chunk c = {.bytes = NULL};
	enum backup_result r;
	uint8_t *bytes;
	size_t len;

	backup_chunk_name(number, name);
	if ((r = backup_file_path(folder, name, path, f)) != BACKUP_OK ||
	    (r = backup_file_read(path, BACKUP_CHUNK_MAX, &bytes, &len, f)) != BACKUP_OK)
		return r;
	if (!backup_chunk_parse(bytes, len, &c)) {
		free(bytes);
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is damaged", path);
	}
	if (memcmp(c.backup, backup, BACKUP_ID_LEN) != 0)
		r = backup_fault_set(f, BACKUP_BAD, "%.200s: is of another backup", path);
	else if (c.range->chunk != number)
		r = backup_fault_set(f, BACKUP_BAD, "%.200s: is another chunk", path);
	if (r != BACKUP_OK)
		backup_chunk_free(&c);
	else
		*out = c;
	return r;
}

void
backup_chunk_free(struct backup_chunk *c)
{
	if (c->range != NULL)
		pdvault__v1__backup_range__free_unpacked(c->range, NULL);
	free(c->bytes);
	*c = (struct backup_chunk){.bytes = NULL};
}

enum backup_result
backup_chunk_write(const struct backup_chunk_new *n, const Pdvault__V1__BackupRange *range,
    uint8_t digest[static BACKUP_DIGEST_LEN], struct backup_fault *f)
{
	uint8_t head[HEAD_LEN], tail[RANGE_MAX + TAIL_LEN], *at = tail;
	char name[BACKUP_CHUNK_NAME], path[BACKUP_PATH_MAX];
	Pdvault__V1__BackupRange bare = *range;
	struct backup_digest d;
	enum backup_result r;
	size_t len;

	bare.chunk_digest.len = 0;
	if ((len = pdvault__v1__backup_range__get_packed_size(&bare)) > RANGE_MAX ||
	    n->len > BACKUP_CHUNK_MAX - HEAD_LEN - TAIL_LEN - len)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: too much for one chunk", n->folder);
	memcpy(head, MAGIC, MAGIC_LEN);
	memcpy(head + MAGIC_LEN, n->backup, BACKUP_ID_LEN);
	at += pdvault__v1__backup_range__pack(&bare, tail);
	*at++ = 0;
	*at++ = 0;
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	backup_digest_begin(&d);
	backup_digest_add(&d, head, sizeof(head));
	backup_digest_add(&d, n->rows, n->len);
	backup_digest_add(&d, tail, (size_t)(at - tail));
	backup_digest_end(&d, digest);
	memcpy(at, digest, BACKUP_DIGEST_LEN);
	at += BACKUP_DIGEST_LEN;
	backup_chunk_name(range->chunk, name);
	if ((r = backup_file_path(n->folder, name, path, f)) != BACKUP_OK)
		return r;
	return backup_file_write(path, (const struct backup_piece[]){ { head, sizeof(head) },
	    { n->rows, n->len }, { tail, (size_t)(at - tail) } }, 3, f);
}
