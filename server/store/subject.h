/*
 * Subjects: the row that leads from an id to a slot, and the keyring that must agree with it.
 * Any thread.
 */
#ifndef SERVER_STORE_SUBJECT_H
#define SERVER_STORE_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/keys/page.h"
#include "server/store/store.h"
#include "server/store/vault.h"

/* Categories, as numbered in the contract (proto/pdvault/v1/subject.proto). */
enum subject_category {
	SUBJECT_IDENTITY = 1,
	SUBJECT_CREDENTIAL = 2,
	SUBJECT_BILLING = 3,
	SUBJECT_CONTENT = 4,
	SUBJECT_USAGE = 5,
};

#define SUBJECT_ROW_LEN 17u

/* The two bytes that lead every subject id of this vault: its number. */
struct subject_prefix {
	uint8_t b[2];
};
struct subject_prefix subject_prefix(const struct vault *v);

/* A new id: vault number and 14 random bytes. */
void subject_new_id(const struct vault *v, uint8_t id[static SUBJECT_ID_LEN]);

/* No id of a subject: where one need not be given. */
bool subject_id_is_zero(const uint8_t id[static SUBJECT_ID_LEN]);

/* Rows: 1, slot (8), zeros; or, when erased, 2, id of the erasure (16): no slot. */
void subject_row_live(uint64_t slot, uint8_t out[static SUBJECT_ROW_LEN]);
void subject_row_erased(const uint8_t erasure[static 16], uint8_t out[static SUBJECT_ROW_LEN]);

/*
 * What a row says. STATUS_ERASED: *slot is not written, and erasure (if not NULL) becomes the
 * 16-byte id of the erasure.
 */
enum status subject_parse(struct bytes row, uint64_t *slot, uint8_t *erasure) MUST_USE;

/* The row of an id in a snapshot. STATUS_NO_SUBJECT, STATUS_ERASED, STATUS_CORRUPT. */
enum status subject_row(struct store_snapshot *s, const uint8_t id[static SUBJECT_ID_LEN],
    uint64_t *slot) MUST_USE;

/* The keyring is this subject's. STATUS_FORGED: rows were swapped. */
enum status subject_check(const struct keyring *k, const uint8_t id[static SUBJECT_ID_LEN],
    uint64_t slot) MUST_USE;

/* STATUS_OK: live. STATUS_CATEGORY_ERASED, STATUS_NO_RECORD: never used. */
enum status subject_category(const struct keyring *k, unsigned category) MUST_USE;

/* Content and usage: their keys wrap data keys that are kept elsewhere, so a version before is kept, too. */
bool subject_keeps_before(unsigned category);

/* Some category was shredded: what is left takes no ordinary writes. */
int subject_is_retained(const struct keyring *k);

/* Makes the keyring of a new subject, without categories. */
void subject_new_keyring(struct keyring *k, const uint8_t id[static SUBJECT_ID_LEN],
    uint64_t slot);

/* E2: its key leaves the keyring, and the version before, if there is one. */
void subject_shred_category(struct keyring *k, unsigned category);

/* Gives a category its first key; it must be unused. */
void subject_use_category(struct keyring *k, unsigned category);

#endif /* SERVER_STORE_SUBJECT_H */
