#include "server/store/seals_list.h"

#include <string.h>

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

bool
seals_due(struct vault *v, int64_t now, int64_t every)
{
	struct seals *s = v->seals;
	bool due = false;

	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned i = 0; i < s->count; i++) {
		const struct anchor_seal *seal = seals_find(s->now, provider_name(s->provider[i]));
		const struct provider_kind *kind = provider_kind_of(s->provider[i]);

		due |= seal != NULL && s->opened[i] && kind->renews && now - seal->made_ms >= every &&
		    now - seal->made_ms >= (int64_t)kind->interval_s * 1000;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return due;
}
