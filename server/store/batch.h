/*
 * Making a batch durable: the steps K2 to K6 in their order. The writer's thread only.
 */
#ifndef SERVER_STORE_BATCH_H
#define SERVER_STORE_BATCH_H

#include <stdbool.h>

#include "server/store/overlay.h"

/*
 * batch_commit(v, o, erasing, fatal): STATUS_OK: everything in ${o} is durable, and the keys it
 * replaced are gone. STATUS_FULL, STATUS_ANCHOR, STATUS_FORGED, STATUS_NO_MEMORY, STATUS_IO: nothing was
 * changed. STATUS_INDETERMINATE: from K4 on; with *fatal the process must stop, without it the vault
 * serves reads only from now on. ${erasing}: it may use the reserve and the last tenth of the store, as
 * store_allocate() says. That is for what a full store must still do, and the caller sees to it that
 * nothing else is in the batch: erasures, the sweep of old outcomes and litter, the root of batch_renew().
 */
enum status batch_commit(struct vault *v, struct overlay *o, bool erasing, bool *fatal) MUST_USE;

/*
 * batch_renew(v, o, fatal): a switch that changes nothing but the root, as a batch of its own: the live slot
 * is written anew, in the other place. As batch_commit() with ${erasing}, in a full store too.
 */
enum status batch_renew(struct vault *v, struct overlay *o, bool *fatal) MUST_USE;

#endif /* SERVER_STORE_BATCH_H */
