#include "backup_call.h"

#include <stdlib.h>
#include <string.h>

#define CALL(name, answer, mutates)                                                        \
	{                                                                                  \
		"/pdvault.v1.Backups/" name, &pdvault__v1__##answer##__descriptor, mutates \
	}
const struct raw_method backup_begin_call = CALL("BeginBackup", begin_backup_response, false);
const struct raw_method backup_read_call = CALL("ReadBackup", read_backup_response, false);
const struct raw_method backup_finish_call = CALL("FinishBackup", finish_backup_response, true);
const struct raw_method backup_create_call = CALL("CreateKeyBackup", key_backup, true);
const struct raw_method backup_list_call = CALL("ListKeyBackups", list_key_backups_response, false);
const struct raw_method backup_note_call = CALL("NoteBackupCheck", note_backup_check_response, true);
const struct raw_method backup_destroy_call = CALL("DestroyKeyBackup", key_backup, true);

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
	    (rc = raw_call(&s, &backup_note_call, &q.base, &answer, f)) == PDV_OK)
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
