/*
 * The inside of a result: one allocation that also holds the call while it is under way
 * (the request's bytes, what was asked) and then the answer. Before it is handed out one
 * thread at a time owns it; after that it is not changed.
 */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include <stdbool.h>

#include "client/bump.h"
#include "client/epochs.h"
#include "pdvault/result.h"

#define RESULT_BLOCK 4096 /* bytes of the first allocation, the struct included */

struct method;

struct pdv_result {
	enum pdv_code code;
	const char *reason;
	const char *detail;
	const struct pdv_violation *violations;
	size_t violation_count;
	uint32_t retry_after_ms;
	uint32_t attempts;
	struct epochs_at at;
	bool has_vault;
	bool has_key;
	uint8_t vault[PDV_ID_LEN];
	uint8_t key[PDV_KEY_LEN];
	const struct method *method; /* of the answer that is in the fields below, else NULL */
	/* One method fills one or two of these, the rest stays empty. */
	const struct pdv_subject_id *subjects;
	size_t subject_count;
	const struct pdv_subject_status *subject_status;
	const struct pdv_identity *identity;
	const struct pdv_billing *billing;
	const char *etag;
	const struct pdv_identity_outcome *outcomes;
	size_t outcome_count;
	const struct pdv_append_outcome *appended;
	const struct pdv_transaction *transactions;
	size_t transaction_count;
	const char *next_page;
	const struct pdv_data_key *data_keys;
	size_t data_key_count;
	const struct pdv_data_key_outcome *data_key_outcomes;
	size_t data_key_outcome_count;
	const struct pdv_erasure *erasure;
	const struct pdv_ledger_proof *ledger;
	size_t ledger_count;
	bool ledger_more;
	const struct pdv_backup *backup;
	const struct pdv_backup_rows *backup_rows;
	const uint8_t *backup_signature;
	const struct pdv_key_backup *key_backups;
	size_t key_backup_count;
	const struct pdv_status *status;
	enum pdv_serving_state serving;
	const uint8_t *raw;
	size_t raw_length;
	struct bump memory;
};

/* result_new(): an empty result with the code UNKNOWN, or NULL without memory. */
struct pdv_result *result_new(void);

/*
 * result_fail(r, code, reason, detail):
 * Make ${r} say this; what it held of an answer is no longer shown. The strings are
 * static or in ${r}'s memory.
 */
void result_fail(
    struct pdv_result *r, enum pdv_code code, const char *reason, const char *detail);

/* result_out_of_memory(): the one static result that says so; freeing it does nothing. */
struct pdv_result *result_out_of_memory(void);

#endif /* CLIENT_RESULT_H */
