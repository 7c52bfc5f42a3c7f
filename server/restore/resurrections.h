/*
 * Restores that took a ledger which was not the newest: a vault remembers them for ever (docs/FORMAT.md, meta).
 * One thread.
 */
#ifndef SERVER_RESTORE_RESURRECTIONS_H
#define SERVER_RESTORE_RESURRECTIONS_H

#include "server/restore/input.h"
#include "server/store/ledger.h"
#include "server/store/vault.h"

/* Start with all zero. */
struct resurrections {
	uint8_t row[VAULT_RESURRECTIONS_MAX * VAULT_RESURRECTION_LEN];
	size_t len;
};

/* Those of ${rows} that are not there yet. All of these: STATUS_REFUSED: there are too many. */
enum status resurrections_add(struct resurrections *t, struct bytes rows) MUST_USE;

/* Those that a store knows of. As stream_get(). */
enum status resurrections_of_store(struct resurrections *t, struct input *in) MUST_USE;

/* One more: ${taken} was taken, though ${wanted} was known of. */
enum status resurrections_new(struct resurrections *t, int64_t now_ms, const struct ledger_head *taken,
    const struct ledger_head *wanted) MUST_USE;

/* Whether an operator has decided to do without that head. */
bool resurrections_gave_up(const struct resurrections *t, const struct ledger_head *head);

#endif /* SERVER_RESTORE_RESURRECTIONS_H */
