/*
 * What the chain and its cursors share.
 */
#ifndef CLIENT_BACKUP_CHAIN_INTERNAL_H
#define CLIENT_BACKUP_CHAIN_INTERNAL_H

#include "client/backup/chain.h"
#include "client/backup/manifest.h"

/* One folder. */
struct backup_layer {
	char *path;
	Pdvault__V1__BackupManifest *manifest;
};

/* Told of each chunk that was read, unless NULL. */
struct backup_watch {
	void (*see)(void *arg, uint64_t done, uint64_t of);
	void *arg;
	uint64_t done, of;
};

/*
 * Invariants:
 *   1. the first layer is full, each other is since the one before it; all are of one vault, kind and key, and
 *      have the same tables in the same order.
 */
struct backup_chain {
	struct backup_layer layers[BACKUP_CHAIN_MAX];	/* the oldest first */
	size_t count;
	struct backup_watch *watch;			/* while backup_chain_verify() runs */
};

/* The ranges of a table in a manifest: [*first, *end). */
void backup_chain_table(const Pdvault__V1__BackupManifest *m, const char *table, size_t *first, size_t *end);

#endif /* CLIENT_BACKUP_CHAIN_INTERNAL_H */
