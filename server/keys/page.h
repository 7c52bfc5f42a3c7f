/*
 * The sealed pages of the two trees, of three kinds:
 *   page     32 keys of the nodes below; a zero key is an empty place
 *   bucket   up to 30 look-up entries
 *   keyring  one subject's id, state and category keys
 * Each has the epoch that it was sealed for, which is the age of its key.
 * The structs are the bytes on disk (docs/FORMAT.md), integers big-endian; of a bucket and a keyring only
 * the beginning that is in use is stored, to one of a few lengths. In memory they are whole and rest in
 * secret memory. Any thread.
 */
#ifndef SERVER_KEYS_PAGE_H
#define SERVER_KEYS_PAGE_H

#include "server/keys/node.h"
#include "server/keys/seal.h"

#define SUBJECT_ID_LEN 16u

struct page {
	struct key key[NODE_FANOUT];
	uint8_t epoch[8];
};

/* Set in an entry whose tag is made under an index key of parity 1 (root.h). */
#define BUCKET_PARITY 0x80u

struct bucket_entry {
	uint8_t tag[SEAL_TAG16_LEN];
	uint8_t kind;			/* enum lookup_kind, and BUCKET_PARITY of the key of its tag */
	uint8_t category;		/* the entry dies with it */
	uint8_t subject[SUBJECT_ID_LEN];
};

#define BUCKET_ENTRIES 30u

struct bucket {
	uint8_t count, zero;
	uint8_t epoch[8];
	struct bucket_entry entry[BUCKET_ENTRIES];
};

#define CATEGORY_COUNT 8u		/* numbered from 1, as in the contract */

enum category_state {
	CATEGORY_UNUSED = 0,		/* no key yet */
	CATEGORY_LIVE = 1,
	CATEGORY_SHREDDED = 2,		/* its key is gone and never comes back */
};

struct keyring_category {
	struct key key;
	uint8_t version[2];		/* of the key, from 1 */
	uint8_t state;			/* enum category_state */
	uint8_t restricted;
	uint8_t made[4];		/* when the key was made: seconds since 1970 */
};

/* Of these two the version before may be kept: data keys that are kept elsewhere are wrapped under it. */
#define CATEGORY_CONTENT 4u
#define CATEGORY_USAGE 5u
#define KEYRING_BEFORE 2u

struct keyring {
	uint8_t subject[SUBJECT_ID_LEN];
	uint8_t slot[8];
	uint8_t pseudonym[16];		/* stands for the subject in the audit log */
	uint8_t create_time[8];		/* milliseconds since 1970 */
	uint8_t epoch[8];
	struct keyring_category category[CATEGORY_COUNT];	/* category c is at c - 1 */
	struct keyring_category before[KEYRING_BEFORE];		/* of category c at c - CATEGORY_CONTENT */
};

_Static_assert(sizeof(struct page) == 1032, "bytes on disk");
_Static_assert(sizeof(struct bucket) == 1030, "bytes on disk");
_Static_assert(sizeof(struct keyring) == 456, "bytes on disk");

/* Of the longest: what a buffer for opening has. */
#define PAGE_PADDED 1040u
#define BUCKET_PADDED 1040u
#define KEYRING_PADDED 464u
#define PAGE_BUFFER_LEN PAGE_PADDED	/* what opening any kind may need */
#define PAGE_BOX_MAX SEAL_BOX_LEN(PAGE_PADDED)

/* kind is SEAL_PAGE, SEAL_BUCKET or SEAL_KEYRING in all of these. */
size_t page_len(enum seal_kind kind);		/* of the struct */
size_t page_padded(enum seal_kind kind);	/* of the buffer that opening writes */
size_t page_box_len(enum seal_kind kind, const void *pg);	/* on disk, of this struct */

/* The epoch that it is sealed for. */
uint64_t page_epoch(enum seal_kind kind, const void *pg);
void page_set_epoch(enum seal_kind kind, void *pg, uint64_t epoch);

/* Whether a box of ${len} bytes can be one of that kind. */
bool page_box_fits(enum seal_kind kind, size_t len);

/* A box on its way: which node and kind it is said to be of. */
struct page_box {
	enum seal_kind kind;
	struct node node;
	struct bytes box;
};

/* Seals the struct of that kind at pg into out[page_box_len(kind, pg)]; b->box is not looked at. */
void page_seal(const struct key *k, const uint8_t vault[static 16], const struct page_box *b,
    const void *pg, uint8_t *out);

/*
 * Opens into out[page_padded(kind)]. STATUS_FORGED: not this node of this kind under this
 * key, or of another size.
 */
enum status page_open(const struct key *k, const uint8_t vault[static 16],
    const struct page_box *b, void *out) MUST_USE;

#endif /* SERVER_KEYS_PAGE_H */
