/*
 * A vault that follows a plan, for tests of the client's handle: what it does with each
 * request is written down as letters. Failures to set things up fail the test.
 */
#ifndef TESTS_PLAN_H
#define TESTS_PLAN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "fake_vault.h"
#include "pdvault/pdvault.h"

#define PLAN_KEYS 16

/*
 * A server that does ${plan}[i] with its request i, the last one for ever:
 *   'o' answers OK          'u' UNAVAILABLE            'r' RESOURCE_EXHAUSTED, retry in 30 ms
 *   'R' the same, no hint   'c' closes the connection  's' never answers
 *   'n' NOT_FOUND           'g' garbage                'i' INTERNAL
 *   'w' OK after 20 ms      'l' UNAVAILABLE, retry in an hour
 */
struct plan {
	const char *steps;
	atomic_uint at;
	atomic_ullong epoch; /* of every answer */
	pthread_mutex_t lock;
	uint8_t keys[PLAN_KEYS][PDV_KEY_LEN];
	uint32_t timeouts[PLAN_KEYS];
};

/* One set of certificates for all tests of a program. */
extern struct pki *plan_pki;

/* A subject with nothing to it, to be created. */
extern const struct pdv_new_subject plan_nobody;

/* plan_set_up, plan_tear_down: make and remove the certificates; for cmocka. */
int plan_set_up(void **state);
int plan_tear_down(void **state);

/* plan_init(p, steps): a plan from its beginning, in epoch 5. */
void plan_init(struct plan *p, const char *steps);

/* plan_follow: the handler of a fake vault whose argument is a struct plan. */
void plan_follow(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);

/* plan_client(urls, count, o): a handle for these servers, with ${o} as to the rest. */
struct pdv_client *plan_client(
    const char *const *urls, size_t count, struct pdv_client_options o);

/* plan_client_of(f): a handle for one fake, with a deadline of 5 s. */
struct pdv_client *plan_client_of(const struct fake *f);

/* plan_check_ok(c): Health.Check must be answered OK. */
void plan_check_ok(struct pdv_client *c);

/* plan_free_port(): a port where nobody listens: one that was just given up. */
int plan_free_port(void);

#endif /* TESTS_PLAN_H */
