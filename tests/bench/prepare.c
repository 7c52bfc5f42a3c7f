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

/* Subject i has account id bench-i: the ids are kept in the order of their numbers. */
struct creation {
	struct flight flight;
	struct bench *bench;
};

static void
created(struct pdv_result *r, void *arg)
{
	struct flight *f = arg;
	struct bench *b = f->bench;
	const struct pdv_subject_id *id = pdv_result_subject(r);

	(void)pthread_mutex_lock(&b->lock);
	if (id != NULL)
		b->subject[b->subject_count++].id = *id;
	else if (b->errors++ == 0)
		(void)snprintf(b->first_error, sizeof(b->first_error), "%s", pdv_result_reason(r));
	b->active--;
	(void)pthread_cond_broadcast(&b->idle);
	(void)pthread_mutex_unlock(&b->lock);
	pdv_result_free(r);
	free(f);
}

static bool
begin_one(struct bench *b)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return false;
	*f = (struct flight){ .bench = b, .kind = KIND_CREATE };
	(void)pthread_mutex_lock(&b->lock);
	while (b->active >= PREPARE_IN_FLIGHT)
		(void)pthread_cond_wait(&b->idle, &b->lock);
	b->active++;
	(void)pthread_mutex_unlock(&b->lock);
	if (kinds_begin(f, created))
		return true;
	free(f);
	return false;
}

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
		if (!begin_one(b))
			return false;
		if (i % 1000 == 0 && terminal)
			(void)fprintf(stderr, "\rcreating %u of %u", i, b->o.subjects);
	}
	(void)pthread_mutex_lock(&b->lock);
	while (b->active > 0)
		(void)pthread_cond_wait(&b->idle, &b->lock);
	(void)pthread_mutex_unlock(&b->lock);
	(void)fprintf(stderr, "%screated %" PRIu64 " of %u \n", terminal ? "\r" : "", b->subject_count,
	    b->o.subjects);
	if (b->errors > 0)
		(void)fprintf(stderr, "pdvault-bench: %" PRIu64 " creations failed, the first with %s\n",
		    b->errors, b->first_error);
	write_state(b);
	return b->subject_count > 0;
}

bool
prepare_keys(struct bench *b)
{
	struct pdv_data_key_request q = { .category = PDV_CATEGORY_CONTENT, .count = b->o.keys };

	if (b->o.share[KIND_OPEN] == 0)
		return true;
	b->wrapped_subject = q.subject = b->subject[0].id;
	if (pdv_generate_data_keys(b->client, &q, NULL, &b->wrapped) == PDV_OK)
		return true;
	(void)fprintf(stderr, "pdvault-bench: no data keys: %s\n", pdv_result_reason(b->wrapped));
	return false;
}
