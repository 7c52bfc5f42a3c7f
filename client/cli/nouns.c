#include "nouns.h"

#include <stdio.h>
#include <string.h>

#include "help.h"

/* The verbs of a noun stand together. */
static const struct args_verb verbs[] = {
	{"import", NULL, "FILE|-", "load subjects or transactions from CSV or JSON Lines",
	    {FLAG_MAP, FLAG_FORMAT, FLAG_RESUME}, noun_import},
	{"subject", "create", NULL, "make a subject from JSON",
	    {FLAG_INPUT, FLAG_IDEMPOTENCY_KEY}, noun_subject_create},
	{"subject", "get", "SUBJECT", "show what is held of a subject", {FLAG_NONE},
	    noun_subject_get},
	{"subject", "find", NULL, "find by email, phone or account id",
	    {FLAG_EMAIL, FLAG_PHONE, FLAG_ACCOUNT}, noun_subject_find},
	{"subject", "update", "SUBJECT", "change identity or billing from JSON",
	    {FLAG_INPUT, FLAG_MASK, FLAG_ETAG, FLAG_IDEMPOTENCY_KEY}, noun_subject_update},
	{"subject", "erase", "SUBJECT", "destroy the keys of a subject, or of one category",
	    {FLAG_CATEGORY, FLAG_YES, FLAG_IDEMPOTENCY_KEY}, noun_subject_erase},
	{"billing", "get", "SUBJECT", "show billing data", {FLAG_NONE}, noun_billing_get},
	{"billing", "update", "SUBJECT", "change billing data from JSON",
	    {FLAG_INPUT, FLAG_MASK, FLAG_ETAG, FLAG_IDEMPOTENCY_KEY}, noun_billing_update},
	{"transaction", "append", "SUBJECT", "add transactions from JSON",
	    {FLAG_INPUT, FLAG_IDEMPOTENCY_KEY}, noun_transaction_append},
	{"transaction", "list", "SUBJECT", "list transactions, all pages",
	    {FLAG_LIMIT, FLAG_PAGE_TOKEN}, noun_transaction_list},
	{"blob", "seal", "IN OUT", "seal a file so that it dies with a subject; - is a standard stream",
	    {FLAG_SUBJECT, FLAG_CATEGORY, FLAG_CONTEXT}, noun_blob_seal},
	{"blob", "open", "IN OUT", "open what was sealed; OUT is there only if it is whole",
	    {FLAG_NONE}, noun_blob_open},
	{"erasure", "get", "ERASURE", "show what became of an erasure", {FLAG_NONE},
	    noun_erasure_get},
	{"ledger", "head", NULL, "show the newest entry of the ledger of erasures", {FLAG_NONE},
	    noun_ledger_head},
	{"ledger", "export", "FILE", "add to a copy of the ledger what it lacks", {FLAG_NONE},
	    noun_ledger_export},
	{"ledger", "list", "FILE", "show what a copy of the ledger says, verified", {FLAG_NONE},
	    noun_ledger_list},
	{"ledger", "verify", "FILE", "verify a copy of the ledger, without the vault",
	    {FLAG_HEAD, FLAG_SIGNING_KEY}, noun_ledger_verify},
	{"backup", "data", "DIR", "back up the records: nothing without the keys; goes on if it was cut off",
	    {FLAG_SINCE, FLAG_RATE}, noun_backup_data},
	{"backup", "keys", "DIR", "back up the keys, sealed for the recovery key, until they expire",
	    {FLAG_LIFETIME}, noun_backup_keys},
	{"backup", "verify", "DIR", "verify a backup, without the vault and without keys",
	    {FLAG_SINCE, FLAG_NOTE}, noun_backup_verify},
	{"backup", "drill", "DIR", "try a restore of a backup, and remove it again; on the server's host",
	    {FLAG_SINCE, FLAG_KEYS, FLAG_RECOVERY, FLAG_LEDGER, FLAG_CONFIG, FLAG_PLACE}, noun_backup_drill},
	{"backup", "list", NULL, "show the key backups that the vault knows of",
	    {FLAG_OUTSTANDING}, noun_backup_list},
	{"backup", "destroy", "DIR|ID", "overwrite a key backup, and have the vault remember it",
	    {FLAG_YES}, noun_backup_destroy},
	{"recovery", "new", NULL, "make a recovery key, which key backups are sealed for",
	    {FLAG_OUT, FLAG_SPLIT, FLAG_YES}, noun_recovery_new},
	{"recovery", "show", "FILE", "show the public half of a recovery key, from its file or shares",
	    {FLAG_SHARE}, noun_recovery_show},
	{"key", "rotate", "KIND", "new keys while serving: seal, subjects, index, tree, signing, all",
	    {FLAG_RATE, FLAG_OLDER_THAN, FLAG_CATEGORY, FLAG_SUBJECT, FLAG_SEAL, FLAG_RETIRE, FLAG_DETACH},
	    noun_key_rotate},
	{"seal", "list", NULL, "show what the root key is wrapped for", {FLAG_NONE}, noun_seal_list},
	{"seal", "add", "NAME", "wrap the root key for a seal of the configuration, too",
	    {FLAG_SECRET, FLAG_DETACH}, noun_seal_add},
	{"seal", "remove", "NAME", "wrap it for that one no more, and destroy its key", {FLAG_DETACH},
	    noun_seal_remove},
	{"seal", "test", NULL, "have every seal give its key anew", {FLAG_NONE}, noun_seal_test},
	{"job", "list", NULL, "show rotations, the newest first", {FLAG_NONE}, noun_job_list},
	{"job", "show", "JOB", "show one, with its signed statement when it is done", {FLAG_NONE},
	    noun_job_show},
	{"job", "pause", "JOB", "let it wait", {FLAG_NONE}, noun_job_pause},
	{"job", "resume", "JOB", "let it go on", {FLAG_NONE}, noun_job_resume},
	{"job", "cancel", "JOB", "give it up; what it has done stays", {FLAG_NONE}, noun_job_cancel},
	{"status", NULL, NULL, "show the vault's state", {FLAG_NONE}, noun_status},
	{"health", NULL, NULL, "ask whether the vault serves", {FLAG_NONE}, noun_health},
	{"doctor", NULL, NULL, "look at vault and machine, and say what mends what is wrong",
	    {FLAG_CONFIG}, noun_doctor},
	{"completion", NULL, "bash", "print a completion script", {FLAG_NONE}, noun_completion},
	{"help", NULL, NULL, "this text", {FLAG_NONE}, noun_help},
};

const struct args_table nouns_table = {verbs, sizeof(verbs) / sizeof(verbs[0])};

enum pdv_code
noun_completion(const struct args *a, struct failure *f)
{
	if (strcmp(a->operand, "bash") != 0)
		return failure_usage(f, "completion is made for bash");
	help_completion(a->table, stdout);
	return PDV_OK;
}

enum pdv_code
noun_help(const struct args *a, struct failure *f)
{
	struct args all = {.table = a->table};

	(void)f;
	help_print(&all, stdout);
	return PDV_OK;
}
