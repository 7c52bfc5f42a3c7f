/*
 * The service Backups of a vault in memory, for tests of the tool: behind fake_vault.h, with trouble at will.
 * Its rows are those of backup_bed.h, each with a value that is so long that a table has several ranges.
 */
#ifndef TESTS_BACKUP_VAULT_H
#define TESTS_BACKUP_VAULT_H

#include <pthread.h>

#include "backup_bed.h"
#include "fake_vault.h"

enum { BACKUP_VAULT_TIMES = 3000, BACKUP_VAULT_VALUE = BACKUP_BED_VALUE * BACKUP_VAULT_TIMES };

/* All that it holds and did; to be looked at and changed while no call is going. */
struct backup_vault {
	pthread_mutex_t lock;
	const struct backup_bed_vault *rows;
	uint8_t vault;				/* makes its id; 0: the bed's */
	uint8_t key_backup[BACKUP_ID_LEN];	/* the one that is outstanding */
	int64_t expires;			/* seconds: of key backups */
	unsigned sealed;			/* how often a root key was sealed, and what it looks like */
	unsigned begun, finished, destroyed;	/* calls */
	uint64_t sent;				/* bytes of rows */
	/* When so many further ReadBackup went well: */
	unsigned lose_after;			/* the session is gone, once; 0: never */
	unsigned fail_after;			/* as it says, of any calls: all are answered INTERNAL */
	bool bad_signature, less_tables, twice;	/* twice: the first row of each answer */
};
extern struct backup_vault backup_vault;

/* backup_vault_serve: a fake_handler. */
void backup_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);

/* backup_vault_reset(rows): nothing done, no trouble. */
void backup_vault_reset(const struct backup_bed_vault *rows);

/* backup_vault_value(row, out): how long its value is, and the value. */
size_t backup_vault_value(const struct backup_bed_row *row, uint8_t out[static BACKUP_VAULT_VALUE]);

#endif /* TESTS_BACKUP_VAULT_H */
