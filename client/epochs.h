/*
 * The highest incarnation and epoch seen of each vault. A vault that answers from a lower one is an old
 * copy (DESIGN 7); a restored one has a higher incarnation, and begins with any epoch. Requests overlap, so
 * an answer is held against what had been seen when its request was sent, not against what other answers
 * brought meanwhile. Callers serialise.
 */
#ifndef CLIENT_EPOCHS_H
#define CLIENT_EPOCHS_H

#include <stdint.h>

#include "pdvault/types.h"

#define EPOCHS_MAX 16 /* vaults; more are refused, forgetting one would hide a rollback */

struct epochs_at {
	uint64_t incarnation, epoch;
};

struct epochs {
	unsigned count;
	struct epochs_at at[EPOCHS_MAX];
	uint8_t vault[EPOCHS_MAX][PDV_ID_LEN];
};

/* What had been seen at one moment; vaults keep their places. */
struct epochs_mark {
	unsigned count;
	struct epochs_at at[EPOCHS_MAX];
};

enum epochs_verdict { EPOCHS_FINE, EPOCHS_ROLLED_BACK, EPOCHS_TOO_MANY };

/* epochs_mark(e, out): remember what is seen now. */
void epochs_mark(const struct epochs *e, struct epochs_mark *out);

/*
 * epochs_note(e, mark, vault, at):
 * Judge an answer of ${vault} from ${at} to a request sent at ${mark}, and learn from it
 * if it is fine.
 */
enum epochs_verdict epochs_note(struct epochs *e, const struct epochs_mark *mark,
    const uint8_t vault[static PDV_ID_LEN], struct epochs_at at);

#endif /* CLIENT_EPOCHS_H */
