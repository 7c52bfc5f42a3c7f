#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/harden.h"
#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/restore/restore.h"
#include "server/serve.h"
#include "server/verbs.h"

/* Ids of subjects whose identity was lost, in memory until the restore is done. */
struct lost {
	uint8_t *id;
	size_t count, room;
	bool failed;
};

static void
keep(void *arg, const uint8_t subject[static SUBJECT_ID_LEN])
{
	struct lost *l = arg;

	if (l->count == l->room) {
		size_t room = l->room * 2 + 1024;
		uint8_t *more = realloc(l->id, room * SUBJECT_ID_LEN);

		if (more == NULL) {
			l->failed = true;
			return;
		}
		l->id = more;
		l->room = room;
	}
	memcpy(l->id + l->count++ * SUBJECT_ID_LEN, subject, SUBJECT_ID_LEN);
}

/* sub_ and lower-case base32 without padding (RFC 4648), as everywhere. */
static char *
put_id(const uint8_t id[static SUBJECT_ID_LEN], char *out)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint32_t bits = 0;
	unsigned have = 0;

	memcpy(out, "sub_", 4);
	out += 4;
	for (size_t i = 0; i < SUBJECT_ID_LEN; i++) {
		bits = bits << 8 | id[i];
		for (have += 8; have >= 5; have -= 5)
			*out++ = digits[bits >> (have - 5) & 31];
	}
	*out++ = digits[bits << (5 - have) & 31];
	*out++ = '\n';
	return out;
}

#define ID_TEXT 31u	/* with its line feed */

static enum status
write_report(const char *path, const struct lost *l)
{
	char *text = malloc(l->count * ID_TEXT + 1), *end = text;
	const char *why = "out of memory";
	enum status rc = STATUS_NO_MEMORY;

	for (size_t i = 0; text != NULL && i < l->count; i++)
		end = put_id(l->id + i * SUBJECT_ID_LEN, end);
	if (text != NULL && !l->failed)
		rc = own_file_create(path, bytes_of(text, (size_t)(end - text)), &why);
	if (rc != STATUS_OK)
		log_event(LOG_RESTORE, LOG_S(PATH, path), LOG_S(WHY, why),
		    LOG_S(WHAT, "restored, but the report was not written"));
	free(text);
	return rc;
}

static bool
hash(const char *text, uint8_t out[static SEAL_DIGEST_LEN])
{
	const char *end = NULL;
	size_t len = 0;

	return sodium_hex2bin(out, SEAL_DIGEST_LEN, text, strlen(text), NULL, &len, &end) == 0 &&
	    *end == '\0' && len == SEAL_DIGEST_LEN;
}

static enum status
no_hash(void)
{
	log_event(LOG_FATAL, LOG_S(WHAT, "a head is 64 hexadecimal digits, as `pdvault ledger head` says it"));
	return STATUS_CONFIG;
}

static void
say(const struct restore_report *r)
{
	(void)printf("restored: %" PRIu64 " subjects, %" PRIu64 " records, %" PRIu64 " transactions\n",
	    r->subjects, r->rows.records, r->rows.transactions);
	(void)printf("forgotten: %" PRIu64 " subjects as a whole, %" PRIu64 " in part, of a ledger of %" PRIu64
	    " erasures\n", r->forgotten, r->shredded, r->ledger_entries);
	(void)printf("without a record: %" PRIu64 " subjects, whose identity is lost\n", r->rows.lost);
	(void)printf("left out: %" PRIu64 " rows without a key, %" PRIu64 " damaged rows, %" PRIu64
	    " damaged keyrings, %" PRIu64 " look-ups that another has\n", r->rows.keyless, r->rows.damaged,
	    r->damaged_keyrings, r->lookups_taken);
	(void)printf("epoch %" PRIu64 ", incarnation %" PRIu64 "\n", r->epoch, r->incarnation);
	if (r->resurrection)
		(void)puts("RESURRECTION: a newer ledger is known of. People who were erased may be back; the\n"
		    "vault says so in its status for ever. Ask for their erasure again.");
}

enum status
verb_restore(const struct config *c, const struct verb_options *o)
{
	uint8_t head[SEAL_DIGEST_LEN], accept[SEAL_DIGEST_LEN];
	struct lost lost = { .id = NULL };
	struct vault_options vo;
	struct restore_report report;
	struct restore_options ro = { .vault = &vo, .keys = o->keys, .living = o->living, .ledger = o->ledger,
		.head = o->head != NULL ? head : NULL, .accept = o->accept != NULL ? accept : NULL,
		.lost = keep, .arg = &lost };
	enum status rc = harden_limits(0);

	_Static_assert(VERB_PATHS_MAX <= BACKUP_CHAIN_MAX, "the list fits");
	serve_vault_options(c, o->force_class_d, &vo);
	for (size_t i = 0; i < o->data.count; i++)
		ro.data.path[ro.data.count++] = o->data.path[i];
	for (size_t i = 0; i < o->recovery.count; i++)
		ro.recovery.path[ro.recovery.count++] = o->recovery.path[i];
	if ((o->head != NULL && !hash(o->head, head)) || (o->accept != NULL && !hash(o->accept, accept)))
		rc = no_hash();
	if (rc == STATUS_OK && (rc = serve_secrets(c)) == STATUS_OK &&
	    (rc = restore_run(&ro, &report)) == STATUS_OK) {
		say(&report);
		if (o->report != NULL && lost.count > 0)
			rc = write_report(o->report, &lost);
	}
	if (rc != STATUS_OK)
		log_event(LOG_RESTORE, LOG_S(WHAT, "not restored"), LOG_STATUS(rc));
	free(lost.id);
	secret_end();
	return rc;
}
