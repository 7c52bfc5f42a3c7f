/*
 * What the rows of a range have that an earlier backup has not, and what is gone from it.
 */
#ifndef CLI_BACKUP_DIFF_H
#define CLI_BACKUP_DIFF_H

#include <protobuf-c/protobuf-c.h>

#include "client/backup/chain.h"

/* Start with all zero; ${p} is for free(). */
struct backup_buffer {
	uint8_t *p;
	size_t len, room;
};

/* So many bytes more fit. False: no memory. */
bool backup_buffer_room(struct backup_buffer *b, size_t more);

/* A range of a table, and the rows that the vault has in it: docs/FORMAT.md, rows of a backup. */
struct backup_span {
	const char *table;
	ProtobufCBinaryData from, to;		/* empty: the beginning, the end of the table */
	const uint8_t *rows;
	size_t len;
};

/* backup_diff(base, span, out, fault): rows that differ, and that are gone, into ${out}, from its start. */
enum backup_result backup_diff(struct backup_chain *base, const struct backup_span *span,
    struct backup_buffer *out, struct backup_fault *fault);

#endif /* CLI_BACKUP_DIFF_H */
