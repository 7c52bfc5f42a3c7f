/* After a restart: what was acknowledged is there, and what was not is there whole or not at all. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "churn.h"

#define CHECKERS 8
#define EITHER(p, field, value) ((value) == (p)->now.field || (value) == (p)->next.field)

static const struct pdv_call_options patient = { .deadline_ms = 30000 };

/* --- waiting for the person's own deed --- */

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pdv_result *result;
};

static void
arrived(struct pdv_result *r, void *arg)
{
	struct waiting *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	w->result = r;
	(void)pthread_cond_signal(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

static struct pdv_result *
do_again(struct churn *c, struct person *p)
{
	struct waiting w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL };

	if (churn_do(c, p, arrived, &w) != PDV_OK)
		churn_wrong(p, "call", NULL);
	(void)pthread_mutex_lock(&w.lock);
	while (w.result == NULL)
		(void)pthread_cond_wait(&w.changed, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	return w.result;
}

/* --- looking --- */

static bool
says(const struct pdv_result *r, enum pdv_code code, const char *reason)
{
	return pdv_result_code(r) == code && strcmp(pdv_result_reason(r), reason) == 0;
}

/* Who is found; false: nobody. */
static bool
find(struct churn *c, const struct person *p, struct pdv_lookup q, struct pdv_subject_id *id)
{
	struct pdv_result *r = NULL;
	const struct pdv_subject_id *list;
	size_t count;
	bool found;

	(void)pdv_find_subject(c->client, &q, &patient, &r);
	list = pdv_result_subjects(r, &count);
	found = pdv_result_code(r) == PDV_OK && count == 1;
	if (!found && !says(r, PDV_NOT_FOUND, "SUBJECT_NOT_FOUND"))
		churn_wrong(p, "look-up", r);
	if (found)
		*id = list[0];
	pdv_result_free(r);
	return found;
}

static void
look_up(struct churn *c, const struct person *p, enum pdv_lookup_by by, const char *text)
{
	struct pdv_subject_id id;
	bool found = find(c, p, (struct pdv_lookup){ by, text }, &id);

	if (found != (p->now.life == LIVE))
		churn_wrong(p, found ? "somebody who should be gone is found" : "somebody is not found", NULL);
	if (found && memcmp(&id, &p->id, sizeof(id)) != 0)
		churn_wrong(p, "somebody else is found", NULL);
}

static unsigned
number_behind(const char *text, const char *mark)
{
	const char *at = text != NULL ? strstr(text, mark) : NULL;
	unsigned n = 0;

	for (at = at != NULL ? at + strlen(mark) : ""; *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (unsigned)(*at - '0');
	return n;
}

/* What the identity says, into ${f}; the life that its absence means. */
static enum life
read_identity(struct churn *c, const struct person *p, struct facts *f)
{
	struct pdv_result *r = NULL;
	const struct pdv_identity *i;
	char email[CHURN_TEXT];
	enum life life = LIVE;

	(void)pdv_get_identity(c->client, &p->id, &patient, &r);
	if (says(r, PDV_FAILED_PRECONDITION, "SUBJECT_ERASED")) {
		life = GONE;
	} else if (says(r, PDV_FAILED_PRECONDITION, "CATEGORY_ERASED")) {
		life = PARTIAL;
	} else {
		if ((i = pdv_result_identity(r)) == NULL || i->email_count != 1)
			churn_wrong(p, "identity", r);
		f->locale = number_behind(i->locale, "-v");
		f->email = number_behind(i->emails[0], ".v");
		churn_email(p, f->email, email);
		if (strcmp(email, i->emails[0]) != 0)
			churn_wrong(p, "another's email", r);
	}
	pdv_result_free(r);
	return f->life = life;
}

static unsigned
count_transactions(struct churn *c, const struct person *p)
{
	struct pdv_transaction_page q = { .subject = p->id, .page_size = PDV_PAGE_MAX };
	struct pdv_result *r = NULL;
	const struct pdv_transaction *list;
	char id[CHURN_TEXT];
	size_t count, i;

	(void)pdv_list_transactions(c->client, &q, &patient, &r);
	list = pdv_result_transactions(r, &count);
	if (pdv_result_code(r) != PDV_OK || pdv_result_next_page(r) != NULL)
		churn_wrong(p, "transactions", r);
	for (i = 0; i < count; i++) {
		(void)snprintf(id, sizeof(id), "t%zu", i);
		if (strcmp(list[i].id, id) != 0 || list[i].amount_minor != (int64_t)p->number)
			churn_wrong(p, "a transaction", r);
	}
	pdv_result_free(r);
	return (unsigned)count;
}

static void
check_billing(struct churn *c, const struct person *p)
{
	struct pdv_result *r = NULL;
	const struct pdv_billing *b;
	char tax[CHURN_TEXT];

	(void)pdv_get_billing(c->client, &p->id, &patient, &r);
	churn_tax_id(p, tax);
	if (p->now.life == GONE) {
		if (!says(r, PDV_FAILED_PRECONDITION, "SUBJECT_ERASED"))
			churn_wrong(p, "billing of an erased one", r);
	} else if ((b = pdv_result_billing(r)) == NULL || strcmp(b->tax_id, tax) != 0) {
		churn_wrong(p, "billing", r);
	}
	pdv_result_free(r);
	if (p->now.life != GONE && count_transactions(c, p) != p->now.transactions)
		churn_wrong(p, "number of transactions", NULL);
}

static void
check_erasure(struct churn *c, const struct person *p)
{
	struct pdv_result *r = NULL;
	const struct pdv_erasure *e;

	(void)pdv_get_erasure(c->client, &p->erasure, &patient, &r);
	if ((e = pdv_result_erasure(r)) == NULL || e->state != PDV_ERASURE_FINAL ||
	    e->subject == NULL || memcmp(e->subject, &p->id, sizeof(p->id)) != 0)
		churn_wrong(p, "erasure", r);
	pdv_result_free(r);
}

/* --- a deed without an answer --- */

/* Asking again with the same key must lead to what was meant, once. */
static void
resolve_by_asking(struct churn *c, struct person *p)
{
	struct pdv_result *r = do_again(c, p);
	const struct pdv_erasure *e = pdv_result_erasure(r);

	if (pdv_result_code(r) != PDV_OK)
		churn_wrong(p, "the same again", r);
	if (p->deed == DO_CREATE)
		p->id = *pdv_result_subject(r);
	if (e != NULL) {
		p->erasure = e->erasure;
		p->erasure_known = true;
	}
	pdv_result_free(r);
	p->now = p->next;
}

/* Looking must show the state of before or of after, nothing else. */
static void
resolve_by_looking(struct churn *c, struct person *p)
{
	struct facts f = p->now;
	char account[CHURN_TEXT];

	churn_account(p, account);
	if (p->deed == DO_CREATE) {
		if (!find(c, p, (struct pdv_lookup){ PDV_BY_ACCOUNT_ID, account }, &p->id))
			return;
		f = p->next;
	}
	(void)read_identity(c, p, &f);
	if (!EITHER(p, life, f.life) || !EITHER(p, locale, f.locale) || !EITHER(p, email, f.email))
		churn_wrong(p, "neither before nor after", NULL);
	if (p->billing && f.life != GONE)
		f.transactions = count_transactions(c, p);
	if (!EITHER(p, transactions, f.transactions))
		churn_wrong(p, "neither before nor after", NULL);
	if (f.life == GONE || f.life == PARTIAL)
		p->erasure_known = p->erasure_known && f.life == p->now.life;
	p->now = f;
}

static void
check_person(struct churn *c, struct person *p)
{
	struct facts f = p->now;
	char text[CHURN_TEXT];
	unsigned other = p->next.email != p->now.email ? p->next.email : p->now.email - 1;

	if (p->unknown && p->deed < DO_READ)
		(p->number % 2 == 0 ? resolve_by_asking : resolve_by_looking)(c, p);
	p->unknown = false;
	churn_email(p, p->now.email, text);
	look_up(c, p, PDV_BY_EMAIL, text);
	churn_account(p, text);
	look_up(c, p, PDV_BY_ACCOUNT_ID, text);
	/* The email that it had before, or would have had. */
	if (p->now.email > 1 && other != p->now.email) {
		struct pdv_subject_id id;

		churn_email(p, other, text);
		if (find(c, p, (struct pdv_lookup){ PDV_BY_EMAIL, text }, &id))
			churn_wrong(p, "found by an email that it does not have", NULL);
	}
	p->deed = DO_NOTHING;
	p->touched = false;
	p->next = p->now;
	if (p->now.life == ABSENT)
		return;
	f = p->now;
	if (read_identity(c, p, &f) != p->now.life || f.locale != p->now.locale ||
	    f.email != p->now.email)
		churn_wrong(p, "identity", NULL);
	if (p->billing)
		check_billing(c, p);
	if (p->erasure_known)
		check_erasure(c, p);
}

/* --- everybody --- */

struct checking {
	struct churn *c;
	bool all;
	pthread_mutex_t lock;
	unsigned at, done;
};

static void *
checker(void *arg)
{
	struct checking *k = arg;
	struct person *p;

	for (;;) {
		(void)pthread_mutex_lock(&k->lock);
		for (p = NULL; p == NULL && k->at < k->c->count; k->at++)
			if (k->all || k->c->people[k->at].touched)
				p = &k->c->people[k->at];
		k->done += p != NULL;
		(void)pthread_mutex_unlock(&k->lock);
		if (p == NULL)
			return NULL;
		check_person(k->c, p);
	}
}

/* A job may go on meanwhile: what was decided at the first look is settled soon, and others have come. */
static void
check_counts(struct churn *c)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct pdv_result *r = NULL;
	const struct pdv_status *s;
	uint64_t live = 0, gone = 0, epoch = 0;
	bool settled = false;

	for (unsigned i = 0; i < c->count; i++) {
		live += c->people[i].now.life == LIVE || c->people[i].now.life == PARTIAL;
		gone += c->people[i].now.life == GONE;
	}
	for (unsigned i = 0; i < 500 && !settled; i++) {
		(void)pdv_get_status(c->client, &patient, &r);
		if ((s = pdv_result_status(r)) == NULL)
			churn_wrong(NULL, "status", r);
		if (s->subjects != live)
			churn_wrong(NULL, "how many live", r);
		if (s->erased != gone)
			churn_wrong(NULL, "how many are erased", r);
		epoch = i == 0 ? s->epoch : epoch;
		settled = s->settled_epoch >= epoch;
		pdv_result_free(r);
		if (!settled)
			(void)nanosleep(&pause, NULL);
	}
	if (!settled)
		churn_wrong(NULL, "an epoch is not settled", NULL);
}

unsigned
churn_check(struct churn *c, bool all)
{
	struct checking k = { .c = c, .all = all, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[CHECKERS];

	for (int i = 0; i < CHECKERS; i++)
		if (pthread_create(&threads[i], NULL, checker, &k) != 0)
			churn_wrong(NULL, "thread", NULL);
	for (int i = 0; i < CHECKERS; i++)
		(void)pthread_join(threads[i], NULL);
	check_counts(c);
	return k.done;
}
