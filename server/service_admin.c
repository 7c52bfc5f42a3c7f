/*
 * What operators and load balancers ask.
 */
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/metrics.h"
#include "server/service.h"
#include "server/store/backup.h"
#include "server/version.h"

/* protobuf-c's strings are not const; these are never written to. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static enum status
list_seals(struct call *c, const struct vault_status *s, Pdvault__V1__GetStatusResponse *r)
{
	r->seals = arena_alloc(c->arena, (s->seal_count + 1) * sizeof(r->seals[0]));
	if (r->seals == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < s->seal_count; i++)
		r->seals[r->n_seals++] = text(s->seals[i]);
	return STATUS_OK;
}

static enum status
set_class(struct call *c, const struct vault_status *s, Pdvault__V1__GetStatusResponse *r)
{
	r->anchor_class = (char *)(uintptr_t)arena_copy(c->arena, bytes_of(&s->anchor_class, 1)).p;
	r->anchor_class_reason = text(s->anchor_class_why);
	r->class_ = (char *)(uintptr_t)arena_copy(c->arena, bytes_of(&s->class, 1)).p;
	r->class_reason = text(s->class_why);
	r->seals_failing = s->seals_failing;
	return r->anchor_class != NULL && r->class_ != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* 0 is never. */
static enum status
set_time(struct call *c, int64_t ms, Pdvault__V1__Timestamp **out)
{
	return ms == 0 || (*out = service_time(c, ms)) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static ProtobufCBinaryData
keep(struct call *c, const uint8_t *p, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)arena_copy(c->arena, bytes_of(p, len)).p };
}

static enum status
list_resurrections(struct call *c, const struct vault_status *s, Pdvault__V1__GetStatusResponse *r)
{
	r->resurrections = arena_alloc(c->arena, (s->resurrections + 1) * sizeof(r->resurrections[0]));
	if (r->resurrections == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < s->resurrections; i++) {
		Pdvault__V1__Resurrection *m = service_message(c, &pdvault__v1__resurrection__descriptor);
		const uint8_t *p = s->resurrection[i];

		if (m == NULL)
			return STATUS_NO_MEMORY;
		m->time = service_time(c, (int64_t)bytes_get64(p));
		m->entries = bytes_get64(p + 8);
		m->head = keep(c, p + 16, SEAL_DIGEST_LEN);
		m->wanted_entries = bytes_get64(p + 48);
		m->wanted_head = keep(c, p + 56, SEAL_DIGEST_LEN);
		if (m->time == NULL || m->head.data == NULL || m->wanted_head.data == NULL)
			return STATUS_NO_MEMORY;
		r->resurrections[r->n_resurrections++] = m;
	}
	return STATUS_OK;
}

#define DAY_MS (24 * INT64_C(3600000))

/* How long ago each may be; never is too long. */
static const struct { enum backup_note note; int64_t days; const char *none, *old; } ages[] = {
	{ BACKUP_NOTE_DATA, 2, "NO_DATA_BACKUP", "DATA_BACKUP_OLD" },
	{ BACKUP_NOTE_KEYS, 8, "NO_KEY_BACKUP", "KEY_BACKUP_OLD" },
	{ BACKUP_NOTE_VERIFY, 31, "NO_BACKUP_VERIFIED", "BACKUP_VERIFY_OLD" },
	{ BACKUP_NOTE_DRILL, 92, "NO_RESTORE_TRIED", "RESTORE_DRILL_OLD" },
};
#define AGES (sizeof(ages) / sizeof(ages[0]))

static enum status
list_warnings(struct call *c, const struct vault_status *s, Pdvault__V1__GetStatusResponse *r)
{
	int64_t now = clock_wall_ms();

	if ((r->warnings = arena_alloc(c->arena, (AGES + 2) * sizeof(r->warnings[0]))) == NULL)
		return STATUS_NO_MEMORY;
	for (size_t i = 0; i < AGES; i++) {
		int64_t ms = s->backup_ms[ages[i].note];

		if (ms == 0 || now - ms > ages[i].days * DAY_MS)
			r->warnings[r->n_warnings++] = text(ms == 0 ? ages[i].none : ages[i].old);
	}
	if (!s->recovery_key)
		r->warnings[r->n_warnings++] = text("NO_RECOVERY_KEY");
	if (s->resurrections > 0)
		r->warnings[r->n_warnings++] = text("RESURRECTED");
	return STATUS_OK;
}

static enum status
set_backups(struct call *c, const struct vault_status *s, Pdvault__V1__GetStatusResponse *r)
{
	enum status rc;

	r->incarnation = s->incarnation;
	r->key_backups = s->key_backups;
	if ((rc = set_time(c, s->backup_ms[BACKUP_NOTE_DATA], &r->data_backup_time)) != STATUS_OK ||
	    (rc = set_time(c, s->backup_ms[BACKUP_NOTE_KEYS], &r->key_backup_time)) != STATUS_OK ||
	    (rc = set_time(c, s->backup_ms[BACKUP_NOTE_VERIFY], &r->backup_verify_time)) != STATUS_OK ||
	    (rc = set_time(c, s->backup_ms[BACKUP_NOTE_DRILL], &r->backup_drill_time)) != STATUS_OK)
		return rc;
	if ((rc = list_warnings(c, s, r)) != STATUS_OK)
		return rc;
	return list_resurrections(c, s, r);
}

/* In milliseconds what is kept in seconds. */
static enum status
set_jobs(struct call *c, Pdvault__V1__GetStatusResponse *r)
{
	r->open_jobs = (uint32_t)metrics_get(METRIC_JOBS_OPEN);
	return set_time(c, (int64_t)metrics_get(METRIC_JOB_UPDATED) * 1000, &r->job_update_time);
}

static enum status
get_status(struct vault *v, struct call *c)
{
	Pdvault__V1__GetStatusResponse *r =
	    service_message(c, &pdvault__v1__get_status_response__descriptor);
	uint8_t *public_key = arena_alloc(c->arena, SEAL_PUBLIC_LEN);
	const char *read_only = vault_read_only(v);
	struct vault_status s;
	enum status rc;

	if (r == NULL || public_key == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = vault_status(v, &s)) != STATUS_OK)
		return rc;
	r->version = text(VERSION_TEXT);
	r->vault = (ProtobufCBinaryData){ VAULT_ID_LEN, (uint8_t *)(uintptr_t)vault_id(v) };
	r->vault_number = s.number;
	r->epoch = s.epoch;
	r->settled_epoch = s.settled;
	r->subjects = s.subjects;
	r->erased = s.erased;
	r->uptime_seconds = (clock_monotonic_ns() - version_start_ns()) / 1000000000u;
	r->read_only = read_only != NULL;
	if (read_only != NULL)
		r->read_only_reason = text(read_only);
	r->store_bytes = s.store_used;
	r->store_limit_bytes = s.store_limit;
	r->requests_in_flight = metrics_get(METRIC_IN_FLIGHT);
	r->connections = metrics_get(METRIC_CONNECTIONS);
	r->secret_memory = text(secret_kind());
	vault_public_key(v, public_key);
	r->signing_key = (ProtobufCBinaryData){ SEAL_PUBLIC_LEN, public_key };
	r->ledger_entries = s.ledger_entries;
	c->response = &r->base;
	if ((rc = set_class(c, &s, r)) != STATUS_OK || (rc = set_jobs(c, r)) != STATUS_OK ||
	    (rc = set_backups(c, &s, r)) != STATUS_OK)
		return rc;
	return list_seals(c, &s, r);
}

static enum status
check(struct vault *v, struct call *c)
{
	Pdvault__V1__CheckResponse *r =
	    service_message(c, &pdvault__v1__check_response__descriptor);

	if (r == NULL)
		return STATUS_NO_MEMORY;
	r->status = vault_read_only(v) != NULL ? PDVAULT__V1__SERVING_STATUS__READ_ONLY :
	    PDVAULT__V1__SERVING_STATUS__SERVING;
	c->response = &r->base;
	return STATUS_OK;
}

const struct method service_admin_methods[] = {
	{ "/pdvault.v1.Admin/GetStatus", &pdvault__v1__get_status_request__descriptor, METHOD_POOL,
	    NULL, get_status, NULL, false },
	{ "/pdvault.v1.Health/Check", &pdvault__v1__check_request__descriptor, METHOD_INLINE,
	    NULL, check, NULL, false },
};
const unsigned service_admin_count =
    sizeof(service_admin_methods) / sizeof(service_admin_methods[0]);
