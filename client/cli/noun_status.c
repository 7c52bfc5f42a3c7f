#include <sodium.h>
#include <unistd.h>

#include "json_out.h"
#include "nouns.h"
#include "session.h"

static void
text(json_t *doc, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		(void)json_object_set_new(doc, name, json_string(value));
}

static void
number(json_t *doc, const char *name, uint64_t value)
{
	(void)json_object_set_new(doc, name, json_integer((json_int_t)value));
}

static void
when(json_t *doc, const char *name, const struct pdv_time *t)
{
	(void)json_object_set_new(doc, name, t != NULL ? json_out_time(t) : json_null());
}

static json_t *
resurrections(const struct pdv_status *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < status->resurrection_count; i++) {
		const struct pdv_resurrection *r = &status->resurrections[i];
		json_t *one = json_object();

		when(one, "time", r->time);
		number(one, "ledger_entries", r->entries);
		(void)json_object_set_new(one, "ledger_head", json_out_hex(r->head, sizeof(r->head)));
		number(one, "newer_entries", r->wanted_entries);
		(void)json_object_set_new(
		    one, "newer_head", json_out_hex(r->wanted_head, sizeof(r->wanted_head)));
		(void)json_array_append_new(list, one);
	}
	return list;
}

static json_t *
status_json(const struct pdv_status *status)
{
	char vault[2 * PDV_ID_LEN + 1];
	json_t *doc = json_object(), *seals = json_array(), *warnings = json_array();
	size_t i;

	(void)sodium_bin2hex(vault, sizeof(vault), status->vault, sizeof(status->vault));
	text(doc, "version", status->version);
	text(doc, "vault", vault);
	number(doc, "vault_number", status->vault_number);
	number(doc, "epoch", status->epoch);
	number(doc, "settled_epoch", status->settled_epoch);
	number(doc, "subjects", status->subjects);
	number(doc, "erased", status->erased);
	text(doc, "class", status->class_);
	text(doc, "class_reason", status->class_reason);
	text(doc, "anchor_class", status->anchor_class);
	text(doc, "anchor_class_reason", status->anchor_class_reason);
	number(doc, "uptime_seconds", status->uptime_seconds);
	(void)json_object_set_new(doc, "read_only", json_boolean(status->read_only));
	text(doc, "read_only_reason", status->read_only_reason);
	number(doc, "store_bytes", status->store_bytes);
	number(doc, "store_limit_bytes", status->store_limit_bytes);
	number(doc, "requests_in_flight", status->requests_in_flight);
	number(doc, "connections", status->connections);
	for (i = 0; i < status->seal_count; i++)
		(void)json_array_append_new(seals, json_string(status->seals[i]));
	(void)json_object_set_new(doc, "seals", seals);
	number(doc, "seals_failing", status->seals_failing);
	number(doc, "open_jobs", status->open_jobs);
	text(doc, "secret_memory", status->secret_memory);
	(void)json_object_set_new(doc, "signing_key",
	    json_out_hex(status->signing_key, sizeof(status->signing_key)));
	number(doc, "ledger_entries", status->ledger_entries);
	number(doc, "incarnation", status->incarnation);
	number(doc, "key_backups", status->key_backups);
	when(doc, "data_backup_time", status->data_backup_time);
	when(doc, "key_backup_time", status->key_backup_time);
	when(doc, "backup_verify_time", status->backup_verify_time);
	when(doc, "backup_drill_time", status->backup_drill_time);
	(void)json_object_set_new(doc, "resurrections", resurrections(status));
	for (i = 0; i < status->warning_count; i++)
		(void)json_array_append_new(warnings, json_string(status->warnings[i]));
	(void)json_object_set_new(doc, "warnings", warnings);
	return doc;
}

enum pdv_code
noun_status(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	(void)pdv_get_status(s.client, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(status_json(pdv_result_status(r)), a->values[FLAG_JSON] != NULL,
		    STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	return rc;
}

enum pdv_code
noun_health(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	(void)pdv_check(s.client, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(json_pack("{s:s}", "status",
		    pdv_serving_state_name(pdv_result_serving(r))), a->values[FLAG_JSON] != NULL,
		    STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	return rc;
}
