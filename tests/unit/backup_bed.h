/*
 * Backups of a vault that is a few rows in memory, written without the code that makes them, signed with a key
 * of its own. Failures to set things up abort. One thread.
 */
#ifndef TESTS_BACKUP_BED_H
#define TESTS_BACKUP_BED_H

#include <stdbool.h>

#include "client/backup/manifest.h"
#include "client/backup/rows.h"

enum {
	BACKUP_BED_ROWS = 400,
	BACKUP_BED_KEY = 4,
	BACKUP_BED_VALUE = 24,
	BACKUP_BED_TABLES = 2,
	BACKUP_BED_RANGES = 1024
};

struct backup_bed_row {
	uint8_t key[BACKUP_BED_KEY], value[BACKUP_BED_VALUE];
	size_t key_len, value_len;
};

/* The rows of a table in their order. */
struct backup_bed_table {
	struct backup_bed_row rows[BACKUP_BED_ROWS];
	size_t n;
};

struct backup_bed_vault {
	struct backup_bed_table tables[BACKUP_BED_TABLES];
};

/* What is written; may be changed before. */
struct backup_bed_plan {
	const char *folder;			/* is made */
	uint8_t id[BACKUP_ID_LEN];
	const struct backup_bed_vault *now;
	const struct backup_bed_plan *before;	/* the backup that it is since; NULL: it is full */
	const struct backup_bed_vault *base;	/* and what the vault was then */
	Pdvault__V1__BackupRange *ranges[BACKUP_BED_RANGES];	/* written; for backup_bed_free() */
	size_t n;
	Pdvault__V1__BackupHead head;		/* of backup_bed_plan() */
};

extern const char *const backup_bed_names[BACKUP_BED_TABLES];

/* A number below ${n}, from a seed that is printed once; PDV_TEST_SEED sets it. */
size_t backup_bed_below(size_t n);

/* Rows come, go and change. */
void backup_bed_change(struct backup_bed_vault *v, size_t times);

/* The row, or where it would stand. */
size_t backup_bed_find(const struct backup_bed_table *t, const uint8_t *key, size_t key_len);

/* A plan with a head that is whole, of the vault that all plans are of. */
void backup_bed_plan(struct backup_bed_plan *p, const char *folder, const struct backup_bed_vault *now);

/* Chunks and manifest, with ranges of about ${each} rows, or those of the plan before, some of them split. */
void backup_bed_write(struct backup_bed_plan *p, size_t each);

/* The manifest alone, of the ranges as they are; signed with the key of the head, whatever else it says. */
void backup_bed_sign(const struct backup_bed_plan *p);

/* What that vault signs of the digest of a manifest. */
void backup_bed_signature(const uint8_t digest[static BACKUP_DIGEST_LEN],
    uint8_t out[static BACKUP_SIGNATURE_LEN]);

/* That vault signs with another key from now on; heads that were planned before name it, too. */
void backup_bed_turn(void);

void backup_bed_free(struct backup_bed_plan *p);

#endif /* TESTS_BACKUP_BED_H */
