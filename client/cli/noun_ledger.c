#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "json_out.h"
#include "ledger_file.h"
#include "nouns.h"
#include "session.h"

/* Hexadecimal of exactly ${len} bytes. */
static enum pdv_code
hex(const char *text, uint8_t *out, size_t len, struct failure *f)
{
	const char *end = NULL;
	size_t got = 0;

	if (sodium_hex2bin(out, len, text, strlen(text), NULL, &got, &end) != 0 || *end != '\0' || got != len)
		return failure_usage(f, "%zu bytes in hexadecimal are wanted", len);
	return PDV_OK;
}

static enum pdv_code
get_owner(struct session *s, struct ledger_owner *out, uint64_t *entries, struct failure *f)
{
	const struct pdv_status *status;
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	(void)pdv_get_status(s->client, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK) {
		status = pdv_result_status(r);
		memcpy(out->vault, status->vault, sizeof(out->vault));
		memcpy(out->signing_key, status->signing_key, sizeof(out->signing_key));
		*entries = status->ledger_entries;
	}
	pdv_result_free(r);
	return rc;
}

static json_t *
head_json(const struct ledger_owner *o, const struct ledger_end *e)
{
	return json_pack("{s:o, s:o, s:I, s:o}", "vault", json_out_hex(o->vault, sizeof(o->vault)),
	    "signing_key", json_out_hex(o->signing_key, sizeof(o->signing_key)),
	    "entries", (json_int_t)e->entries, "head", json_out_hex(e->hash, sizeof(e->hash)));
}

/* With the key that is trusted at the end. */
static json_t *
end_json(const struct ledger_file *l)
{
	struct ledger_owner o = l->owner;

	memcpy(o.signing_key, l->walk.signing_key, sizeof(o.signing_key));
	return head_json(&o, &l->end);
}

/* The newest entry, signed; the last few may not be settled yet: then it is one before them. */
static enum pdv_code
get_newest(struct session *s, const struct ledger_owner *o, uint64_t entries, struct ledger_end *end,
    struct failure *f)
{
	struct pdv_ledger_page page = {.page_size = PDV_PAGE_MAX};
	const struct pdv_ledger_proof *proofs;
	struct pdv_ledger_entry entry;
	struct pdv_result *r = NULL;
	size_t count = 0;
	enum pdv_code rc;
	int more;

	page.after = entries > PDV_PAGE_MAX ? entries - PDV_PAGE_MAX : 0;
	(void)pdv_list_ledger(s->client, &page, &s->options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	proofs = pdv_result_ledger(r, &count, &more);
	end->entries = 0;
	pdv_ledger_before_first(o->vault, end->hash);
	if (count == 0 && page.after == 0)
		goto out;
	rc = count == 0 ? PDV_DATA_LOSS :
	    pdv_ledger_verify(&proofs[count - 1], o->vault, o->signing_key, &entry);
	if (rc != PDV_OK || entry.sequence != page.after + count) {
		rc = failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN",
		    "the vault does not sign what it says of its ledger");
		goto out;
	}
	end->entries = entry.sequence;
	memcpy(end->hash, entry.hash, sizeof(end->hash));
out:
	pdv_result_free(r);
	return rc;
}

enum pdv_code
noun_ledger_head(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct ledger_owner owner, asked;
	struct ledger_end end = {.entries = 0};
	uint64_t entries;
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) == PDV_OK)
		rc = get_owner(&s, &owner, &entries, f);
	while (rc == PDV_OK && (rc = get_newest(&s, &owner, entries, &end, f)) == PDV_DATA_LOSS) {
		/* Unless the key was rotated between the two questions. */
		asked = owner;
		if (get_owner(&s, &owner, &entries, f) != PDV_OK ||
		    memcmp(&asked, &owner, sizeof(asked)) == 0)
			break;
		rc = PDV_OK;
	}
	if (rc == PDV_OK)
		rc = json_out_print(
		    head_json(&owner, &end), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
	session_close(&s);
	return rc;
}

static enum pdv_code
put_back(const struct ledger_file *l, struct failure *f)
{
	return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN",
	    "%s: has entries that the vault has not: one of them was put back", l->path);
}

/* One page from the newest entry of the file on, which must be the vault's, too. */
static enum pdv_code
add_page(struct session *s, struct ledger_file *l, int *more, struct failure *f)
{
	size_t overlap = l->end.entries > 0, i, count;
	const struct pdv_ledger_page page = {
	    .after = l->end.entries - overlap, .page_size = PDV_PAGE_MAX};
	const struct pdv_ledger_proof *proofs;
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	(void)pdv_list_ledger(s->client, &page, &s->options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	proofs = pdv_result_ledger(r, &count, more);
	if (overlap > 0 && (count == 0 || memcmp(proofs[0].entry, l->newest, sizeof(l->newest)) != 0))
		rc = put_back(l, f);
	/* Else it would be asked for ever. */
	else if (*more && count <= overlap)
		rc = failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN",
		    "the vault tells of more and sends nothing");
	for (i = overlap; i < count && rc == PDV_OK; i++)
		rc = ledger_file_add(l, &proofs[i], f);
out:
	pdv_result_free(r);
	return rc;
}

/* Who trusts the key that the file names comes to trust the vault's; unless that entry is still to come. */
static enum pdv_code
leads_to_present(const struct ledger_file *l, struct session *s, struct failure *f)
{
	struct ledger_owner now;
	uint64_t entries;
	enum pdv_code rc = get_owner(s, &now, &entries, f);

	if (rc != PDV_OK || l->end.entries < entries ||
	    memcmp(l->walk.signing_key, now.signing_key, sizeof(now.signing_key)) == 0)
		return rc;
	return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN",
	    "%s: does not lead to the key that the vault signs with", l->path);
}

enum pdv_code
noun_ledger_export(const struct args *a, struct failure *f)
{
	struct ledger_file l = {.fd = -1, .path = a->operand};
	struct session s = {.client = NULL};
	uint64_t entries, before;
	json_t *doc;
	enum pdv_code rc;
	int more = 1;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = get_owner(&s, &l.owner, &entries, f)) != PDV_OK ||
	    (rc = ledger_file_extend(&l, f)) != PDV_OK)
		goto out;
	before = l.end.entries;
	while (more && rc == PDV_OK)
		rc = add_page(&s, &l, &more, f);
	if (rc != PDV_OK || (rc = ledger_file_keep(&l, f)) != PDV_OK ||
	    (rc = leads_to_present(&l, &s, f)) != PDV_OK)
		goto out;
	doc = end_json(&l);
	(void)json_object_set_new(doc, "added", json_integer((json_int_t)(l.end.entries - before)));
	rc = json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	ledger_file_close(&l);
	session_close(&s);
	return rc;
}

static const char *const kinds[] = {"ERASURE", "ERASURE", "KEY_BACKUP", "KEY_BACKUP_COMPLETE",
    "KEY_BACKUP_DESTROYED", "SIGNING_KEY", "SIGNING_KEY_BEFORE"};

static json_t *
erasure_json(const struct pdv_ledger_entry *e)
{
	json_t *doc = json_pack("{s:o, s:o, s:b}", "subject", json_out_subject(&e->subject),
	    "erasure", json_out_erasure(&e->erasure), "last", e->last);
	json_t *categories = json_array();
	unsigned c;

	for (c = 1; c <= 16; c++)
		if ((e->categories >> (c - 1) & 1) != 0)
			(void)json_array_append_new(categories,
			    json_string(pdv_category_name((enum pdv_category)c)));
	(void)json_object_set_new(doc, "categories", categories);
	return doc;
}

/* One entry of `ledger list`, at the end of an array. */
static void
list_entry(const struct pdv_ledger_entry *e, void *arg)
{
	json_t *doc = json_pack("{s:I, s:s, s:o, s:I}", "sequence", (json_int_t)e->sequence, "kind",
	    kinds[e->kind], "time", json_out_time(&e->time), "epoch", (json_int_t)e->epoch);
	json_t *more;

	if (e->kind <= PDV_LEDGER_WHOLE)
		more = erasure_json(e);
	else if (e->kind < PDV_LEDGER_SIGNER)
		more = json_pack(
		    "{s:o}", "key_backup", json_out_hex(e->erasure.bytes, sizeof(e->erasure.bytes)));
	else
		more = json_pack(
		    "{s:o}", "signing_key", json_out_hex(e->signing_key, sizeof(e->signing_key)));
	(void)json_object_update(doc, more);
	json_decref(more);
	(void)json_array_append_new(arg, doc);
}

enum pdv_code
noun_ledger_list(const struct args *a, struct failure *f)
{
	json_t *list = json_array();
	struct ledger_file l = {.fd = -1, .path = a->operand, .each = list_entry, .arg = list};
	enum pdv_code rc = ledger_file_read(&l, f);

	if (rc == PDV_OK)
		rc = json_out_print(json_pack("{s:O}", "entries", list), a->values[FLAG_JSON] != NULL,
		    STDOUT_FILENO, f);
	ledger_file_close(&l);
	json_decref(list);
	return rc;
}

enum pdv_code
noun_ledger_verify(const struct args *a, struct failure *f)
{
	struct ledger_file l = {.fd = -1, .path = a->operand};
	uint8_t head[PDV_LEDGER_HASH_LEN], key[PDV_SIGNING_KEY_LEN];
	enum pdv_code rc = PDV_OK;

	if (a->values[FLAG_HEAD] != NULL) {
		rc = hex(a->values[FLAG_HEAD], head, sizeof(head), f);
		l.wanted = head;
	}
	if (rc == PDV_OK && a->values[FLAG_SIGNING_KEY] != NULL) {
		rc = hex(a->values[FLAG_SIGNING_KEY], key, sizeof(key), f);
		l.pinned = key;
	}
	if (rc != PDV_OK || (rc = ledger_file_read(&l, f)) != PDV_OK)
		goto out;
	if (l.wanted != NULL && !l.seen)
		rc = failure_set(f, PDV_DATA_LOSS, "LEDGER_OLD", "%s: has no entry with that hash", l.path);
	if (rc == PDV_OK)
		rc = json_out_print(end_json(&l), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	ledger_file_close(&l);
	return rc;
}
