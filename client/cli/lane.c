/* The order of rows: see I2 to I5 in import_internal.h. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "import_internal.h"
#include "loose.h"
#include "must.h"

static size_t
bucket_of(const char *key)
{
	return loose_hash(key) % IMPORT_BUCKETS;
}

static void
drop_call(struct import_lane *lane)
{
	keep_free(&lane->keep);
	json_decref(lane->sent);
	lane->sent = NULL;
}

static void
drop_changes(struct import_lane *lane)
{
	json_decref(lane->identity_changes);
	json_decref(lane->billing_changes);
	keep_drop(lane->identity_etag);
	keep_drop(lane->billing_etag);
	lane->identity_changes = lane->billing_changes = NULL;
	lane->identity_etag = lane->billing_etag = NULL;
	lane->updated = false;
}

static void
lane_free(struct import_lane *lane)
{
	struct import *im = lane->import;
	struct import_lane **at = &im->lanes[bucket_of(lane->key)];
	struct import_row *row;
	size_t i;

	while (*at != lane)
		at = &(*at)->next;
	*at = lane->next;
	im->lanes_n--;
	for (i = 0; i < lane->rows_n; i++)
		import_row_free(im, lane->rows[i]);
	while ((row = lane->waiting) != NULL) {
		lane->waiting = row->next;
		import_row_free(im, row);
	}
	drop_call(lane);
	drop_changes(lane);
	pdv_result_free(lane->result);
	keep_drop(lane->key);
	sodium_memzero(lane, sizeof(*lane));
	free(lane);
}

/* Whether the vault is asked for the same: loose_same() is not enough for that. */
static bool
one_key(const struct import_row *a, const struct import_row *b)
{
	return strcmp(a->data.key, b->data.key) == 0;
}

/* The rows at hand: one of a subject; of transactions of one key as many as one call takes. */
static void
take_rows(struct import_lane *lane)
{
	size_t most = lane->import->map->kind == MAP_SUBJECTS || lane->singly > 0 ? 1
	    : PDV_APPEND_MAX;

	while (lane->rows_n < most && lane->waiting != NULL &&
	    (lane->rows_n == 0 || one_key(lane->rows[0], lane->waiting))) {
		lane->rows[lane->rows_n++] = lane->waiting;
		lane->waiting = lane->waiting->next;
	}
	if (lane->waiting == NULL)
		lane->waiting_last = &lane->waiting;
	if (lane->singly > 0)
		lane->singly--;
}

/* The rows at hand have ended. The lane may be gone afterwards. */
static void
next_rows(struct import_lane *lane)
{
	lane->rows_n = 0;
	lane->tries = 0;
	drop_changes(lane);
	if (lane->waiting == NULL || lane->import->fatal.code != PDV_OK) {
		lane_free(lane);
		return;
	}
	take_rows(lane);
	if (lane->import->map->kind == MAP_TRANSACTIONS && lane->found)
		import_transaction_found(lane, true);
	else
		lane_find(lane);
}

static void
end_row(struct import_lane *lane, size_t i, enum tally_outcome outcome)
{
	/* Who was found is not for rows of another key. */
	if (lane->waiting == NULL || !one_key(lane->rows[i], lane->waiting))
		lane->found = false;
	tally_end(&lane->import->tally, lane->rows[i]->number, outcome);
	import_row_free(lane->import, lane->rows[i]);
	lane->rows[i] = NULL;
}

void
lane_end(struct import_lane *lane, enum tally_outcome outcome)
{
	must(lane->rows_n == 1);
	end_row(lane, 0, outcome);
	next_rows(lane);
}

void
lane_end_batch(struct import_lane *lane, size_t created)
{
	size_t i;

	for (i = 0; i < lane->rows_n; i++)
		end_row(lane, i, i < created ? TALLY_CREATED : TALLY_UNCHANGED);
	next_rows(lane);
}

/* One bad transaction refuses its whole call: then each goes alone. */
static void
split_rows(struct import_lane *lane)
{
	size_t i;

	lane->singly = lane->rows_n;
	for (i = lane->rows_n; i > 0; i--) {
		if (lane->waiting == NULL)
			lane->waiting_last = &lane->rows[i - 1]->next;
		lane->rows[i - 1]->next = lane->waiting;
		lane->waiting = lane->rows[i - 1];
	}
	next_rows(lane);
}

void
lane_refuse(struct import_lane *lane, const struct failure *f)
{
	size_t i;

	if (lane->rows_n > 1 && lane->step == IMPORT_APPEND) {
		split_rows(lane);
		return;
	}
	for (i = 0; i < lane->rows_n; i++) {
		import_report(lane->import, lane->rows[i]->number, lane->rows[i]->line, f);
		end_row(lane, i, TALLY_FAILED);
	}
	next_rows(lane);
}

void
lane_retry(struct import_lane *lane, const struct failure *f)
{
	if (++lane->tries == IMPORT_TRIES) {
		lane_refuse(lane, f);
		return;
	}
	drop_changes(lane);
	lane_find(lane);
}

static void
lane_fatal(struct import_lane *lane, const struct failure *f)
{
	struct import *im = lane->import;

	if (im->fatal.code == PDV_OK)
		im->fatal = *f;
	lane_free(lane);
}

void
lane_failed(struct import_lane *lane, const struct failure *f)
{
	bool unknown = strcmp(f->reason, PDV_REASON_INDETERMINATE) == 0;

	if (unknown && lane->tries + 1 == IMPORT_TRIES) {
		lane_fatal(lane, f);
		return;
	}
	if (unknown || f->code == PDV_ABORTED) {
		lane_retry(lane, f);
		return;
	}
	switch (f->code) {
	case PDV_INVALID_ARGUMENT:
	case PDV_NOT_FOUND:
	case PDV_ALREADY_EXISTS:
	case PDV_FAILED_PRECONDITION:
	case PDV_OUT_OF_RANGE:
		if (strcmp(f->reason, PDV_REASON_FORK) != 0) {
			lane_refuse(lane, f);
			break;
		}
		/* fall through */
	default:
		lane_fatal(lane, f);
		break;
	}
}

void
lane_callback(struct pdv_result *r, void *arg)
{
	struct import_lane *lane = arg;

	lane->result = r;
	inbox_put(&lane->import->inbox, &lane->letter);
}

void
lane_begun(struct import_lane *lane, enum pdv_code code)
{
	struct failure f;

	if (code == PDV_OK)
		return;
	(void)failure_set(&f, code, code == PDV_INVALID_ARGUMENT ? PDV_REASON_INVALID : "CLIENT",
	    "the call could not begin");
	lane_failed(lane, &f);
}

void
lane_find(struct import_lane *lane)
{
	const struct session *s = &lane->import->session;
	const struct import_row *row = lane->rows[0];
	struct pdv_lookup request;

	must(lane->rows_n > 0);
	request = (struct pdv_lookup){.value = row->data.key};
	request.by = row->data.by == CONVERT_BY_EMAIL ? PDV_BY_EMAIL : PDV_BY_ACCOUNT_ID;
	lane->found = false;
	lane->step = IMPORT_FIND;
	lane_begun(lane, pdv_find_subject_async(s->client, &request, &s->options, lane_callback,
	    lane));
}

static void
found(struct import_lane *lane, bool there)
{
	if (lane->import->map->kind == MAP_SUBJECTS)
		import_subject_found(lane, there);
	else
		import_transaction_found(lane, there);
}

static void
find_answered(struct import_lane *lane, const struct pdv_result *r)
{
	const struct pdv_subject_id *ids = NULL;
	struct failure f;
	size_t n = 0;
	enum pdv_code rc = session_failed(r, &f);

	if (rc == PDV_OK)
		ids = pdv_result_subjects(r, &n);
	if (rc != PDV_OK && rc != PDV_NOT_FOUND) {
		lane_failed(lane, &f);
	} else if (ids == NULL || n == 0) {
		found(lane, false);
	} else {
		lane->subject = ids[0];
		lane->found = true;
		found(lane, true);
	}
}

void
lane_answered(struct import_lane *lane)
{
	/* The next call's answer may come while this one is being worked on. */
	struct pdv_result *r = lane->result;

	lane->result = NULL;
	drop_call(lane);
	if (lane->step == IMPORT_FIND)
		find_answered(lane, r);
	else if (lane->import->map->kind == MAP_SUBJECTS)
		import_subject_answered(lane, r);
	else
		import_transaction_answered(lane, r);
	pdv_result_free(r);
}

static struct import_lane *
lane_new(struct import *im, const struct import_row *row)
{
	struct import_lane *lane = calloc(1, sizeof(*lane));

	if (lane == NULL)
		return NULL;
	if ((lane->key = keep_copy(row->data.key, strlen(row->data.key))) == NULL) {
		free(lane);
		return NULL;
	}
	lane->import = im;
	lane->waiting_last = &lane->waiting;
	lane->next = im->lanes[bucket_of(lane->key)];
	im->lanes[bucket_of(lane->key)] = lane;
	im->lanes_n++;
	return lane;
}

bool
lane_add(struct import *im, struct import_row *row)
{
	struct import_lane *lane = im->lanes[bucket_of(row->data.key)];
	bool fresh;

	while (lane != NULL && !loose_same(lane->key, row->data.key))
		lane = lane->next;
	fresh = lane == NULL;
	if ((fresh && im->lanes_n == IMPORT_IN_FLIGHT) || !import_claim_allows(im, row, lane))
		return false;
	if (fresh && (lane = lane_new(im, row)) == NULL) {
		(void)failure_memory(&im->fatal);
		return false;
	}
	import_claim_take(im, row, lane);
	row->next = NULL;
	*lane->waiting_last = row;
	lane->waiting_last = &row->next;
	if (fresh) {
		take_rows(lane);
		lane_find(lane);
	}
	return true;
}
