/*
 * A row of a subject: look it up; create it, or compare what the vault holds with what the
 * row says and update what differs. Nothing is written that is there already, so that an
 * import can run again.
 */
#include <stdint.h>
#include <string.h>

#include "import_internal.h"
#include "json_in.h"
#include "json_out.h"
#include "merge.h"

static const json_t *
wanted(const struct import_lane *lane, const char *category)
{
	return json_object_get(lane->rows[0]->data.doc, category);
}

/* A part of a document as the struct for a call, which lives in lane->keep. */
static enum pdv_code
message(struct import_lane *lane, const struct schema *s, const json_t *part, const void **out,
    struct failure *f)
{
	struct json_in in = {s, s->name, &lane->keep};

	*out = NULL;
	return part == NULL ? PDV_OK : json_in_message(&in, part, out, f);
}

static void
create(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;
	const void *identity, *billing;
	struct pdv_new_subject request;
	struct failure f;

	if (message(lane, &schema_identity, wanted(lane, "identity"), &identity, &f) != PDV_OK ||
	    message(lane, &schema_billing, wanted(lane, "billing"), &billing, &f) != PDV_OK) {
		lane_failed(lane, &f);
		return;
	}
	request = (struct pdv_new_subject){.identity = identity, .billing = billing};
	lane->step = IMPORT_CREATE;
	lane_begun(lane, pdv_create_subject_async(s->client, &request, &s->options,
	    lane_callback, lane));
}

static void
get_identity(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;

	lane->step = IMPORT_GET_IDENTITY;
	lane_begun(lane, pdv_get_identity_async(s->client, &lane->subject, &s->options,
	    lane_callback, lane));
}

static void
get_billing(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;

	lane->step = IMPORT_GET_BILLING;
	lane_begun(lane, pdv_get_billing_async(s->client, &lane->subject, &s->options,
	    lane_callback, lane));
}

void
import_subject_found(struct import_lane *lane, bool there)
{
	if (!there)
		create(lane);
	else if (wanted(lane, "identity") != NULL)
		get_identity(lane);
	else
		get_billing(lane);
}

/* The names of the fields that change, in lane->keep. */
static const char **
mask_of(struct import_lane *lane, const json_t *changes)
{
	const char **mask = keep_alloc(&lane->keep, json_object_size(changes) * sizeof(*mask));
	void *at = json_object_iter((json_t *)(uintptr_t)changes);
	size_t i = 0;

	for (; mask != NULL && at != NULL;
	    at = json_object_iter_next((json_t *)(uintptr_t)changes, at))
		mask[i++] = json_object_iter_key(at);
	return mask;
}

static void
update_identity(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;
	struct pdv_identity_update request = {.subject = lane->subject,
	    .mask_count = json_object_size(lane->identity_changes), .etag = lane->identity_etag};
	const void *identity;
	struct failure f;

	(void)failure_memory(&f);
	if ((request.mask = mask_of(lane, lane->identity_changes)) == NULL ||
	    message(lane, &schema_identity, lane->identity_changes, &identity, &f) != PDV_OK) {
		lane_failed(lane, &f);
		return;
	}
	request.identity = identity;
	lane->step = IMPORT_UPDATE_IDENTITY;
	lane_begun(lane, pdv_update_identity_async(s->client, &request, &s->options,
	    lane_callback, lane));
}

static void
update_billing(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;
	struct pdv_billing_update request = {.subject = lane->subject,
	    .mask_count = json_object_size(lane->billing_changes), .etag = lane->billing_etag};
	const void *billing;
	struct failure f;

	(void)failure_memory(&f);
	if ((request.mask = mask_of(lane, lane->billing_changes)) == NULL ||
	    message(lane, &schema_billing, lane->billing_changes, &billing, &f) != PDV_OK) {
		lane_failed(lane, &f);
		return;
	}
	request.billing = billing;
	lane->step = IMPORT_UPDATE_BILLING;
	lane_begun(lane, pdv_update_billing_async(s->client, &request, &s->options,
	    lane_callback, lane));
}

/* All that is needed has been read, or an update has been done. */
static void
next_update(struct import_lane *lane, enum import_step done)
{
	if (done < IMPORT_UPDATE_IDENTITY && json_object_size(lane->identity_changes) > 0)
		update_identity(lane);
	else if (done < IMPORT_UPDATE_BILLING && json_object_size(lane->billing_changes) > 0)
		update_billing(lane);
	else
		lane_end(lane, lane->updated ? TALLY_UPDATED : TALLY_UNCHANGED);
}

static enum pdv_code
compare(const struct schema *s, const void *held, const json_t *want, json_t **changes)
{
	json_t *held_doc = held != NULL ? json_out_message(s, held) : json_object();

	*changes = held_doc == NULL ? NULL : merge_changes(held_doc, want);
	json_decref(held_doc);
	return *changes != NULL ? PDV_OK : PDV_INTERNAL;
}

static char *
etag_of(const struct pdv_result *r)
{
	const char *etag = pdv_result_etag(r);

	return etag == NULL ? NULL : keep_copy(etag, strlen(etag));
}

static void
identity_read(struct import_lane *lane, const struct pdv_result *r)
{
	struct failure f;

	if (compare(&schema_identity, pdv_result_identity(r), wanted(lane, "identity"),
	    &lane->identity_changes) != PDV_OK) {
		(void)failure_memory(&f);
		lane_failed(lane, &f);
		return;
	}
	lane->identity_etag = etag_of(r);
	if (wanted(lane, "billing") != NULL)
		get_billing(lane);
	else
		next_update(lane, IMPORT_GET_BILLING);
}

static void
billing_read(struct import_lane *lane, const struct pdv_result *r)
{
	struct failure f;

	if (compare(&schema_billing, pdv_result_billing(r), wanted(lane, "billing"),
	    &lane->billing_changes) != PDV_OK) {
		(void)failure_memory(&f);
		lane_failed(lane, &f);
		return;
	}
	lane->billing_etag = etag_of(r);
	next_update(lane, IMPORT_GET_BILLING);
}

static void
call_failed(struct import_lane *lane, const struct failure *f)
{
	/* Somebody else may have created it since it was looked up: look again, once. */
	bool race = lane->step == IMPORT_CREATE && f->code == PDV_ALREADY_EXISTS &&
	    lane->tries == 0;

	/* Not found any more: erased since it was looked up. */
	if (race || f->code == PDV_NOT_FOUND)
		lane_retry(lane, f);
	else
		lane_failed(lane, f);
}

void
import_subject_answered(struct import_lane *lane, const struct pdv_result *r)
{
	bool reads = lane->step == IMPORT_GET_IDENTITY || lane->step == IMPORT_GET_BILLING;
	struct failure f;
	enum pdv_code rc = session_failed(r, &f);

	/* What has no record yet is read as empty: the accessors answer NULL. */
	if (rc != PDV_OK && !(reads && rc == PDV_NOT_FOUND && session_no_record(&f))) {
		call_failed(lane, &f);
		return;
	}
	switch (lane->step) {
	case IMPORT_CREATE:
		lane_end(lane, TALLY_CREATED);
		break;
	case IMPORT_GET_IDENTITY:
		identity_read(lane, r);
		break;
	case IMPORT_GET_BILLING:
		billing_read(lane, r);
		break;
	case IMPORT_UPDATE_IDENTITY:
	case IMPORT_UPDATE_BILLING:
		lane->updated = true;
		next_update(lane, lane->step);
		break;
	case IMPORT_FIND:
	case IMPORT_APPEND:
		break;			/* lane.c, import_transaction.c */
	}
}
