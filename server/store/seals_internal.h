/*
 * What the files of the seals share.
 */
#ifndef SERVER_STORE_SEALS_INTERNAL_H
#define SERVER_STORE_SEALS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/store/seals.h"

/* A passphrase or PIN that somebody gave for a provider that is to be added. */
struct seals_offered {
	char name[PROVIDER_NAME_MAX + 1];
	size_t len;
	uint8_t secret[PROVIDER_SECRET_MAX];
};

struct seals {
	struct provider *provider[PROVIDER_MAX];	/* never changes up to count, which only grows */
	atomic_uint count;
	pthread_mutex_t work;		/* whoever asks a provider for something, which may take seconds */
	pthread_mutex_t lock;		/* the next five, for a moment */
	bool opened[PROVIDER_MAX];	/* gave the key that the anchor is wrapped for, when last asked */
	int64_t tested_ms[PROVIDER_MAX];	/* when that was */
	char class[PROVIDER_MAX];	/* as of then: asking may take a token's time */
	const char *class_why[PROVIDER_MAX];
	struct anchor_seals *now;	/* secret memory: those of the anchor */
	struct provider_kek *kek;	/* secret memory; until seals_settle() */
	size_t kek_count;
	struct anchor_seals *before;	/* secret memory: the switch's own, while it is not decided */
	struct seals_offered *offered;	/* secret memory; under lock */
	/* What seals_class() needs of the set in the anchor. */
	_Atomic uint64_t since, lasting;
	atomic_int dead_class;
	atomic_uint asked;		/* how often somebody wanted them to be tested */
	bool left[PROVIDER_MAX];	/* a version that was replaced may be; under work, or at start-up */
	atomic_bool ended;		/* none is */
};

/* Of that name; NULL: there is none. */
const struct anchor_seal *seals_find(const struct anchor_seals *all, const char *name);
struct provider *seals_provider(const struct seals *s, const char *name);

/* provider_new(), and what it says in the log. */
enum status seals_make(const struct provider_options *o, struct provider **out) MUST_USE;

/* A seal made now of what the provider gave. */
void seals_fill(struct anchor_seal *s, const struct provider *p, const struct provider_kek *kek,
    uint64_t epoch);

/* What was found out about provider ${i} just now: its class is looked up. Whoever has work, or start-up. */
void seals_found(struct seals *s, unsigned i, bool opens);

/* Whether all versions of provider ${i} that were replaced are destroyed. Whoever has work, or start-up. */
void seals_ended(struct seals *s, unsigned i, bool ended);

/* After the anchor has other seals. The writer's thread, or start-up's. */
void seals_note(struct vault *v);

#endif /* SERVER_STORE_SEALS_INTERNAL_H */
