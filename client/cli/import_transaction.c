/*
 * Rows of transactions of one account: look the subject up, append. The vault counts a
 * transaction that is there already with the same content as unchanged.
 */
#include <string.h>

#include "import_internal.h"
#include "json_in.h"

static void
append(struct import_lane *lane)
{
	struct pdv_transaction_append request = {.subject = lane->subject, .count = lane->rows_n};
	const struct session *s = &lane->import->session;
	struct json_in in = {&schema_transaction, "transaction", &lane->keep};
	struct pdv_transaction *list;
	const void *one;
	struct failure f;
	size_t i;

	lane->step = IMPORT_APPEND;
	if ((list = keep_alloc(&lane->keep, lane->rows_n * sizeof(*list))) == NULL) {
		(void)failure_memory(&f);
		lane_failed(lane, &f);
		return;
	}
	for (i = 0; i < lane->rows_n; i++) {
		if (json_in_message(&in, json_object_get(lane->rows[i]->data.doc, "transaction"), &one,
		    &f) != PDV_OK) {
			lane_failed(lane, &f);
			return;
		}
		memcpy(&list[i], one, sizeof(list[i]));
	}
	request.transactions = list;
	lane_begun(lane, pdv_append_transactions_async(s->client, &request, &s->options,
	    lane_callback, lane));
}

/* Two rows with one id cannot go in one call; whether they are equal the vault decides. */
static bool
ids_distinct(const struct import_lane *lane)
{
	const char *ids[PDV_APPEND_MAX];
	size_t i, k;

	for (i = 0; i < lane->rows_n; i++) {
		ids[i] = json_string_value(json_object_get(
		    json_object_get(lane->rows[i]->data.doc, "transaction"), "id"));
		for (k = 0; k < i; k++)
			if (ids[i] != NULL && ids[k] != NULL && strcmp(ids[i], ids[k]) == 0)
				return false;
	}
	return true;
}

void
import_transaction_found(struct import_lane *lane, bool there)
{
	struct failure f;

	if (!there) {
		(void)failure_set(&f, PDV_NOT_FOUND, "NOT_FOUND", "no subject has this account id");
		failure_violation(&f, "account_id", "NOT_FOUND");
		lane_refuse(lane, &f);
	} else if (!ids_distinct(lane)) {
		(void)failure_invalid(&f, "transaction.id", "DUPLICATE");
		lane->step = IMPORT_APPEND;
		lane_refuse(lane, &f);	/* several rows: each goes alone */
	} else {
		append(lane);
	}
}

/* "transactions[7].currency" of the call is "transaction.currency" of the row. */
static void
rename_fields(struct failure *f)
{
	char renamed[FAILURE_FIELD_LEN];
	struct failure_violation *v;
	const char *end;
	size_t i;

	for (i = 0; i < f->violations_n; i++) {
		v = &f->violations[i];
		if (strncmp(v->field, "transactions[", 13) != 0 ||
		    (end = strchr(v->field, ']')) == NULL)
			continue;
		(void)snprintf(renamed, sizeof(renamed), "transaction%.100s", end + 1);
		(void)snprintf(v->field, sizeof(v->field), "%s", renamed);
	}
}

void
import_transaction_answered(struct import_lane *lane, const struct pdv_result *r)
{
	const struct pdv_append_outcome *outcome;
	struct failure f;

	if (session_failed(r, &f) == PDV_OK) {
		outcome = pdv_result_appended(r);
		lane_end_batch(lane, outcome != NULL ? outcome->appended : 0);
		return;
	}
	rename_fields(&f);
	lane_failed(lane, &f);
}
