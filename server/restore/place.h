/*
 * The place of a restored vault: a store, and unless the keys are a living vault's a key file and an
 * anchor. A mark in the store's folder keeps it from being opened until the restore is through, and lists
 * what it makes besides, file by file, which the next try removes; whatever else has those names stays.
 * One thread.
 */
#ifndef SERVER_RESTORE_PLACE_H
#define SERVER_RESTORE_PLACE_H

#include "server/keys/root.h"
#include "server/store/store.h"
#include "server/store/vault.h"

/* Behind the name of a file while it is made; no other file is called so. */
#define RESTORE_PART ".restoring"

struct place {
	const struct vault_options *o;
	struct vault *living;		/* its anchor is used; NULL: a new one is made */
	struct store *store;
	struct anchor_seals *seals;	/* secret memory */
	struct anchor *anchor;		/* of a new one */
	uint8_t vault[VAULT_ID_LEN];
	uint64_t epoch;			/* of its first slot */
	bool marked, cut_off;		/* one of its own stands; one of an earlier try stood */
	int folder;			/* locked */
};

/*
 * place_make(p, o, living, vault): an empty store, marked. What a restore that was cut off left here is
 * removed first. STATUS_REFUSED: something else is here, or the anchor would lie on class D; STATUS_IO,
 * STATUS_CONFIG.
 */
enum status place_make(struct place *p, const struct vault_options *o, struct vault *living,
    const uint8_t vault[static VAULT_ID_LEN]) MUST_USE;

/*
 * K3: the anchor's slot for the root, in files that are made now or in those of the living vault. As
 * anchor_prepare().
 */
enum status place_prepare(struct place *p, const struct root *root) MUST_USE;

/*
 * place_end(p, done): closes everything. ${done}: the mark goes, and the vault may start. Else what was made is
 * removed again. STATUS_IO: not all of it; the mark stands.
 */
enum status place_end(struct place *p, bool done) MUST_USE;

#endif /* SERVER_RESTORE_PLACE_H */
