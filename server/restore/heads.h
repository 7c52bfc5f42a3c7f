/*
 * Whether the ledger that is taken is the newest that is known of: it must have every head that anything
 * names, or people who were erased would be back. One thread.
 */
#ifndef SERVER_RESTORE_HEADS_H
#define SERVER_RESTORE_HEADS_H

#include "server/restore/forget.h"
#include "server/restore/resurrections.h"

/* Start with all zero but the ledger. */
struct heads {
	const struct forget *ledger;
	struct ledger_head wanted;	/* the newest that it lacks */
	bool old;			/* there is such a one */
};

/* Of a head that was typed in only the hash is known, and the count is 0. */
void heads_judge(struct heads *h, const struct ledger_head *head);

/*
 * heads_store(h, in, epoch): what a store that gives records says of itself, and its epoch. It is not signed,
 * so it can only refuse. STATUS_CORRUPT: it says nothing; as stream_get().
 */
enum status heads_store(struct heads *h, struct input *in, uint64_t *epoch) MUST_USE;

/*
 * heads_copy(h, path, o, earlier): a copy of the ledger that the vault kept, which may be newer than the one
 * that is named. One that is not there, cannot be read, or was given up by an earlier restore, is passed over.
 * STATUS_NO_MEMORY.
 */
enum status heads_copy(struct heads *h, const char *path, const struct forget_owner *o,
    const struct resurrections *earlier) MUST_USE;

/* Into the log. */
void heads_say(const char *what, const struct ledger_head *head);

#endif /* SERVER_RESTORE_HEADS_H */
