/*
 * What the tool can do: one function for each verb, and the table of them all.
 *
 * Each runs a command that args_parse() accepted, prints its answer, and returns its
 * status; the failure is printed by the caller unless it is marked as told.
 */
#ifndef CLI_NOUNS_H
#define CLI_NOUNS_H

#include "args.h"

extern const struct args_table nouns_table;

enum pdv_code noun_import(const struct args *a, struct failure *f);
enum pdv_code noun_subject_create(const struct args *a, struct failure *f);
enum pdv_code noun_subject_get(const struct args *a, struct failure *f);
enum pdv_code noun_subject_find(const struct args *a, struct failure *f);
enum pdv_code noun_subject_update(const struct args *a, struct failure *f);
enum pdv_code noun_subject_erase(const struct args *a, struct failure *f);
enum pdv_code noun_billing_get(const struct args *a, struct failure *f);
enum pdv_code noun_billing_update(const struct args *a, struct failure *f);
enum pdv_code noun_transaction_append(const struct args *a, struct failure *f);
enum pdv_code noun_transaction_list(const struct args *a, struct failure *f);
enum pdv_code noun_blob_seal(const struct args *a, struct failure *f);
enum pdv_code noun_blob_open(const struct args *a, struct failure *f);
enum pdv_code noun_erasure_get(const struct args *a, struct failure *f);
enum pdv_code noun_ledger_head(const struct args *a, struct failure *f);
enum pdv_code noun_ledger_export(const struct args *a, struct failure *f);
enum pdv_code noun_ledger_list(const struct args *a, struct failure *f);
enum pdv_code noun_ledger_verify(const struct args *a, struct failure *f);
enum pdv_code noun_backup_data(const struct args *a, struct failure *f);
enum pdv_code noun_backup_keys(const struct args *a, struct failure *f);
enum pdv_code noun_backup_verify(const struct args *a, struct failure *f);
enum pdv_code noun_backup_list(const struct args *a, struct failure *f);
enum pdv_code noun_backup_destroy(const struct args *a, struct failure *f);
enum pdv_code noun_backup_drill(const struct args *a, struct failure *f);
enum pdv_code noun_recovery_new(const struct args *a, struct failure *f);
enum pdv_code noun_recovery_show(const struct args *a, struct failure *f);
enum pdv_code noun_key_rotate(const struct args *a, struct failure *f);
enum pdv_code noun_seal_list(const struct args *a, struct failure *f);
enum pdv_code noun_seal_add(const struct args *a, struct failure *f);
enum pdv_code noun_seal_remove(const struct args *a, struct failure *f);
enum pdv_code noun_seal_test(const struct args *a, struct failure *f);
enum pdv_code noun_job_list(const struct args *a, struct failure *f);
enum pdv_code noun_job_show(const struct args *a, struct failure *f);
enum pdv_code noun_job_pause(const struct args *a, struct failure *f);
enum pdv_code noun_job_resume(const struct args *a, struct failure *f);
enum pdv_code noun_job_cancel(const struct args *a, struct failure *f);
enum pdv_code noun_status(const struct args *a, struct failure *f);
enum pdv_code noun_doctor(const struct args *a, struct failure *f);
enum pdv_code noun_health(const struct args *a, struct failure *f);
enum pdv_code noun_completion(const struct args *a, struct failure *f);
enum pdv_code noun_help(const struct args *a, struct failure *f);

#endif /* CLI_NOUNS_H */
