/*
 * A vault without a writer, and one write set over one batch, which the test drives itself.
 */
#ifndef TESTS_WS_BED_H
#define TESTS_WS_BED_H

#include "server/store/batch.h"
#include "server/store/writeset.h"
#include "vault_bed.h"

struct ws_bed {
	struct vault_bed bed;
	struct overlay *overlay;
	struct writeset *ws;
};

void ws_bed_new(struct ws_bed *w);
void ws_bed_free(struct ws_bed *w);

/* What is in the write set goes into the store, and a new batch begins. */
void ws_bed_commit(struct ws_bed *w);

#endif /* TESTS_WS_BED_H */
