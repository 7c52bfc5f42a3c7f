/*
 * Records and transactions of the subjects that are restored, out of one or more inputs: of each row the
 * first that opens under the subject's key is taken, as it is sealed. What nobody has a key for is left
 * out. One thread.
 */
#ifndef SERVER_RESTORE_RECORDS_H
#define SERVER_RESTORE_RECORDS_H

#include "server/restore/bulk.h"
#include "server/restore/entries.h"
#include "server/restore/input.h"

#define RECORDS_INPUTS_MAX 2u

struct records;

struct records_tally {
	uint64_t records, transactions;	/* rows that were taken */
	uint64_t lost;			/* identities that no input has */
	uint64_t damaged;		/* rows that do not open under a key that is there */
	uint64_t keyless;		/* rows of a subject or category that has no key here */
	uint64_t next_transaction;	/* above all numbers seen */
	uint64_t slots;			/* above all slots seen */
};

/* Rows go to ${b}, look-ups to ${e}. All outlive it. */
struct records_options {
	struct input *input[RECORDS_INPUTS_MAX];
	unsigned inputs;
	const uint8_t *vault;
	struct bulk *bulk;
	struct entries *entries;
	void (*lost)(void *arg, const uint8_t subject[static SUBJECT_ID_LEN]);	/* told of each; or NULL */
	void *arg;
};
enum status records_new(const struct records_options *o, struct records **out) MUST_USE;

/* Wipes. */
void records_free(struct records *r);

/*
 * records_restore(r, k): everything of one subject; they come in the order of their slots. STATUS_REFUSED,
 * STATUS_IO: of an input; as bulk_put().
 */
enum status records_restore(struct records *r, const struct keyring *k) MUST_USE;

/* After the last subject: counts what is left. */
enum status records_end(struct records *r) MUST_USE;

const struct records_tally *records_tally(const struct records *r);

/* Slots that have records and no keyring, each once, in their order; they live as long as ${r}. */
const uint64_t *records_strangers(struct records *r, size_t *count);

#endif /* SERVER_RESTORE_RECORDS_H */
