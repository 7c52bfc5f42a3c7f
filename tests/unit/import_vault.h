/*
 * A vault in memory, for tests of the tool's import: behind fake_vault.h, with as many methods
 * as an import calls, and with trouble at will.
 */
#ifndef TESTS_IMPORT_VAULT_H
#define TESTS_IMPORT_VAULT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_vault.h"

enum { IMPORT_VAULT_SUBJECTS = 512, IMPORT_VAULT_TRANSACTIONS = 4096 };

/* What the fake holds of a subject: packed messages, and a counter for both etags. */
struct import_held {
	char account[64];
	uint8_t identity[1024], billing[1024];
	size_t identity_len, billing_len;
	unsigned etag;
	bool busy;			/* a call for it is being answered */
};

/* How the next calls of a method fail. */
struct import_trouble {
	const char *method;		/* its last word; NULL: none */
	unsigned after, times;		/* calls that go well first, calls that fail then */
	uint32_t code;
	const char *reason;
	bool done;			/* the work is done, and only the answer is bad */
	bool silent;			/* there is no answer at all */
};

/* All that it holds and did; to be looked at and changed while no call is going. */
struct import_vault {
	pthread_mutex_t lock;
	struct import_held subjects[IMPORT_VAULT_SUBJECTS];
	size_t n;
	char transactions[IMPORT_VAULT_TRANSACTIONS][64];	/* "subject/id/amount", in order */
	size_t transactions_n;
	struct import_trouble trouble;
	bool overlapped;		/* two calls for one subject at once */
	unsigned mutations;
};
extern struct import_vault import_vault;

/* import_vault_serve: a fake_handler. Two calls for one subject at once show in overlapped. */
void import_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);

/* import_vault_empty(): nothing held, no trouble. */
void import_vault_empty(void);

#endif /* TESTS_IMPORT_VAULT_H */
