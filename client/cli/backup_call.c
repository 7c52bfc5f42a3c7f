#include "backup_call.h"

#include <stdlib.h>
#include <string.h>

#include "client/backup/message.h"

#define CALL(name, answer, mutates)                                                        \
	{                                                                                  \
		"/pdvault.v1.Backups/" name, &pdvault__v1__##answer##__descriptor, mutates \
	}
const struct backup_method backup_begin_call = CALL("BeginBackup", begin_backup_response, false);
const struct backup_method backup_read_call = CALL("ReadBackup", read_backup_response, false);
const struct backup_method backup_finish_call = CALL("FinishBackup", finish_backup_response, true);
const struct backup_method backup_create_call = CALL("CreateKeyBackup", key_backup, true);
const struct backup_method backup_list_call = CALL("ListKeyBackups", list_key_backups_response, false);
const struct backup_method backup_note_call = CALL("NoteBackupCheck", note_backup_check_response, true);
const struct backup_method backup_destroy_call = CALL("DestroyKeyBackup", key_backup, true);

enum pdv_code
backup_call(struct session *s, const struct backup_method *m, const ProtobufCMessage *request, void *out,
    struct failure *f)
{
	size_t len = protobuf_c_message_get_packed_size(request), got;
	struct pdv_raw_request q = {.method = m->name, .length = len, .mutates = m->mutates};
	uint8_t *packed = malloc(len + 1);
	struct pdv_result *r = NULL;
	const uint8_t *raw;
	ProtobufCMessage *answer;
	enum pdv_code rc;

	if (packed == NULL)
		return failure_memory(f);
	(void)protobuf_c_message_pack(request, packed);
	q.message = packed;
	(void)pdv_call_raw(s->client, &q, &s->options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	raw = pdv_result_raw(r, &got);
	switch (backup_message_unpack(m->answer, raw, got, &answer)) {
	case BACKUP_OK:
		*(ProtobufCMessage **)out = answer;
		break;
	case BACKUP_NO_MEMORY:
		rc = failure_memory(f);
		break;
	default:
		rc = failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED,
		    "the server's answer is not what the contract says");
	}
out:
	free(packed);
	pdv_result_free(r);
	return rc;
}

bool
backup_call_again(const struct failure *f)
{
	return strcmp(f->reason, "SESSION_NOT_FOUND") == 0 || f->code == PDV_UNAVAILABLE ||
	    f->code == PDV_DEADLINE_EXCEEDED;
}

enum pdv_code
backup_note(const struct args *a, Pdvault__V1__BackupCheck check, struct failure *f)
{
	Pdvault__V1__NoteBackupCheckRequest q = PDVAULT__V1__NOTE_BACKUP_CHECK_REQUEST__INIT;
	Pdvault__V1__NoteBackupCheckResponse *answer = NULL;
	struct session s = {.client = NULL};
	enum pdv_code rc;

	q.check = check;
	if ((rc = session_open(&s, a, 0, f)) == PDV_OK &&
	    (rc = backup_call(&s, &backup_note_call, &q.base, &answer, f)) == PDV_OK)
		pdvault__v1__note_backup_check_response__free_unpacked(answer, NULL);
	session_close(&s);
	return rc;
}

enum pdv_code
backup_failed(enum backup_result r, const struct backup_fault *fault, struct failure *f)
{
	switch (r) {
	case BACKUP_OK:
		return PDV_OK;
	case BACKUP_BAD:
		return failure_set(f, PDV_DATA_LOSS, "BACKUP_DAMAGED", "%s", fault->text);
	case BACKUP_ABSENT:
		return failure_set(f, PDV_NOT_FOUND, "NO_BACKUP", "%s", fault->text);
	case BACKUP_NO_MEMORY:
		return failure_memory(f);
	case BACKUP_EXISTS:
		return failure_set(f, PDV_ALREADY_EXISTS, "FILE_EXISTS", "%s", fault->text);
	case BACKUP_IO:
		break;
	}
	return failure_set(f, PDV_INTERNAL, "FILE", "%s", fault->text);
}
