/*
 * Mutants: fakes of a shred, built in one at a time, that the tests must catch: tests/mutants builds each
 * and says which test killed it. mutant(NAME) is a constant: in a build without PDV_MUTANT=NAME, and so
 * in all that is deployed, it is false and nothing is left of it (tests/lint --binary).
 */
#ifndef SERVER_MUTANT_H
#define SERVER_MUTANT_H

#include <stdbool.h>

/* Name, and what it fakes. */
#define MUTANTS(X) \
	X(none, "nothing: the control, which must pass") \
	X(row_only, "the row of a keyring goes, its key stays in the page above") \
	X(wrapped_key_only, "the key leaves its page, which is sealed under its old key again") \
	X(leaf_only, "the leaf gets a fresh key, the pages above keep theirs") \
	X(upper_kept, "pages above the second level keep their keys: seen in a tall tree only") \
	X(root_kept, "all pages get fresh keys, the root page keeps its own") \
	X(root_remembers, "a root page holds the root key of before") \
	X(insert_keeps_key, "a page that only gains a child keeps its key") \
	X(old_slot_kept, "K5 is skipped: the old slot is not overwritten") \
	X(copy_marked_dead, "K5 spoils only the head of the anchor's further files") \
	X(slot_renamed, "the anchor is replaced by a renamed copy, not in place") \
	X(erase_first, "K5 comes before K4") \
	X(receipt_first, "K7 comes before K4") \
	X(settle_skipped, "recovery does not erase the slot that is not in use") \
	X(slot_not_read_back, "K3 does not look at what the anchor's device holds") \
	X(preamble_skipped, "recovery trusts the page cache: no commit of its own, no look at the medium") \
	X(constant_random, "the random source begins anew with each process") \
	X(keys_seeded, "keys come from a generator that was seeded once") \
	X(subject_key_derived, "a subject's key is made from the index key") \
	X(category_key_derived, "a category's key is made from the subject's id") \
	X(category_key_left, "a shredded category keeps its key in the keyring") \
	X(second_wrap, "a category's key is sealed a second time, elsewhere") \
	X(billing_under_identity, "billing is sealed under the key of the identity") \
	X(context_without_path, "a page is not bound to its index") \
	X(cache_kept, "K6 leaves the replaced pages in the cache") \
	X(cache_cleared_early, "K6 clears the cache before the readers of the old epoch are gone") \
	X(root_stays, "K6 forgets the old root, but does not wipe it") \
	X(reader_not_awaited, "K6 does not wait for readers: it answers while one has old keys") \
	X(reader_keeps_keys, "a reader does not wipe its keys") \
	X(batch_keeps_keys, "the writer does not wipe its batch") \
	X(retry_before_settled, "a retry is told the outcome of an epoch that is not settled") \
	X(done_before_settled, "GetErasure says SHREDDED before the epoch is settled") \
	X(lookup_left, "an erased identity keeps its look-up entries") \
	X(tag_as_key, "a look-up's tag is the key of a row") \
	X(nosync, "a commit is not flushed") \
	X(plaintext_aborted, "plain text is put into a batch that is aborted") \
	X(logged_field, "a log line has an email") \
	X(ledger_skipped, "a restore does not forget what the ledger says") \
	X(category_key_stays, "a rotation of a category changes the version and keeps the key") \
	X(index_key_kept, "a rotation of the index ends and keeps the key before") \
	X(left_over_kept, "a rotation of the index does not sweep") \
	X(old_seal_kept, "the version of a seal that was replaced is not destroyed") \
	X(buckets_skipped, "a rotation of the trees leaves out buckets")

#ifdef PDV_MUTANT
#include "mutant_chosen.h"	/* made by CMake: MUTANT_CHOSEN */

#define MUTANT_NUMBER(name, what) MUTANT_##name,
enum mutant { MUTANTS(MUTANT_NUMBER) MUTANT_COUNT };
#undef MUTANT_NUMBER
#define mutant(name) ((int)MUTANT_##name == (int)MUTANT_CHOSEN)
#else
#define mutant(name) false
#endif

#endif /* SERVER_MUTANT_H */
