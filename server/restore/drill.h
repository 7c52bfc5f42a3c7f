/*
 * A restore that is only tried: into a folder of its own, opened, looked at, and removed again. One thread; as
 * restore.h.
 */
#ifndef SERVER_RESTORE_DRILL_H
#define SERVER_RESTORE_DRILL_H

#include "server/restore/restore.h"

#define DRILL_SAMPLES 1000u		/* subjects that are looked at, of each kind */

struct drill_report {
	struct restore_report restored;
	uint64_t sampled, erased_sampled;	/* subjects that were read; tombstones */
	uint64_t found;				/* look-ups of theirs that led back to them */
	uint64_t restore_ms, open_ms, sample_ms;
};

/*
 * drill_run(o, place, out): o->vault says what the vault is like, its paths are not touched; ${place} is a
 * folder with room, in which a folder is made and removed, and first what a drill left that was killed.
 * STATUS_CONFIG: no such folder, or another drill is at work in it. STATUS_CORRUPT: it was restored and is
 * not as it should be, the log says what; else as restore_run(), and as vault_open(). STATUS_IO: what was
 * made could not be removed, too.
 */
enum status drill_run(const struct restore_options *o, const char *place, struct drill_report *out) MUST_USE;

#endif /* SERVER_RESTORE_DRILL_H */
