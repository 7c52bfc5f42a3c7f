/*
 * A whole server/rpc with methods and a writer of its own, on loopback with real TLS, and
 * the client's side by hand. A failure to set things up aborts.
 *
 *   /test.v1.Test/Echo    at once: GetIdentityRequest to GetSubjectResponse, same subject
 *   /test.v1.Test/Rule    at once: always one violation, "subject", "TEST_RULE"
 *   /test.v1.Test/Slow    in the pool, not before bed_hold(false)
 *   /test.v1.Test/Write   in the writer, likewise; applied twice, as after a full batch
 *   /test.v1.Test/Erase   the same, as an erasure
 *   /test.v1.Test/Secret  nobody may call it
 *
 * A test that uses it defines writer_submit() as BED_WRITER.
 */
#ifndef TESTS_BED_H
#define TESTS_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <nng/nng.h>

#include "client/transport/tls_context.h"
#include "pki.h"
#include "server/rpc/server.h"
#include "server/store/writer.h"

#define BED_EPOCH 7u
#define BED_WRITE_EPOCH 8u	/* what the writer says */

#define BED_WRITER                                                    \
	enum status writer_submit(struct writer *w, struct write_job *job) \
	{                                                             \
		(void)w;                                              \
		return bed_submit(job);                               \
	}

/* The method table. */
extern const struct method bed_methods[];
extern const unsigned bed_method_count;
extern const char *const bed_names[];

struct bed;

/* "backend" (spiffe://test/backend) may call all but Secret. */
struct access *bed_access(void);

/* With these limits. bed_free ends all of it; bed_drain only the rpc. */
struct bed *bed_open(const struct rpc_limits *limits);
struct rpc *bed_rpc(struct bed *b);
struct pki *bed_pki(struct bed *b);
struct tls_context *bed_server(struct bed *b);
int bed_port(struct bed *b);
void bed_drain(struct bed *b, unsigned limit_ms);
void bed_free(struct bed *b);

/* Slow and Write wait, or go on. */
void bed_hold(bool hold);
/* How many of them have begun. */
unsigned bed_begun(void);
enum status bed_submit(struct write_job *job);

/* A client with that certificate, connected; false: it could not connect. */
bool bed_dial(struct bed *b, const char *cert, nng_socket *s);

/* The same, and its first question is answered: one that is refused is closed before that. */
bool bed_admitted(struct bed *b, const char *cert, nng_socket *s);

struct bed_question {
	const char *method;
	const void *subject;
	size_t subject_len;
	size_t key_len;			/* of an idempotency key, at most 32 */
	uint32_t timeout_ms;
	const void *message;		/* instead of the subject, or NULL */
	size_t message_len;
};

struct bed_answer {
	unsigned code;
	char reason[64], field[64], rule[64];
	unsigned violations, retry_ms;
	uint64_t epoch;
	bool vault_right;
	size_t subject_len;		/* of the answer's message */
	bool subject_right;		/* as asked */
};

/* The request's bytes, to be freed. */
uint8_t *bed_pack(const struct bed_question *q, size_t *len);

/* One question: 0, or nng's error; after wait_ms NNG_ETIMEDOUT. */
int bed_ask(nng_socket s, const struct bed_question *q, int wait_ms, struct bed_answer *a);

/* A request of any bytes. */
int bed_ask_raw(nng_socket s, const void *p, size_t len, int wait_ms, struct bed_answer *a);

/* Asked without waiting; bed_fetch waits and frees ${p}. */
struct bed_pending;
struct bed_pending *bed_begin(nng_socket s, const struct bed_question *q);
int bed_fetch(struct bed_pending *p, int wait_ms, struct bed_answer *a);

void bed_pause(unsigned ms);

#endif /* TESTS_BED_H */
