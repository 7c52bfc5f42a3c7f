/* Answers of the service Backups. */
#include "client/answer.h"
#include "client/taker.h"
#include "pdvault/v1/backup.pb-c.h"

static void
take_head(struct taker *k, struct pdv_backup *b, const Pdvault__V1__BackupHead *from)
{
	size_t len;
	uint8_t *p;

	if (from == NULL) {
		k->code = PDV_DATA_LOSS;
		return;
	}
	len = pdvault__v1__backup_head__get_packed_size(from);
	if ((p = taker_room(k, len, 1)) == NULL)
		return;
	/* Fields that are newer than this library go along. */
	b->head_length = pdvault__v1__backup_head__pack(from, p);
	b->head = p;
}

enum pdv_code
answer_begin_backup(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__BeginBackupResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_backup *b = taker_room(&k, 1, sizeof(*b));
	struct pdv_backup_table *list = taker_room(&k, from->n_tables, sizeof(*list));
	size_t i;

	if (b == NULL || list == NULL)
		return k.code;
	taker_id(&k, b->session, from->session);
	take_head(&k, b, from->head);
	for (i = 0; i < from->n_tables; i++) {
		if ((list[i].name = taker_token(&k, from->tables[i]->name)) == NULL)
			k.code = PDV_DATA_LOSS;
		list[i].rows = from->tables[i]->rows;
	}
	b->tables = list;
	b->table_count = from->n_tables;
	if (from->sealed_root.len == PDV_BACKUP_SEALED_LEN)
		b->sealed_root = from->sealed_root.data;
	else if (from->sealed_root.len > 0)
		k.code = PDV_DATA_LOSS;
	r->backup = b;
	return k.code;
}

enum pdv_code
answer_read_backup(struct pdv_result *r, const ProtobufCMessage *m, const struct method_asked *asked)
{
	const Pdvault__V1__ReadBackupResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_backup_rows *b = taker_room(&k, 1, sizeof(*b));

	if (b == NULL)
		return k.code;
	if (from->rows.len > PDV_BACKUP_ROWS_MAX || from->next.len > PDV_BACKUP_KEY_MAX)
		k.code = PDV_DATA_LOSS;
	/* Shared with the message: there may be a megabyte of them. */
	b->rows = from->rows.data;
	b->length = from->rows.len;
	b->next = from->next.data;
	b->next_length = from->next.len;
	b->same = from->same != 0;
	r->backup_rows = b;
	return k.code;
}

enum pdv_code
answer_finish_backup(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__FinishBackupResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	if (from->signature.len != PDV_SIGNATURE_LEN)
		k.code = PDV_DATA_LOSS;
	r->backup_signature = from->signature.data;
	return k.code;
}

static void
take_key_backup(struct taker *k, struct pdv_key_backup *b, const Pdvault__V1__KeyBackup *from)
{
	taker_id(k, b->backup, from->backup);
	b->state = (enum pdv_key_backup_state)from->state;
	b->create_time = taker_time(k, from->create_time);
	b->expire_time = taker_time(k, from->expire_time);
	taker_bytes(k, b->recovery_key, sizeof(b->recovery_key), from->recovery_key);
	b->epoch = from->epoch;
	b->complete = from->complete != 0;
	b->destroy_time = taker_time(k, from->destroy_time);
	b->destroyed_by = taker_token(k, from->destroyed_by);
}

static const struct pdv_key_backup *
take_one(struct pdv_result *r, struct taker *k, const ProtobufCMessage *m)
{
	struct pdv_key_backup *b = taker_room(k, 1, sizeof(*b));

	if (b != NULL)
		take_key_backup(k, b, (const void *)m);
	r->key_backups = b;
	r->key_backup_count = b != NULL;
	return b;
}

enum pdv_code
answer_create_key_backup(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	struct taker k = {&r->memory, asked, PDV_OK};

	(void)take_one(r, &k, m);
	return k.code;
}

enum pdv_code
answer_destroy_key_backup(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	struct taker k = {&r->memory, asked, PDV_OK};
	const struct pdv_key_backup *b = take_one(r, &k, m);

	if (b != NULL)
		taker_same_id(&k, b->backup, 0);
	return k.code;
}

enum pdv_code
answer_list_key_backups(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__ListKeyBackupsResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_key_backup *list = taker_room(&k, from->n_backups, sizeof(*list));
	size_t i;

	for (i = 0; list != NULL && i < from->n_backups; i++)
		take_key_backup(&k, &list[i], from->backups[i]);
	r->key_backups = list;
	r->key_backup_count = from->n_backups;
	return k.code;
}
