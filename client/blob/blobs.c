/*
 * The handle of blobs. The contract of its pdv_* functions is in pdvault/blob.h.
 */
#include "client/blob/blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/transport/must.h"

struct pdv_blobs {
	struct pdv_client *client;
	struct keycache *cache; /* NULL: no key is kept */
	struct erased_listener listener;
};

static void
heard(void *arg, const uint8_t subject[PDV_ID_LEN])
{
	struct pdv_blobs *b = arg;

	keycache_forget(b->cache, subject);
}

enum pdv_code
pdv_blobs_new(struct pdv_client *client, const struct pdv_blob_options *options, struct pdv_blobs **out)
{
	static const struct pdv_blob_options none;
	const struct pdv_blob_options *o = options != NULL ? options : &none;
	unsigned keys = o->cache_keys > 0 ? o->cache_keys : PDV_BLOB_CACHE_KEYS_DEFAULT;
	uint32_t ms = o->cache_ms > 0 ? o->cache_ms : PDV_BLOB_CACHE_DEFAULT_MS;
	struct client_refusal why;
	struct pdv_blobs *b;
	enum pdv_code code;

	if (keys > PDV_BLOB_CACHE_KEYS_MAX || ms > PDV_BLOB_CACHE_MAX_MS)
		return PDV_INVALID_ARGUMENT;
	if (!client_usable(client, &why))
		return why.code;
	if ((b = calloc(1, sizeof(*b))) == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	b->client = client;
	if (o->no_cache == 0) {
		if ((code = keycache_new(keys, ms, &b->cache)) != PDV_OK) {
			free(b);
			return code;
		}
		b->listener = (struct erased_listener){.heard = heard, .arg = b};
		erased_listen(client_erased(client), &b->listener);
	}
	*out = b;
	return PDV_OK;
}

void
pdv_blobs_free(struct pdv_blobs *b)
{
	struct client_refusal why;

	if (b == NULL || !client_usable(b->client, &why))
		return;
	if (b->cache != NULL)
		erased_leave(client_erased(b->client), &b->listener);
	keycache_free(b->cache);
	free(b);
}

void
pdv_blobs_forget(struct pdv_blobs *b, const struct pdv_subject_id *subject)
{
	struct client_refusal why;

	if (b->cache != NULL && client_usable(b->client, &why))
		keycache_forget(b->cache, subject != NULL ? subject->bytes : NULL);
}

static bool
copy_text(char *out, size_t room, const char *s)
{
	size_t len = s != NULL ? strnlen(s, room) : 0;

	if (len == room)
		return false;
	if (len > 0)
		memcpy(out, s, len);
	out[len] = '\0';
	return true;
}

void
blobs_place(struct blobs_part *p, const struct pdv_blob_place *place)
{
	must(place->context_length <= sizeof(p->context));
	p->place = *place;
	if (place->context_length > 0)
		memcpy(p->context, place->context, place->context_length);
	p->place.context = p->context;
}

enum pdv_code
blobs_begin(struct blobs_part *p, struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options)
{
	static const struct pdv_call_options none;
	const struct pdv_call_options *o = options != NULL ? options : &none;

	memset(p, 0, sizeof(*p));
	p->blobs = b;
	p->code = PDV_OK;
	p->deadline_ms = o->deadline_ms;
	if (!copy_text(p->purpose, sizeof(p->purpose), o->purpose) ||
	    !copy_text(p->traceparent, sizeof(p->traceparent), o->traceparent))
		return PDV_INVALID_ARGUMENT;
	if (place == NULL)
		return PDV_OK;
	if (place->context_length > PDV_CONTEXT_MAX || (place->context_length > 0 && place->context == NULL) ||
	    (place->category != PDV_CATEGORY_CONTENT && place->category != PDV_CATEGORY_USAGE))
		return PDV_INVALID_ARGUMENT;
	blobs_place(p, place);
	return PDV_OK;
}

static void
say(char out[static BLOBS_REASON_LEN], const char *reason)
{
	(void)snprintf(out, BLOBS_REASON_LEN, "%s", reason);
}

enum pdv_code
blobs_fail(struct blobs_part *p, enum pdv_code code, const char *reason)
{
	say(p->reason, reason);
	return p->code = code;
}

enum pdv_code
blobs_ready(struct blobs_part *p, const struct pdv_blob_buffer *out, size_t length)
{
	if (p->code != PDV_OK)
		return p->code;
	if (p->over)
		return blobs_fail(p, PDV_FAILED_PRECONDITION, PDV_REASON_BLOB_ENDED);
	if (length > SIZE_MAX / 2 || out->data == NULL || out->length > out->size ||
	    out->size - out->length < PDV_BLOB_ROOM(length)) {
		say(p->reason, PDV_REASON_BLOB_ROOM);
		return PDV_INVALID_ARGUMENT;
	}
	return PDV_OK;
}

static struct pdv_call_options
options_of(const struct blobs_part *p)
{
	return (struct pdv_call_options){.deadline_ms = p->deadline_ms,
	    .purpose = p->purpose[0] != '\0' ? p->purpose : NULL,
	    .traceparent = p->traceparent[0] != '\0' ? p->traceparent : NULL};
}

enum pdv_code
blobs_generate(struct blobs_part *p, uint8_t key[static PDV_DATA_KEY_LEN], struct pdv_wrapped_key *wrapped,
    uint8_t room[static PDV_WRAPPED_KEY_MAX])
{
	struct pdv_data_key_request q = {.subject = p->place.subject, .category = p->place.category,
	    .context = p->context, .context_length = p->place.context_length, .count = 1};
	struct pdv_call_options o = options_of(p);
	struct pdv_result *r = NULL;
	const struct pdv_data_key *got;
	enum pdv_code code;
	size_t count;

	code = pdv_generate_data_keys(p->blobs->client, &q, &o, &r);
	if ((got = pdv_result_data_keys(r, &count)) != NULL) {
		memcpy(key, got->key, PDV_DATA_KEY_LEN);
		memcpy(room, got->wrapped.bytes, got->wrapped.length);
		*wrapped = (struct pdv_wrapped_key){room, got->wrapped.length};
	} else {
		(void)blobs_fail(p, code, pdv_result_reason(r));
	}
	pdv_result_free(r);
	return code;
}

static void
take_outcome(struct keycache_answer *out, const struct pdv_data_key_outcome *o)
{
	out->code = (enum pdv_code)o->code;
	if (o->code != PDV_OK) {
		say(out->reason, o->reason != NULL ? o->reason : "");
		return;
	}
	memcpy(out->key, o->key, PDV_DATA_KEY_LEN);
	if ((out->rewrapped_length = o->rewrapped.length) > 0)
		memcpy(out->rewrapped, o->rewrapped.bytes, o->rewrapped.length);
}

static void
ask(void *arg, const struct keycache_asked *q, struct keycache_answer *out)
{
	const struct blobs_part *p = arg;
	struct pdv_data_key_opening opening = {.subject = q->place->subject, .category = q->place->category,
	    .context = q->place->context, .context_length = q->place->context_length,
	    .wrapped = &q->wrapped, .count = 1};
	struct pdv_call_options o = options_of(p);
	const struct pdv_data_key_outcome *got;
	struct pdv_result *r = NULL;
	size_t count;

	memset(out, 0, sizeof(*out));
	out->code = pdv_open_data_keys(p->blobs->client, &opening, &o, &r);
	if ((got = pdv_result_data_key_outcomes(r, &count)) != NULL)
		take_outcome(out, got);
	else
		say(out->reason, pdv_result_reason(r));
	pdv_result_free(r);
}

enum pdv_code
blobs_open_key(struct blobs_part *p, struct pdv_wrapped_key wrapped, struct keycache_answer *out)
{
	struct keycache_asked q = {&p->place, wrapped};
	struct keycache_fetch fetch = {ask, p};
	struct client_refusal why;

	if (!client_usable(p->blobs->client, &why))
		return blobs_fail(p, why.code, why.reason);
	if (client_in_callback())
		return blobs_fail(p, PDV_FAILED_PRECONDITION, PDV_REASON_IN_CALLBACK);
	if (p->blobs->cache != NULL)
		keycache_get(p->blobs->cache, &q, &fetch, out);
	else
		ask(p, &q, out);
	return out->code == PDV_OK ? PDV_OK : blobs_fail(p, out->code, out->reason);
}
