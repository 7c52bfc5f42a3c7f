/*
 * The functions of the methods, made from the method table. Their contract is in
 * pdvault/pdvault.h.
 */
#include <pthread.h>

#include "client/call.h"
#include "client/client.h"
#include "client/transport/must.h"
#include "client/transport/registers.h"

/* What a method without a request is given. */
static const char nothing;

/* Make and begin a call; on failure ${result} says why, and is the caller's. */
static bool
begin(struct pdv_client *c, const struct call_request *q, pdv_callback done, void *arg,
    struct pdv_result **result)
{
	struct client_refusal why;
	struct call *call;
	bool begun = false;

	if (call_new(q, result, &call) == PDV_OK) {
		call->done = done;
		call->arg = arg;
		if (!(begun = client_submit(c, call, &why)))
			result_fail(*result, why.code, why.reason, why.detail);
	}
	registers_wipe();	/* The request was packed here; now the thread waits, or is the caller's. */
	return begun;
}

static enum pdv_code
call_back(struct pdv_client *c, struct call_request q, pdv_callback done, void *arg)
{
	struct client_refusal why;
	struct pdv_result *r = NULL;
	enum pdv_code code;

	if (!client_usable(c, &why))
		return why.code;
	q.deadline_ms = client_deadline(c);
	if (begin(c, &q, done, arg, &r))
		return PDV_OK;
	code = pdv_result_code(r);
	pdv_result_free(r);
	return code;
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct pdv_result *result;
};

static void
wake(struct pdv_result *r, void *arg)
{
	struct waiter *w = arg;

	must(pthread_mutex_lock(&w->lock) == 0);
	w->result = r;
	must(pthread_cond_signal(&w->done) == 0);
	must(pthread_mutex_unlock(&w->lock) == 0);
}

static struct pdv_result *
wait_for(struct waiter *w)
{
	struct pdv_result *r;

	must(pthread_mutex_lock(&w->lock) == 0);
	while ((r = w->result) == NULL)
		must(pthread_cond_wait(&w->done, &w->lock) == 0);
	must(pthread_mutex_unlock(&w->lock) == 0);
	return r;
}

static struct pdv_result *
refused(const struct client_refusal *why)
{
	struct pdv_result *r = result_new();

	if (r == NULL)
		return result_out_of_memory();
	result_fail(r, why->code, why->reason, why->detail);
	return r;
}

static enum pdv_code
call_and_wait(struct pdv_client *c, struct call_request q, struct pdv_result **out)
{
	struct waiter w = {.result = NULL};
	struct client_refusal why;

	if (!client_usable(c, &why)) {
		*out = refused(&why);
		return why.code;
	}
	if (client_in_callback()) {
		why = (struct client_refusal){PDV_FAILED_PRECONDITION, PDV_REASON_IN_CALLBACK,
		    "a callback must not wait"};
		*out = refused(&why);
		return why.code;
	}
	q.deadline_ms = client_deadline(c);
	must(pthread_mutex_init(&w.lock, NULL) == 0);
	must(pthread_cond_init(&w.done, NULL) == 0);
	if (begin(c, &q, wake, &w, out))
		*out = wait_for(&w);
	must(pthread_cond_destroy(&w.done) == 0);
	must(pthread_mutex_destroy(&w.lock) == 0);
	return pdv_result_code(*out);
}

#define BOTH(id, function, request_type)                                                 \
	enum pdv_code pdv_##function(struct pdv_client *c, const request_type *request,  \
	    const struct pdv_call_options *options, struct pdv_result **out)             \
	{                                                                                \
		return call_and_wait(c,                                                 \
		    (struct call_request){&method_table[id], request, options, 0}, out); \
	}                                                                                \
	enum pdv_code pdv_##function##_async(struct pdv_client *c,                       \
	    const request_type *request, const struct pdv_call_options *options,         \
	    pdv_callback done, void *arg)                                                \
	{                                                                                \
		return call_back(c,                                                     \
		    (struct call_request){&method_table[id], request, options, 0}, done, \
		    arg);                                                               \
	}

BOTH(METHOD_CREATE_SUBJECT, create_subject, struct pdv_new_subject)
BOTH(METHOD_GET_SUBJECT, get_subject, struct pdv_subject_id)
BOTH(METHOD_FIND_SUBJECT, find_subject, struct pdv_lookup)
BOTH(METHOD_GET_IDENTITY, get_identity, struct pdv_subject_id)
BOTH(METHOD_BATCH_GET_IDENTITY, batch_get_identity, struct pdv_subject_list)
BOTH(METHOD_UPDATE_IDENTITY, update_identity, struct pdv_identity_update)
BOTH(METHOD_GET_BILLING, get_billing, struct pdv_subject_id)
BOTH(METHOD_UPDATE_BILLING, update_billing, struct pdv_billing_update)
BOTH(METHOD_APPEND_TRANSACTIONS, append_transactions, struct pdv_transaction_append)
BOTH(METHOD_LIST_TRANSACTIONS, list_transactions, struct pdv_transaction_page)
BOTH(METHOD_GENERATE_DATA_KEYS, generate_data_keys, struct pdv_data_key_request)
BOTH(METHOD_OPEN_DATA_KEYS, open_data_keys, struct pdv_data_key_opening)
BOTH(METHOD_ERASE_SUBJECT, erase_subject, struct pdv_erase)
BOTH(METHOD_GET_ERASURE, get_erasure, struct pdv_erasure_id)
BOTH(METHOD_LIST_LEDGER, list_ledger, struct pdv_ledger_page)
BOTH(METHOD_BEGIN_BACKUP, begin_backup, struct pdv_backup_begin)
BOTH(METHOD_READ_BACKUP, read_backup, struct pdv_backup_range)
BOTH(METHOD_FINISH_BACKUP, finish_backup, struct pdv_backup_finish)
BOTH(METHOD_CREATE_KEY_BACKUP, create_key_backup, struct pdv_key_backup_new)
BOTH(METHOD_LIST_KEY_BACKUPS, list_key_backups, struct pdv_key_backup_filter)
BOTH(METHOD_DESTROY_KEY_BACKUP, destroy_key_backup, struct pdv_key_backup_id)

#define BOTH_PLAIN(id, function)                                                          \
	enum pdv_code pdv_##function(struct pdv_client *c,                                \
	    const struct pdv_call_options *options, struct pdv_result **out)              \
	{                                                                                 \
		return call_and_wait(c,                                                  \
		    (struct call_request){&method_table[id], &nothing, options, 0}, out); \
	}                                                                                 \
	enum pdv_code pdv_##function##_async(struct pdv_client *c,                        \
	    const struct pdv_call_options *options, pdv_callback done, void *arg)         \
	{                                                                                 \
		return call_back(c,                                                      \
		    (struct call_request){&method_table[id], &nothing, options, 0}, done, \
		    arg);                                                                \
	}

BOTH_PLAIN(METHOD_GET_STATUS, get_status)
BOTH_PLAIN(METHOD_CHECK, check)

enum pdv_code
pdv_call_raw(struct pdv_client *c, const struct pdv_raw_request *request,
    const struct pdv_call_options *options, struct pdv_result **out)
{
	return call_and_wait(c, (struct call_request){NULL, request, options, 0}, out);
}

enum pdv_code
pdv_call_raw_async(struct pdv_client *c, const struct pdv_raw_request *request,
    const struct pdv_call_options *options, pdv_callback done, void *arg)
{
	return call_back(c, (struct call_request){NULL, request, options, 0}, done, arg);
}
