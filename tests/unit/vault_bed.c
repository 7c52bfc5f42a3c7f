#include "vault_bed.h"

#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/keys/seal.h"
#include "server/methods.h"
#include "server/store/signer.h"

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

void
vault_bed_make(struct vault_bed *b, uint64_t map_bytes, uint64_t reserve_bytes)
{
	initialise();
	memset(b, 0, sizeof(*b));
	scratch_make(b->dir);
	(void)snprintf(b->store, sizeof(b->store), "%s/store", b->dir);
	(void)snprintf(b->anchor, sizeof(b->anchor), "%s/anchor", b->dir);
	(void)snprintf(b->key, sizeof(b->key), "%s/seal.key", b->dir);
	b->options = (struct vault_options){ .store_path = b->store,
		.anchor = { { b->anchor }, 1 },
		.seal = { { .name = "file", .kind = "file", .path = b->key } },
		.seal_count = 1,
		.number = 7,
		.map_bytes = map_bytes,
		.reserve_bytes = reserve_bytes,
		.country_code = 49,
		.force_class_d = true };
	must(vault_init(&b->options) == STATUS_OK);
}

void
vault_bed_new(struct vault_bed *b)
{
	vault_bed_make(b, 1u << 30, 1u << 20);
	must(vault_bed_start(b) == STATUS_OK);
}

enum status
vault_bed_start(struct vault_bed *b)
{
	enum status rc;

	initialise();
	rc = vault_open(&b->options, &b->vault);
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

void
vault_bed_free(struct vault_bed *b)
{
	vault_bed_stop(b);
	scratch_remove(b->dir);
}

static const char *
part_path(const struct vault_bed *b, unsigned part)
{
	static char data[340];
	const char *const paths[] = { data, b->anchor, b->key };

	(void)snprintf(data, sizeof(data), "%s/data.mdb", b->store);
	return paths[part];
}

void
vault_bed_keep(struct vault_bed *b, struct vault_bed_copy *out)
{
	for (unsigned i = 0; i < 3; i++) {
		int fd = open(part_path(b, i), O_RDONLY | O_CLOEXEC);
		struct stat st;

		must(fd >= 0 && fstat(fd, &st) == 0);
		out->len[i] = (size_t)st.st_size;
		must((out->bytes[i] = malloc(out->len[i])) != NULL);
		must(read(fd, out->bytes[i], out->len[i]) == st.st_size);
		(void)close(fd);
	}
}

void
vault_bed_put_back(struct vault_bed *b, const struct vault_bed_copy *c, unsigned parts)
{
	for (unsigned i = 0; i < 3; i++) {
		int fd;

		if ((parts & (1u << i)) == 0)
			continue;
		/* In place: an anchor is a file of one length and one name. */
		must((fd = open(part_path(b, i), O_WRONLY | O_CLOEXEC)) >= 0);
		must(ftruncate(fd, (off_t)c->len[i]) == 0);
		must(write(fd, c->bytes[i], c->len[i]) == (ssize_t)c->len[i]);
		must(fsync(fd) == 0 && close(fd) == 0);
	}
}

void
vault_bed_forget(struct vault_bed_copy *c)
{
	for (unsigned i = 0; i < 3; i++)
		free(c->bytes[i]);
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

	v->call.response = NULL;
	v->call.violation_count = 0;
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

static const ProtobufCMessageDescriptor *
answer_of(const char *name)
{
	static const ProtobufCServiceDescriptor *const services[] = { &pdvault__v1__vault__descriptor,
		&pdvault__v1__rights__descriptor, &pdvault__v1__admin__descriptor,
		&pdvault__v1__backups__descriptor, &pdvault__v1__keys__descriptor,
		&pdvault__v1__health__descriptor };
	const ProtobufCMethodDescriptor *m = NULL;

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]) && m == NULL; i++)
		if (strncmp(name + 1, services[i]->name, strlen(services[i]->name)) == 0)
			m = protobuf_c_service_descriptor_get_method_by_name(services[i],
			    strrchr(name, '/') + 1);
	must(m != NULL);
	return m->output;
}

/* As a client will see it: whatever type the handler used, the bytes are of the contract's. */
static enum status
received(struct vault_call *v)
{
	uint8_t *packed;
	size_t len;

	if (v->rc != STATUS_OK || v->call.response == NULL || v->answer != NULL)
		return v->rc;
	must((v->answer = arena_new()) != NULL);
	len = protobuf_c_message_get_packed_size(v->call.response);
	must((packed = malloc(len + 1)) != NULL);
	must(protobuf_c_message_pack(v->call.response, packed) == len);
	v->call.response = protobuf_c_message_unpack(answer_of(v->call.method->name),
	    arena_allocator(v->answer), len, packed);
	must(v->call.response != NULL);
	free(packed);
	return v->rc;
}

enum status
vault_bed_wait(struct vault_call *v)
{
	must(pthread_mutex_lock(&lock) == 0);
	while (!v->finished)
		must(pthread_cond_wait(&wake, &lock) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	return received(v);
}

void
vault_bed_submit_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *v)
{
	prepare(b, method, request, key, v);
	if (v->rc == STATUS_OK)
		submit(b, v);
	else
		v->finished = true;
}

void
vault_bed_submit(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *v)
{
	vault_bed_submit_again(b, method, request, NULL, v);
}

enum status
vault_bed_call_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *v)
{
	prepare(b, method, request, key, v);
	if (v->rc != STATUS_OK)
		return v->rc;
	if (v->call.method->room != METHOD_WRITER) {
		v->rc = v->call.method->read(b->vault, &v->call);
		/* As server/rpc does: what is not there yet is for the writer to make. */
		if (v->rc != STATUS_NO_RECORD || v->call.method->write == NULL)
			return received(v);
	}
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

enum status
vault_bed_status(struct vault_bed *b, const char *method, const void *request)
{
	struct vault_call c;
	enum status rc = vault_bed_call(b, method, request, &c);

	vault_bed_done(&c);
	return rc;
}

void
vault_bed_done(struct vault_call *v)
{
	arena_free(v->call.arena);
	arena_free(v->answer);
	free((void *)(uintptr_t)v->packed.p);
}

void
vault_bed_person(unsigned n, struct vault_bed_person *p)
{
	p->request = (Pdvault__V1__CreateSubjectRequest)PDVAULT__V1__CREATE_SUBJECT_REQUEST__INIT;
	p->identity = (Pdvault__V1__Identity)PDVAULT__V1__IDENTITY__INIT;
	p->name = (Pdvault__V1__Name)PDVAULT__V1__NAME__INIT;
	(void)snprintf(p->text[0], 64, "Person.%u@Example.org", n);
	(void)snprintf(p->text[1], 64, "+49 (30) %07u", n);
	(void)snprintf(p->text[2], 64, "account-%u", n);
	(void)snprintf(p->text[3], 64, "Person Number %u", n);
	p->email = p->text[0];
	p->phone = p->text[1];
	p->account = p->text[2];
	p->name.full = p->text[3];
	p->identity.name = &p->name;
	p->identity.n_emails = p->identity.n_phones = p->identity.n_account_ids = 1;
	p->identity.emails = &p->email;
	p->identity.phones = &p->phone;
	p->identity.account_ids = &p->account;
	p->request.identity = &p->identity;
}

enum status
vault_bed_create(struct vault_bed *b, unsigned n, uint8_t id[static 16])
{
	struct vault_bed_person p;
	struct vault_call c;
	enum status rc;

	vault_bed_person(n, &p);
	rc = vault_bed_call(b, "Vault.CreateSubject", &p.request, &c);
	if (rc == STATUS_OK)
		memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

enum status
vault_bed_find(struct vault_bed *b, const char *email, uint8_t id[static 16])
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_EMAIL;
	q.email = VAULT_BED_TEXT(email);
	rc = vault_bed_call(b, "Vault.FindSubject", &q, &c);
	if (rc == STATUS_OK)
		memcpy(id, VAULT_BED_ANSWER(FindSubjectResponse, &c)->subjects[0].data, 16);
	vault_bed_done(&c);
	return rc;
}

enum status
vault_bed_find_email(struct vault_bed *b, unsigned n, uint8_t id[static 16])
{
	char email[64];

	(void)snprintf(email, sizeof(email), "  person.%u@EXAMPLE.org ", n);
	return vault_bed_find(b, email, id);
}

enum status
vault_bed_change_email(struct vault_bed *b, unsigned n, const uint8_t id[static 16])
{
	Pdvault__V1__UpdateIdentityRequest q = PDVAULT__V1__UPDATE_IDENTITY_REQUEST__INIT;
	Pdvault__V1__Identity person = PDVAULT__V1__IDENTITY__INIT;
	char email[64], *emails = email;

	(void)snprintf(email, sizeof(email), "changed.%u@example.org", n);
	person.n_emails = 1;
	person.emails = &emails;
	q.subject = VAULT_BED_ID(id);
	q.identity = &person;
	return vault_bed_status(b, "Vault.UpdateIdentity", &q);
}

enum status
vault_bed_erase(struct vault_bed *b, const uint8_t id[static 16])
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;

	q.subject = VAULT_BED_ID(id);
	return vault_bed_status(b, "Rights.EraseSubject", &q);
}

enum status
vault_bed_get(struct vault_bed *b, const uint8_t id[static 16])
{
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;

	q.subject = VAULT_BED_ID(id);
	return vault_bed_status(b, "Vault.GetIdentity", &q);
}

static enum status
turn_apply(struct write_job *job, struct writeset *ws)
{
	(void)job;
	return signer_rotate(ws);
}

struct turn {
	struct write_job job;
	bool finished;
	enum status rc;
};

static void
turn_done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct turn *t = (struct turn *)(void *)job;

	(void)epoch;
	must(pthread_mutex_lock(&lock) == 0);
	t->rc = rc;
	t->finished = true;
	must(pthread_cond_broadcast(&wake) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
}

void
vault_bed_turn(struct vault_bed *b)
{
	struct turn t = { .job = { .apply = turn_apply, .done = turn_done, .deadline_ns = UINT64_MAX } };

	must(writer_submit(b->writer, &t.job) == STATUS_OK);
	must(pthread_mutex_lock(&lock) == 0);
	while (!t.finished)
		must(pthread_cond_wait(&wake, &lock) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	must(t.rc == STATUS_OK);
}
