/*
 * How fast blobs are sealed and opened, in memory, beside libsodium's stream alone in the same run.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "pdvault/blob.h"

#define PIECE (1u << 20)	/* of the data in one call */

struct work {
	uint8_t *data, *sealed, *opened;	/* pieces; the sealed ones one behind the other */
	struct pdv_blob_place place;
	struct pdv_blobs *blobs;
	size_t pieces, sealed_length;
};

/* What there is without us: each chunk by one call. */
static bool
raw(struct work *w)
{
	crypto_secretstream_xchacha20poly1305_state s;
	uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES],
	    header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];

	randombytes_buf(key, sizeof(key));
	(void)crypto_secretstream_xchacha20poly1305_init_push(&s, header, key);
	for (size_t at = 0; at < w->pieces * PIECE; at += PDV_BLOB_CHUNK)
		(void)crypto_secretstream_xchacha20poly1305_push(&s, w->opened, NULL,
		    w->data + at % PIECE, PDV_BLOB_CHUNK, NULL, 0, 0);
	return true;
}

static bool
seal(struct work *w)
{
	struct pdv_blob_buffer b = { .data = w->sealed, .size = w->pieces * PDV_BLOB_ROOM((size_t)PIECE) };
	struct pdv_blob_sealer *s = NULL;
	bool ok = pdv_blob_sealer_new(w->blobs, &w->place, NULL, &s) == PDV_OK;

	for (size_t i = 0; ok && i < w->pieces; i++)
		ok = pdv_blob_sealer_update(s, w->data, PIECE, &b) == PDV_OK;
	ok = ok && pdv_blob_sealer_final(s, &b) == PDV_OK;
	if (!ok && s != NULL)
		(void)fprintf(stderr, "pdvault-bench: %s\n", pdv_blob_sealer_reason(s));
	w->sealed_length = b.length;
	pdv_blob_sealer_free(s);
	return ok;
}

static bool
open_it(struct work *w)
{
	struct pdv_blob_opener *o = NULL;
	struct pdv_blob_buffer b = { .data = w->opened, .size = PDV_BLOB_ROOM((size_t)PIECE) };
	bool ok = pdv_blob_opener_new(w->blobs, &w->place, NULL, &o) == PDV_OK;

	for (size_t at = 0; ok && at < w->sealed_length; at += PIECE, b.length = 0)
		ok = pdv_blob_opener_update(o, w->sealed + at,
		    w->sealed_length - at < PIECE ? w->sealed_length - at : PIECE, &b) == PDV_OK;
	ok = ok && pdv_blob_opener_final(o, &b) == PDV_OK;
	if (!ok && o != NULL)
		(void)fprintf(stderr, "pdvault-bench: %s\n", pdv_blob_opener_reason(o));
	pdv_blob_opener_free(o);
	return ok;
}

/* Bytes a nanosecond, or 0. */
static double
rate(struct work *w, bool (*what)(struct work *))
{
	uint64_t start = bench_now();

	return what(w) ? (double)(w->pieces * PIECE) / (double)(bench_now() - start) : 0;
}

static bool
measure(struct bench *b, struct work *w)
{
	for (unsigned i = 0; i < b->o.rounds; i++) {
		double alone = rate(w, raw), sealing = rate(w, seal), opening = rate(w, open_it);

		if (sealing <= 0 || opening <= 0)
			return false;
		(void)printf("blob   stream alone %6.0f MB/s   sealed %6.0f MB/s, %4.2f of it   "
		    "opened %6.0f MB/s, %4.2f of it\n", alone * 1e3, sealing * 1e3, sealing / alone,
		    opening * 1e3, opening / alone);
	}
	return true;
}

bool
blob_run(struct bench *b)
{
	struct work w = { .place.subject = b->subject[0].id, .place.category = PDV_CATEGORY_CONTENT,
		.pieces = b->o.blob };
	bool ok = false;

	w.data = calloc(1, PIECE);
	w.opened = malloc(PDV_BLOB_ROOM((size_t)PIECE));
	w.sealed = calloc(w.pieces, PDV_BLOB_ROOM((size_t)PIECE));
	/* The first time pages are taken from the system: not what is measured. */
	if (w.data != NULL && w.opened != NULL && w.sealed != NULL &&
	    pdv_blobs_new(b->client, NULL, &w.blobs) == PDV_OK)
		ok = seal(&w) && measure(b, &w);
	pdv_blobs_free(w.blobs);
	free(w.data);
	free(w.opened);
	free(w.sealed);
	return ok;
}
