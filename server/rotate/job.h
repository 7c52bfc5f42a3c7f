/*
 * Jobs: changes of keys that take many commits. A job is a row, changed in the same commit as what it
 * has done, so that a crash neither loses nor repeats a step. When it is done the row is signed: a statement
 * that no key of its kind and scope which is older than its floor remains in use (docs/FORMAT.md, jobs).
 */
#ifndef SERVER_ROTATE_JOB_H
#define SERVER_ROTATE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "server/keys/provider.h"
#include "server/store/ledger.h"
#include "server/store/store.h"
#include "server/store/writeset.h"

#define JOB_ID_LEN 16u			/* time in ms (8), random (8): in the order in which they were made */
#define JOB_CURSOR_MAX 24u
#define JOB_PRINCIPAL_MAX 63u
#define JOB_FAILURE_MAX 23u
#define JOB_ROW_LEN 328u
#define JOB_SAID_LEN 264u		/* of the row: what is signed */
#define JOB_LABEL "pdvault job 1"
#define JOB_KEPT 64u			/* rows of jobs that have ended; older ones go */
#define JOB_OPEN_MAX 32u		/* that wait, run or are paused; more are refused */
#define JOB_ROWS_MAX (JOB_KEPT + JOB_OPEN_MAX)

enum job_kind { JOB_SEAL = 1, JOB_TREE, JOB_SUBJECTS, JOB_INDEX, JOB_SIGNING, JOB_SEAL_ADD, JOB_SEAL_REMOVE,
	JOB_KINDS };
enum job_state { JOB_WAITING = 1, JOB_RUNNING, JOB_PAUSED, JOB_DONE, JOB_CANCELLED, JOB_FAILED, JOB_STATES };

struct job {
	uint8_t id[JOB_ID_LEN];
	enum job_kind kind;
	enum job_state state;
	uint8_t step;				/* of its kind, from 0 */
	uint8_t category;			/* JOB_SUBJECTS: that alone; 0: all that have records */
	uint32_t rate;				/* units a second at most; 0: no limit */
	uint32_t older_s;			/* JOB_SUBJECTS: only keys older than so many seconds */
	bool retire;				/* JOB_SUBJECTS: the version before goes, and what it opens */
	/* No key that is older than this remains when it is done: a time, and the epoch behind that. */
	int64_t floor_ms;
	uint64_t floor_epoch;
	int64_t created_ms, started_ms, updated_ms, ended_ms;	/* 0: not yet */
	uint64_t done, total, damaged;		/* units; total is an estimate; damaged: left as they are */
	uint64_t micros;			/* of seals: how long the switch and what belongs to it took */
	uint8_t subject[SUBJECT_ID_LEN];	/* JOB_SUBJECTS: that one alone; zero: all */
	uint8_t cursor[JOB_CURSOR_MAX];
	uint8_t cursor_len;
	char failure[JOB_FAILURE_MAX + 1];	/* why JOB_FAILED: a reason (status.h) */
	char seal[PROVIDER_NAME_MAX + 1];	/* of seals; JOB_SEAL: "" is all that can be renewed */
	char principal[JOB_PRINCIPAL_MAX + 1];	/* who asked; "schedule" */
	uint64_t signer;			/* number of the key that signed; 0: it is not signed */
	uint8_t signature[SEAL_SIGNATURE_LEN];
};

/* Static; "?" for what is none. */
const char *job_kind_name(enum job_kind k);
const char *job_state_name(enum job_state s);

/* It goes on some time. */
bool job_is_open(const struct job *j);

/* It changes the seals, and the switch was made: what is old is to be destroyed yet. */
#define JOB_STEP_SWITCHED 1u
bool job_is_switched(const struct job *j);

/* It is about all keys of its kind, and not some of them. */
bool job_is_whole(const struct job *j);

/* job_decode(): STATUS_CORRUPT: not such a row. */
void job_encode(const struct job *j, uint8_t row[static JOB_ROW_LEN]);
enum status job_decode(const uint8_t id[static JOB_ID_LEN], struct bytes row, struct job *out) MUST_USE;

/* What is signed: label, vault id, job's id, the row up to its signature. */
#define JOB_STATEMENT_LEN (sizeof(JOB_LABEL) - 1 + VAULT_ID_LEN + JOB_ID_LEN + JOB_SAID_LEN)
void job_statement(const struct job *j, const uint8_t vault[static VAULT_ID_LEN],
    uint8_t out[static JOB_STATEMENT_LEN]);

/* Signs the row as it is. */
void job_sign(struct job *j, const struct ledger_signer *s);

/* The writer's thread. job_load(): STATUS_ABSENT. */
enum status job_load(struct writeset *ws, const uint8_t id[static JOB_ID_LEN], struct job *out) MUST_USE;
enum status job_save(struct writeset *ws, const struct job *j) MUST_USE;

/*
 * Jobs from the newest on into ${out}, at most ${limit}, which is not 0; only those that are older than
 * ${before}, an id, unless it is NULL. job_get(): STATUS_ABSENT. Both: STATUS_CORRUPT, as store_get(). Any
 * thread.
 */
enum status job_list(struct vault *v, const uint8_t *before, struct job *out, unsigned limit,
    unsigned *count) MUST_USE;
enum status job_get(struct vault *v, const uint8_t id[static JOB_ID_LEN], struct job *out) MUST_USE;

#endif /* SERVER_ROTATE_JOB_H */
