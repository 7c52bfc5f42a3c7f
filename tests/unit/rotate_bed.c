#include "rotate_bed.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "server/clock.h"
#include "server/rotate/rotate_internal.h"
#include "server/rotate/step.h"
#include "server/store/overlay_internal.h"
#include "server/store/writeset_internal.h"

#define PATIENCE_NS UINT64_C(60000000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

struct request {
	struct write_job job;
	rotate_bed_fn *f;
	void *arg;
	bool through;
	enum status rc;
};

static enum status
apply(struct write_job *job, struct writeset *ws)
{
	struct request *q = (struct request *)(void *)job;

	return q->f(ws, q->arg);
}

static void
done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct request *q = (struct request *)(void *)job;

	(void)epoch;
	must(pthread_mutex_lock(&lock) == 0);
	q->rc = rc;
	q->through = true;
	must(pthread_cond_broadcast(&wake) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
}

enum status
rotate_bed_do(struct vault_bed *b, rotate_bed_fn *f, void *arg)
{
	struct request q = { .job = { .apply = apply, .done = done,
		.deadline_ns = clock_monotonic_ns() + PATIENCE_NS }, .f = f, .arg = arg };
	enum status rc;

	if ((rc = writer_submit(b->writer, &q.job)) != STATUS_OK)
		return rc;
	must(pthread_mutex_lock(&lock) == 0);
	while (!q.through)
		must(pthread_cond_wait(&wake, &lock) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	return q.rc;
}

struct asked {
	const struct job *ask;
	struct job *out;
	enum rotate_wish wish;
};

static enum status
ask(struct writeset *ws, void *arg)
{
	struct asked *a = arg;

	return rotate_ask(ws, a->ask, a->out);
}

enum status
rotate_bed_ask(struct vault_bed *b, const struct job *j, struct job *out)
{
	return rotate_bed_do(b, ask, &(struct asked){ .ask = j, .out = out });
}

static enum status
wish(struct writeset *ws, void *arg)
{
	struct asked *a = arg;
	uint8_t id[JOB_ID_LEN];

	memcpy(id, a->out->id, sizeof(id));
	return rotate_wish(ws, id, a->wish, a->out);
}

enum status
rotate_bed_wish(struct vault_bed *b, enum rotate_wish w, struct job *j)
{
	return rotate_bed_do(b, wish, &(struct asked){ .out = j, .wish = w });
}

struct stepping {
	struct rotate r;
	struct rotate_going going;
};

static enum status
step(struct writeset *ws, void *arg)
{
	struct stepping *s = arg;

	return rotate_step(&s->r, ws, &s->going);
}

enum status
rotate_bed_step(struct vault_bed *b, struct job *j, unsigned units)
{
	struct stepping s = { { .o = { .vault = b->vault } }, { .units = units } };
	enum status rc;

	must((s.r.arena = arena_new()) != NULL);
	memcpy(s.going.id, j->id, sizeof(s.going.id));
	rc = rotate_bed_do(b, step, &s);
	arena_free(s.r.arena);
	must(job_get(b->vault, s.going.id, j) == STATUS_OK);
	return rc;
}

void
rotate_bed_run(struct vault_bed *b, const struct job *j, unsigned units, struct job *out)
{
	must(rotate_bed_ask(b, j, out) == STATUS_OK);
	while (job_is_open(out))
		must(rotate_bed_step(b, out, units) == STATUS_OK);
}

struct rotate *
rotate_bed_runner(struct vault_bed *b, uint32_t rate)
{
	struct rotate *r = NULL;

	must(rotate_start(&(struct rotate_options){ .vault = b->vault, .writer = b->writer, .rate = rate },
	    &r) == STATUS_OK);
	return r;
}

void
rotate_bed_wait(struct vault_bed *b, struct job *j)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t end = clock_monotonic_ns() + PATIENCE_NS;
	uint8_t id[JOB_ID_LEN];

	memcpy(id, j->id, sizeof(id));
	for (;;) {
		/* A store that has failed tells nothing any more; then the process is about to end. */
		if (job_get(b->vault, id, j) == STATUS_OK && (!job_is_open(j) || j->state == JOB_PAUSED))
			return;
		must(clock_monotonic_ns() < end);
		(void)nanosleep(&pause, NULL);
	}
}

void
rotate_bed_assert_done(struct vault_bed *b, const struct job *j)
{
	uint8_t said[JOB_STATEMENT_LEN];

	must(j->state == JOB_DONE && j->failure[0] == '\0' && j->signer > 0);
	must(j->created_ms <= j->started_ms && j->started_ms <= j->ended_ms);
	job_statement(j, b->vault->id, said);
	must(seal_verify(b->vault->public_key, bytes_of(said, sizeof(said)), j->signature) == STATUS_OK);
}

/* One row of the trees. */
static void
look_at(struct rotate_bed_keys *out, enum seal_kind kind, const void *pg)
{
	const struct bucket *bucket = pg;
	uint64_t epoch = page_epoch(kind, pg);

	out->rows++;
	out->least_epoch = epoch < out->least_epoch ? epoch : out->least_epoch;
	if (kind == SEAL_KEYRING) {
		must(out->count < ROTATE_BED_PEOPLE);
		memcpy(&out->keyring[out->count++], pg, sizeof(struct keyring));
	}
	for (unsigned i = 0; kind == SEAL_BUCKET && i < bucket->count; i++) {
		out->entries++;
		out->before += ((bucket->entry[i].kind & BUCKET_PARITY) != 0) != (out->root.index_parity != 0);
	}
}

static enum status
look(struct writeset *ws, void *arg)
{
	static const struct { enum store_table table; enum seal_kind kind; } all[] = {
		{ STORE_KEYRINGS, SEAL_KEYRING }, { STORE_BUCKETS, SEAL_BUCKET }, { STORE_NODES, SEAL_PAGE } };
	struct rotate_bed_keys *out = arg;
	struct overlay_item *it = NULL;

	memset(out, 0, sizeof(*out));
	out->root = *overlay_root(ws->overlay);
	out->least_epoch = UINT64_MAX;
	for (size_t t = 0; t < 3; t++) {
		uint8_t from[NODE_KEY_LEN + 1];
		struct bytes key, value, at = bytes_of(from, 0);

		while (store_seek(overlay_snapshot(ws->overlay), all[t].table, at, &key, &value) == STATUS_OK) {
			unsigned skip = all[t].kind == SEAL_PAGE;	/* the tree */
			struct node n = all[t].kind == SEAL_KEYRING ? node_of_slot(bytes_get64(key.p)) :
			    (struct node){ skip ? key.p[0] : NODE_B, key.p[skip],
				bytes_get64(key.p + skip + 1) };
			enum status rc = overlay_load(ws->overlay, all[t].kind, n, &it);

			must(rc != STATUS_NO_MEMORY);
			if (rc == STATUS_OK)
				look_at(out, all[t].kind, it->now);
			memcpy(from, key.p, key.len);
			from[key.len] = 0;
			at = bytes_of(from, key.len + 1);
		}
	}
	return STATUS_ETAG;	/* nothing is to be written */
}

void
rotate_bed_look(struct vault_bed *b, struct rotate_bed_keys *out)
{
	must(rotate_bed_do(b, look, out) == STATUS_ETAG);
}

const struct keyring *
rotate_bed_keyring(const struct rotate_bed_keys *k, const uint8_t id[static 16])
{
	for (unsigned i = 0; i < k->count; i++)
		if (memcmp(k->keyring[i].subject, id, 16) == 0)
			return &k->keyring[i];
	return NULL;
}

struct editing {
	const uint8_t *id;
	rotate_bed_change *f;
	void *arg;
};

static enum status
edit(struct writeset *ws, void *arg)
{
	struct editing *e = arg;
	struct keyring *k = NULL;
	enum status rc = writeset_edit_subject(ws, e->id, &k);

	if (rc == STATUS_OK)
		e->f(k, e->arg);
	return rc;
}

void
rotate_bed_edit(struct vault_bed *b, const uint8_t id[static 16], rotate_bed_change *f, void *arg)
{
	must(rotate_bed_do(b, edit, &(struct editing){ id, f, arg }) == STATUS_OK);
}

unsigned
rotate_bed_sharers(struct vault_bed *b, const char *phone, const uint8_t *id, bool *among)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	const Pdvault__V1__FindSubjectResponse *r;
	struct vault_call c;
	unsigned found = 0;

	*among = false;
	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
	q.phone = VAULT_BED_TEXT(phone);
	if (vault_bed_call(b, "Vault.FindSubject", &q, &c) == STATUS_OK) {
		r = VAULT_BED_ANSWER(FindSubjectResponse, &c);
		found = (unsigned)r->n_subjects;
		for (unsigned i = 0; i < found && id != NULL; i++)
			*among |= memcmp(r->subjects[i].data, id, 16) == 0;
	}
	vault_bed_done(&c);
	return found;
}
