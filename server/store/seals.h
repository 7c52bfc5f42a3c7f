/*
 * The seals of a vault: the providers that its configuration names, opened at start, and which of them the
 * slots of its anchor are wrapped for. docs/KEYS.md.
 *
 * The set lies in the anchor's slot, under the root key, so that any seal that opens gives all of them: one
 * whose provider is away is wrapped for all the same, and is not lost by the next switch. Another set is an
 * ordinary switch. A new version of a provider is made before it, the old one destroyed after it;
 * seals_settle() ends what a crash left in between.
 */
#ifndef SERVER_STORE_SEALS_H
#define SERVER_STORE_SEALS_H

#include "server/keys/anchor.h"
#include "server/store/vault.h"

struct seals;

/* The providers of the configuration; nothing is touched. STATUS_CONFIG: one cannot be; the log says why. */
enum status seals_new(const struct vault_options *o, struct seals **out) MUST_USE;
void seals_free(struct seals *s);

/*
 * Asks every provider for its KEKs, once. STATUS_OK: at least one gave some, or ${o} has a recovery
 * secret; else what the first failed with. seals_keks(): all that were given.
 */
enum status seals_open(struct seals *s, const struct vault_options *o) MUST_USE;
const struct provider_kek *seals_keks(const struct seals *s, size_t *count);

/*
 * First versions of all that the configuration names, for a vault whose first slot is that of ${epoch}; with
 * ${suffix} behind the paths of their files. On failure what was made is destroyed. As provider_create().
 */
enum status seals_create(const struct vault_options *o, const char *suffix, uint64_t epoch,
    struct anchor_seals *out) MUST_USE;

/* Destroys them again. */
void seals_uncreate(const struct vault_options *o);

/*
 * After recovery: of each provider only the version that the live slot names is kept. What cannot be is said in
 * the log and by seals_class(). The KEKs that were asked for are wiped.
 */
void seals_settle(struct vault *v);

/* The files that they keep their state in, into out[PROVIDER_MAX]. */
size_t seals_files(const struct vault_options *o, const char **out);

/* Seals in use that did not give their key when they were tested last. Any thread. */
unsigned seals_failing(struct vault *v);

/*
 * The class that an erasure of ${epoch} has, whose anchor had class ${anchor}: that one, or a better
 * one, when every wrap of the slots that the keys died with is dead as well. Any thread.
 */
char seals_class(struct vault *v, uint64_t epoch, char anchor);

/*
 * The class of the vault: that of the anchor, or a better one if all seals are better, which erasures
 * then come to with the next version of the seals. One that nothing destroys decides for the anchor.
 * *why becomes a static text. Any thread.
 */
char seals_vault_class(struct vault *v, const char **why);

#endif /* SERVER_STORE_SEALS_H */
