/*
 * What comes to the seals from outside, beside changes of the set: secrets for them, and new sections of the
 * configuration.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/store/seals_change.h"
#include "server/store/vault_internal.h"

enum status
seals_offer(struct vault *v, const char *name, struct bytes secret)
{
	struct seals *s = v->seals;
	enum status rc = STATUS_ABSENT;

	if (secret.len > PROVIDER_SECRET_MAX)
		return STATUS_CONFIG;
	must(pthread_mutex_lock(&s->lock) == 0);
	if (seals_provider(s, name) != NULL)
		rc = STATUS_OK;
	/* One that was given before, for a job that never came to it, is not meant any more. */
	if (rc == STATUS_OK && (secret.len > 0 || strcmp(s->offered->name, name) == 0))
		sodium_memzero(s->offered, sizeof(*s->offered));
	if (rc == STATUS_OK && secret.len > 0) {
		(void)snprintf(s->offered->name, sizeof(s->offered->name), "%s", name);
		memcpy(s->offered->secret, secret.p, secret.len);
		s->offered->len = secret.len;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}

enum status
seals_learn(struct vault *v, const struct vault_options *o)
{
	struct seals *s = v->seals;
	enum status rc = STATUS_OK, made;
	unsigned at;

	/* Without work: a device that hangs must not keep the main thread from its signals. */
	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned i = 0; i < o->seal_count && s->count < PROVIDER_MAX; i++) {
		at = s->count;
		if (seals_provider(s, o->seal[i].name) != NULL)
			continue;
		/* One that is not whole keeps none of the others back. */
		if ((made = seals_make(&o->seal[i], &s->provider[at])) != STATUS_OK) {
			rc = made;
			continue;
		}
		s->class[at] = PROVIDER_LASTING;
		s->class_why[at] = "it was not asked yet";
		atomic_store(&s->count, at + 1);
		atomic_fetch_add(&s->asked, 1);	/* by whom it may wait */
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}
