/*
 * Look-ups: an email, phone or account id, normalised, and its keyed tag. Tags stand only in
 * sealed buckets.
 */
#ifndef SERVER_STORE_LOOKUP_H
#define SERVER_STORE_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "server/bytes.h"
#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/keys/seal.h"
#include "server/status.h"

#define LOOKUP_VALUE_MAX 512u		/* bytes, normalised */
#define LOOKUP_SHARED_MAX 64u		/* subjects that may share a phone */

enum lookup_kind { LOOKUP_EMAIL = 1, LOOKUP_PHONE = 2, LOOKUP_ACCOUNT = 3 };

struct lookup {
	enum lookup_kind kind;
	uint16_t len;
	uint8_t value[LOOKUP_VALUE_MAX];	/* personal data: wipe */
};

/*
 * lookup_normalise(kind, text, country, out): email and account id: outer blanks cut, NFKC and full case
 * folding (Unicode, by utf8proc); account ids keep their case. Phone: digits with country code, as
 * E.164 without the plus: from "+", "00", or ${country} (0: none, then its digits are taken as they are).
 * STATUS_INVALID: nothing is left, or it cannot be one.
 */
enum status lookup_normalise(enum lookup_kind kind, struct bytes text, uint16_t country,
    struct lookup *out) MUST_USE;

/* Only a phone may be shared. */
int lookup_is_shared(enum lookup_kind kind);

/*
 * The tag of the n-th subject that shares the value: BLAKE2b-128 under the index key, over kind,
 * n and value. Subjects that share a phone stand at 0, 1, 2 ... without a gap.
 */
void lookup_tag(const struct key *index, const struct lookup *l, unsigned n,
    uint8_t out[static SEAL_TAG16_LEN]);

/*
 * Whether the index key is being rotated, so that entries under the one before are looked up, too.
 * Those move to the new one, never back: who looks at the old ones first misses none.
 */
enum lookup_age { LOOKUP_BEFORE, LOOKUP_NOW, LOOKUP_AGES };
bool lookup_has_before(const struct root *root);

/* Tag and kind of the entry of the n-th subject, under the present index key or the one before. */
void lookup_entry(const struct root *root, enum lookup_age age, const struct lookup *l, unsigned n,
    struct bucket_entry *out);

/* The place of a tag in a bucket; -1: it is not there. */
int lookup_in_bucket(const struct bucket *b, const uint8_t tag[static SEAL_TAG16_LEN]);

#endif /* SERVER_STORE_LOOKUP_H */
