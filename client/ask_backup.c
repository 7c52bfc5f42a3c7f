/* Requests of the service Backups. */
#include "client/ask.h"
#include "client/maker.h"
#include "pdvault/v1/backup.pb-c.h"

enum pdv_code
ask_begin_backup(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_backup_begin *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__BeginBackupRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__begin_backup_request__init(m);
	*out = &m->base;
	if (from->key_backup != NULL)
		m->key_backup = maker_id(from->key_backup);
	return k.code;
}

static bool
key_ok(const uint8_t *key, size_t len)
{
	return len <= PDV_BACKUP_KEY_MAX && (len == 0 || key != NULL);
}

enum pdv_code
ask_read_backup(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_backup_range *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__ReadBackupRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__read_backup_request__init(m);
	*out = &m->base;
	if (from->table == NULL || !key_ok(from->from, from->from_length) || !key_ok(from->to, from->to_length))
		return PDV_INVALID_ARGUMENT;
	m->session = maker_id(from->session);
	m->table = maker_lend(from->table);
	m->from = maker_bytes(from->from, from->from_length);
	m->to = maker_bytes(from->to, from->to_length);
	if (from->digest != NULL)
		m->digest = maker_bytes(from->digest, PDV_BACKUP_DIGEST_LEN);
	return k.code;
}

enum pdv_code
ask_finish_backup(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_backup_finish *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__FinishBackupRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__finish_backup_request__init(m);
	*out = &m->base;
	m->session = maker_id(from->session);
	m->digest = maker_bytes(from->digest, sizeof(from->digest));
	return k.code;
}

enum pdv_code
ask_create_key_backup(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_key_backup_new *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__CreateKeyBackupRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__create_key_backup_request__init(m);
	*out = &m->base;
	m->lifetime_seconds = from->lifetime_seconds;
	return k.code;
}

enum pdv_code
ask_list_key_backups(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_key_backup_filter *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__ListKeyBackupsRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__list_key_backups_request__init(m);
	*out = &m->base;
	m->outstanding = from->outstanding != 0;
	return k.code;
}

enum pdv_code
ask_destroy_key_backup(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_key_backup_id *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__DestroyKeyBackupRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__destroy_key_backup_request__init(m);
	*out = &m->base;
	m->backup = maker_id(from->bytes);
	maker_keep(&k, from->bytes, 1);
	return k.code;
}
