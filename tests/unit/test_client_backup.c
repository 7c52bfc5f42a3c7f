/* Backups in the client: every field of a request and of an answer, and what breaks the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "codec.h"
#include "pdvault/v1/backup.pb-c.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

static uint8_t bytes[512];

static ProtobufCBinaryData
some(size_t len)
{
	return (ProtobufCBinaryData){ len, bytes };
}

/* The request's message, unpacked, for protobuf_c_message_free_unpacked(). */
static void *
asked(enum method_id id, const void *request, const ProtobufCMessageDescriptor *type, const char *method,
    bool mutates)
{
	Pdvault__Rpc__V1__Request *e = codec_envelope(id, request, NULL);
	void *m;

	assert_string_equal(e->method, method);
	assert_int_equal(e->idempotency_key.len, mutates ? PDV_KEY_LEN : 0);
	m = protobuf_c_message_unpack(type, NULL, e->message.len, e->message.data);
	assert_non_null(m);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	return m;
}

#define ASKED(id, request, type, method, mutates) \
	asked(id, request, &pdvault__v1__##type##__descriptor, "/pdvault.v1.Backups/" method, mutates)

static void
requests_of_sessions(void **state)
{
	struct pdv_backup_begin begin = {.key_backup = NULL};
	struct pdv_backup_range range = {.table = "records"};
	struct pdv_backup_finish finish;
	Pdvault__V1__BeginBackupRequest *b;
	Pdvault__V1__ReadBackupRequest *q;
	Pdvault__V1__FinishBackupRequest *f;

	(void)state;
	b = ASKED(METHOD_BEGIN_BACKUP, &begin, begin_backup_request, "BeginBackup", false);
	assert_int_equal(b->key_backup.len, 0);
	pdvault__v1__begin_backup_request__free_unpacked(b, NULL);
	begin.key_backup = codec_other;
	b = ASKED(METHOD_BEGIN_BACKUP, &begin, begin_backup_request, "BeginBackup", false);
	assert_memory_equal(b->key_backup.data, codec_other, PDV_ID_LEN);
	pdvault__v1__begin_backup_request__free_unpacked(b, NULL);

	memcpy(range.session, codec_subject, PDV_ID_LEN);
	q = ASKED(METHOD_READ_BACKUP, &range, read_backup_request, "ReadBackup", false);
	assert_true(q->from.len == 0 && q->to.len == 0 && q->digest.len == 0);
	pdvault__v1__read_backup_request__free_unpacked(q, NULL);
	range.from = bytes;
	range.from_length = 3;
	range.to = bytes + 1;
	range.to_length = PDV_BACKUP_KEY_MAX;
	range.digest = bytes + 2;
	q = ASKED(METHOD_READ_BACKUP, &range, read_backup_request, "ReadBackup", false);
	assert_memory_equal(q->session.data, codec_subject, PDV_ID_LEN);
	assert_string_equal(q->table, "records");
	assert_true(q->from.len == 3 && q->to.len == PDV_BACKUP_KEY_MAX && q->digest.len == 32);
	assert_memory_equal(q->from.data, bytes, 3);
	assert_memory_equal(q->to.data, bytes + 1, PDV_BACKUP_KEY_MAX);
	assert_memory_equal(q->digest.data, bytes + 2, 32);
	pdvault__v1__read_backup_request__free_unpacked(q, NULL);

	memcpy(finish.session, codec_subject, PDV_ID_LEN);
	memcpy(finish.digest, bytes + 7, sizeof(finish.digest));
	f = ASKED(METHOD_FINISH_BACKUP, &finish, finish_backup_request, "FinishBackup", true);
	assert_memory_equal(f->session.data, codec_subject, PDV_ID_LEN);
	assert_memory_equal(f->digest.data, bytes + 7, 32);
	pdvault__v1__finish_backup_request__free_unpacked(f, NULL);
}

static void
requests_of_key_backups(void **state)
{
	const struct pdv_key_backup_new new = {.lifetime_seconds = 77};
	const struct pdv_key_backup_filter filter = {.outstanding = 2};
	struct pdv_key_backup_id id;
	Pdvault__V1__CreateKeyBackupRequest *c;
	Pdvault__V1__ListKeyBackupsRequest *l;
	Pdvault__V1__DestroyKeyBackupRequest *d;

	(void)state;
	c = ASKED(METHOD_CREATE_KEY_BACKUP, &new, create_key_backup_request, "CreateKeyBackup", true);
	assert_int_equal(c->lifetime_seconds, 77);
	pdvault__v1__create_key_backup_request__free_unpacked(c, NULL);
	l = ASKED(METHOD_LIST_KEY_BACKUPS, &filter, list_key_backups_request, "ListKeyBackups", false);
	assert_true(l->outstanding);
	pdvault__v1__list_key_backups_request__free_unpacked(l, NULL);
	memcpy(id.bytes, codec_other, PDV_ID_LEN);
	d = ASKED(METHOD_DESTROY_KEY_BACKUP, &id, destroy_key_backup_request, "DestroyKeyBackup", true);
	assert_memory_equal(d->backup.data, codec_other, PDV_ID_LEN);
	pdvault__v1__destroy_key_backup_request__free_unpacked(d, NULL);
}

static enum pdv_code
refused(const struct pdv_backup_range *range)
{
	const struct call_request q = {&method_table[METHOD_READ_BACKUP], range, NULL, 1000};
	struct pdv_result *r = NULL;
	struct call *call = NULL;
	enum pdv_code code = call_new(&q, &r, &call);

	if (code != PDV_OK)
		pdv_result_free(r);
	return code;
}

static void
requests_refused(void **state)
{
	struct pdv_backup_range range = {.table = NULL};

	(void)state;
	assert_int_equal(refused(&range), PDV_INVALID_ARGUMENT);
	range.table = "records";
	range.from_length = 1;
	assert_int_equal(refused(&range), PDV_INVALID_ARGUMENT);
	range.from = bytes;
	range.to = bytes;
	range.to_length = PDV_BACKUP_KEY_MAX + 1;
	assert_int_equal(refused(&range), PDV_INVALID_ARGUMENT);
}

static enum pdv_code
code_of(enum method_id id, const ProtobufCMessage *m)
{
	const struct method_asked one = {codec_subject, 1};
	struct pdv_result *r = codec_read(id, m, &one);
	enum pdv_code code = pdv_result_code(r);

	pdv_result_free(r);
	return code;
}

static void
answer_of_begin(void **state)
{
	Pdvault__V1__BeginBackupResponse m = PDVAULT__V1__BEGIN_BACKUP_RESPONSE__INIT;
	Pdvault__V1__BackupHead head = PDVAULT__V1__BACKUP_HEAD__INIT, *got;
	Pdvault__V1__BackupTable table = PDVAULT__V1__BACKUP_TABLE__INIT, *tables[] = {&table, &table};
	const struct pdv_backup *b;
	struct pdv_result *r;

	(void)state;
	table.name = codec_lend("records");
	table.rows = 5000000000;
	head.epoch = 17;
	m.session = some(PDV_ID_LEN);
	m.head = &head;
	m.tables = tables;
	m.n_tables = 2;
	r = codec_read(METHOD_BEGIN_BACKUP, &m.base, &codec_nothing);
	assert_non_null(b = pdv_result_backup(r));
	assert_memory_equal(b->session, bytes, PDV_ID_LEN);
	assert_int_equal(b->table_count, 2);
	assert_string_equal(b->tables[1].name, "records");
	assert_true(b->tables[1].rows == 5000000000);
	assert_null(b->sealed_root);
	assert_null(pdv_result_backup_rows(r));
	assert_non_null(got = pdvault__v1__backup_head__unpack(NULL, b->head_length, b->head));
	assert_true(got->epoch == 17);
	pdvault__v1__backup_head__free_unpacked(got, NULL);
	pdv_result_free(r);

	m.sealed_root = some(PDV_BACKUP_SEALED_LEN);
	r = codec_read(METHOD_BEGIN_BACKUP, &m.base, &codec_nothing);
	assert_memory_equal(pdv_result_backup(r)->sealed_root, bytes, PDV_BACKUP_SEALED_LEN);
	pdv_result_free(r);
	m.sealed_root.len--;
	assert_int_equal(code_of(METHOD_BEGIN_BACKUP, &m.base), PDV_DATA_LOSS);
	m.sealed_root.len = 0;
	table.name = codec_lend("");
	assert_int_equal(code_of(METHOD_BEGIN_BACKUP, &m.base), PDV_DATA_LOSS);
	table.name = codec_lend("records");
	m.head = NULL;
	assert_int_equal(code_of(METHOD_BEGIN_BACKUP, &m.base), PDV_DATA_LOSS);
	m.head = &head;
	m.session.len--;
	assert_int_equal(code_of(METHOD_BEGIN_BACKUP, &m.base), PDV_DATA_LOSS);
}

static void
answer_of_read(void **state)
{
	Pdvault__V1__ReadBackupResponse m = PDVAULT__V1__READ_BACKUP_RESPONSE__INIT;
	const struct pdv_backup_rows *b;
	uint8_t *many = malloc(PDV_BACKUP_ROWS_MAX + 1);
	struct pdv_result *r;

	(void)state;
	assert_non_null(many);
	memset(many, 0x77, PDV_BACKUP_ROWS_MAX + 1);
	m.rows = (ProtobufCBinaryData){ PDV_BACKUP_ROWS_MAX, many };
	m.next = some(PDV_BACKUP_KEY_MAX);
	r = codec_read(METHOD_READ_BACKUP, &m.base, &codec_nothing);
	assert_non_null(b = pdv_result_backup_rows(r));
	assert_int_equal(b->length, PDV_BACKUP_ROWS_MAX);
	assert_memory_equal(b->rows, many, PDV_BACKUP_ROWS_MAX);
	assert_int_equal(b->next_length, PDV_BACKUP_KEY_MAX);
	assert_memory_equal(b->next, bytes, PDV_BACKUP_KEY_MAX);
	assert_int_equal(b->same, 0);
	pdv_result_free(r);
	m.rows.len++;
	assert_int_equal(code_of(METHOD_READ_BACKUP, &m.base), PDV_DATA_LOSS);
	m.rows.len = 0;
	m.next.len++;
	assert_int_equal(code_of(METHOD_READ_BACKUP, &m.base), PDV_DATA_LOSS);
	m.next.len = 0;
	m.same = 1;
	r = codec_read(METHOD_READ_BACKUP, &m.base, &codec_nothing);
	b = pdv_result_backup_rows(r);
	assert_true(b->same == 1 && b->length == 0 && b->next_length == 0);
	pdv_result_free(r);
	free(many);
}

static void
answer_of_finish(void **state)
{
	Pdvault__V1__FinishBackupResponse m = PDVAULT__V1__FINISH_BACKUP_RESPONSE__INIT;
	struct pdv_result *r;

	(void)state;
	m.signature = some(PDV_SIGNATURE_LEN);
	r = codec_read(METHOD_FINISH_BACKUP, &m.base, &codec_nothing);
	assert_memory_equal(pdv_result_backup_signature(r), bytes, PDV_SIGNATURE_LEN);
	pdv_result_free(r);
	m.signature.len--;
	assert_int_equal(code_of(METHOD_FINISH_BACKUP, &m.base), PDV_DATA_LOSS);
}

static void
answers_of_key_backups(void **state)
{
	Pdvault__V1__KeyBackup m = PDVAULT__V1__KEY_BACKUP__INIT, *both[] = {&m, &m};
	Pdvault__V1__ListKeyBackupsResponse l = PDVAULT__V1__LIST_KEY_BACKUPS_RESPONSE__INIT;
	Pdvault__V1__Timestamp time = PDVAULT__V1__TIMESTAMP__INIT;
	const struct pdv_key_backup *b;
	struct pdv_result *r;
	size_t n;

	(void)state;
	time.seconds = 99;
	m.backup = (ProtobufCBinaryData){ PDV_ID_LEN, codec_subject };
	m.state = PDVAULT__V1__KEY_BACKUP_STATE__DESTROYED;
	m.create_time = m.expire_time = m.destroy_time = &time;
	m.recovery_key = some(32);
	m.epoch = 8;
	m.complete = 1;
	m.destroyed_by = codec_lend("ops");
	l.backups = both;
	l.n_backups = 2;
	r = codec_read(METHOD_LIST_KEY_BACKUPS, &l.base, &codec_nothing);
	b = pdv_result_key_backups(r, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(b[1].backup, codec_subject, PDV_ID_LEN);
	assert_int_equal(b[1].state, PDV_KEY_BACKUP_DESTROYED);
	assert_string_equal(pdv_key_backup_state_name(b[1].state), "DESTROYED");
	assert_true(b[1].create_time->seconds == 99 && b[1].expire_time->seconds == 99);
	assert_true(b[1].destroy_time->seconds == 99 && b[1].epoch == 8 && b[1].complete == 1);
	assert_string_equal(b[1].destroyed_by, "ops");
	assert_memory_equal(b[1].recovery_key, bytes, 32);
	pdv_result_free(r);
	r = codec_read(METHOD_CREATE_KEY_BACKUP, &m.base, &codec_nothing);
	assert_non_null(pdv_result_key_backups(r, &n));
	assert_int_equal(n, 1);
	pdv_result_free(r);
	/* What is told of must be what was to be destroyed. */
	assert_int_equal(code_of(METHOD_DESTROY_KEY_BACKUP, &m.base), PDV_OK);
	m.backup.data = codec_other;
	assert_int_equal(code_of(METHOD_DESTROY_KEY_BACKUP, &m.base), PDV_DATA_LOSS);
	m.recovery_key.len--;
	assert_int_equal(code_of(METHOD_CREATE_KEY_BACKUP, &m.base), PDV_DATA_LOSS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_sessions),
		cmocka_unit_test(requests_of_key_backups),
		cmocka_unit_test(requests_refused),
		cmocka_unit_test(answer_of_begin),
		cmocka_unit_test(answer_of_read),
		cmocka_unit_test(answer_of_finish),
		cmocka_unit_test(answers_of_key_backups),
	};

	if (sodium_init() < 0)
		return 1;
	randombytes_buf(bytes, sizeof(bytes));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
