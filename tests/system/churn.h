/*
 * churn: mixed load on a vault that is being killed, and the memory of what it must hold. It
 * outlives the server: what it means to do is written down before it asks, what was answered
 * afterwards, and after each restart everything is compared.
 *
 * Commands on standard input, an answer to each on standard output:
 *	load URL [PEOPLE]	begin; "loading". No more than PEOPLE are made
 *	stop			after the kill; "stopped ACKNOWLEDGED UNKNOWN"
 *	check URL touched|all	compare; "checked PEOPLE", or "wrong ..." and exit status 1
 * Certificates come from PDVAULT_CA, PDVAULT_CERT, PDVAULT_KEY; a seed is the only argument.
 */
#ifndef TESTS_CHURN_H
#define TESTS_CHURN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pdvault/pdvault.h"

#define CHURN_PEOPLE_MAX 60000u
#define CHURN_TEXT 64

enum life { ABSENT, LIVE, PARTIAL, GONE };	/* PARTIAL: the identity is erased, billing is not */

/* What the vault holds of a person. */
struct facts {
	enum life life;
	unsigned locale, email;		/* version numbers that the values are made of */
	unsigned transactions;
};

enum deed { DO_NOTHING, DO_CREATE, DO_LOCALE, DO_EMAIL, DO_TRANSACTION, DO_ERASE, DO_ERASE_IDENTITY,
	DO_READ, DO_FIND };

/*
 * Invariants:
 *  1. now is what was acknowledged; next what the deed under way makes of it.
 *  2. While busy, one lane or one checker has it. unknown: the deed's answer never came.
 */
struct person {
	unsigned number;
	bool busy, unknown, touched, billing;
	enum deed deed;
	struct facts now, next;
	uint8_t key[PDV_KEY_LEN];	/* idempotency key of the deed */
	struct pdv_subject_id id;
	struct pdv_erasure_id erasure;
	bool erasure_known;
};

struct churn {
	pthread_mutex_t lock;		/* over all that follows */
	struct person *people;
	unsigned count, most;
	uint64_t random;
	struct pdv_client *client;
	bool stopping;
	unsigned acknowledged, unknown;
};

/* Values of a person, made from numbers. */
void churn_email(const struct person *p, unsigned version, char out[static CHURN_TEXT]);
void churn_account(const struct person *p, char out[static CHURN_TEXT]);
void churn_locale(unsigned version, char out[static CHURN_TEXT]);
void churn_tax_id(const struct person *p, char out[static CHURN_TEXT]);

/* Ends the program: the vault is wrong. No lock is needed. */
_Noreturn void churn_wrong(const struct person *p, const char *what, const struct pdv_result *r);

/* Begins the person's deed: a callback will have its result, with ${arg}. */
enum pdv_code churn_do(struct churn *c, struct person *p, pdv_callback done, void *arg);

/* Compares everybody (or those that were touched since the last time) with the vault; returns how many. */
unsigned churn_check(struct churn *c, bool all);

#endif /* TESTS_CHURN_H */
