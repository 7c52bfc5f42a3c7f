/*
 * From one file to another, or a standard stream ("-"), in pieces. What is written has another name until it is
 * whole, and mode 0600.
 */
#ifndef CLI_BLOB_FILE_H
#define CLI_BLOB_FILE_H

#include "failure.h"
#include "pdvault/blob.h"
#include "progress.h"

enum { BLOB_FILE_PIECE = 1024 * 1024, BLOB_FILE_PATH = 4096 };

struct blob_file {
	const char *from, *to;
	int in, out;			/* -1: not open */
	uint64_t read, written;
	struct progress progress;
	uint8_t *piece;			/* BLOB_FILE_PIECE bytes, */
	struct pdv_blob_buffer room;	/* and for what comes of them */
};

/*
 * blob_file_open(b, from, to, f):
 * Whatever comes of it, ${b} is for blob_file_close().
 */
enum pdv_code blob_file_open(struct blob_file *b, const char *from, const char *to, struct failure *f);

/*
 * blob_file_next(b, len, f):
 * The next piece, of ${len} bytes; 0: that was all.
 */
enum pdv_code blob_file_next(struct blob_file *b, size_t *len, struct failure *f);

/*
 * blob_file_put(b, f):
 * Write what is in the room, which is empty then.
 */
enum pdv_code blob_file_put(struct blob_file *b, struct failure *f);

/*
 * blob_file_done(b, f):
 * It is whole: it gets its name.
 */
enum pdv_code blob_file_done(struct blob_file *b, struct failure *f);

/*
 * blob_file_close(b):
 * Remove what is not whole, wipe.
 */
void blob_file_close(struct blob_file *b);

#endif /* CLI_BLOB_FILE_H */
