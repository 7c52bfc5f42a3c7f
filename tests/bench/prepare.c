/*
 * The subjects that the load works on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define PREPARE_IN_FLIGHT 256u

bool
prepare_client(struct bench *b, const char *server, struct pdv_client **out)
{
	struct pdv_client_options o = { .servers = &server, .server_count = 1, .ca = b->o.ca,
		.cert = b->o.cert, .key = b->o.key, .connections = b->o.connections,
		.in_flight = b->o.in_flight, .waiting = PDV_WAITING_MAX, .deadline_ms = 30000 };
	char why[PDV_WHY_LEN] = "";

	if (pdv_client_new(&o, out, why) == PDV_OK)
		return true;
	(void)fprintf(stderr, "pdvault-bench: %s\n", why);
	return false;
}

static bool
read_state(struct bench *b)
{
	FILE *in = b->o.state != NULL ? fopen(b->o.state, "rb") : NULL;
	struct pdv_subject_id id;
	uint64_t n = 0;

	if (in == NULL)
		return false;
	while (n < b->o.subjects && fread(&id, sizeof(id), 1, in) == 1)
		b->subject[n++].id = id;
	(void)fclose(in);
	atomic_store(&b->subject_count, n);
	/* Emails of an earlier run are not taken again. */
	atomic_store(&b->names, bench_now());
	return n == b->o.subjects;
}

static void
write_state(const struct bench *b)
{
	FILE *out = b->o.state != NULL ? fopen(b->o.state, "wb") : NULL;

	if (out == NULL)
		return;
	for (uint64_t i = 0; i < b->o.subjects; i++)
		if (fwrite(&b->subject[i].id, sizeof(b->subject[i].id), 1, out) != 1)
			(void)fprintf(stderr, "pdvault-bench: the state file is not complete\n");
	(void)fclose(out);
}

/* What has ended, and why if it failed; one of the flights is free again. */
static void
landed(struct flight *f, struct pdv_result *r, const struct pdv_subject_id *id)
{
	struct bench *b = f->bench;

	(void)pthread_mutex_lock(&b->lock);
	if (id != NULL)
		b->subject[b->subject_count++].id = *id;
	else if (pdv_result_code(r) != PDV_OK && b->errors++ == 0)
		(void)snprintf(b->first_error, sizeof(b->first_error), "%s", pdv_result_reason(r));
	b->active--;
	(void)pthread_cond_broadcast(&b->idle);
	(void)pthread_mutex_unlock(&b->lock);
	pdv_result_free(r);
	free(f);
}

static void
created(struct pdv_result *r, void *arg)
{
	landed(arg, r, pdv_result_subject(r));
}

static void
keyed(struct pdv_result *r, void *arg)
{
	landed(arg, r, NULL);
}

/* As soon as there is room for one more. NULL: no memory. */
static struct flight *
take_off(struct bench *b, enum kind kind)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	*f = (struct flight){ .bench = b, .kind = kind };
	(void)pthread_mutex_lock(&b->lock);
	while (b->active >= PREPARE_IN_FLIGHT)
		(void)pthread_cond_wait(&b->idle, &b->lock);
	b->active++;
	(void)pthread_mutex_unlock(&b->lock);
	return f;
}

static void
wait_for_all(struct bench *b)
{
	(void)pthread_mutex_lock(&b->lock);
	while (b->active > 0)
		(void)pthread_cond_wait(&b->idle, &b->lock);
	(void)pthread_mutex_unlock(&b->lock);
}

/* Subject i has account id bench-i: the ids are kept in the order of their numbers. */
bool
prepare_subjects(struct bench *b)
{
	const bool terminal = isatty(STDERR_FILENO) == 1;

	b->subject_room = b->o.subjects + 4000000u;
	if ((b->subject = calloc(b->subject_room, sizeof(*b->subject))) == NULL)
		return false;
	if (read_state(b))
		return true;
	atomic_store(&b->subject_count, 0);
	atomic_store(&b->names, 0);
	b->phase_client = b->client;
	for (unsigned i = 0; i < b->o.subjects; i++) {
		struct flight *f = take_off(b, KIND_CREATE);

		if (f == NULL || !kinds_begin(f, created))
			return false;
		if (i % 1000 == 0 && terminal)
			(void)fprintf(stderr, "\rcreating %u of %u", i, b->o.subjects);
	}
	wait_for_all(b);
	(void)fprintf(stderr, "%screated %" PRIu64 " of %u \n", terminal ? "\r" : "", b->subject_count,
	    b->o.subjects);
	if (b->errors > 0)
		(void)fprintf(stderr, "pdvault-bench: %" PRIu64 " creations failed, the first with %s\n",
		    b->errors, b->first_error);
	write_state(b);
	return b->subject_count > 0;
}

/* A subject's first data key makes the key of its category, once: that is a write, and not what is measured. */
static bool
prepare_categories(struct bench *b)
{
	struct pdv_data_key_request q = { .category = PDV_CATEGORY_CONTENT, .count = 1 };

	b->errors = 0;
	for (uint64_t i = 0; i < b->subject_count; i++) {
		struct flight *f = take_off(b, KIND_KEYS);

		q.subject = b->subject[i].id;
		if (f == NULL || pdv_generate_data_keys_async(b->client, &q, NULL, keyed, f) != PDV_OK)
			return false;
	}
	wait_for_all(b);
	if (b->errors > 0)
		(void)fprintf(stderr, "pdvault-bench: %" PRIu64 " first data keys failed, the first with %s\n",
		    b->errors, b->first_error);
	return b->errors == 0;
}

bool
prepare_keys(struct bench *b)
{
	struct pdv_data_key_request q = { .category = PDV_CATEGORY_CONTENT, .count = b->o.keys };

	if (b->o.share[KIND_KEYS] > 0 && !prepare_categories(b))
		return false;
	if (b->o.share[KIND_OPEN] == 0)
		return true;
	b->wrapped_subject = q.subject = b->subject[0].id;
	if (pdv_generate_data_keys(b->client, &q, NULL, &b->wrapped) == PDV_OK)
		return true;
	(void)fprintf(stderr, "pdvault-bench: no data keys: %s\n", pdv_result_reason(b->wrapped));
	return false;
}
