/*
 * The methods: one table, from which the calls are made.
 */
#ifndef CLIENT_METHOD_H
#define CLIENT_METHOD_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "client/bump.h"
#include "pdvault/result.h"

/* X(id, function, service, name, request's struct, mutates) */
#define METHODS(X)                                                                           \
	X(CREATE_SUBJECT, create_subject, Vault, CreateSubject, pdv_new_subject, true)       \
	X(GET_SUBJECT, get_subject, Vault, GetSubject, pdv_subject_id, false)                \
	X(FIND_SUBJECT, find_subject, Vault, FindSubject, pdv_lookup, false)                 \
	X(GET_IDENTITY, get_identity, Vault, GetIdentity, pdv_subject_id, false)             \
	X(BATCH_GET_IDENTITY, batch_get_identity, Vault, BatchGetIdentity, pdv_subject_list, \
	    false)                                                                           \
	X(UPDATE_IDENTITY, update_identity, Vault, UpdateIdentity, pdv_identity_update,      \
	    true)                                                                            \
	X(GET_BILLING, get_billing, Vault, GetBilling, pdv_subject_id, false)                \
	X(UPDATE_BILLING, update_billing, Vault, UpdateBilling, pdv_billing_update, true)    \
	X(APPEND_TRANSACTIONS, append_transactions, Vault, AppendTransactions,               \
	    pdv_transaction_append, true)                                                    \
	X(LIST_TRANSACTIONS, list_transactions, Vault, ListTransactions,                     \
	    pdv_transaction_page, false)                                                     \
	X(GENERATE_DATA_KEYS, generate_data_keys, Vault, GenerateDataKeys,                   \
	    pdv_data_key_request, false)                                                     \
	X(OPEN_DATA_KEYS, open_data_keys, Vault, OpenDataKeys, pdv_data_key_opening, false)  \
	X(ERASE_SUBJECT, erase_subject, Rights, EraseSubject, pdv_erase, true)               \
	X(GET_ERASURE, get_erasure, Rights, GetErasure, pdv_erasure_id, false)               \
	X(LIST_LEDGER, list_ledger, Admin, ListLedger, pdv_ledger_page, false)                \
	X(GET_STATUS, get_status, Admin, GetStatus, method_nothing, false)                   \
	X(BEGIN_BACKUP, begin_backup, Backups, BeginBackup, pdv_backup_begin, false)         \
	X(READ_BACKUP, read_backup, Backups, ReadBackup, pdv_backup_range, false)            \
	X(FINISH_BACKUP, finish_backup, Backups, FinishBackup, pdv_backup_finish, true)      \
	X(CREATE_KEY_BACKUP, create_key_backup, Backups, CreateKeyBackup,                    \
	    pdv_key_backup_new, true)                                                        \
	X(LIST_KEY_BACKUPS, list_key_backups, Backups, ListKeyBackups,                       \
	    pdv_key_backup_filter, false)                                                    \
	X(DESTROY_KEY_BACKUP, destroy_key_backup, Backups, DestroyKeyBackup,                 \
	    pdv_key_backup_id, true)                                                         \
	X(CHECK, check, Health, Check, method_nothing, false)

#define METHOD_ID(id, function, service, name, request, mutates) METHOD_##id,
enum method_id { METHODS(METHOD_ID) METHOD_COUNT };
#undef METHOD_ID

/* What was asked, when the answer must tell of the same. */
struct method_asked {
	const uint8_t *ids; /* ${count} of them, PDV_ID_LEN bytes each, or NULL */
	size_t count;
	size_t items; /* how many things that have no id */
};

struct method {
	const char *name; /* "/pdvault.v1.Vault/GetIdentity" */
	bool mutates;
	const ProtobufCMessageDescriptor *answer;
	/*
	 * Make the message of the request struct ${request}, with memory of ${memory}: PDV_OK,
	 * PDV_INVALID_ARGUMENT (the request breaks its contract), PDV_RESOURCE_EXHAUSTED. What
	 * was asked points into ${memory} too.
	 */
	enum pdv_code (*ask)(struct bump *memory, const void *request,
	    ProtobufCMessage **out, struct method_asked *asked);
	/*
	 * Take the unpacked answer into ${r}, with its memory. PDV_DATA_LOSS: not what the
	 * contract says; PDV_RESOURCE_EXHAUSTED: memory.
	 */
	enum pdv_code (*answered)(struct pdv_result *r, const ProtobufCMessage *m,
	    const struct method_asked *asked);
};

extern const struct method method_table[METHOD_COUNT];

#endif /* CLIENT_METHOD_H */
