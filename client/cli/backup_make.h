/*
 * Making a backup: the ranges of every table, as far as they are not had already.
 */
#ifndef CLI_BACKUP_MAKE_H
#define CLI_BACKUP_MAKE_H

#include "backup_folder.h"
#include "client/backup/chain.h"
#include "progress.h"
#include "session.h"

struct backup_make {
	struct session *session;
	struct backup_folder *folder;
	bool keys;			/* the folder's id is a key backup's */
	struct backup_chain *since;	/* NULL: full */
	const Pdvault__V1__BackupManifest *since_manifest;
	uint64_t rate;			/* bytes a second; 0: as fast as it goes */
	bool begun;			/* the vault was there: when it is gone, it may come back */
	struct progress progress;
	uint64_t bytes, rows, rows_all, kept;	/* read; done, of how many; ranges that needed not be read */
};

/*
 * backup_make(m, f):
 * Until the manifest is there. Begins again when the vault was gone meanwhile. What is there when it fails is
 * gone on from by the next try.
 */
enum pdv_code backup_make(struct backup_make *m, struct failure *f);

/*
 * backup_make_way():
 * Whoever else wants the processor has it first, before this thread and those that it makes from here on.
 */
void backup_make_way(void);

#endif /* CLI_BACKUP_MAKE_H */
