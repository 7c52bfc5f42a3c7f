/*
 * Calls of the service Backups, which the client library passes on as they are; and its faults as the tool's.
 */
#ifndef CLI_BACKUP_CALL_H
#define CLI_BACKUP_CALL_H

#include "client/backup/fault.h"
#include "pdvault/v1/backup.pb-c.h"
#include "raw_call.h"

extern const struct raw_method backup_begin_call, backup_read_call, backup_finish_call, backup_create_call,
    backup_list_call, backup_destroy_call, backup_note_call;

/* The vault has forgotten the session, or was gone: begin again. */
bool backup_call_again(const struct failure *f);

/* backup_note(a, check, f): the vault remembers that it was done just now. */
enum pdv_code backup_note(const struct args *a, Pdvault__V1__BackupCheck check, struct failure *f);

/* backup_failed(r, fault, f): PDV_OK, or ${f} filled from the fault. */
enum pdv_code backup_failed(enum backup_result r, const struct backup_fault *fault, struct failure *f);

#endif /* CLI_BACKUP_CALL_H */
