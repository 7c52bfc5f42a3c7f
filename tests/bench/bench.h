/*
 * pdvault-bench: the load generator. One struct holds the whole run; each file is one concept.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "pdvault/pdvault.h"

enum kind { KIND_GET, KIND_FIND, KIND_UPDATE, KIND_CREATE, KIND_ERASE, KIND_KEYS, KIND_OPEN, KIND_ECHO,
	KIND_COUNT };

struct options {
	const char *server, *ca, *cert, *key;
	unsigned share[KIND_COUNT];	/* of the mix, in any unit */
	unsigned subjects;		/* there before the load begins */
	unsigned record;		/* bytes of an identity, about */
	unsigned in_flight, connections;
	unsigned keys;			/* data keys in a request that makes or opens them */
	unsigned blob;			/* MiB that are sealed and opened instead of a load; 0: none */
	unsigned rate;			/* requests a second, open loop; 0: closed loop */
	double seconds, warm_up;
	unsigned rounds;		/* of echo and load by turns */
	const char *echo_cert, *echo_key;	/* of a server; NULL: no echo is measured */
	unsigned echo_bytes;		/* 0: half of a request and its answer together */
	const char *state;		/* file that remembers the subjects' ids; NULL */
	int pid;			/* of the server, for its memory; 0 */
	bool json;
};

struct subject {
	struct pdv_subject_id id;
	_Atomic bool gone;
};

struct bench {
	struct options o;
	struct pdv_client *client;
	struct subject *subject;	/* room for subjects that are created, too */
	_Atomic uint64_t subject_count, subject_room;
	_Atomic uint64_t names;		/* next unused number of an email */
	struct pdv_subject_id wrapped_subject;
	struct pdv_result *wrapped;	/* its data keys; NULL: none are opened */

	/* The phase that runs. */
	const unsigned *share;
	unsigned echo_bytes;
	struct pdv_client *phase_client;
	struct histogram latency[KIND_COUNT], all;
	_Atomic uint64_t errors, gone;
	_Atomic bool measuring, stopping;
	_Atomic unsigned active;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	char first_error[64];
};

struct figures {
	double per_second;
	uint64_t count, errors, gone, p50, p99, p999;
};

uint64_t bench_now(void);

/* prepare.c: makes b->o.subjects subjects, or reads their ids from the state file. */
bool prepare_subjects(struct bench *b);
bool prepare_keys(struct bench *b);
bool prepare_client(struct bench *b, const char *server, struct pdv_client **out);

/* kinds.c: begins one request; intended is when it should have begun. False: nothing began. */
struct flight {
	struct bench *bench;
	enum kind kind;
	uint64_t intended;
	uint64_t random;
	struct subject *taken;
};
bool kinds_begin(struct flight *f, pdv_callback done);
enum kind kinds_pick(const unsigned *share, uint64_t random);
const char *kinds_name(enum kind k);
uint64_t kinds_random(uint64_t *state);

/* load.c: one phase of the given mix over the given client. */
bool load_run(struct bench *b, struct pdv_client *client, const unsigned *share,
    double seconds, struct figures *out);

/* echo.c: a REP socket in a process of its own that sends back what it gets. */
struct echo {
	int pid;
	char url[64];
};
bool echo_start(const struct options *o, struct echo *e);
void echo_stop(struct echo *e);
int echo_serve(const struct options *o);

/* blob.c: prints how fast a blob of b->o.blob MiB is sealed and opened, with one line for each round. */
bool blob_run(struct bench *b);

/* report.c */
struct report {
	struct figures *load, *echo;
	unsigned rounds;
};
void report_print(const struct bench *b, const struct report *r);

#endif /* BENCH_BENCH_H */
