#include <string.h>
#include <unistd.h>

#include "blob_file.h"
#include "json_out.h"
#include "nouns.h"
#include "session.h"

/* One command: from where to where, and by which vault. */
struct work {
	struct session session;
	struct pdv_blobs *blobs;
	struct blob_file file;
	struct pdv_blob_sealer *sealer;
	struct pdv_blob_opener *opener;
};

static enum pdv_code
begin(struct work *w, const struct args *a, struct failure *f)
{
	const struct pdv_blob_options once = {.no_cache = 1};
	enum pdv_code rc;

	if ((rc = session_open(&w->session, a, 0, f)) != PDV_OK)
		return rc;
	if (pdv_blobs_new(w->session.client, &once, &w->blobs) != PDV_OK)
		return failure_memory(f);
	return blob_file_open(&w->file, a->operand, a->second, f);
}

static void
end(struct work *w)
{
	blob_file_close(&w->file);
	pdv_blob_sealer_free(w->sealer);
	pdv_blob_opener_free(w->opener);
	pdv_blobs_free(w->blobs);
	session_close(&w->session);
}

static enum pdv_code
blob_failed(const struct work *w, enum pdv_code code, const char *reason, struct failure *f)
{
	static const struct {
		const char *reason, *detail;
	} told[] = {
		{PDV_REASON_BLOB_NOT_ONE, "it is no blob"},
		{PDV_REASON_BLOB_DAMAGED, "it was changed, or cut off"},
		{PDV_REASON_BLOB_TRUNCATED, "it was cut off"},
		{PDV_REASON_BLOB_TRAILING, "there is something behind its end"},
		{"DATA_KEY_INVALID", "its header was changed, or it is of another vault"},
		{"SUBJECT_ERASED", "the subject was erased"},
		{"CATEGORY_ERASED", "this category of the subject was erased"},
	};
	const char *detail = "the vault does not give its key";

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (strcmp(told[i].reason, reason) == 0)
			detail = told[i].detail;
	return failure_set(f, code, reason, "%.200s: %s",
	    strcmp(w->file.from, "-") == 0 ? "standard input" : w->file.from, detail);
}

/* All pieces through the sealer or the opener, whichever there is. */
static enum pdv_code
pass(struct work *w, struct failure *f)
{
	struct pdv_blob_buffer *room = &w->file.room;
	enum pdv_code rc;
	size_t len;

	do {
		if ((rc = blob_file_next(&w->file, &len, f)) != PDV_OK)
			return rc;
		if (len > 0)
			rc = w->sealer != NULL ? pdv_blob_sealer_update(w->sealer, w->file.piece, len, room) :
			    pdv_blob_opener_update(w->opener, w->file.piece, len, room);
		else
			rc = w->sealer != NULL ? pdv_blob_sealer_final(w->sealer, room) :
			    pdv_blob_opener_final(w->opener, room);
		if (rc != PDV_OK)
			return blob_failed(w, rc, w->sealer != NULL ? pdv_blob_sealer_reason(w->sealer) :
			    pdv_blob_opener_reason(w->opener), f);
		if ((rc = blob_file_put(&w->file, f)) != PDV_OK)
			return rc;
	} while (len > 0);
	return blob_file_done(&w->file, f);
}

/* Standard output, if the data went there, has nothing else. */
static enum pdv_code
report(const struct work *w, const struct args *a, const struct pdv_blob_place *place, struct failure *f)
{
	if (strcmp(w->file.to, "-") == 0)
		return PDV_OK;
	return json_out_print(json_pack("{s:o, s:s, s:I, s:I}", "subject", json_out_subject(&place->subject),
	    "category", pdv_category_name(place->category), "read", (json_int_t)w->file.read, "written",
	    (json_int_t)w->file.written), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
}

static enum pdv_code
place_of(const struct args *a, struct pdv_blob_place *out, struct failure *f)
{
	const char *context = a->values[FLAG_CONTEXT];

	*out = (struct pdv_blob_place){.category = PDV_CATEGORY_UNSPECIFIED};
	if (a->values[FLAG_SUBJECT] == NULL || a->repeated_n != 1)
		return failure_usage(f, "--subject and one --category are needed");
	if (pdv_category_parse(a->repeated[0], &out->category) != PDV_OK ||
	    (out->category != PDV_CATEGORY_CONTENT && out->category != PDV_CATEGORY_USAGE))
		return failure_usage(f, "--category: content or usage");
	if (context != NULL && strlen(context) > PDV_CONTEXT_MAX)
		return failure_usage(f, "--context: at most %d bytes", PDV_CONTEXT_MAX);
	if (context != NULL) {
		out->context = (const uint8_t *)context;
		out->context_length = strlen(context);
	}
	return session_subject(a->values[FLAG_SUBJECT], &out->subject, f);
}

enum pdv_code
noun_blob_seal(const struct args *a, struct failure *f)
{
	struct work w = {.file = {.in = -1, .out = -1}};
	struct pdv_blob_place place;
	enum pdv_code rc;

	if ((rc = place_of(a, &place, f)) != PDV_OK || (rc = begin(&w, a, f)) != PDV_OK)
		goto out;
	if (pdv_blob_sealer_new(w.blobs, &place, &w.session.options, &w.sealer) != PDV_OK)
		rc = failure_memory(f);
	else if ((rc = pass(&w, f)) == PDV_OK)
		rc = report(&w, a, &place, f);
out:
	end(&w);
	return rc;
}

enum pdv_code
noun_blob_open(const struct args *a, struct failure *f)
{
	struct work w = {.file = {.in = -1, .out = -1}};
	enum pdv_code rc;

	if ((rc = begin(&w, a, f)) != PDV_OK)
		goto out;
	if (pdv_blob_opener_new(w.blobs, NULL, &w.session.options, &w.opener) != PDV_OK)
		rc = failure_memory(f);
	else if ((rc = pass(&w, f)) == PDV_OK)
		rc = report(&w, a, pdv_blob_opener_place(w.opener), f);
out:
	end(&w);
	return rc;
}
