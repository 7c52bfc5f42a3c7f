#include "client/erased.h"

#include <stdbool.h>
#include <string.h>

#include "client/call.h"
#include "client/transport/must.h"

void
erased_init(struct erased *e)
{
	e->first = NULL;
	must(pthread_mutex_init(&e->lock, NULL) == 0);
}

void
erased_fini(struct erased *e)
{
	must(e->first == NULL);
	must(pthread_mutex_destroy(&e->lock) == 0);
}

void
erased_listen(struct erased *e, struct erased_listener *l)
{
	must(pthread_mutex_lock(&e->lock) == 0);
	l->next = e->first;
	e->first = l;
	must(pthread_mutex_unlock(&e->lock) == 0);
}

void
erased_leave(struct erased *e, struct erased_listener *l)
{
	struct erased_listener **link;

	must(pthread_mutex_lock(&e->lock) == 0);
	for (link = &e->first; *link != l; link = &(*link)->next)
		must(*link != NULL);
	*link = l->next;
	must(pthread_mutex_unlock(&e->lock) == 0);
}

static void
tell(struct erased *e, const uint8_t *subject)
{
	must(pthread_mutex_lock(&e->lock) == 0);
	for (struct erased_listener *l = e->first; l != NULL; l = l->next)
		l->heard(l->arg, subject);
	must(pthread_mutex_unlock(&e->lock) == 0);
}

static bool
says_erased(int code, const char *reason)
{
	return code == PDV_FAILED_PRECONDITION && reason != NULL &&
	    (strcmp(reason, "SUBJECT_ERASED") == 0 || strcmp(reason, "CATEGORY_ERASED") == 0);
}

static bool
has_erased_category(const struct pdv_subject_status *s)
{
	for (size_t i = 0; s != NULL && i < s->category_count; i++)
		if (s->categories[i].state == PDV_STATE_ERASED)
			return true;
	return false;
}

/* Is what was asked for erased, all of it? */
static bool
is_erased(const struct call *c)
{
	const struct pdv_result *r = c->result;

	/* Of an erasure that failed it is not always known whether it was done. */
	return says_erased((int)r->code, r->reason) || c->method == &method_table[METHOD_ERASE_SUBJECT] ||
	    (r->method == &method_table[METHOD_GET_SUBJECT] && has_erased_category(r->subject_status));
}

void
erased_see(struct erased *e, const struct call *c)
{
	const struct pdv_result *r = c->result;

	if (c->method == NULL)
		return;
	for (size_t i = 0; i < c->asked.count && is_erased(c); i++)
		tell(e, c->asked.ids + i * PDV_ID_LEN);
	for (size_t i = 0; i < r->outcome_count && r->method != NULL; i++)
		if (says_erased(r->outcomes[i].code, r->outcomes[i].reason))
			tell(e, r->outcomes[i].subject.bytes);
	if (r->method == &method_table[METHOD_GET_ERASURE] && r->erasure->subject != NULL)
		tell(e, r->erasure->subject->bytes);
}
