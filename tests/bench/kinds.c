/*
 * The kinds of requests.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define TRIES 64	/* to find a subject that is not erased */

static const char *const names[KIND_COUNT] = { "get", "find", "update", "create", "erase",
	"keys", "open", "echo" };

const char *
kinds_name(enum kind k)
{
	return names[k];
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t
kinds_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

enum kind
kinds_pick(const unsigned *share, uint64_t random)
{
	unsigned total = 0, at;

	for (int k = 0; k < KIND_COUNT; k++)
		total += share[k];
	at = (unsigned)(random % total);
	for (int k = 0; k < KIND_COUNT; k++) {
		if (at < share[k])
			return (enum kind)k;
		at -= share[k];
	}
	return KIND_GET;
}

static struct subject *
any_subject(struct flight *f)
{
	struct bench *b = f->bench;
	uint64_t count = atomic_load(&b->subject_count);

	for (int i = 0; i < TRIES && count > 0; i++) {
		struct subject *s = &b->subject[kinds_random(&f->random) % count];

		if (!atomic_load(&s->gone))
			return s;
	}
	return NULL;
}

static bool
create(struct flight *f, pdv_callback done)
{
	struct bench *b = f->bench;
	uint64_t n = atomic_fetch_add(&b->names, 1);
	char email[64], account[64], filler[4096];
	const char *emails = email, *accounts = account;
	struct pdv_name name = { .full = "A Person Of The Bench", .given = "A", .family = "Bench" };
	struct pdv_attribute fill = { .key = "filler", .value = filler };
	struct pdv_identity id = { .name = &name, .emails = &emails, .email_count = 1,
		.account_ids = &accounts, .account_id_count = 1, .locale = "en-GB",
		.attributes = &fill, .attribute_count = 1 };
	struct pdv_new_subject q = { .identity = &id };
	size_t head, want = b->o.record;

	(void)snprintf(email, sizeof(email), "person%" PRIu64 "@bench.example.org", n);
	(void)snprintf(account, sizeof(account), "bench-%" PRIu64, n);
	/* What the other fields take on the wire, about. */
	head = strlen(email) + strlen(account) + 60;
	want = want > head + 1 ? want - head : 1;
	if (want > 1000)
		want = 1000;
	memset(filler, 'x', want);
	filler[want] = '\0';
	return pdv_create_subject_async(b->phase_client, &q, NULL, done, f) == PDV_OK;
}

static bool
update(struct flight *f, pdv_callback done)
{
	struct bench *b = f->bench;
	struct subject *s = any_subject(f);
	char email[64];
	const char *emails = email;
	struct pdv_identity id = { .locale = kinds_random(&f->random) % 2 ? "de-DE" : "fr-FR" };
	struct pdv_identity_update q = { .identity = &id };

	if (s == NULL)
		return false;
	q.subject = s->id;
	if (kinds_random(&f->random) % 4 == 0) {
		(void)snprintf(email, sizeof(email), "person%" PRIu64 "@bench.example.org",
		    atomic_fetch_add(&b->names, 1));
		id.emails = &emails;
		id.email_count = 1;
	}
	return pdv_update_identity_async(b->phase_client, &q, NULL, done, f) == PDV_OK;
}

static bool
erase(struct flight *f, pdv_callback done)
{
	struct subject *s = any_subject(f);
	struct pdv_erase q = { .category_count = 0 };

	if (s == NULL || atomic_exchange(&s->gone, true))
		return false;
	q.subject = s->id;
	return pdv_erase_subject_async(f->bench->phase_client, &q, NULL, done, f) == PDV_OK;
}

static bool
get(struct flight *f, pdv_callback done)
{
	struct subject *s = any_subject(f);

	return s != NULL &&
	    pdv_get_identity_async(f->bench->phase_client, &s->id, NULL, done, f) == PDV_OK;
}

static bool
find(struct flight *f, pdv_callback done)
{
	struct bench *b = f->bench;
	char account[64];
	struct pdv_lookup q = { .by = PDV_BY_ACCOUNT_ID, .value = account };

	/* Account ids are numbered as the subjects are. */
	(void)snprintf(account, sizeof(account), "bench-%" PRIu64,
	    kinds_random(&f->random) % b->o.subjects);
	return pdv_find_subject_async(b->phase_client, &q, NULL, done, f) == PDV_OK;
}

static bool
keys(struct flight *f, pdv_callback done)
{
	struct subject *s = any_subject(f);
	struct pdv_data_key_request q = { .category = PDV_CATEGORY_CONTENT, .count = f->bench->o.keys };

	if (s == NULL)
		return false;
	q.subject = s->id;
	return pdv_generate_data_keys_async(f->bench->phase_client, &q, NULL, done, f) == PDV_OK;
}

/* Of one subject, whose wrapped keys prepare.c asked for; the same one again and again. */
static bool
open_keys(struct flight *f, pdv_callback done)
{
	struct bench *b = f->bench;
	struct pdv_wrapped_key wrapped[PDV_DATA_KEYS_MAX];
	struct pdv_data_key_opening q = { .subject = b->wrapped_subject, .category = PDV_CATEGORY_CONTENT,
		.wrapped = wrapped, .count = b->o.keys };
	size_t count;
	const struct pdv_data_key *k = b->wrapped != NULL ? pdv_result_data_keys(b->wrapped, &count) : NULL;

	if (k == NULL)
		return false;
	for (unsigned i = 0; i < b->o.keys; i++)
		wrapped[i] = k[i].wrapped;
	return pdv_open_data_keys_async(b->phase_client, &q, NULL, done, f) == PDV_OK;
}

static bool
echo(struct flight *f, pdv_callback done)
{
	static const uint8_t body[65536];
	struct pdv_raw_request q = { .message = body, .length = f->bench->echo_bytes };

	return pdv_call_raw_async(f->bench->phase_client, &q, NULL, done, f) == PDV_OK;
}

bool
kinds_begin(struct flight *f, pdv_callback done)
{
	static bool (*const begin[KIND_COUNT])(struct flight *, pdv_callback) = {
		get, find, update, create, erase, keys, open_keys, echo };

	return begin[f->kind](f, done);
}
