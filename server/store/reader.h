/*
 * Reading: a pin on the epoch, a snapshot, copies of the boxes that are wanted, and only
 * then, with the snapshot ended, opening them. One reader for each thread, made at its first
 * use; everything it opened is wiped at reader_end().
 */
#ifndef SERVER_STORE_READER_H
#define SERVER_STORE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/arena.h"
#include "server/keys/page.h"
#include "server/store/ledger.h"
#include "server/store/lookup.h"
#include "server/store/store.h"
#include "server/store/vault.h"

struct reader;

/*
 * The calling thread's reader, pinned. Every STATUS_OK is followed by reader_end().
 * STATUS_NO_MEMORY: more threads read than EPOCH_READERS_MAX, or no secret memory.
 */
enum status reader_begin(struct vault *v, struct reader **out) MUST_USE;
void reader_end(struct reader *r);

/* A subject as it is read: valid until reader_end() or the next reader_subject(). */
struct reader_subject {
	uint64_t slot;
	const struct keyring *keyring;	/* in secret memory */
};

/*
 * reader_subject(r, id, out): finds and opens the keyring, and checks that it is this
 * subject's. STATUS_NO_SUBJECT, STATUS_ERASED, STATUS_OTHER_VAULT; STATUS_FORGED, STATUS_CORRUPT: what is
 * stored does not fit together (logged and counted).
 */
enum status reader_subject(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN],
    struct reader_subject *out) MUST_USE;

/*
 * reader_record(r, id, category, a, plain): reader_subject() and the record of one category in one
 * snapshot; ${plain} is in arena ${a}. STATUS_NO_RECORD: none was written; STATUS_CATEGORY_ERASED.
 * STATUS_CORRUPT, too, for an identity that is not there: every subject was made with one. STATUS_LOST: of
 * one that was lost before a restore.
 */
enum status reader_record(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN],
    unsigned category, struct arena *a, struct bytes *plain) MUST_USE;

/*
 * The subjects that a look-up names, at most LOOKUP_SHARED_MAX, each checked against its
 * keyring. STATUS_NO_SUBJECT: none. Of several who share a value, one that is damaged does not
 * hide the others; alone it is STATUS_FORGED or STATUS_CORRUPT.
 */
enum status reader_find(struct reader *r, const struct lookup *l,
    uint8_t ids[static LOOKUP_SHARED_MAX][SUBJECT_ID_LEN], unsigned *count) MUST_USE;

/*
 * Transactions of a subject in the order of appending, beginning behind number ${after}: opened
 * into ${a}, at most ${limit}, into the caller's ${item}. ${more}: others follow.
 * STATUS_CATEGORY_ERASED as in reader_record(); none at all is an empty page.
 */
struct reader_item {
	uint64_t number;
	struct bytes plain;
};

struct reader_page {
	uint64_t after;
	unsigned limit;
	struct reader_item *item;
	unsigned count;
	bool more;
};

enum status reader_transactions(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN],
    struct arena *a, struct reader_page *pg) MUST_USE;

/* An entry of the ledger; *settled: its epoch is. STATUS_ABSENT: to come. STATUS_CORRUPT: it is missing. */
enum status reader_ledger_entry(struct reader *r, uint64_t sequence, uint8_t entry[static LEDGER_ENTRY_LEN],
    bool *settled) MUST_USE;

/*
 * The same, signed as by ledger_prove(). STATUS_ABSENT also while it is not settled (K7: it does not say yet
 * what is done).
 */
enum status reader_ledger(struct reader *r, uint64_t sequence, struct ledger_proof *out) MUST_USE;

/* STATUS_OK: it is the vault's signing key, or the ledger leads from it to that. STATUS_ABSENT: neither. */
enum status reader_signer(struct reader *r, const uint8_t key[static SEAL_PUBLIC_LEN]) MUST_USE;

/* A copy of a row that is not sealed, into ${a}. STATUS_ABSENT. */
enum status reader_row(struct reader *r, enum store_table t, struct bytes key, struct arena *a,
    struct bytes *value) MUST_USE;

#endif /* SERVER_STORE_READER_H */
