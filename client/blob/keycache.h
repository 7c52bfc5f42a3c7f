/*
 * Data keys that were opened, kept in locked memory for a limited time, so that the vault need not be asked
 * each time; and one question for all who ask for the same key at once. Any thread.
 *
 * The time is counted from before the vault was asked: when it is over, no key is left here that was opened
 * before an erasure that was answered that long ago.
 */
#ifndef CLIENT_BLOB_KEYCACHE_H
#define CLIENT_BLOB_KEYCACHE_H

#include "pdvault/blob.h"

#define KEYCACHE_REASON_LEN 65

struct keycache;

/* Which key: a wrapped one, of that place. */
struct keycache_asked {
	const struct pdv_blob_place *place;
	struct pdv_wrapped_key wrapped;
};

/* What the vault said. A secret: whoever has one on the stack wipes it. */
struct keycache_answer {
	enum pdv_code code;
	char reason[KEYCACHE_REASON_LEN];
	uint8_t key[PDV_DATA_KEY_LEN];
	size_t rewrapped_length; /* 0: none */
	uint8_t rewrapped[PDV_WRAPPED_KEY_MAX];
};

/* Asks the vault, which may take a while. */
struct keycache_fetch {
	void (*ask)(void *arg, const struct keycache_asked *q, struct keycache_answer *out);
	void *arg;
};

/*
 * keycache_new(keys, ms, out):
 * At most ${keys} keys, each for ${ms} milliseconds; with a thread that wipes them then.
 * PDV_RESOURCE_EXHAUSTED: memory, or it could not be locked, or no thread.
 */
enum pdv_code keycache_new(unsigned keys, uint32_t ms, struct keycache **out)
    __attribute__((warn_unused_result));

/* keycache_get(c, q, fetch, out): from here, or from who is asking for it already, or by ${fetch}. */
void keycache_get(struct keycache *c, const struct keycache_asked *q, const struct keycache_fetch *fetch,
    struct keycache_answer *out);

/*
 * keycache_forget(c, subject):
 * Wipe the keys of ${subject} (NULL: of all). What is being asked for goes to those who asked, and is not kept.
 */
void keycache_forget(struct keycache *c, const uint8_t *subject);

/* keycache_free(c): nobody asks any more. NULL is allowed. */
void keycache_free(struct keycache *c);

#ifdef PDV_TEST_HOOKS
/* keycache_test_kept(c): how many keys are kept. */
unsigned keycache_test_kept(struct keycache *c);
#endif

#endif /* CLIENT_BLOB_KEYCACHE_H */
