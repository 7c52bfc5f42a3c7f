/*
 * Ledgers in the making, of a vault that is none, with the keys of whoever is to sign. One thread.
 */
#ifndef TESTS_BOOK_H
#define TESTS_BOOK_H

#include "server/store/ledger.h"

/* Keys 0 to 2 follow on each other; the last is somebody else's. */
enum { BOOK_KEYS = 4, BOOK_STRANGER = 3, BOOK_ENTRIES = 32 };

/* ${kind} and ${signer} say what each entry is and whose signature it has. */
struct book {
	uint8_t hash[SEAL_DIGEST_LEN];		/* of the newest */
	struct ledger_proof p[BOOK_ENTRIES];
	enum ledger_kind kind[BOOK_ENTRIES];
	unsigned signer[BOOK_ENTRIES];
	size_t n;
};

extern struct root book_keys[BOOK_KEYS];
extern const uint8_t book_vault[VAULT_ID_LEN];

/* Initialises seals and the keys; aborts when it cannot. */
void book_start(void);

/* An empty one; and the next entry. ${named}: a key, if it is of a kind that names one. */
void book_begin(struct book *b);
void book_put(struct book *b, enum ledger_kind kind, unsigned named, unsigned signer);

/* Entry ${i} gets the signature of that key. */
void book_sign(struct book *b, size_t i, unsigned signer);

/* The two entries of a rotation; the second is signed with ${signer}. */
void book_turn(struct book *b, unsigned before, unsigned now, unsigned signer);

/* Two rotations, and two other entries before, between and behind them; what is signed anew is by ${signer}. */
void book_rotated(struct book *b, unsigned signer);

/* A copy in a file, whose head names that key. */
void book_write(const struct book *b, unsigned head, const char *path);

#endif /* TESTS_BOOK_H */
