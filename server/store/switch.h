/*
 * Going from epoch e to e + 1: the steps K2 to K6 for a batch whose keys have changed. The
 * writer's thread only, in the order of this file.
 */
#ifndef SERVER_STORE_SWITCH_H
#define SERVER_STORE_SWITCH_H

#include "server/keys/root.h"
#include "server/store/overlay.h"

/* The batch changes a key. */
bool switch_needed(struct overlay *o);

/*
 * K2. Seals every dirty item once under a fresh key, bottom up, then a fresh root, of epoch
 * current + 1; then opens the way from the new root to each of them again from the sealed bytes. After
 * STATUS_OK the items have their box, and ${root_box} the root page. STATUS_FORGED: what was sealed does
 * not open or is not what was meant: nothing may be written.
 */
enum status switch_seal(struct vault *v, struct overlay *o,
    uint8_t root_box[static ROOT_BOX_LEN]) MUST_USE;

/* K3. The other slot of the anchor for the new epoch; readers may meet that epoch from now on. */
enum status switch_prepare(struct vault *v, struct overlay *o) MUST_USE;

/* K4 did not happen and surely will not: as if there had been no K3. */
void switch_abandon(struct vault *v, struct overlay *o);

/*
 * K5 and K6, after the commit. STATUS_ANCHOR: the old slot may still be there; the vault is read only from
 * now on and its epoch stays unsettled. STATUS_INDETERMINATE: a reader is stuck, stop the process.
 */
enum status switch_finish(struct vault *v, struct overlay *o) MUST_USE;

/* Where K5 had failed it is tried again; when it succeeds the vault takes writes again. */
void switch_retry(struct vault *v);

#endif /* SERVER_STORE_SWITCH_H */
