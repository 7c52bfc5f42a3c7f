/*
 * The import's own state, shared by its files (noun_import.c reads, import_report.c
 * reports, lane.c and import_claim.c keep the order of rows, import_subject.c and
 * import_transaction.c talk to the vault).
 *
 * I1 One thread runs all of it; answers reach it through the inbox.
 * I2 Rows whose keys are loosely the same (loose.h) form a lane, which has one call going at
 *    any time: two rows of one key are never in flight together. The lane is for the order
 *    only: to the vault these keys may be of several subjects (account ids that differ by
 *    case or inner blanks), so each row goes to the subject that its own key finds, and rows
 *    share a look-up or a call only if their keys are equal byte by byte.
 * I3 A row ends exactly once, in the tally, when its last answer is there.
 * I4 Whatever is called twice is found again first: a row whose outcome is unknown begins
 *    again with looking its subject up.
 * I5 Rows of two subjects that name the same email or account id are not in flight together:
 *    the row that comes first in the input has it, whatever the answers' order. What is the same only
 *    to Unicode (loose.h) is not seen: there the order of the answers decides.
 */
#ifndef CLI_IMPORT_INTERNAL_H
#define CLI_IMPORT_INTERNAL_H

#include "convert.h"
#include "inbox.h"
#include "keep.h"
#include "map.h"
#include "progress.h"
#include "session.h"
#include "tally.h"

enum {
	IMPORT_IN_FLIGHT = 64,
	IMPORT_BYTES_MAX = 16 * 1024 * 1024,	/* of rows that have begun and not ended */
	IMPORT_TRIES = 4,			/* of a row that others change meanwhile */
	IMPORT_BUCKETS = 256,			/* a power of two */
	IMPORT_CLAIMS = 16384			/* a power of two */
};

/* A row on its way. */
struct import_row {
	struct import_row *next;
	struct converted data;
	uint64_t number;		/* in the tally */
	uint64_t line;
	size_t bytes;
	bool claims;			/* counted in import.claims */
};

/* Values of one hash, of rows that have begun and not ended: all of one lane. */
struct import_claim {
	const struct import_lane *lane;
	size_t rows;			/* 0: nobody's */
};

struct import;

/* What a lane waits for. */
enum import_step {
	IMPORT_FIND,
	IMPORT_CREATE,
	IMPORT_GET_IDENTITY,
	IMPORT_GET_BILLING,
	IMPORT_UPDATE_IDENTITY,
	IMPORT_UPDATE_BILLING,
	IMPORT_APPEND
};

struct import_lane {
	struct inbox_letter letter;	/* first: the inbox hands it back */
	struct import *import;
	struct import_lane *next;	/* in its bucket */
	char *key;			/* of its first row: never asked for, see I2 */
	struct import_row *waiting, **waiting_last;
	struct import_row *rows[PDV_APPEND_MAX];	/* being worked on, all of one key */
	size_t rows_n;
	size_t singly;			/* so many rows go one by one: together they failed */
	unsigned tries;
	enum import_step step;
	bool found;			/* subject is whom the key of the rows at hand finds */
	struct pdv_subject_id subject;
	json_t *identity_changes, *billing_changes;	/* of the one row */
	json_t *sent;			/* holds the texts of the call that is going */
	char *identity_etag, *billing_etag;
	bool updated;
	struct keep keep;		/* the structs of the call that is going */
	struct pdv_result *result;	/* the answer, in the inbox */
};

struct import {
	struct session session;
	struct map *map;
	struct inbox inbox;
	struct tally tally;
	struct progress progress;
	const char *name;		/* of the input, in reports */
	struct import_lane *lanes[IMPORT_BUCKETS];
	size_t lanes_n;
	struct import_claim claims[IMPORT_CLAIMS];
	size_t bytes;
	struct import_row *parked;	/* read, but it cannot begin yet */
	char *reports[TALLY_WINDOW];	/* of refused rows, by number, until they are printed */
	uint64_t told;			/* rows below this have been reported */
	struct failure fatal;		/* code PDV_OK: none; else no row begins any more */
};

/* --- lane.c --- */

/*
 * lane_add(im, row):
 * Put a row into its lane, which begins if it is new. False: all calls are in use, or a row
 * before it must end first (I5), and the row stays the caller's.
 */
bool lane_add(struct import *im, struct import_row *row);

/*
 * lane_answered(lane):
 * Work on lane->result.
 */
void lane_answered(struct import_lane *lane);

/*
 * lane_begun(lane, code):
 * The call of lane->step was begun with that code: fail now unless its answer will come.
 */
void lane_begun(struct import_lane *lane, enum pdv_code code);

/* lane_callback: what every call is given, with the lane. */
void lane_callback(struct pdv_result *r, void *lane);

/*
 * lane_find(lane):
 * Begin with the rows at hand: look their subject up, by their key.
 */
void lane_find(struct import_lane *lane);

/*
 * lane_end(lane, outcome):
 * The only row at hand has ended; the next ones begin. Like all below, the lane may be
 * gone afterwards.
 */
void lane_end(struct import_lane *lane, enum tally_outcome outcome);

/*
 * lane_end_batch(lane, created):
 * So many of the rows at hand are new, the others were there.
 */
void lane_end_batch(struct import_lane *lane, size_t created);

/*
 * lane_refuse(lane, f):
 * The rows at hand are refused, for one reason; the next ones begin.
 */
void lane_refuse(struct import_lane *lane, const struct failure *f);

/*
 * lane_retry(lane, f):
 * Look the subject up again, or after IMPORT_TRIES refuse.
 */
void lane_retry(struct import_lane *lane, const struct failure *f);

/*
 * lane_failed(lane, f):
 * A call failed: decide by its code between these two and the end of the import.
 */
void lane_failed(struct import_lane *lane, const struct failure *f);

/* --- import_claim.c --- */

/*
 * import_claim_allows(im, row, lane):
 * Whether no other lane has rows with a value of ${row}; ${lane} may be NULL, for none yet. The row's
 * document stays as it is from here to import_claim_drop().
 */
bool import_claim_allows(struct import *im, const struct import_row *row,
    const struct import_lane *lane);

/* import_claim_take(im, row, lane): the values of ${row} are the lane's, until import_claim_drop(). */
void import_claim_take(struct import *im, struct import_row *row, const struct import_lane *lane);

/* import_claim_drop(im, row): the row ends; nothing happens if it never took. */
void import_claim_drop(struct import *im, struct import_row *row);

/* --- import_subject.c, import_transaction.c --- */

/* import_*_found(lane, there): the look-up has been answered. */
void import_subject_found(struct import_lane *lane, bool there);
void import_transaction_found(struct import_lane *lane, bool there);

/* import_*_answered(lane, r): the call of lane->step has been answered; ${r} stays. */
void import_subject_answered(struct import_lane *lane, const struct pdv_result *r);
void import_transaction_answered(struct import_lane *lane, const struct pdv_result *r);

/* --- import_report.c --- */

/*
 * import_report(im, number, line, f):
 * Why a row was refused: line, field, rule. It is printed when it is its turn, so that the
 * reports are in the order of the lines.
 */
void import_report(struct import *im, uint64_t number, uint64_t line, const struct failure *f);

/*
 * import_tell(im, end):
 * Print the reports of the rows below ${end}.
 */
void import_tell(struct import *im, uint64_t end);

/* --- noun_import.c --- */

/*
 * import_row_free(im, row):
 * Wipe and free; NULL is allowed.
 */
void import_row_free(struct import *im, struct import_row *row);

#endif /* CLI_IMPORT_INTERNAL_H */
