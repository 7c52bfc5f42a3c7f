#include "server/rpc/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "client/transport/protoscan.h"
#include "server/rpc/envelope.h"

#define NS_PER_MS UINT64_C(1000000)

_Static_assert(PROTOSCAN_PATH <= CALL_FIELD_MAX, "a path becomes a violation's field");

/* 1. by_name[0 .. method_count-1] are the methods' places, in the order of their names. */
struct dispatch {
	struct dispatch_options o;
	unsigned by_name[ACCESS_METHODS_MAX];
};

static int
compare_names(const char *method, struct bytes name)
{
	return bytes_compare(name, bytes_of(method, strlen(method)));
}

/* Insertion sort: a few dozen names, once. */
static void
sort_names(struct dispatch *d)
{
	const struct method *m = d->o.methods;
	unsigned i, k;

	for (i = 0; i < d->o.method_count; i++) {
		for (k = i; k > 0 && strcmp(m[d->by_name[k - 1]].name, m[i].name) > 0; k--)
			d->by_name[k] = d->by_name[k - 1];
		d->by_name[k] = i;
	}
}

enum status
dispatch_new(const struct dispatch_options *o, struct dispatch **out)
{
	struct dispatch *d;

	must(o->method_count < ACCESS_METHODS_MAX);
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return STATUS_NO_MEMORY;
	d->o = *o;
	sort_names(d);
	*out = d;
	return STATUS_OK;
}

unsigned
dispatch_find(const struct dispatch *d, struct bytes name)
{
	unsigned low = 0, high = name.len > 0 ? d->o.method_count : 0;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = compare_names(d->o.methods[d->by_name[middle]].name, name);

		if (order == 0)
			return d->by_name[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return d->o.method_count;
}

/* Which method, and may this principal call it? */
static enum status
check_method(const struct dispatch *d, const struct envelope *e, int principal, struct call *c)
{
	if ((c->method_index = dispatch_find(d, e->method)) == d->o.method_count)
		return STATUS_NO_METHOD;
	c->method = &d->o.methods[c->method_index];
	if (principal == ACCESS_NONE)
		return STATUS_NOT_A_PRINCIPAL;
	c->principal = access_name(d->o.access, principal);
	return access_allows(d->o.access, principal, c->method_index) ? STATUS_OK
								     : STATUS_DENIED;
}

static enum status
check_key(const struct envelope *e, struct call *c)
{
	if (c->method->room != METHOD_WRITER)
		return STATUS_OK;
	if (e->key.len != CALL_KEY_LEN)
		return STATUS_KEY_MISSING;
	memcpy(c->idempotency_key, e->key.p, CALL_KEY_LEN);
	return STATUS_OK;
}

static void
set_deadline(const struct dispatch *d, const struct envelope *e, struct call *c)
{
	uint32_t ms = e->timeout_ms == 0 ? d->o.default_timeout_ms : e->timeout_ms;

	if (ms > d->o.max_timeout_ms)
		ms = d->o.max_timeout_ms;
	c->deadline_ns = c->arrived_ns + ms * NS_PER_MS;
}

static enum status
unpack(struct call *c)
{
	struct protoscan_fault fault;

	switch (protoscan(c->method->request, c->message.p, c->message.len, &fault)) {
	case PROTOSCAN_BROKEN:
		return STATUS_MALFORMED;
	case PROTOSCAN_RULE:
		return call_violates(c, fault.rule, "%s", fault.path);
	default:
		break;
	}
	c->request = protobuf_c_message_unpack(c->method->request, arena_allocator(c->arena),
	    c->message.len, c->message.p);
	/* protoscan takes nothing that protobuf-c refuses: it was the arena. */
	return c->request == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status
dispatch_request(const struct dispatch *d, struct bytes body, int principal, struct call *c)
{
	struct envelope e;
	enum status rc;

	c->method = NULL;
	c->method_index = d->o.method_count;
	c->response = NULL;
	c->violation_count = 0;
	if ((rc = envelope_decode(body, &e)) != STATUS_OK ||
	    (rc = check_method(d, &e, principal, c)) != STATUS_OK ||
	    (rc = check_key(&e, c)) != STATUS_OK)
		return rc;
	set_deadline(d, &e, c);
	c->message = e.message;
	if ((rc = unpack(c)) != STATUS_OK)
		return rc;
	return c->method->validate == NULL ? STATUS_OK : c->method->validate(c);
}

void
dispatch_free(struct dispatch *d)
{
	free(d);
}
