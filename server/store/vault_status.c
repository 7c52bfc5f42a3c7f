/*
 * What is told of a vault to who operates it.
 */
#include "server/store/backup.h"
#include "server/store/vault_internal.h"

enum status
vault_status(struct vault *v, struct vault_status *out)
{
	struct store_snapshot *s = NULL;
	uint64_t rows, live, entries;
	enum status rc;

	memset(out, 0, sizeof(*out));
	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		return rc;
	if ((rc = store_snapshot_begin(s)) != STATUS_OK)
		goto out;
	if ((rc = store_count(s, STORE_SUBJECTS, &rows)) == STATUS_OK &&
	    (rc = store_count(s, STORE_KEYRINGS, &live)) == STATUS_OK)
		rc = store_count(s, STORE_LEDGER, &entries);
	if (rc == STATUS_OK)
		rc = backup_status(s, out);
	store_snapshot_end(s);
	if (rc != STATUS_OK)
		goto out;
	out->number = v->number;
	out->recovery_key = v->has_recovery_key;
	out->incarnation = v->incarnation;
	out->epoch = vault_epoch(v);
	out->settled = vault_settled(v);
	out->subjects = live;
	out->ledger_entries = entries;
	/* Rows that were taken away would make it negative. */
	out->erased = rows > live ? rows - live : 0;
	store_usage(v->store, &out->store_used, &out->store_limit);
	out->anchor_class = (char)atomic_load(&v->anchor_class);
	out->class = seals_vault_class(v, &out->class_why);
	out->seals_failing = seals_failing(v);
	out->anchor_class_why = atomic_load(&v->anchor_class_why);
	for (; out->seal_count < v->seals->count; out->seal_count++)
		out->seals[out->seal_count] = provider_name(v->seals->provider[out->seal_count]);
out:
	store_snapshot_free(s);
	return rc;
}
