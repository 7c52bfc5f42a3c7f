#include "client/answer.h"
#include "client/ask.h"
#include "client/method.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/backup.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

/* The descriptors' names, as protoc-c spells them. */
#define ANSWER_CREATE_SUBJECT pdvault__v1__create_subject_response__descriptor
#define ANSWER_GET_SUBJECT pdvault__v1__get_subject_response__descriptor
#define ANSWER_FIND_SUBJECT pdvault__v1__find_subject_response__descriptor
#define ANSWER_GET_IDENTITY pdvault__v1__get_identity_response__descriptor
#define ANSWER_BATCH_GET_IDENTITY pdvault__v1__batch_get_identity_response__descriptor
#define ANSWER_UPDATE_IDENTITY pdvault__v1__update_identity_response__descriptor
#define ANSWER_GET_BILLING pdvault__v1__get_billing_response__descriptor
#define ANSWER_UPDATE_BILLING pdvault__v1__update_billing_response__descriptor
#define ANSWER_APPEND_TRANSACTIONS pdvault__v1__append_transactions_response__descriptor
#define ANSWER_LIST_TRANSACTIONS pdvault__v1__list_transactions_response__descriptor
#define ANSWER_GENERATE_DATA_KEYS pdvault__v1__generate_data_keys_response__descriptor
#define ANSWER_OPEN_DATA_KEYS pdvault__v1__open_data_keys_response__descriptor
#define ANSWER_ERASE_SUBJECT pdvault__v1__erase_subject_response__descriptor
#define ANSWER_GET_ERASURE pdvault__v1__get_erasure_response__descriptor
#define ANSWER_LIST_LEDGER pdvault__v1__list_ledger_response__descriptor
#define ANSWER_GET_STATUS pdvault__v1__get_status_response__descriptor
#define ANSWER_BEGIN_BACKUP pdvault__v1__begin_backup_response__descriptor
#define ANSWER_READ_BACKUP pdvault__v1__read_backup_response__descriptor
#define ANSWER_FINISH_BACKUP pdvault__v1__finish_backup_response__descriptor
#define ANSWER_CREATE_KEY_BACKUP pdvault__v1__key_backup__descriptor
#define ANSWER_LIST_KEY_BACKUPS pdvault__v1__list_key_backups_response__descriptor
#define ANSWER_DESTROY_KEY_BACKUP pdvault__v1__key_backup__descriptor
#define ANSWER_CHECK pdvault__v1__check_response__descriptor

#define ROW(id, function, service, rpc, request, change) \
	[METHOD_##id] = {                                \
		.name = "/pdvault.v1." #service "/" #rpc, \
		.mutates = change,                       \
		.answer = &ANSWER_##id,                  \
		.ask = ask_##function,                   \
		.answered = answer_##function,           \
	},

const struct method method_table[METHOD_COUNT] = {METHODS(ROW)};
