#include "vault_bed.h"

#include <dirent.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/keys/seal.h"
#include "server/methods.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool initialised;

static void
initialise(void)
{
	if (initialised)
		return;
	must(seal_init() == STATUS_OK);
	must(secret_init(SECRET_DEFAULT) == STATUS_OK);
	initialised = true;
}

static void
name(char *out, size_t cap, const char *dir, const char *file)
{
	int n = snprintf(out, cap, "%s/%s", dir, file);

	must(n > 0 && (size_t)n < cap);
}

void
vault_bed_new(struct vault_bed *b)
{
	initialise();
	memset(b, 0, sizeof(*b));
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/pdvault-test-XXXXXX");
	must(mkdtemp(b->dir) != NULL);
	name(b->store, sizeof(b->store), b->dir, "store");
	name(b->anchor, sizeof(b->anchor), b->dir, "anchor");
	name(b->key, sizeof(b->key), b->dir, "seal.key");
	b->options = (struct vault_options){ .store_path = b->store, .anchor_path = b->anchor,
		.key_path = b->key, .number = 7, .map_bytes = 1u << 30, .reserve_bytes = 1u << 20,
		.country_code = 49, .force_class_d = true };
	must(vault_init(&b->options) == STATUS_OK);
	must(vault_bed_start(b) == STATUS_OK);
}

enum status
vault_bed_start(struct vault_bed *b)
{
	enum status rc = vault_open(&b->options, &b->vault);

	return rc == STATUS_OK ? writer_start(b->vault, &b->writer) : rc;
}

void
vault_bed_stop(struct vault_bed *b)
{
	writer_stop(b->writer);
	vault_close(b->vault);
	b->writer = NULL;
	b->vault = NULL;
}

void
vault_bed_restart(struct vault_bed *b)
{
	vault_bed_stop(b);
	must(vault_bed_start(b) == STATUS_OK);
}

static void
remove_tree(const char *dir)
{
	char path[512];
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		name(path, sizeof(path), dir, e->d_name);
		if (unlink(path) != 0)
			remove_tree(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
}

void
vault_bed_free(struct vault_bed *b)
{
	vault_bed_stop(b);
	remove_tree(b->dir);
}

static const struct method *
method_of(const char *wanted)
{
	unsigned count;
	const struct method *m = methods_table(&count);
	char path[128];
	const char *dot = strchr(wanted, '.');

	must(dot != NULL);
	(void)snprintf(path, sizeof(path), "/pdvault.v1.%.*s/%s", (int)(dot - wanted), wanted, dot + 1);
	while (count-- > 0)
		if (strcmp(m[count].name, path) == 0)
			return &m[count];
	must(0);
	return NULL;
}

static void
prepare(struct vault_bed *b, const char *method, const void *request, const uint8_t *key,
    struct vault_call *v)
{
	const ProtobufCMessage *m = request;
	uint8_t *packed;

	memset(v, 0, sizeof(*v));
	v->bed = b;
	v->call.method = method_of(method);
	v->call.principal = "test";
	must((v->call.arena = arena_new()) != NULL);
	must((packed = malloc(protobuf_c_message_get_packed_size(m) + 1)) != NULL);
	v->packed = bytes_of(packed, protobuf_c_message_pack(m, packed));
	v->call.message = v->packed;
	v->call.request = protobuf_c_message_unpack(v->call.method->request,
	    arena_allocator(v->call.arena), v->packed.len, v->packed.p);
	must(v->call.request != NULL);
	if (key != NULL)
		memcpy(v->call.idempotency_key, key, CALL_KEY_LEN);
	else
		randombytes_buf(v->call.idempotency_key, CALL_KEY_LEN);
	v->call.arrived_ns = clock_monotonic_ns();
	v->call.deadline_ns = v->call.arrived_ns + 60000000000u;
	v->rc = v->call.method->validate != NULL ? v->call.method->validate(&v->call) : STATUS_OK;
}

static enum status
apply(struct write_job *job, struct writeset *ws)
{
	struct vault_call *v = (struct vault_call *)(void *)((uint8_t *)job -
	    offsetof(struct vault_call, job));

	return v->call.method->write(v->bed->vault, &v->call, ws);
}

static void
done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct vault_call *v = (struct vault_call *)(void *)((uint8_t *)job -
	    offsetof(struct vault_call, job));

	must(pthread_mutex_lock(&lock) == 0);
	v->rc = rc;
	v->epoch = epoch;
	v->finished = true;
	must(pthread_cond_broadcast(&wake) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
}

static void
submit(struct vault_bed *b, struct vault_call *v)
{
	enum status rc;

	v->job = (struct write_job){ .apply = apply, .done = done,
		.deadline_ns = v->call.deadline_ns, .erasure = v->call.method->erasure };
	/* Once it is taken, its fields belong to the writer's thread. */
	if ((rc = writer_submit(b->writer, &v->job)) == STATUS_OK)
		return;
	v->rc = rc;
	v->finished = true;
}

enum status
vault_bed_wait(struct vault_call *v)
{
	must(pthread_mutex_lock(&lock) == 0);
	while (!v->finished)
		must(pthread_cond_wait(&wake, &lock) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	return v->rc;
}

void
vault_bed_submit(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *v)
{
	prepare(b, method, request, NULL, v);
	if (v->rc == STATUS_OK)
		submit(b, v);
	else
		v->finished = true;
}

enum status
vault_bed_call_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *v)
{
	prepare(b, method, request, key, v);
	if (v->rc != STATUS_OK)
		return v->rc;
	if (v->call.method->room != METHOD_WRITER)
		return v->rc = v->call.method->read(b->vault, &v->call);
	submit(b, v);
	return vault_bed_wait(v);
}

enum status
vault_bed_call(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *v)
{
	uint8_t key[16];

	randombytes_buf(key, sizeof(key));
	return vault_bed_call_again(b, method, request, key, v);
}

void
vault_bed_done(struct vault_call *v)
{
	arena_free(v->call.arena);
	free((void *)(uintptr_t)v->packed.p);
}

enum status
vault_bed_create(struct vault_bed *b, unsigned n, uint8_t id[static 16])
{
	Pdvault__V1__CreateSubjectRequest q = PDVAULT__V1__CREATE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__Identity person = PDVAULT__V1__IDENTITY__INIT;
	Pdvault__V1__Name full = PDVAULT__V1__NAME__INIT;
	char text[4][64], *email = text[0], *phone = text[1], *account = text[2];
	struct vault_call c;
	enum status rc;

	(void)snprintf(text[0], 64, "Person.%u@Example.org", n);
	(void)snprintf(text[1], 64, "+49 (30) %07u", n);
	(void)snprintf(text[2], 64, "account-%u", n);
	(void)snprintf(text[3], 64, "Person Number %u", n);
	full.full = text[3];
	person.name = &full;
	person.n_emails = person.n_phones = person.n_account_ids = 1;
	person.emails = &email;
	person.phones = &phone;
	person.account_ids = &account;
	q.identity = &person;
	rc = vault_bed_call(b, "Vault.CreateSubject", &q, &c);
	if (rc == STATUS_OK)
		memcpy(id, ((const Pdvault__V1__CreateSubjectResponse *)(const void *)
		    c.call.response)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

enum status
vault_bed_find_email(struct vault_bed *b, unsigned n, uint8_t id[static 16])
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	char email[64];
	struct vault_call c;
	enum status rc;

	(void)snprintf(email, sizeof(email), "  person.%u@EXAMPLE.org ", n);
	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_EMAIL;
	q.email = email;
	rc = vault_bed_call(b, "Vault.FindSubject", &q, &c);
	if (rc == STATUS_OK)
		memcpy(id, ((const Pdvault__V1__FindSubjectResponse *)(const void *)
		    c.call.response)->subjects[0].data, 16);
	vault_bed_done(&c);
	return rc;
}

enum status
vault_bed_erase(struct vault_bed *b, const uint8_t id[static 16])
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.subject = (ProtobufCBinaryData){ 16, (uint8_t *)(uintptr_t)id };
	rc = vault_bed_call(b, "Rights.EraseSubject", &q, &c);
	vault_bed_done(&c);
	return rc;
}

enum status
vault_bed_get(struct vault_bed *b, const uint8_t id[static 16])
{
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.subject = (ProtobufCBinaryData){ 16, (uint8_t *)(uintptr_t)id };
	rc = vault_bed_call(b, "Vault.GetIdentity", &q, &c);
	vault_bed_done(&c);
	return rc;
}
