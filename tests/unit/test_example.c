/*
 * The example of libpdvault's contract (include/pdvault/pdvault.h): what a backend service
 * writes to create a subject, read it, find it, and erase it, waiting and with callbacks.
 * Here it runs against a small server inside the test; a service would name its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "fake_vault.h"
#include "pdvault/pdvault.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "pki.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

/* --- the example --- */

/* Create a subject with a name and an email; on PDV_OK its id is in ${id}. */
static enum pdv_code
sign_up(struct pdv_client *vault, const char *name, const char *email,
    struct pdv_subject_id *id)
{
	const struct pdv_name full = {.full = name};
	const struct pdv_identity identity = {
	    .name = &full, .emails = &email, .email_count = 1};
	const struct pdv_new_subject subject = {.identity = &identity};
	const struct pdv_call_options options = {.purpose = "sign-up", .deadline_ms = 5000};
	struct pdv_result *result;
	enum pdv_code code;

	code = pdv_create_subject(vault, &subject, &options, &result);
	if (code == PDV_OK)
		*id = *pdv_result_subject(result);
	else
		fprintf(stderr, "sign-up: %s %s\n", pdv_code_name(code),
		    pdv_result_reason(result));
	pdv_result_free(result); /* wipes */
	return code;
}

/* Whom a letter goes to: ${use} sees the identity while the result lives. */
static enum pdv_code
with_identity(struct pdv_client *vault, const struct pdv_subject_id *id,
    void (*use)(const struct pdv_identity *))
{
	const struct pdv_call_options options = {.purpose = "mailing"};
	struct pdv_result *result;
	enum pdv_code code;

	code = pdv_get_identity(vault, id, &options, &result);
	if (code == PDV_OK)
		use(pdv_result_identity(result));
	pdv_result_free(result);
	return code;
}

/* Erase a subject; the outcome of a lost request is learnt with the same key. */
static enum pdv_code
close_account(struct pdv_client *vault, const struct pdv_subject_id *id)
{
	const struct pdv_erase everything = {.subject = *id};
	struct pdv_call_options options = {.purpose = "account-closed"};
	uint8_t key[PDV_KEY_LEN];
	struct pdv_result *result;
	enum pdv_code code;
	int tries;

	pdv_idempotency_key(key);
	options.idempotency_key = key;
	for (tries = 0;; tries++) {
		code = pdv_erase_subject(vault, &everything, &options, &result);
		if (tries == 3 || strcmp(pdv_result_reason(result), PDV_REASON_INDETERMINATE) != 0)
			break;
		pdv_result_free(result);
	}
	pdv_result_free(result);
	return code;
}

/* A look-up that does not wait: the callback runs on a thread of the library. */
struct found {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done;
	enum pdv_code code;
	struct pdv_subject_id id;
};

static void
on_found(struct pdv_result *result, void *arg)
{
	struct found *f = arg;
	const struct pdv_subject_id *list;
	size_t count;

	pthread_mutex_lock(&f->lock);
	f->code = pdv_result_code(result);
	if ((list = pdv_result_subjects(result, &count)) != NULL)
		f->id = list[0];
	f->done = 1;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pdv_result_free(result);
}

static enum pdv_code
find_by_email(struct pdv_client *vault, const char *email, struct pdv_subject_id *id)
{
	struct found f = {.done = 0};
	const struct pdv_lookup lookup = {.by = PDV_BY_EMAIL, .value = email};
	enum pdv_code code;

	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.changed, NULL);
	code = pdv_find_subject_async(vault, &lookup, NULL, on_found, &f);
	if (code == PDV_OK) {
		pthread_mutex_lock(&f.lock);
		while (!f.done)
			pthread_cond_wait(&f.changed, &f.lock);
		pthread_mutex_unlock(&f.lock);
		code = f.code;
		*id = f.id;
	}
	pthread_cond_destroy(&f.changed);
	pthread_mutex_destroy(&f.lock);
	return code;
}

/* --- a vault with room for one --- */

struct room {
	pthread_mutex_t lock;
	char name[64], email[64];
	int state; /* 0: free, 1: taken, 2: erased */
};

static uint8_t the_id[PDV_ID_LEN] = {0, 1, 'e', 'x', 'a', 'm', 'p', 'l', 'e'};
static uint8_t the_erasure[PDV_ID_LEN] = {'e', 'r', 'a'};

static void
create(struct room *room, const ProtobufCBinaryData *in, struct fake_reply *out)
{
	Pdvault__V1__CreateSubjectResponse m = PDVAULT__V1__CREATE_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CreateSubjectRequest *q;

	q = pdvault__v1__create_subject_request__unpack(NULL, in->len, in->data);
	assert_non_null(q);
	snprintf(room->name, sizeof(room->name), "%s", q->identity->name->full);
	snprintf(room->email, sizeof(room->email), "%s", q->identity->emails[0]);
	room->state = 1;
	pdvault__v1__create_subject_request__free_unpacked(q, NULL);
	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, the_id};
	fake_message(out, &m.base);
}

static void
get_identity(struct room *room, struct fake_reply *out)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__Identity id = PDVAULT__V1__IDENTITY__INIT;
	Pdvault__V1__Name name = PDVAULT__V1__NAME__INIT;
	char *emails[1] = {room->email};

	if (room->state == 2) {
		out->response.code = PDV_FAILED_PRECONDITION;
		out->response.reason = (char *)(uintptr_t)"SUBJECT_ERASED";
		return;
	}
	name.full = room->name;
	id.name = &name;
	id.emails = emails;
	id.n_emails = 1;
	m.identity = &id;
	fake_message(out, &m.base);
}

static void
find(struct room *room, struct fake_reply *out)
{
	Pdvault__V1__FindSubjectResponse m = PDVAULT__V1__FIND_SUBJECT_RESPONSE__INIT;
	ProtobufCBinaryData one = {PDV_ID_LEN, the_id};

	if (room->state != 1) {
		out->response.code = PDV_NOT_FOUND;
		return;
	}
	m.subjects = &one;
	m.n_subjects = 1;
	fake_message(out, &m.base);
}

static void
erase(struct room *room, struct fake_reply *out)
{
	Pdvault__V1__EraseSubjectResponse m = PDVAULT__V1__ERASE_SUBJECT_RESPONSE__INIT;

	room->state = 2;
	m.erasure = (ProtobufCBinaryData){PDV_ID_LEN, the_erasure};
	m.state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	fake_message(out, &m.base);
}

static void
serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	struct room *room = arg;

	pthread_mutex_lock(&room->lock);
	if (strcmp(q->method, "/pdvault.v1.Vault/CreateSubject") == 0)
		create(room, &q->message, out);
	else if (strcmp(q->method, "/pdvault.v1.Vault/GetIdentity") == 0)
		get_identity(room, out);
	else if (strcmp(q->method, "/pdvault.v1.Vault/FindSubject") == 0)
		find(room, out);
	else if (strcmp(q->method, "/pdvault.v1.Rights/EraseSubject") == 0)
		erase(room, out);
	else
		out->response.code = PDV_UNIMPLEMENTED;
	pthread_mutex_unlock(&room->lock);
}

/* --- both together --- */

static int uses;

static void
print_label(const struct pdv_identity *identity)
{
	assert_string_equal(identity->name->full, "Ada Example");
	assert_int_equal(identity->email_count, 1);
	assert_string_equal(identity->emails[0], "ada@example.org");
	assert_null(identity->locale);
	uses++;
}

static void
test_example(void **state)
{
	struct room room = {.state = 0};
	struct pki *pki = pki_new();
	struct pdv_client_options options = {.server_count = 1};
	struct pdv_subject_id id, again;
	struct pdv_client *vault;
	char why[PDV_WHY_LEN];
	struct fake *server;
	const char *url;

	(void)state;
	pthread_mutex_init(&room.lock, NULL);
	server = fake_new(pki, 0, serve, &room);
	url = fake_url(server);
	options.servers = &url;
	options.ca = pki_path(pki, "ca.pem");
	options.cert = pki_path(pki, "client.pem");
	options.key = pki_path(pki, "client.key");
	assert_int_equal(pdv_client_new(&options, &vault, why), PDV_OK);

	assert_int_equal(sign_up(vault, "Ada Example", "ada@example.org", &id), PDV_OK);
	assert_int_equal(with_identity(vault, &id, print_label), PDV_OK);
	assert_int_equal(uses, 1);
	assert_int_equal(find_by_email(vault, "ada@example.org", &again), PDV_OK);
	assert_memory_equal(&again, &id, sizeof(id));
	assert_int_equal(close_account(vault, &id), PDV_OK);
	assert_int_equal(with_identity(vault, &id, print_label), PDV_FAILED_PRECONDITION);
	assert_int_equal(find_by_email(vault, "ada@example.org", &again), PDV_NOT_FOUND);

	pdv_client_free(vault);
	fake_free(server);
	pthread_mutex_destroy(&room.lock);
	pki_free(pki);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
