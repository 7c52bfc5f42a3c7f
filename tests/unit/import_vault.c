#include "import_vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pdvault/code.h"
#include "pdvault/v1/vault.pb-c.h"

enum { DELAY_NS = 300000 };

struct import_vault import_vault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
fail_with(struct fake_reply *out, uint32_t code, const char *reason)
{
	out->response.code = code;
	out->response.reason = (char *)(uintptr_t)reason;
}

/* Ids of the fake: fifteen zeros and the index. Short: at most 65536 subjects. */
static void
id_of(size_t i, uint8_t out[static 16])
{
	memset(out, 0, 16);
	out[14] = (uint8_t)(i >> 8);
	out[15] = (uint8_t)i;
}

static struct import_held *
by_id(const ProtobufCBinaryData *id)
{
	size_t i = id->len == 16 ? (size_t)id->data[14] << 8 | id->data[15] : IMPORT_VAULT_SUBJECTS;

	return i < import_vault.n ? &import_vault.subjects[i] : NULL;
}

static size_t
by_account(const char *account)
{
	size_t i;

	for (i = 0; i < import_vault.n && strcmp(import_vault.subjects[i].account, account) != 0; i++)
		continue;
	return i;
}

/* Whether somebody holds the first email of ${identity}. */
static bool
email_taken(const Pdvault__V1__Identity *identity)
{
	Pdvault__V1__Identity *held;
	bool taken = false;
	size_t i;

	for (i = 0; identity->n_emails > 0 && i < import_vault.n && !taken; i++) {
		held = pdvault__v1__identity__unpack(NULL, import_vault.subjects[i].identity_len,
		    import_vault.subjects[i].identity);
		taken = held->n_emails > 0 && strcmp(held->emails[0], identity->emails[0]) == 0;
		pdvault__v1__identity__free_unpacked(held, NULL);
	}
	return taken;
}

static void
keep_identity(struct import_held *h, const Pdvault__V1__Identity *identity)
{
	h->identity_len = pdvault__v1__identity__get_packed_size(identity);
	assert_true(h->identity_len <= sizeof(h->identity));
	(void)pdvault__v1__identity__pack(identity, h->identity);
	if (identity->n_account_ids > 0)
		(void)snprintf(h->account, sizeof(h->account), "%s", identity->account_ids[0]);
}

static void
keep_billing(struct import_held *h, const Pdvault__V1__Billing *billing)
{
	h->billing_len = pdvault__v1__billing__get_packed_size(billing);
	assert_true(h->billing_len <= sizeof(h->billing));
	(void)pdvault__v1__billing__pack(billing, h->billing);
}

static void
find(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__FindSubjectResponse r;
	Pdvault__V1__FindSubjectRequest *m = pdvault__v1__find_subject_request__unpack(NULL,
	    q->message.len, q->message.data);
	uint8_t id[16];
	ProtobufCBinaryData one = {sizeof(id), id};
	size_t i = by_account(m->account_id);

	pdvault__v1__find_subject_response__init(&r);
	if (i == import_vault.n) {
		fail_with(out, PDV_NOT_FOUND, "LOOKUP_NOT_FOUND");
	} else {
		id_of(i, id);
		r.n_subjects = 1;
		r.subjects = &one;
		fake_message(out, &r.base);
	}
	pdvault__v1__find_subject_request__free_unpacked(m, NULL);
}

static void
create(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__CreateSubjectResponse r;
	Pdvault__V1__CreateSubjectRequest *m = pdvault__v1__create_subject_request__unpack(NULL,
	    q->message.len, q->message.data);
	struct import_held *h = &import_vault.subjects[import_vault.n];
	uint8_t id[16];

	pdvault__v1__create_subject_response__init(&r);
	assert_true(import_vault.n < IMPORT_VAULT_SUBJECTS);
	if (by_account(m->identity->account_ids[0]) < import_vault.n || email_taken(m->identity)) {
		fail_with(out, PDV_ALREADY_EXISTS, "LOOKUP_TAKEN");
	} else {
		keep_identity(h, m->identity);
		if (m->billing != NULL)
			keep_billing(h, m->billing);
		h->etag = 1;
		id_of(import_vault.n++, id);
		r.subject = (ProtobufCBinaryData){sizeof(id), id};
		fake_message(out, &r.base);
	}
	pdvault__v1__create_subject_request__free_unpacked(m, NULL);
}

static void
get_identity(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__GetIdentityResponse r;
	Pdvault__V1__GetIdentityRequest *m = pdvault__v1__get_identity_request__unpack(NULL,
	    q->message.len, q->message.data);
	const struct import_held *h = by_id(&m->subject);
	char etag[16];

	pdvault__v1__get_identity_response__init(&r);
	(void)snprintf(etag, sizeof(etag), "%u", h->etag);
	r.identity = pdvault__v1__identity__unpack(NULL, h->identity_len, h->identity);
	r.etag = etag;
	fake_message(out, &r.base);
	pdvault__v1__identity__free_unpacked(r.identity, NULL);
	pdvault__v1__get_identity_request__free_unpacked(m, NULL);
}

static void
get_billing(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__GetBillingResponse r;
	Pdvault__V1__GetBillingRequest *m = pdvault__v1__get_billing_request__unpack(NULL,
	    q->message.len, q->message.data);
	const struct import_held *h = by_id(&m->subject);
	char etag[16];

	pdvault__v1__get_billing_response__init(&r);
	(void)snprintf(etag, sizeof(etag), "%u", h->etag);
	r.billing = pdvault__v1__billing__unpack(NULL, h->billing_len, h->billing);
	r.etag = etag;
	if (h->billing_len > 0)
		fake_message(out, &r.base);
	else
		fail_with(out, PDV_NOT_FOUND, "RECORD_NOT_FOUND");
	pdvault__v1__billing__free_unpacked(r.billing, NULL);
	pdvault__v1__get_billing_request__free_unpacked(m, NULL);
}

/* Takes over the masked emails and name: all that these tests change. */
static void
update_identity(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__UpdateIdentityResponse r;
	Pdvault__V1__UpdateIdentityRequest *m = pdvault__v1__update_identity_request__unpack(NULL,
	    q->message.len, q->message.data);
	struct import_held *h = by_id(&m->subject);
	Pdvault__V1__Identity *old, merged;
	char etag[16];
	size_t i;

	pdvault__v1__update_identity_response__init(&r);
	(void)snprintf(etag, sizeof(etag), "%u", h->etag);
	if (m->etag[0] != '\0' && strcmp(m->etag, etag) != 0) {
		fail_with(out, PDV_ABORTED, "ETAG_MISMATCH");
	} else {
		old = pdvault__v1__identity__unpack(NULL, h->identity_len, h->identity);
		merged = *old;
		for (i = 0; i < m->update_mask->n_paths; i++) {
			if (strcmp(m->update_mask->paths[i], "name") == 0)
				merged.name = m->identity->name;
			if (strcmp(m->update_mask->paths[i], "emails") == 0) {
				merged.emails = m->identity->emails;
				merged.n_emails = m->identity->n_emails;
			}
		}
		keep_identity(h, &merged);
		pdvault__v1__identity__free_unpacked(old, NULL);
		(void)snprintf(etag, sizeof(etag), "%u", ++h->etag);
		r.etag = etag;
		fake_message(out, &r.base);
	}
	pdvault__v1__update_identity_request__free_unpacked(m, NULL);
}

static void
update_billing(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__UpdateBillingResponse r;
	Pdvault__V1__UpdateBillingRequest *m = pdvault__v1__update_billing_request__unpack(NULL,
	    q->message.len, q->message.data);
	struct import_held *h = by_id(&m->subject);
	char etag[16];

	pdvault__v1__update_billing_response__init(&r);
	keep_billing(h, m->billing);
	(void)snprintf(etag, sizeof(etag), "%u", ++h->etag);
	r.etag = etag;
	fake_message(out, &r.base);
	pdvault__v1__update_billing_request__free_unpacked(m, NULL);
}

/* All or none, as the real one: an id that ends in '!' breaks a rule. */
static void
append(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	static Pdvault__Rpc__V1__Violation broken, *list = &broken;
	static char field[64];
	Pdvault__V1__AppendTransactionsResponse r;
	Pdvault__V1__AppendTransactionsRequest *m = pdvault__v1__append_transactions_request__unpack(
	    NULL, q->message.len, q->message.data);
	size_t i, k;
	char line[64];

	pdvault__v1__append_transactions_response__init(&r);
	for (i = 0; i < m->n_transactions; i++) {
		if (m->transactions[i]->id[strlen(m->transactions[i]->id) - 1] != '!')
			continue;
		(void)snprintf(field, sizeof(field), "transactions[%zu].id", i);
		pdvault__rpc__v1__violation__init(&broken);
		broken.field = field;
		broken.rule = (char *)(uintptr_t)"BLANK";
		out->response.n_violations = 1;
		out->response.violations = &list;
		fail_with(out, PDV_INVALID_ARGUMENT, "INVALID_ARGUMENT");
		goto out;
	}
	for (i = 0; i < m->n_transactions; i++) {
		(void)snprintf(line, sizeof(line), "%d/%s/%lld", m->subject.data[15],
		    m->transactions[i]->id, (long long)m->transactions[i]->amount_minor);
		for (k = 0; k < import_vault.transactions_n &&
		    strcmp(import_vault.transactions[k], line) != 0; k++)
			continue;
		if (k < import_vault.transactions_n) {
			r.unchanged++;
			continue;
		}
		assert_true(import_vault.transactions_n < IMPORT_VAULT_TRANSACTIONS);
		memcpy(import_vault.transactions[import_vault.transactions_n++], line, sizeof(line));
		r.appended++;
	}
	fake_message(out, &r.base);
out:
	pdvault__v1__append_transactions_request__free_unpacked(m, NULL);
}

static const struct {
	const char *method;
	void (*run)(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);
	bool mutates;
} methods[] = {
	{"FindSubject", find, false},
	{"CreateSubject", create, true},
	{"GetIdentity", get_identity, false},
	{"GetBilling", get_billing, false},
	{"UpdateIdentity", update_identity, true},
	{"UpdateBilling", update_billing, true},
	{"AppendTransactions", append, true},
};

/* Counts one call against the trouble; true: this one fails. */
static bool
troubled(const char *method)
{
	struct import_trouble *t = &import_vault.trouble;

	if (t->method == NULL || strcmp(t->method, method) != 0)
		return false;
	if (t->after > 0) {
		t->after--;
		return false;
	}
	if (t->times == 0)
		return false;
	t->times--;
	return true;
}

/* Messages of calls for one subject begin with its id: two at once would be a race. */
static struct import_held *
begin(const Pdvault__Rpc__V1__Request *q)
{
	ProtobufCBinaryData id = {16, q->message.data + 2};
	struct import_held *h = q->message.len >= 18 && q->message.data[0] == 0x0a &&
	    q->message.data[1] == 16 ? by_id(&id) : NULL;

	if (h == NULL)
		return NULL;
	import_vault.overlapped |= h->busy;
	h->busy = true;
	return h;
}

void
import_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	const struct timespec delay = {0, DELAY_NS};
	const char *method = strrchr(q->method, '/') + 1;
	struct import_held *h;
	size_t i;
	bool bad;

	(void)arg;
	(void)pthread_mutex_lock(&import_vault.lock);
	h = begin(q);
	(void)pthread_mutex_unlock(&import_vault.lock);
	(void)nanosleep(&delay, NULL);
	(void)pthread_mutex_lock(&import_vault.lock);
	bad = troubled(method);
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].method, method) != 0 || (bad && !import_vault.trouble.done))
			continue;
		import_vault.mutations += methods[i].mutates;
		methods[i].run(q, out);
	}
	if (bad) {
		fake_bytes(out, "", 0);
		fail_with(out, import_vault.trouble.code, import_vault.trouble.reason);
		if (import_vault.trouble.silent)
			out->kind = FAKE_SILENT;
	}
	if (h != NULL)
		h->busy = false;
	(void)pthread_mutex_unlock(&import_vault.lock);
}

void
import_vault_empty(void)
{
	memset(import_vault.subjects, 0, sizeof(import_vault.subjects));
	import_vault.n = import_vault.transactions_n = import_vault.mutations = 0;
	import_vault.overlapped = false;
	import_vault.trouble = (struct import_trouble){.method = NULL};
}
