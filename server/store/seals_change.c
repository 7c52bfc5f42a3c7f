#include "server/store/seals_change.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/store/vault_internal.h"

static const uint8_t no_id[PROVIDER_ID_LEN];

static enum status
begin(struct vault *v, struct seals_change *c)
{
	memset(c, 0, sizeof(*c));
	if ((c->next = secret_alloc(sizeof(*c->next))) == NULL)
		return STATUS_NO_MEMORY;
	must(pthread_mutex_lock(&v->seals->work) == 0);
	must(pthread_mutex_lock(&v->seals->lock) == 0);
	*c->next = *v->seals->now;
	must(pthread_mutex_unlock(&v->seals->lock) == 0);
	return STATUS_OK;
}

static struct anchor_seal *
to_change(struct seals_change *c, const char *name)
{
	const struct anchor_seal *seal = seals_find(c->next, name);

	return seal != NULL ? &c->next->seal[seal - c->next->seal] : NULL;
}

static unsigned
place_of(const struct seals *s, const struct provider *p)
{
	unsigned i = 0;

	while (s->provider[i] != p)
		i++;
	return i;
}

/* What is known of the dead gets worse, never better. */
static void
note_death(struct provider *p, struct anchor_seals *all)
{
	const char *why;
	char class = PROVIDER_LASTING;

	if (p != NULL)
		class = provider_class(p, &why);
	if (class == PROVIDER_LASTING)
		all->lasting = UINT64_MAX;	/* the switch puts its epoch there */
	else if (all->dead_class == 0 || (uint8_t)class > all->dead_class)
		all->dead_class = (uint8_t)class;
}

static void
concern(struct seals_change *c, struct provider *p, const uint8_t *old, const uint8_t *now)
{
	c->provider[c->count] = p;
	memcpy(c->old[c->count], old, PROVIDER_ID_LEN);
	memcpy(c->now[c->count], now, PROVIDER_ID_LEN);
	c->count++;
}

/* S3 without a switch: new versions are destroyed. */
static void
give_up(struct vault *v, struct seals_change *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (memcmp(c->now[i], no_id, sizeof(no_id)) != 0)
			(void)!provider_keep(c->provider[i], memcmp(c->old[i], no_id, sizeof(no_id)) != 0 ?
			    c->old[i] : NULL);
	secret_free(c->next, sizeof(*c->next));
	c->next = NULL;
	must(pthread_mutex_unlock(&v->seals->work) == 0);
}

/* Whether it gives the key that the anchor is wrapped for. STATUS_SEAL: another; else as provider_open(). */
static enum status
gives(struct provider *p, const struct anchor_seal *s)
{
	struct provider_kek *all = secret_alloc(PROVIDER_VERSIONS_MAX * sizeof(*all));
	enum status rc = STATUS_NO_MEMORY, found = STATUS_SEAL;
	unsigned count = 0;

	if (all == NULL)
		return rc;
	rc = provider_open(p, all, &count);
	for (unsigned i = 0; i < count && rc == STATUS_OK; i++)
		if (memcmp(s->id, all[i].id, PROVIDER_ID_LEN) == 0 && seal_key_equal(&s->key, &all[i].key))
			found = STATUS_OK;
	secret_free(all, PROVIDER_VERSIONS_MAX * sizeof(*all));
	return rc == STATUS_OK ? found : rc;
}

static bool
is_too_soon(const struct provider *p, const struct anchor_seal *s)
{
	int64_t age = clock_wall_ms() - s->made_ms;

	return age >= 0 && age < (int64_t)provider_kind_of(p)->interval_s * 1000;
}

/* A further version of one. STATUS_REFUSED: it has none; STATUS_TOO_SOON. */
static enum status
renew_one(struct seals_change *c, struct provider *p, struct anchor_seal *s, struct provider_kek *kek)
{
	uint8_t old[PROVIDER_ID_LEN];
	enum status rc;

	if (!provider_kind_of(p)->renews)
		return STATUS_REFUSED;
	if (is_too_soon(p, s))
		return STATUS_TOO_SOON;
	/*
	 * S1; what a crash left between two versions is ended first. What does not give the key in use is
	 * another passphrase, or another file, and its next version would be one that nobody has.
	 */
	if ((rc = provider_keep(p, s->id)) != STATUS_OK || (rc = gives(p, s)) != STATUS_OK ||
	    (rc = provider_renew(p, kek)) != STATUS_OK)
		return rc;
	memcpy(old, s->id, sizeof(old));
	note_death(p, c->next);
	seals_fill(s, p, kek, 0);
	concern(c, p, old, kek->id);
	return STATUS_OK;
}

enum status
seals_renew(struct vault *v, const char *name, struct seals_change *c)
{
	bool all = name == NULL || name[0] == '\0';
	struct provider_kek *kek = secret_alloc(sizeof(*kek));
	enum status rc = kek != NULL ? begin(v, c) : STATUS_NO_MEMORY, failed = STATUS_OK;

	if (rc != STATUS_OK)
		goto out;
	rc = all || seals_find(c->next, name) != NULL ? STATUS_OK : STATUS_ABSENT;
	for (unsigned i = 0; i < c->next->count && rc == STATUS_OK; i++) {
		struct anchor_seal *s = &c->next->seal[i];
		struct provider *p = seals_provider(v->seals, s->name);

		if (!all && strcmp(s->name, name) != 0)
			continue;
		rc = p != NULL ? renew_one(c, p, s, kek) : STATUS_REFUSED;
		/* Of all some may have no further version, or be away: theirs stay. */
		if (rc != STATUS_OK && rc != STATUS_NO_MEMORY && all) {
			failed = rc != STATUS_REFUSED && rc != STATUS_TOO_SOON ? rc : failed;
			if (failed == rc)
				seals_found(v->seals, place_of(v->seals, p), false);
			c->left++;
			rc = STATUS_OK;
		}
	}
	if (rc == STATUS_OK && c->count == 0)
		rc = failed;
	if (rc != STATUS_OK)
		give_up(v, c);
out:
	secret_free(kek, sizeof(*kek));
	return rc;
}

/* What was offered for it, once. */
static enum status
take_offer(struct seals *s, struct provider *p, bool *taken)
{
	enum status rc = STATUS_OK;

	must(pthread_mutex_lock(&s->lock) == 0);
	if (s->offered->len > 0 && strcmp(s->offered->name, provider_name(p)) == 0) {
		rc = provider_set_secret(p, bytes_of(s->offered->secret, s->offered->len));
		sodium_memzero(s->offered, sizeof(*s->offered));
		*taken = rc == STATUS_OK;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}

/* It came to nothing. */
static void
drop_offer(struct seals *s, const char *name)
{
	must(pthread_mutex_lock(&s->lock) == 0);
	if (strcmp(s->offered->name, name) == 0)
		sodium_memzero(s->offered, sizeof(*s->offered));
	must(pthread_mutex_unlock(&s->lock) == 0);
}

/* S1: what it has already, else its first version. */
static enum status
first_version(struct provider *p, struct provider_kek *kek, bool *made)
{
	struct provider_kek *all = secret_alloc(PROVIDER_VERSIONS_MAX * sizeof(*all));
	unsigned count = 0;
	enum status rc = STATUS_NO_MEMORY;

	*made = true;
	if (all == NULL)
		return rc;
	rc = provider_create(p, kek);
	/*
	 * An earlier try was cut off before its switch; one version is there, or the operator has put
	 * it there.
	 */
	if (rc == STATUS_REFUSED && (rc = provider_open(p, all, &count)) == STATUS_OK) {
		rc = count == 1 ? STATUS_OK : STATUS_REFUSED;
		*kek = all[0];
		*made = false;
	}
	secret_free(all, PROVIDER_VERSIONS_MAX * sizeof(*all));
	return rc;
}

static bool
has_id(const struct anchor_seals *all, const uint8_t *id)
{
	for (unsigned i = 0; i < all->count; i++)
		if (memcmp(all->seal[i].id, id, PROVIDER_ID_LEN) == 0)
			return true;
	return false;
}

enum status
seals_add(struct vault *v, const char *name, struct seals_change *c)
{
	struct provider *p = seals_provider(v->seals, name);
	struct provider_kek *kek = secret_alloc(sizeof(*kek));
	bool made = false, taken = false;
	enum status rc = kek != NULL ? begin(v, c) : STATUS_NO_MEMORY;

	if (rc != STATUS_OK)
		goto out;
	rc = p == NULL ? STATUS_ABSENT : seals_find(c->next, name) != NULL || c->next->count == PROVIDER_MAX ?
	    STATUS_REFUSED : take_offer(v->seals, p, &taken);
	if (rc == STATUS_OK)
		rc = first_version(p, kek, &made);
	/* Another seal has that very file, and what is done to one would be done to both. */
	if (rc == STATUS_OK && has_id(c->next, kek->id))
		rc = STATUS_REFUSED;
	if (rc != STATUS_OK) {
		drop_offer(v->seals, name);
		if (taken)
			provider_forget_secret(p);
		give_up(v, c);
		goto out;
	}
	seals_fill(&c->next->seal[c->next->count++], p, kek, 0);
	concern(c, p, no_id, kek->id);
	if (!made) {
		/* It is not ours to destroy, and may have been in use before. */
		memcpy(c->old[0], kek->id, PROVIDER_ID_LEN);
		c->next->seal[c->next->count - 1].since = 1;
		c->next->seal[c->next->count - 1].made_ms = 0;
		c->taken = true;
	}
out:
	secret_free(kek, sizeof(*kek));
	return rc;
}

enum status
seals_replace(struct vault *v, struct seals_change *c)
{
	struct provider_kek *kek = secret_alloc(sizeof(*kek));
	struct seals *s = v->seals;
	enum status rc = kek != NULL ? begin(v, c) : STATUS_NO_MEMORY;

	if (rc != STATUS_OK)
		goto out;
	for (unsigned i = 0; i < s->count && rc == STATUS_OK; i++) {
		struct provider *p = s->provider[i];
		struct anchor_seal *seal = to_change(c, provider_name(p));

		if (!provider_kind_of(p)->opens || s->opened[i])
			continue;
		if (seal == NULL && c->next->count == PROVIDER_MAX)
			rc = STATUS_REFUSED;
		else
			rc = provider_create(p, kek);
		if (rc != STATUS_OK)
			break;
		/* Nobody knows what became of the key that is lost. */
		if (seal != NULL)
			c->next->lasting = UINT64_MAX;
		seals_fill(seal != NULL ? seal : &c->next->seal[c->next->count++], p, kek, 0);
		concern(c, p, no_id, kek->id);
	}
	if (rc != STATUS_OK)
		give_up(v, c);
out:
	secret_free(kek, sizeof(*kek));
	return rc;
}

/* Whether one is left that opens now, while nobody has a recovery secret. */
static bool
one_opens(const struct seals *s, const struct anchor_seals *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		struct provider *p = seals_provider(s, all->seal[i].name);

		if (p != NULL && all->seal[i].kind == ANCHOR_SEAL_KEK && gives(p, &all->seal[i]) == STATUS_OK)
			return true;
	}
	return false;
}

enum status
seals_remove(struct vault *v, const char *name, struct seals_change *c)
{
	struct provider *p = seals_provider(v->seals, name);
	struct anchor_seal *s;
	enum status rc;
	unsigned at;

	if ((rc = begin(v, c)) != STATUS_OK)
		return rc;
	if ((s = to_change(c, name)) == NULL) {
		give_up(v, c);
		return STATUS_ABSENT;
	}
	at = (unsigned)(s - c->next->seal);
	/* Where its provider is gone, or does not give the key, nobody knows what became of it. */
	c->away = p == NULL || gives(p, s) != STATUS_OK;
	note_death(c->away ? NULL : p, c->next);
	if (p != NULL)
		concern(c, p, s->id, no_id);
	memmove(s, s + 1, (c->next->count - at - 1) * sizeof(*s));
	sodium_memzero(&c->next->seal[--c->next->count], sizeof(*s));
	if (!one_opens(v->seals, c->next)) {
		c->count = 0;
		give_up(v, c);
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

/* S3: the old one dies here. */
static bool
end_old(struct seals *s, struct provider *p, const uint8_t *now)
{
	bool stays = memcmp(now, no_id, sizeof(no_id)) != 0;
	bool ended = mutant(old_seal_kept) || provider_keep(p, stays ? now : NULL) == STATUS_OK;

	if (!stays)
		provider_forget_secret(p);
	log_event(LOG_SEAL_CHANGED, LOG_S(NAME, provider_name(p)),
	    LOG_S(WHAT, stays ? "a new version is in use" : "it is not in use any more"));
	seals_found(s, place_of(s, p), stays && provider_kind_of(p)->opens);
	seals_ended(s, place_of(s, p), ended);
	return ended;
}

bool
seals_conclude(struct vault *v, struct seals_change *c, bool decided)
{
	bool all = true;

	if (!decided) {
		give_up(v, c);
		return true;
	}
	for (unsigned i = 0; i < c->count; i++)
		all &= end_old(v->seals, c->provider[i], c->now[i]) && !c->away;
	metrics_set(METRIC_SEALS_FAILING, seals_failing(v));
	secret_free(c->next, sizeof(*c->next));
	c->next = NULL;
	must(pthread_mutex_unlock(&v->seals->work) == 0);
	return all;
}

void
seals_leave(struct vault *v, struct seals_change *c)
{
	for (unsigned i = 0; i < c->count; i++)
		seals_ended(v->seals, place_of(v->seals, c->provider[i]), false);
	c->count = 0;
	give_up(v, c);
}

bool
seals_finish(struct vault *v, const char *name, bool removed)
{
	struct seals *s = v->seals;
	struct seals_change c;
	bool all = true;

	if (begin(v, &c) != STATUS_OK)
		return false;
	for (unsigned i = 0; i < s->count; i++) {
		struct provider *p = s->provider[i];
		const struct anchor_seal *seal = seals_find(c.next, provider_name(p));

		if (name[0] != '\0' ? strcmp(provider_name(p), name) != 0 : !provider_kind_of(p)->renews)
			continue;
		if (seal != NULL ? seal->kind != ANCHOR_SEAL_KEK : !removed)
			continue;
		seals_ended(s, i, provider_keep(p, seal != NULL ? seal->id : NULL) == STATUS_OK);
		all &= !s->left[i];
	}
	give_up(v, &c);
	return all;
}

bool
seals_test(struct vault *v)
{
	struct seals *s = v->seals;
	struct seals_change c;
	unsigned failing = 0;

	if (begin(v, &c) != STATUS_OK)
		return false;
	for (unsigned i = 0; i < s->count; i++) {
		const struct anchor_seal *seal = seals_find(c.next, provider_name(s->provider[i]));
		bool opens;

		if (seal == NULL || seal->kind != ANCHOR_SEAL_KEK) {
			seals_found(s, i, false);	/* for its class */
			continue;
		}
		opens = gives(s->provider[i], seal) == STATUS_OK;
		seals_found(s, i, opens);
		failing += !opens;
		/* What was away when its version of before was to die. */
		if (opens && s->left[i])
			seals_ended(s, i, provider_keep(s->provider[i], seal->id) == STATUS_OK);
		if (!opens)
			log_event(LOG_SEAL, LOG_S(NAME, seal->name),
			    LOG_S(WHAT, "it does not give the key that the anchor is wrapped for"));
	}
	give_up(v, &c);
	metrics_set(METRIC_SEALS_FAILING, failing);
	if (failing == 0)
		metrics_set(METRIC_SEAL_TESTED, (uint64_t)clock_wall_ms() / 1000);
	return failing == 0;
}
