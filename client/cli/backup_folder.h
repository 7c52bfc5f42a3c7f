/*
 * The folder of a backup that is being made: what an earlier try left in it is gone on from.
 */
#ifndef CLI_BACKUP_FOLDER_H
#define CLI_BACKUP_FOLDER_H

#include "client/backup/manifest.h"
#include "failure.h"

struct backup_folder {
	const char *path;			/* of the caller */
	bool keys;				/* a backup of keys is wanted */
	int lock;				/* -1: not held */
	uint8_t id[BACKUP_ID_LEN];		/* of the backup */
	uint8_t since[BACKUP_ID_LEN];		/* all zero: full */
	bool begun;				/* by an earlier try, with that id */
	Pdvault__V1__BackupRange **ranges;	/* of its chunks that are whole, with their digests */
	size_t count;
	uint32_t next;				/* number that no chunk has */
};

/*
 * backup_folder_open(b, f):
 * Make ${b->path}, or look at what is there; ${b->keys} and ${b->since} say what is wanted, ${b->lock} is -1.
 * FAILED_PRECONDITION: it has a whole backup, something else, or the beginning of one of the other kind or
 * since another. ABORTED: another process is at it; until it is closed, nobody else is. backup_folder_close()
 * in any case.
 */
enum pdv_code backup_folder_open(struct backup_folder *b, struct failure *f);

/* backup_folder_begin(b, f): a new one, of ${b->id}. */
enum pdv_code backup_folder_begin(struct backup_folder *b, struct failure *f);

/* backup_folder_reload(b, f): the chunks that are there now. */
enum pdv_code backup_folder_reload(struct backup_folder *b, struct failure *f);

/* backup_folder_finish(b, m): removes chunks that ${m} does not name, and the note that it is not whole. */
void backup_folder_finish(const struct backup_folder *b, const Pdvault__V1__BackupManifest *m);

void backup_folder_close(struct backup_folder *b);

#endif /* CLI_BACKUP_FOLDER_H */
