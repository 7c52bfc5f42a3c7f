#include "churn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES 48
#define PICKS 6

/* xorshift64* (Vigna, 2016): the run can be repeated. */
static unsigned
roll(struct churn *c, unsigned below)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return (unsigned)((c->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static struct person *
new_person(struct churn *c)
{
	struct person *p = &c->people[c->count];

	if (c->count == c->most)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->number = c->count++;
	p->billing = p->number % 4 == 0;
	p->deed = DO_CREATE;
	return p;
}

/* Erasures end what they have to do: when nobody new comes, there are few. */
static bool
may_erase(struct churn *c)
{
	return c->count < c->most || roll(c, 20) == 0;
}

static enum deed
choose(struct churn *c, const struct person *p)
{
	unsigned r = roll(c, 100);

	switch (p->now.life) {
	case ABSENT:
		return DO_CREATE;
	case LIVE:
		if (r < 30)
			return DO_LOCALE;
		if (r < 50)
			return DO_EMAIL;
		if (r < 60)
			return may_erase(c) ? DO_ERASE : DO_READ;
		if (r < 70 && p->billing)
			return may_erase(c) ? DO_ERASE_IDENTITY : DO_READ;
		if (r < 85 && p->billing && p->now.transactions < PDV_PAGE_MAX)
			return DO_TRANSACTION;
		return r % 2 == 0 ? DO_READ : DO_FIND;
	case PARTIAL:
		return r < 30 ? DO_ERASE : DO_READ;
	default:
		return DO_READ;
	}
}

/* Somebody and something to do; everything is written down before it is asked for. */
static struct person *
pick(struct churn *c)
{
	struct person *p = NULL;

	for (int i = 0; i < PICKS && p == NULL && c->count > 0; i++) {
		if (c->count < c->most && roll(c, 100) < 12)
			break;
		p = &c->people[roll(c, c->count)];
		if (p->busy || p->unknown)
			p = NULL;
		else
			p->deed = choose(c, p);
	}
	if (p == NULL && (p = new_person(c)) == NULL)
		return NULL;
	p->busy = p->touched = true;
	p->next = p->now;
	pdv_idempotency_key(p->key);
	if (p->deed == DO_CREATE)
		p->next = (struct facts){ LIVE, 1, 1, 0 };
	p->next.locale += p->deed == DO_LOCALE;
	p->next.email += p->deed == DO_EMAIL;
	p->next.transactions += p->deed == DO_TRANSACTION;
	if (p->deed == DO_ERASE || p->deed == DO_ERASE_IDENTITY)
		p->next.life = p->deed == DO_ERASE ? GONE : PARTIAL;
	return p;
}

/* No answer that says what became of it: the connection is gone with the server. */
static bool
is_lost(enum pdv_code code)
{
	return code == PDV_CANCELLED || code == PDV_UNKNOWN || code == PDV_UNAVAILABLE ||
	    code == PDV_DEADLINE_EXCEEDED || code == PDV_RESOURCE_EXHAUSTED;
}

/* A read answers what was acknowledged last: nobody else changes this person meanwhile. */
static void
check_read(const struct person *p, const struct pdv_result *r)
{
	const struct pdv_identity *i = pdv_result_identity(r);
	const char *reason = pdv_result_reason(r);
	char text[CHURN_TEXT];
	size_t count = 0;
	bool right = false;

	if (p->deed == DO_FIND) {
		const struct pdv_subject_id *list = pdv_result_subjects(r, &count);

		right = p->now.life == LIVE && count == 1 && memcmp(list, &p->id, sizeof(p->id)) == 0;
	} else if (p->now.life == LIVE) {
		churn_locale(p->now.locale, text);
		right = i != NULL && i->locale != NULL && strcmp(i->locale, text) == 0;
	} else {
		right = strcmp(reason, p->now.life == GONE ? "SUBJECT_ERASED" : "CATEGORY_ERASED") == 0;
	}
	if (!right)
		churn_wrong(p, "read under load", r);
}

static void
acknowledge(struct person *p, const struct pdv_result *r)
{
	const struct pdv_erasure *e = pdv_result_erasure(r);

	if (p->deed == DO_CREATE)
		p->id = *pdv_result_subject(r);
	if (p->deed == DO_ERASE || p->deed == DO_ERASE_IDENTITY) {
		if (e == NULL || e->state != PDV_ERASURE_SHREDDED)
			churn_wrong(p, "an erasure that is answered and not done", r);
		p->erasure = e->erasure;
		p->erasure_known = true;
	}
	p->now = p->next;
}

struct lane {
	struct churn *c;
	struct person *p;
};

static void go_on(struct lane *l);

static void
answered(struct pdv_result *r, void *arg)
{
	struct lane *l = arg;
	struct person *p = l->p;
	enum pdv_code code = pdv_result_code(r);

	(void)pthread_mutex_lock(&l->c->lock);
	if (is_lost(code)) {
		p->unknown = true;
		l->c->unknown += p->deed < DO_READ;
	} else if (p->deed >= DO_READ) {
		check_read(p, r);
	} else if (code != PDV_OK) {
		churn_wrong(p, "refused", r);
	} else {
		acknowledge(p, r);
		l->c->acknowledged++;
	}
	p->busy = false;
	(void)pthread_mutex_unlock(&l->c->lock);
	pdv_result_free(r);
	go_on(l);
}

static void
go_on(struct lane *l)
{
	bool go;

	(void)pthread_mutex_lock(&l->c->lock);
	go = !l->c->stopping && (l->p = pick(l->c)) != NULL;
	(void)pthread_mutex_unlock(&l->c->lock);
	if (!go)
		return;
	if (churn_do(l->c, l->p, answered, l) == PDV_OK)
		return;
	/* The handle is being freed, and nothing was sent. */
	(void)pthread_mutex_lock(&l->c->lock);
	l->p->busy = false;
	l->p->unknown = true;
	(void)pthread_mutex_unlock(&l->c->lock);
}

static void
connect_to(struct churn *c, char *url)
{
	const char *servers[] = { url };
	struct pdv_client_options o = { .servers = servers, .server_count = 1, .connections = 2,
		.in_flight = LANES, .ca = getenv("PDVAULT_CA"), .cert = getenv("PDVAULT_CERT"),
		.key = getenv("PDVAULT_KEY") };
	char why[PDV_WHY_LEN];

	if (pdv_client_new(&o, &c->client, why) == PDV_OK)
		return;
	(void)printf("wrong handle: %s\n", why);
	exit(1);
}

static void
disconnect(struct churn *c)
{
	pdv_client_free(c->client);
	c->client = NULL;
}

static void
command(struct churn *c, struct lane *lanes, char *line)
{
	char *url = strchr(line, ' '), *rest = url != NULL ? strchr(url + 1, ' ') : NULL;

	if (rest != NULL)
		*rest++ = '\0';
	if (strncmp(line, "load ", 5) == 0 && url != NULL) {
		connect_to(c, url + 1);
		c->most = rest != NULL ? (unsigned)strtoul(rest, NULL, 10) : CHURN_PEOPLE_MAX;
		if (c->most > CHURN_PEOPLE_MAX)
			c->most = CHURN_PEOPLE_MAX;
		c->stopping = false;
		c->acknowledged = c->unknown = 0;
		for (int i = 0; i < LANES; i++)
			go_on(&lanes[i]);
		(void)printf("loading\n");
	} else if (strncmp(line, "stop", 4) == 0) {
		(void)pthread_mutex_lock(&c->lock);
		c->stopping = true;
		(void)pthread_mutex_unlock(&c->lock);
		disconnect(c);
		(void)printf("stopped %u %u\n", c->acknowledged, c->unknown);
	} else if (strncmp(line, "check ", 6) == 0 && rest != NULL) {
		connect_to(c, url + 1);
		(void)printf("checked %u\n", churn_check(c, strcmp(rest, "all") == 0));
		disconnect(c);
	} else {
		(void)printf("wrong command\n");
		exit(1);
	}
	(void)fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct churn c = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct lane lanes[LANES];
	char line[256];

	c.random = argc > 1 ? strtoull(argv[1], NULL, 10) * 2 + 1 : 1;
	if ((c.people = calloc(CHURN_PEOPLE_MAX, sizeof(*c.people))) == NULL)
		return 1;
	for (int i = 0; i < LANES; i++)
		lanes[i] = (struct lane){ &c, NULL };
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		command(&c, lanes, line);
	}
	free(c.people);
	return 0;
}
