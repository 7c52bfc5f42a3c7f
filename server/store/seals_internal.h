/*
 * What the files of the seals share.
 */
#ifndef SERVER_STORE_SEALS_INTERNAL_H
#define SERVER_STORE_SEALS_INTERNAL_H

#include <stdatomic.h>

#include "server/store/seals.h"

struct seals {
	struct provider *provider[PROVIDER_MAX];
	bool opened[PROVIDER_MAX];	/* gave the key that the anchor is wrapped for, when last asked */
	unsigned count;
	struct provider_kek *kek;	/* secret memory; until seals_settle() */
	size_t kek_count;
	/* What seals_class() needs of the set in the anchor. */
	_Atomic uint64_t since, lasting;
	atomic_int dead_class;
	atomic_bool ended;		/* no version that was replaced is left */
};

/* Of that name; NULL: there is none. */
const struct anchor_seal *seals_find(const struct anchor_seals *all, const char *name);
struct provider *seals_provider(const struct seals *s, const char *name);

/* A seal made now of what the provider gave. */
void seals_fill(struct anchor_seal *s, const struct provider *p, const struct provider_kek *kek,
    uint64_t epoch);

/* After the anchor has other seals. The writer's thread, or start-up's. */
void seals_note(struct vault *v);

#endif /* SERVER_STORE_SEALS_INTERNAL_H */
