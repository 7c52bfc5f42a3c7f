/*
 * What a call gave: one owner for code, reason, violations and the typed answer,
 * all in one arena that is wiped when it is freed.
 *
 * A result may be read by several threads at once, and freed by one. Every pointer
 * that an accessor hands out belongs to the result and dies with it.
 */
#ifndef PDVAULT_RESULT_H
#define PDVAULT_RESULT_H

#include "pdvault/code.h"
#include "pdvault/export.h"
#include "pdvault/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Reasons that the library itself gives; all others come from the server.
 * Callers decide by code and reason, never by the detail.
 *
 * OUTCOME_INDETERMINATE: a mutating call was sent, and no answer told what became
 *   of it. Call again with the same idempotency key to learn it.
 * DEADLINE: the deadline passed (nothing was changed, or the call only reads).
 * NOT_CONNECTED: no server could be reached before the deadline.
 * CONNECTION_LOST: the connection broke each time it was tried.
 * MALFORMED_ANSWER: the server's bytes were not an answer (code DATA_LOSS); of a mutating
 *   call the outcome is not known.
 * ANSWER_TOO_NEW: the call was answered OK, with a value that this library does not know
 *   (code UNIMPLEMENTED); a mutating call has done its work.
 * ANSWER_TOO_LARGE: the answer would need more memory than a result may have.
 * EPOCH_ROLLED_BACK: the vault answered from before what it has answered already:
 *   an old copy of it is being served (code DATA_LOSS).
 * TOO_MANY_VAULTS: more different vaults answered than a handle remembers.
 * USED_AFTER_FORK: the handle was made in another process.
 * CALLED_IN_CALLBACK: a function that waits was called in a callback.
 * CLIENT_CLOSED: pdv_client_free was called.
 * CLIENT_QUEUE_FULL: more calls wait than the options allow.
 * REQUEST_INVALID: the request breaks its contract (a NULL, a count out of range).
 * REQUEST_TOO_LARGE: the request is over PDV_REQUEST_MAX bytes.
 * OUT_OF_MEMORY: the client's own memory.
 */
#define PDV_REASON_INDETERMINATE "OUTCOME_INDETERMINATE"
#define PDV_REASON_DEADLINE "DEADLINE"
#define PDV_REASON_NOT_CONNECTED "NOT_CONNECTED"
#define PDV_REASON_CONNECTION_LOST "CONNECTION_LOST"
#define PDV_REASON_MALFORMED "MALFORMED_ANSWER"
#define PDV_REASON_TOO_NEW "ANSWER_TOO_NEW"
#define PDV_REASON_ANSWER_TOO_LARGE "ANSWER_TOO_LARGE"
#define PDV_REASON_EPOCH "EPOCH_ROLLED_BACK"
#define PDV_REASON_VAULTS "TOO_MANY_VAULTS"
#define PDV_REASON_FORK "USED_AFTER_FORK"
#define PDV_REASON_IN_CALLBACK "CALLED_IN_CALLBACK"
#define PDV_REASON_CLOSED "CLIENT_CLOSED"
#define PDV_REASON_QUEUE_FULL "CLIENT_QUEUE_FULL"
#define PDV_REASON_INVALID "REQUEST_INVALID"
#define PDV_REASON_TOO_LARGE "REQUEST_TOO_LARGE"
#define PDV_REASON_MEMORY "OUT_OF_MEMORY"

#define PDV_ANSWER_MEMORY_MAX (16u << 20) /* bytes that one result may take */

struct pdv_result;

/*
 * pdv_result_free(r):
 * Wipe and free ${r} and all that it handed out. NULL is allowed. Any thread; also
 * in a callback, and in a child process.
 */
PDV_API void pdv_result_free(struct pdv_result *r);

/* pdv_result_code(r): the status code. */
PDV_API enum pdv_code pdv_result_code(const struct pdv_result *r);

/* pdv_result_reason(r): UPPER_SNAKE, stable; "" when the code is OK. Never NULL. */
PDV_API const char *pdv_result_reason(const struct pdv_result *r);

/* pdv_result_detail(r): for people, without personal data; may be "". Never NULL. */
PDV_API const char *pdv_result_detail(const struct pdv_result *r);

/*
 * pdv_result_violations(r, count):
 * The broken rules of an INVALID_ARGUMENT, ${count} of them; NULL when 0.
 */
PDV_API const struct pdv_violation *pdv_result_violations(
    const struct pdv_result *r, size_t *count);

/* pdv_result_retry_after_ms(r): when the server wants to hear again; 0: not said. */
PDV_API uint32_t pdv_result_retry_after_ms(const struct pdv_result *r);

/* pdv_result_epoch(r): the vault's epoch; 0 when no vault answered. */
PDV_API uint64_t pdv_result_epoch(const struct pdv_result *r);

/* pdv_result_vault(r): the vault's id, PDV_ID_LEN bytes; NULL when none answered. */
PDV_API const uint8_t *pdv_result_vault(const struct pdv_result *r);

/*
 * pdv_result_key(r):
 * The idempotency key that the call was made with, PDV_KEY_LEN bytes; NULL for a
 * method that only reads. To resolve PDV_REASON_INDETERMINATE, make the same call
 * with this key.
 */
PDV_API const uint8_t *pdv_result_key(const struct pdv_result *r);

/* pdv_result_attempts(r): how often the request was tried, 1 without retries. */
PDV_API uint32_t pdv_result_attempts(const struct pdv_result *r);

/*
 * The typed answers. Each returns NULL (or a count of 0) unless the code is OK and the
 * result came from the method named.
 */

/* pdv_create_subject: the new subject's id. */
PDV_API const struct pdv_subject_id *pdv_result_subject(const struct pdv_result *r);

/* pdv_get_subject */
PDV_API const struct pdv_subject_status *pdv_result_subject_status(
    const struct pdv_result *r);

/* pdv_find_subject: at least one; several only for a phone. */
PDV_API const struct pdv_subject_id *pdv_result_subjects(
    const struct pdv_result *r, size_t *count);

/* pdv_get_identity; a subject without identity data has one with nothing set. */
PDV_API const struct pdv_identity *pdv_result_identity(const struct pdv_result *r);

/* pdv_get_billing; as pdv_result_identity. */
PDV_API const struct pdv_billing *pdv_result_billing(const struct pdv_result *r);

/* pdv_get_identity, pdv_update_identity, pdv_get_billing, pdv_update_billing */
PDV_API const char *pdv_result_etag(const struct pdv_result *r);

/* pdv_batch_get_identity: one for each subject asked for, in the order asked. */
PDV_API const struct pdv_identity_outcome *pdv_result_outcomes(
    const struct pdv_result *r, size_t *count);

/* pdv_append_transactions */
PDV_API const struct pdv_append_outcome *pdv_result_appended(const struct pdv_result *r);

/* pdv_list_transactions: one page, in the order of appending; may be empty. */
PDV_API const struct pdv_transaction *pdv_result_transactions(
    const struct pdv_result *r, size_t *count);

/* pdv_list_transactions: the token of the next page; NULL: that was all. */
PDV_API const char *pdv_result_next_page(const struct pdv_result *r);

/* pdv_generate_data_keys: as many as were asked for. */
PDV_API const struct pdv_data_key *pdv_result_data_keys(
    const struct pdv_result *r, size_t *count);

/* pdv_open_data_keys: one for each that was asked for, in the order asked. */
PDV_API const struct pdv_data_key_outcome *pdv_result_data_key_outcomes(
    const struct pdv_result *r, size_t *count);

/* pdv_erase_subject, pdv_get_erasure */
PDV_API const struct pdv_erasure *pdv_result_erasure(const struct pdv_result *r);

/* pdv_list_ledger: one page, in the order of the ledger; may be empty. *more: others follow at once. */
PDV_API const struct pdv_ledger_proof *pdv_result_ledger(
    const struct pdv_result *r, size_t *count, int *more);

/* pdv_begin_backup */
PDV_API const struct pdv_backup *pdv_result_backup(const struct pdv_result *r);

/* pdv_read_backup */
PDV_API const struct pdv_backup_rows *pdv_result_backup_rows(const struct pdv_result *r);

/* pdv_finish_backup: PDV_SIGNATURE_LEN bytes, of the vault's Ed25519 key (docs/FORMAT.md, manifest). */
PDV_API const uint8_t *pdv_result_backup_signature(const struct pdv_result *r);

/* pdv_create_key_backup, pdv_destroy_key_backup: one; pdv_list_key_backups. */
PDV_API const struct pdv_key_backup *pdv_result_key_backups(
    const struct pdv_result *r, size_t *count);

/* pdv_get_status */
PDV_API const struct pdv_status *pdv_result_status(const struct pdv_result *r);

/* pdv_check: PDV_SERVING_UNSPECIFIED unless OK. */
PDV_API enum pdv_serving_state pdv_result_serving(const struct pdv_result *r);

/* pdv_call_raw: the bytes of the answer's message, ${length} of them, unparsed. */
PDV_API const uint8_t *pdv_result_raw(const struct pdv_result *r, size_t *length);

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_RESULT_H */
