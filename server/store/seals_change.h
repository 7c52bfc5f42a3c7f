/*
 * Another set of seals, or other versions, in two phases: what is new is made, the switch wraps the
 * root key for it, and then what is old is destroyed. One thread at a time, not the writer's: providers
 * may take seconds.
 */
#ifndef SERVER_STORE_SEALS_CHANGE_H
#define SERVER_STORE_SEALS_CHANGE_H

#include "server/store/seals.h"

struct seals_change {
	struct anchor_seals *next;		/* secret memory: for writeset_reseal() */
	struct provider *provider[PROVIDER_MAX];	/* those that are concerned */
	uint8_t old[PROVIDER_MAX][PROVIDER_ID_LEN], now[PROVIDER_MAX][PROVIDER_ID_LEN];	/* zero: none */
	unsigned count;
	bool taken;		/* a version that was there is put to use: how old it is nobody knows */
	bool away;		/* what is removed did not give its key: what became of it nobody knows */
	unsigned left;		/* that have no further version, or not yet, or are away: theirs stay */
};

/*
 * seals_renew(v, name, c): further versions of the seals in use, or of that one (NULL or "": all that
 * can be). seals_add(v, name, c): one that is configured and not in use. seals_remove(v, name, c): one
 * that is in use. STATUS_ABSENT: there is none of that name (configured, or in use); STATUS_REFUSED: it
 * has no further version, is in use already, would be the ninth, or is the last that opens; STATUS_TOO_SOON:
 * it has no further version yet (wear); else as provider_renew(). Of all that are renewed those that cannot be,
 * or are away, are counted in c->left: it fails only if none was renewed, and one of them failed. On STATUS_OK
 * c->next is the set to come, and seals_conclude() must follow; else nothing is left of it. They hold the lock
 * for work until then.
 */
enum status seals_renew(struct vault *v, const char *name, struct seals_change *c) MUST_USE;
enum status seals_add(struct vault *v, const char *name, struct seals_change *c) MUST_USE;
enum status seals_remove(struct vault *v, const char *name, struct seals_change *c) MUST_USE;

/*
 * After a start with a recovery secret: a first version of each provider of the configuration that does
 * not give the key that the anchor is wrapped for, in its place. c->count: how many. Statuses as
 * provider_create(): one whose file stands in the way is STATUS_REFUSED.
 */
enum status seals_replace(struct vault *v, struct seals_change *c) MUST_USE;

/*
 * The switch is decided and settled, or (without ${decided}) did not happen: what is not in use now is
 * destroyed. false: not all of it; of seals that are in use the next start tries again.
 */
bool seals_conclude(struct vault *v, struct seals_change *c, bool decided);

/*
 * The same when nobody knows whether the switch was decided, or its old slot may still be there: both
 * versions stay, for the live slot may need either. seals_finish() or the next start ends it.
 */
void seals_leave(struct vault *v, struct seals_change *c);

/*
 * Ends what a change that was decided has left: of the seals in use that have further versions (${name}: of
 * that one) the version in use alone is kept; where ${removed}, of that one nothing, unless it is in use
 * again. false: as seals_conclude().
 */
bool seals_finish(struct vault *v, const char *name, bool removed);

/*
 * Opens every provider anew, and notes which gives the key that the anchor is wrapped for. false: not
 * all do.
 */
bool seals_test(struct vault *v);

/*
 * The passphrase or PIN for a provider that is to be added, kept until then; none is STATUS_OK, too.
 * STATUS_ABSENT: it is not configured; STATUS_CONFIG: its length. Any thread.
 */
enum status seals_offer(struct vault *v, const char *name, struct bytes secret) MUST_USE;

/*
 * Providers that the configuration did not have when it was read first. No device is asked here; all
 * are tested soon. The main thread. As seals_new().
 */
enum status seals_learn(struct vault *v, const struct vault_options *o) MUST_USE;

#endif /* SERVER_STORE_SEALS_CHANGE_H */
