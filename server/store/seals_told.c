/*
 * What is told of the seals, and what is asked of them beside changes.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/store/seals_change.h"
#include "server/store/vault_internal.h"

static void
describe(struct seals *s, unsigned i, struct seals_info *out)
{
	const struct provider *p = s->provider[i];

	(void)strncpy(out->name, provider_name(p), PROVIDER_NAME_MAX);
	out->kind = provider_kind_of(p)->name;
	out->class = s->class[i];
	out->class_why = s->class_why[i];
	out->interval_s = provider_kind_of(p)->interval_s;
	out->configured = true;
	out->opens = s->opened[i];
	out->tested_ms = s->tested_ms[i];
}

unsigned
seals_list(struct vault *v, struct seals_info *out)
{
	struct seals *s = v->seals;
	unsigned n = 0;

	must(pthread_mutex_lock(&s->lock) == 0);
	for (; n < s->count; n++) {
		memset(&out[n], 0, sizeof(out[n]));
		describe(s, n, &out[n]);
	}
	for (unsigned i = 0; i < s->now->count; i++) {
		const struct anchor_seal *seal = &s->now->seal[i];
		unsigned at = 0;

		while (at < n && strcmp(out[at].name, seal->name) != 0)
			at++;
		if (at == n) {
			memset(&out[n], 0, sizeof(out[n]));
			memcpy(out[n].name, seal->name, sizeof(seal->name));
			out[n].kind = seal->kind == ANCHOR_SEAL_RECOVERY ? "recovery" : "?";
			out[n].class = PROVIDER_LASTING;
			out[n++].class_why = "it is not in the configuration: pdvault seal remove";
		}
		out[at].used = true;
		memcpy(out[at].id, seal->id, PROVIDER_ID_LEN);
		out[at].made_ms = seal->made_ms;
		out[at].since = seal->since;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return n;
}

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
	if (rc == STATUS_OK && strcmp(s->offered->name, name) == 0)
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
	enum status rc = STATUS_OK;
	unsigned at;

	/* Without work: a device that hangs must not keep the main thread from its signals. */
	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned i = 0; i < o->seal_count && s->count < PROVIDER_MAX && rc == STATUS_OK; i++) {
		at = s->count;
		if (seals_provider(s, o->seal[i].name) != NULL)
			continue;
		if ((rc = seals_make(&o->seal[i], &s->provider[at])) != STATUS_OK)
			break;
		s->class[at] = PROVIDER_LASTING;
		s->class_why[at] = "it was not asked yet";
		atomic_store(&s->count, at + 1);
		atomic_fetch_add(&s->asked, 1);	/* by whom it may wait */
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}
