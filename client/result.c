#include <stdlib.h>

#include <sodium.h>

#include "client/method.h"
#include "client/result.h"
#include "client/transport/registers.h"

#define FIRST_CHUNK ((sizeof(struct pdv_result) + 15) / 16 * 16)

_Static_assert(FIRST_CHUNK < RESULT_BLOCK / 2, "most of the block is for the call");

static struct pdv_result out_of_memory = {
	.code = PDV_RESOURCE_EXHAUSTED,
	.reason = PDV_REASON_MEMORY,
	.detail = "the client has no memory for a result",
};

struct pdv_result *
result_new(void)
{
	unsigned char *block = malloc(RESULT_BLOCK);
	struct pdv_result *r = (struct pdv_result *)(void *)block;

	if (r == NULL)
		return NULL;
	*r = (struct pdv_result){.code = PDV_UNKNOWN, .reason = "", .detail = ""};
	bump_init(&r->memory, block + FIRST_CHUNK, RESULT_BLOCK - FIRST_CHUNK,
	    PDV_ANSWER_MEMORY_MAX);
	return r;
}

struct pdv_result *
result_out_of_memory(void)
{
	return &out_of_memory;
}

void
result_fail(struct pdv_result *r, enum pdv_code code, const char *reason, const char *detail)
{
	r->code = code;
	r->reason = reason;
	r->detail = detail;
	r->violations = NULL;
	r->violation_count = 0;
	r->method = NULL;
}

void
pdv_result_free(struct pdv_result *r)
{
	if (r == NULL || r == &out_of_memory)
		return;
	bump_end(&r->memory);
	sodium_memzero(r, sizeof(*r));
	free(r);
	registers_wipe();
}

enum pdv_code
pdv_result_code(const struct pdv_result *r)
{
	return r->code;
}

const char *
pdv_result_reason(const struct pdv_result *r)
{
	return r->reason;
}

const char *
pdv_result_detail(const struct pdv_result *r)
{
	return r->detail;
}

const struct pdv_violation *
pdv_result_violations(const struct pdv_result *r, size_t *count)
{
	*count = r->violation_count;
	return r->violation_count > 0 ? r->violations : NULL;
}

uint32_t
pdv_result_retry_after_ms(const struct pdv_result *r)
{
	return r->retry_after_ms;
}

uint64_t
pdv_result_epoch(const struct pdv_result *r)
{
	return r->at.epoch;
}

const uint8_t *
pdv_result_vault(const struct pdv_result *r)
{
	return r->has_vault ? r->vault : NULL;
}

const uint8_t *
pdv_result_key(const struct pdv_result *r)
{
	return r->has_key ? r->key : NULL;
}

uint32_t
pdv_result_attempts(const struct pdv_result *r)
{
	return r->attempts;
}

/* Is the answer of method ${id} in ${r}? */
static bool
has(const struct pdv_result *r, enum method_id id)
{
	return r->method == &method_table[id];
}

const struct pdv_subject_id *
pdv_result_subject(const struct pdv_result *r)
{
	return has(r, METHOD_CREATE_SUBJECT) ? r->subjects : NULL;
}

const struct pdv_subject_status *
pdv_result_subject_status(const struct pdv_result *r)
{
	return has(r, METHOD_GET_SUBJECT) ? r->subject_status : NULL;
}

const struct pdv_subject_id *
pdv_result_subjects(const struct pdv_result *r, size_t *count)
{
	*count = has(r, METHOD_FIND_SUBJECT) ? r->subject_count : 0;
	return *count > 0 ? r->subjects : NULL;
}

const struct pdv_identity *
pdv_result_identity(const struct pdv_result *r)
{
	return has(r, METHOD_GET_IDENTITY) ? r->identity : NULL;
}

const struct pdv_billing *
pdv_result_billing(const struct pdv_result *r)
{
	return has(r, METHOD_GET_BILLING) ? r->billing : NULL;
}

const char *
pdv_result_etag(const struct pdv_result *r)
{
	return r->method != NULL ? r->etag : NULL;
}

const struct pdv_identity_outcome *
pdv_result_outcomes(const struct pdv_result *r, size_t *count)
{
	*count = has(r, METHOD_BATCH_GET_IDENTITY) ? r->outcome_count : 0;
	return *count > 0 ? r->outcomes : NULL;
}

const struct pdv_append_outcome *
pdv_result_appended(const struct pdv_result *r)
{
	return has(r, METHOD_APPEND_TRANSACTIONS) ? r->appended : NULL;
}

const struct pdv_transaction *
pdv_result_transactions(const struct pdv_result *r, size_t *count)
{
	*count = has(r, METHOD_LIST_TRANSACTIONS) ? r->transaction_count : 0;
	return *count > 0 ? r->transactions : NULL;
}

const char *
pdv_result_next_page(const struct pdv_result *r)
{
	return has(r, METHOD_LIST_TRANSACTIONS) ? r->next_page : NULL;
}

const struct pdv_data_key *
pdv_result_data_keys(const struct pdv_result *r, size_t *count)
{
	*count = has(r, METHOD_GENERATE_DATA_KEYS) ? r->data_key_count : 0;
	return *count > 0 ? r->data_keys : NULL;
}

const struct pdv_data_key_outcome *
pdv_result_data_key_outcomes(const struct pdv_result *r, size_t *count)
{
	*count = has(r, METHOD_OPEN_DATA_KEYS) ? r->data_key_outcome_count : 0;
	return *count > 0 ? r->data_key_outcomes : NULL;
}

const struct pdv_erasure *
pdv_result_erasure(const struct pdv_result *r)
{
	return has(r, METHOD_ERASE_SUBJECT) || has(r, METHOD_GET_ERASURE) ? r->erasure : NULL;
}

const struct pdv_ledger_proof *
pdv_result_ledger(const struct pdv_result *r, size_t *count, int *more)
{
	bool is = has(r, METHOD_LIST_LEDGER);

	*count = is ? r->ledger_count : 0;
	*more = is && r->ledger_more;
	return *count > 0 ? r->ledger : NULL;
}

const struct pdv_backup *
pdv_result_backup(const struct pdv_result *r)
{
	return has(r, METHOD_BEGIN_BACKUP) ? r->backup : NULL;
}

const struct pdv_backup_rows *
pdv_result_backup_rows(const struct pdv_result *r)
{
	return has(r, METHOD_READ_BACKUP) ? r->backup_rows : NULL;
}

const uint8_t *
pdv_result_backup_signature(const struct pdv_result *r)
{
	return has(r, METHOD_FINISH_BACKUP) ? r->backup_signature : NULL;
}

const struct pdv_key_backup *
pdv_result_key_backups(const struct pdv_result *r, size_t *count)
{
	bool is = has(r, METHOD_CREATE_KEY_BACKUP) || has(r, METHOD_LIST_KEY_BACKUPS) ||
	    has(r, METHOD_DESTROY_KEY_BACKUP);

	*count = is ? r->key_backup_count : 0;
	return *count > 0 ? r->key_backups : NULL;
}

const struct pdv_status *
pdv_result_status(const struct pdv_result *r)
{
	return has(r, METHOD_GET_STATUS) ? r->status : NULL;
}

enum pdv_serving_state
pdv_result_serving(const struct pdv_result *r)
{
	return has(r, METHOD_CHECK) ? r->serving : PDV_SERVING_UNSPECIFIED;
}

const uint8_t *
pdv_result_raw(const struct pdv_result *r, size_t *length)
{
	*length = r->raw_length;
	return r->raw;
}
