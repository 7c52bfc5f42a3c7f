#include <string.h>
#include <unistd.h>

#include "input.h"
#include "json_in.h"
#include "json_out.h"
#include "keep.h"
#include "nouns.h"
#include "session.h"

enum { TRANSACTIONS_MAX = 100000 };

/* The list in an input: [..], {"transactions": [..]}, or one object. Borrowed from doc. */
static enum pdv_code
list_of(json_t *doc, json_t **single, json_t **out, struct failure *f)
{
	static const char *const names[] = {"transactions", NULL};

	*out = doc;
	if (json_is_object(doc) && json_object_get(doc, "transactions") != NULL) {
		if (json_in_only(doc, "", names, f) != PDV_OK)
			return f->code;
		*out = json_object_get(doc, "transactions");
	} else if (json_is_object(doc)) {
		*single = json_pack("[O]", doc);
		*out = *single;
	}
	if (!json_is_array(*out))
		return failure_invalid(f, "transactions", "NOT_A_LIST");
	if (json_array_size(*out) == 0 || json_array_size(*out) > TRANSACTIONS_MAX)
		return failure_invalid(f, "transactions", "COUNT");
	return PDV_OK;
}

/* All of ${list} as structs, in ${k}: nothing is sent before everything can be read. */
static enum pdv_code
read_list(const json_t *list, struct keep *k, struct pdv_transaction **out, struct failure *f)
{
	struct pdv_transaction *all;
	const void *one;
	char path[64];
	struct json_in in = {&schema_transaction, path, k};
	json_t *item;
	size_t i;

	if ((all = keep_alloc(k, json_array_size(list) * sizeof(*all))) == NULL)
		return failure_memory(f);
	json_array_foreach(list, i, item) {
		(void)snprintf(path, sizeof(path), "transactions[%zu]", i);
		if (json_in_message(&in, item, &one, f) != PDV_OK)
			return f->code;
		memcpy(&all[i], one, sizeof(all[i]));
	}
	*out = all;
	return PDV_OK;
}

static enum pdv_code
send_chunk(struct session *s, const struct pdv_transaction_append *request,
    struct pdv_append_outcome *sum, struct failure *f)
{
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	(void)pdv_append_transactions(s->client, request, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK) {
		sum->appended += pdv_result_appended(r)->appended;
		sum->unchanged += pdv_result_appended(r)->unchanged;
	}
	pdv_result_free(r);
	return rc;
}

static enum pdv_code
send_all(struct session *s, const struct pdv_transaction_append *all,
    struct pdv_append_outcome *sum, struct failure *f)
{
	struct pdv_transaction_append request = {.subject = all->subject};
	size_t i, n = all->count;

	if (n > PDV_APPEND_MAX && s->options.idempotency_key != NULL)
		return failure_usage(f, "--idempotency-key: at most %d transactions, one call",
		    PDV_APPEND_MAX);
	for (i = 0; i < n; i += request.count) {
		request.transactions = all->transactions + i;
		request.count = n - i < PDV_APPEND_MAX ? n - i : PDV_APPEND_MAX;
		if (send_chunk(s, &request, sum, f) != PDV_OK) {
			if (n > PDV_APPEND_MAX)
				session_repeatable(f);
			return f->code;
		}
	}
	return PDV_OK;
}

enum pdv_code
noun_transaction_append(const struct args *a, struct failure *f)
{
	struct pdv_append_outcome sum = {0, 0};
	json_t *doc = NULL, *single = NULL, *list = NULL;
	struct pdv_transaction *transactions = NULL;
	struct pdv_transaction_append all;
	struct session s = {.client = NULL};
	struct keep k = {NULL};
	enum pdv_code rc;

	if (a->values[FLAG_INPUT] == NULL)
		return failure_usage(f, "--input is missing");
	if ((rc = session_subject(a->operand, &all.subject, f)) != PDV_OK ||
	    (rc = input_json(a->values[FLAG_INPUT], &doc, f)) != PDV_OK ||
	    (rc = list_of(doc, &single, &list, f)) != PDV_OK ||
	    (rc = read_list(list, &k, &transactions, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	all.transactions = transactions;
	all.count = json_array_size(list);
	if ((rc = send_all(&s, &all, &sum, f)) != PDV_OK)
		goto out;
	rc = json_out_print(json_pack("{s:I, s:I}", "appended", (json_int_t)sum.appended,
	    "unchanged", (json_int_t)sum.unchanged), a->values[FLAG_JSON] != NULL,
	    STDOUT_FILENO, f);
out:
	session_close(&s);
	keep_free(&k);
	json_decref(single);
	json_decref(doc);
	return rc;
}

/* One page to the end of ${list}; ${token} becomes the next, or is freed and NULL. */
static enum pdv_code
add_page(struct session *s, struct pdv_transaction_page *request, json_t *list, char **token,
    struct failure *f)
{
	const struct pdv_transaction *page;
	struct pdv_result *r = NULL;
	const char *next;
	enum pdv_code rc;
	size_t i, n = 0;

	request->page_token = *token;
	(void)pdv_list_transactions(s->client, request, &s->options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	page = pdv_result_transactions(r, &n);
	for (i = 0; i < n; i++)
		(void)json_array_append_new(list, json_out_message(&schema_transaction, &page[i]));
	keep_drop(*token);
	next = pdv_result_next_page(r);
	*token = next == NULL ? NULL : keep_copy(next, strlen(next));
	if (next != NULL && *token == NULL)
		rc = failure_memory(f);
out:
	pdv_result_free(r);
	return rc;
}

enum pdv_code
noun_transaction_list(const struct args *a, struct failure *f)
{
	const char *from = a->values[FLAG_PAGE_TOKEN];
	char *token = from == NULL ? NULL : keep_copy(from, strlen(from));
	struct pdv_transaction_page request = {.page_token = NULL};
	struct session s = {.client = NULL};
	json_t *list = json_array(), *doc;
	unsigned long limit = UINT32_MAX;
	enum pdv_code rc;

	if ((rc = session_subject(a->operand, &request.subject, f)) != PDV_OK ||
	    (rc = args_number(a, FLAG_LIMIT, UINT32_MAX, &limit, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	do {
		request.page_size = limit - json_array_size(list) < PDV_PAGE_MAX
		    ? (uint32_t)(limit - json_array_size(list)) : PDV_PAGE_MAX;
		if ((rc = add_page(&s, &request, list, &token, f)) != PDV_OK)
			goto out;
	} while (token != NULL && json_array_size(list) < limit);
	doc = json_pack("{s:O}", "transactions", list);
	if (token != NULL)
		(void)json_object_set_new(doc, "next_page_token", json_string(token));
	rc = json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	json_decref(list);
	keep_drop(token);
	session_close(&s);
	return rc;
}
