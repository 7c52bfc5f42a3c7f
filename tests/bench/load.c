/*
 * One phase: closed loop (a new request for each answer) or open loop (requests at their
 * intended times, whose latency counts from then: nothing is omitted when the server stalls).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

uint64_t
bench_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
pause_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	(void)nanosleep(&t, NULL);
}

static void
landed(struct bench *b)
{
	(void)pthread_mutex_lock(&b->lock);
	if (atomic_fetch_sub(&b->active, 1) == 1)
		(void)pthread_cond_broadcast(&b->idle);
	(void)pthread_mutex_unlock(&b->lock);
}

static void
keep_created(struct bench *b, const struct pdv_result *r)
{
	const struct pdv_subject_id *id = pdv_result_subject(r);
	uint64_t at;

	if (id == NULL)
		return;
	at = atomic_load(&b->subject_count);
	(void)pthread_mutex_lock(&b->lock);
	at = atomic_load(&b->subject_count);
	if (at < b->subject_room) {
		b->subject[at].id = *id;
		atomic_store(&b->subject_count, at + 1);
	}
	(void)pthread_mutex_unlock(&b->lock);
}

static void
note(struct flight *f, const struct pdv_result *r)
{
	struct bench *b = f->bench;
	uint64_t ns = bench_now() - f->intended;

	if (f->kind == KIND_CREATE)
		keep_created(b, r);
	if (!atomic_load(&b->measuring))
		return;
	if (pdv_result_code(r) == PDV_OK) {
		histogram_record(&b->latency[f->kind], ns);
		histogram_record(&b->all, ns);
	} else if (strcmp(pdv_result_reason(r), "SUBJECT_ERASED") == 0 ||
	    strcmp(pdv_result_reason(r), "SUBJECT_NOT_FOUND") == 0) {
		atomic_fetch_add(&b->gone, 1);
	} else if (atomic_fetch_add(&b->errors, 1) == 0) {
		(void)snprintf(b->first_error, sizeof(b->first_error), "%s", pdv_result_reason(r));
	}
}

static void closed_done(struct pdv_result *r, void *arg);

/* Until one begins: an update may find no living subject. */
static bool
begin_next(struct flight *f, pdv_callback done)
{
	for (int i = 0; i < 1000; i++) {
		f->kind = kinds_pick(f->bench->share, kinds_random(&f->random));
		if (kinds_begin(f, done))
			return true;
	}
	return false;
}

static void
closed_done(struct pdv_result *r, void *arg)
{
	struct flight *f = arg;

	note(f, r);
	pdv_result_free(r);
	f->intended = bench_now();
	if (atomic_load(&f->bench->stopping) || !begin_next(f, closed_done))
		landed(f->bench);
}

static void
open_done(struct pdv_result *r, void *arg)
{
	struct flight *f = arg;
	struct bench *b = f->bench;

	note(f, r);
	pdv_result_free(r);
	free(f);
	landed(b);
}

static void
run_open(struct bench *b, uint64_t until)
{
	uint64_t step = 1000000000u / b->o.rate, at = bench_now(), seed = at;

	for (; at < until; at += step) {
		uint64_t now = bench_now();
		struct flight *f;

		if (at > now)
			pause_ns(at - now);
		if ((f = calloc(1, sizeof(*f))) == NULL)
			continue;
		*f = (struct flight){ .bench = b, .intended = at, .random = kinds_random(&seed) };
		atomic_fetch_add(&b->active, 1);
		if (!begin_next(f, open_done)) {
			atomic_fetch_add(&b->errors, 1);
			free(f);
			landed(b);
		}
	}
}

static void
begin_phase(struct bench *b, struct pdv_client *client, const unsigned *share)
{
	b->phase_client = client;
	b->share = share;
	for (int k = 0; k < KIND_COUNT; k++)
		histogram_reset(&b->latency[k]);
	histogram_reset(&b->all);
	atomic_store(&b->errors, 0);
	atomic_store(&b->gone, 0);
	atomic_store(&b->stopping, false);
	atomic_store(&b->measuring, false);
}

static void
wait_idle(struct bench *b)
{
	(void)pthread_mutex_lock(&b->lock);
	while (atomic_load(&b->active) > 0)
		(void)pthread_cond_wait(&b->idle, &b->lock);
	(void)pthread_mutex_unlock(&b->lock);
}

/* The measured time begins after the warm-up and ends before the last requests land. */
static uint64_t
measure(struct bench *b, double seconds)
{
	uint64_t start, end;

	pause_ns((uint64_t)(b->o.warm_up * 1e9));
	atomic_store(&b->measuring, true);
	start = bench_now();
	if (b->o.rate > 0 && b->share[KIND_ECHO] == 0)
		run_open(b, start + (uint64_t)(seconds * 1e9));
	else
		pause_ns((uint64_t)(seconds * 1e9));
	end = bench_now();
	if (b->o.rate == 0 || b->share[KIND_ECHO] > 0)
		atomic_store(&b->measuring, false);
	atomic_store(&b->stopping, true);
	wait_idle(b);
	return end - start;
}

bool
load_run(struct bench *b, struct pdv_client *client, const unsigned *share, double seconds,
    struct figures *out)
{
	struct flight *f = calloc(b->o.in_flight, sizeof(*f));
	bool closed = b->o.rate == 0 || share[KIND_ECHO] > 0;
	uint64_t seed = bench_now(), ns;

	if (f == NULL)
		return false;
	begin_phase(b, client, share);
	for (unsigned i = 0; closed && i < b->o.in_flight; i++) {
		f[i] = (struct flight){ .bench = b, .random = kinds_random(&seed),
			.intended = bench_now() };
		atomic_fetch_add(&b->active, 1);
		if (!begin_next(&f[i], closed_done))
			landed(b);
	}
	ns = measure(b, seconds);
	*out = (struct figures){ .count = histogram_count(&b->all),
		.errors = atomic_load(&b->errors), .gone = atomic_load(&b->gone),
		.p50 = histogram_quantile(&b->all, 0.5), .p99 = histogram_quantile(&b->all, 0.99),
		.p999 = histogram_quantile(&b->all, 0.999) };
	out->per_second = (double)out->count * 1e9 / (double)ns;
	free(f);
	return true;
}
