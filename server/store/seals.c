#include "server/store/seals.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/store/seals_internal.h"
#include "server/store/vault_internal.h"

#define KEKS_MAX (PROVIDER_MAX * PROVIDER_VERSIONS_MAX)

enum status
seals_make(const struct provider_options *o, struct provider **out)
{
	const char *why = NULL;
	enum status rc = provider_new(o, out, &why);

	if (rc == STATUS_CONFIG)
		log_event(LOG_SEAL, LOG_S(NAME, o->name), LOG_S(WHY, why));
	return rc;
}

enum status
seals_new(const struct vault_options *o, struct seals **out)
{
	struct seals *s = calloc(1, sizeof(*s));
	enum status rc = STATUS_OK;

	if (s == NULL)
		return STATUS_NO_MEMORY;
	must(o->seal_count > 0 && o->seal_count <= PROVIDER_MAX);
	must(pthread_mutex_init(&s->work, NULL) == 0 && pthread_mutex_init(&s->lock, NULL) == 0);
	if ((s->before = secret_alloc(sizeof(*s->before))) == NULL ||
	    (s->now = secret_alloc(sizeof(*s->now))) == NULL ||
	    (s->offered = secret_alloc(sizeof(*s->offered))) == NULL)
		rc = STATUS_NO_MEMORY;
	for (unsigned i = 0; i < o->seal_count && rc == STATUS_OK; i++)
		if ((rc = seals_make(&o->seal[i], &s->provider[i])) == STATUS_OK)
			s->count++;
	if (rc == STATUS_OK) {
		*out = s;
		s = NULL;
	}
	seals_free(s);
	return rc;
}

static void
forget_keks(struct seals *s)
{
	secret_free(s->kek, KEKS_MAX * sizeof(*s->kek));
	s->kek = NULL;
	s->kek_count = 0;
}

void
seals_free(struct seals *s)
{
	if (s == NULL)
		return;
	forget_keks(s);
	secret_free(s->before, sizeof(*s->before));
	secret_free(s->now, sizeof(*s->now));
	secret_free(s->offered, sizeof(*s->offered));
	(void)pthread_mutex_destroy(&s->work);
	(void)pthread_mutex_destroy(&s->lock);
	for (unsigned i = 0; i < s->count; i++)
		provider_free(s->provider[i]);
	free(s);
}

enum status
seals_open(struct seals *s, const struct vault_options *o)
{
	enum status rc = STATUS_OK, first = STATUS_CONFIG;

	if (s->kek == NULL && (s->kek = secret_alloc(KEKS_MAX * sizeof(*s->kek))) == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < s->count; i++) {
		unsigned n = 0;

		rc = provider_open(s->provider[i], &s->kek[s->kek_count], &n);
		if (rc == STATUS_OK)
			s->kek_count += n;
		else if (first == STATUS_CONFIG)
			first = rc;
	}
	return s->kek_count > 0 || o->recovery != NULL ? STATUS_OK : first;
}

const struct provider_kek *
seals_keks(const struct seals *s, size_t *count)
{
	*count = s->kek_count;
	return s->kek;
}

size_t
seals_files(const struct vault_options *o, const char **out)
{
	size_t n = 0;

	for (unsigned i = 0; i < o->seal_count; i++)
		if (provider_has_file(o->seal[i].kind))
			out[n++] = o->seal[i].path;
	return n;
}

/* One provider as the configuration has it, but with its file elsewhere. */
static enum status
at_suffix(const struct provider_options *from, const char *suffix, struct provider **out)
{
	struct provider_options o = *from;
	char path[PATH_MAX];

	if (provider_has_file(o.kind)) {
		if (snprintf(path, sizeof(path), "%s%s", o.path, suffix) >= (int)sizeof(path))
			return STATUS_CONFIG;
		o.path = path;
	}
	return seals_make(&o, out);
}

void
seals_fill(struct anchor_seal *s, const struct provider *p, const struct provider_kek *kek, uint64_t epoch)
{
	memset(s, 0, sizeof(*s));
	s->kind = provider_kind_of(p)->opens ? ANCHOR_SEAL_KEK : ANCHOR_SEAL_RECOVERY;
	memcpy(s->id, kek->id, sizeof(s->id));
	memcpy(s->name, provider_name(p), strnlen(provider_name(p), PROVIDER_NAME_MAX));
	s->key = kek->key;
	s->since = epoch;
	s->made_ms = clock_wall_ms();
}

enum status
seals_create(const struct vault_options *o, const char *suffix, uint64_t epoch, struct anchor_seals *out)
{
	struct provider_kek *kek = secret_alloc(sizeof(*kek));
	struct provider *p[PROVIDER_MAX] = { NULL };
	enum status rc = kek != NULL ? STATUS_OK : STATUS_NO_MEMORY;
	unsigned made = 0;

	memset(out, 0, sizeof(*out));
	for (; made < o->seal_count && rc == STATUS_OK; made += rc == STATUS_OK) {
		if ((rc = at_suffix(&o->seal[made], suffix, &p[made])) == STATUS_OK &&
		    (rc = provider_create(p[made], kek)) == STATUS_OK)
			seals_fill(&out->seal[out->count++], p[made], kek, epoch);
	}
	/* Nothing rests on them yet. */
	for (unsigned i = 0; i < made && rc != STATUS_OK; i++)
		(void)!provider_keep(p[i], NULL);
	for (unsigned i = 0; i < o->seal_count; i++)
		provider_free(p[i]);
	secret_free(kek, sizeof(*kek));
	return rc;
}

void
seals_uncreate(const struct vault_options *o)
{
	struct provider *p = NULL;

	for (unsigned i = 0; i < o->seal_count; i++) {
		if (seals_make(&o->seal[i], &p) != STATUS_OK)
			continue;
		(void)!provider_keep(p, NULL);
		provider_free(p);
	}
}

const struct anchor_seal *
seals_find(const struct anchor_seals *all, const char *name)
{
	for (unsigned i = 0; i < all->count; i++)
		if (strcmp(all->seal[i].name, name) == 0)
			return &all->seal[i];
	return NULL;
}

struct provider *
seals_provider(const struct seals *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(provider_name(s->provider[i]), name) == 0)
			return s->provider[i];
	return NULL;
}

void
seals_note(struct vault *v)
{
	const struct anchor_seals *all = anchor_seals(v->anchor);
	uint64_t since = UINT64_MAX;

	for (unsigned i = 0; i < all->count; i++)
		since = all->seal[i].since < since ? all->seal[i].since : since;
	must(pthread_mutex_lock(&v->seals->lock) == 0);
	*v->seals->now = *all;
	must(pthread_mutex_unlock(&v->seals->lock) == 0);
	atomic_store(&v->seals->since, since);
	atomic_store(&v->seals->lasting, all->lasting);
	atomic_store(&v->seals->dead_class, (int)all->dead_class);
}

/* Some provider gave just this key. */
static bool
gave(const struct seals *s, const struct anchor_seal *seal)
{
	const struct provider_kek *k = s->kek;

	for (size_t i = 0; i < s->kek_count; i++, k++)
		if (memcmp(k->id, seal->id, PROVIDER_ID_LEN) == 0 && seal_key_equal(&k->key, &seal->key))
			return true;
	return false;
}

void
seals_found(struct seals *s, unsigned i, bool opens)
{
	const char *why = "";
	char class = provider_class(s->provider[i], &why);

	must(pthread_mutex_lock(&s->lock) == 0);
	s->opened[i] = opens;
	s->tested_ms[i] = clock_wall_ms();
	s->class[i] = class;
	s->class_why[i] = why;
	must(pthread_mutex_unlock(&s->lock) == 0);
}

/* Whether the recovery key that the anchor is wrapped for is the one of the configuration. */
static bool
is_same_recovery(struct provider *p, const struct anchor_seal *seal)
{
	struct provider_kek *kek = secret_alloc(sizeof(*kek));
	bool same = kek != NULL && !provider_kind_of(p)->opens && provider_create(p, kek) == STATUS_OK &&
	    seal_key_equal(&kek->key, &seal->key);

	secret_free(kek, sizeof(*kek));
	return same;
}

void
seals_ended(struct seals *s, unsigned i, bool ended)
{
	bool all = true;

	s->left[i] = !ended;
	for (unsigned k = 0; k < s->count; k++)
		all &= !s->left[k];
	atomic_store(&s->ended, all);
}

/* S4 for one: what is left of versions of before dies. */
static void
settle_one(struct seals *s, unsigned i, const struct anchor_seal *seal)
{
	struct provider *p = s->provider[i];
	const char *name = provider_name(p);

	if (seal == NULL) {
		/* Of one that was removed while its device was away, or on its way in. */
		seals_ended(s, i, !provider_has_versions(p));
		log_event(LOG_SEAL_CHANGED, LOG_S(NAME, name),
		    LOG_S(WHAT, "it is configured and not in use: pdvault seal add"));
	} else if (seal->kind == ANCHOR_SEAL_RECOVERY) {
		if (!is_same_recovery(p, seal))
			log_event(LOG_SEAL, LOG_S(NAME, name), LOG_S(WHAT, "the anchor is wrapped for another "
			    "recovery key than the configuration names: pdvault seal remove, then seal add"));
	} else if (s->opened[i]) {
		seals_ended(s, i, provider_keep(p, seal->id) == STATUS_OK);
	} else {
		seals_ended(s, i, false);	/* what is away may have a version of before */
		log_event(LOG_SEAL, LOG_S(NAME, name), LOG_S(WHAT, "it does not give the key that the anchor "
		    "is wrapped for: it is away, another version, or another passphrase"));
	}
}

void
seals_settle(struct vault *v)
{
	const struct anchor_seals *all = anchor_seals(v->anchor);
	struct seals *s = v->seals;

	atomic_store(&s->ended, true);
	for (unsigned i = 0; i < s->count; i++) {
		const struct anchor_seal *seal = seals_find(all, provider_name(s->provider[i]));

		seals_found(s, i, seal != NULL && seal->kind == ANCHOR_SEAL_KEK && gave(s, seal));
		settle_one(s, i, seal);
	}
	forget_keks(s);
	seals_note(v);
	metrics_set(METRIC_SEALS_FAILING, seals_failing(v));
}

char
seals_class(struct vault *v, uint64_t epoch, char anchor)
{
	char dead = (char)atomic_load(&v->seals->dead_class);

	/*
	 * The keys died with the slot of the epoch before, and those before it, back to one that nobody
	 * remembers: one of those that opens with a lasting secret is enough.
	 */
	if (!atomic_load(&v->seals->ended) || atomic_load(&v->seals->since) < epoch ||
	    atomic_load(&v->seals->lasting) != 0 || dead == 0)
		return anchor;
	if (dead < anchor)
		return dead;
	return anchor;
}

/* Under the lock. */
static char
class_of(const struct seals *s, const char *name, const char **why)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (strcmp(provider_name(s->provider[i]), name) != 0)
			continue;
		*why = s->class_why[i];
		return s->class[i];
	}
	return PROVIDER_LASTING;
}

char
seals_vault_class(struct vault *v, const char **why)
{
	char anchor = vault_class_of_anchor(v), worst = 0;
	struct seals *s = v->seals;
	const char *its = "";

	*why = atomic_load(&v->anchor_class_why);
	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned i = 0; i < s->now->count; i++) {
		const char *one = "a seal that the configuration does not have";
		char class = class_of(s, s->now->seal[i].name, &one);

		if (class > worst) {
			worst = class;
			its = one;
		}
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	_Static_assert(PROVIDER_LASTING > PROVIDER_CLASS_D, "the worst");
	if (worst >= anchor)
		return anchor;
	*why = its;
	return worst;
}

unsigned
seals_failing(struct vault *v)
{
	struct seals *s = v->seals;
	unsigned failing = 0;

	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned i = 0; i < s->count; i++) {
		const struct anchor_seal *seal = seals_find(s->now, provider_name(s->provider[i]));

		failing += seal != NULL && seal->kind == ANCHOR_SEAL_KEK && !s->opened[i];
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return failing;
}
