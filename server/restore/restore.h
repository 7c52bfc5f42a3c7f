/*
 * A vault out of its backups, into an empty place: R1 to R5 of docs/DESIGN.md. Nothing is served before the
 * ledger was replayed, and the keys of those who were erased are never written. One thread; secret_init()
 * and seal_init() come before. The log says what went wrong.
 */
#ifndef SERVER_RESTORE_RESTORE_H
#define SERVER_RESTORE_RESTORE_H

#include <signal.h>

#include "client/backup/chain.h"
#include "client/backup/recovery.h"
#include "server/restore/records.h"
#include "server/store/ledger.h"
#include "server/store/vault.h"

struct restore_paths {
	const char *path[BACKUP_CHAIN_MAX];
	size_t count;
};

/*
 * vault    where it goes
 * data     records: folders of a backup and those since, the oldest first. Before them may stand the
 *          folder of a store of this vault: what opens in it is taken first
 * keys     folder of a backup of keys; a new key file and a new anchor are made
 * recovery the files with the recovery secret, for keys
 * living   instead of keys the folder of the store of a vault that is down and lacks records. Its anchor and
 *          key file are those of ${vault}; it opens until the restored one was started
 * ledger   a copy of the ledger; NULL: a living vault's own, else an empty one, which is refused
 * copies   of the ledger, which the lost vault kept, as far as they are there: what one of them has must be
 *          in the ledger, and one that cannot be read is passed over
 * head     SEAL_DIGEST_LEN bytes: a hash that must be in the ledger; or NULL
 * accept   SEAL_DIGEST_LEN bytes: hash of the newest entry of the ledger, which is taken although a newer
 *          one is known of; or NULL
 * lost     told of each identity that is not there; or NULL
 * stop     once it is true, by a signal, the restore is given up and what it made is removed; or NULL
 */
struct restore_options {
	const struct vault_options *vault;
	struct restore_paths data;
	const char *keys;
	struct restore_paths recovery;
	const char *living, *ledger;
	struct restore_paths copies;
	const uint8_t *head, *accept;
	void (*lost)(void *arg, const uint8_t subject[static SUBJECT_ID_LEN]);
	void *arg;
	const volatile sig_atomic_t *stop;
};

struct restore_report {
	uint64_t subjects, forgotten,
	    shredded; /* restored; whose keys the ledger kept out, wholly or in part */
	uint64_t damaged_keyrings, lookups_taken, ledger_entries, epoch, incarnation;
	struct records_tally rows;
	uint64_t strangers;			/* who have records, and neither keys nor an erasure */
	bool resurrection;			/* o->accept was needed */
};

/*
 * STATUS_OK: the vault is there, and starts. Else the place is empty again, or has a mark: then it does not
 * start, and a restore can be run again, which begins anew. STATUS_REFUSED: an input is damaged, of another
 * vault, expired, or the ledger is older than what is known of it; the place is not empty; the anchor would
 * lie on class D; it was stopped. STATUS_CONFIG: something that is named is not there. STATUS_FULL, STATUS_IO,
 * STATUS_ANCHOR, STATUS_NO_MEMORY.
 */
enum status restore_run(const struct restore_options *o, struct restore_report *out) MUST_USE;

#endif /* SERVER_RESTORE_RESTORE_H */
