#include "session.h"

#include <sodium.h>
#include <string.h>

/* 32 hexadecimal digits, with or without the hyphens of a UUID. */
static enum pdv_code
read_key(const char *text, uint8_t out[static PDV_KEY_LEN], struct failure *f)
{
	const char *end;
	size_t len;

	if (sodium_hex2bin(out, PDV_KEY_LEN, text, strlen(text), "-", &len, &end) != 0 ||
	    len != PDV_KEY_LEN || *end != '\0')
		return failure_usage(f, "--idempotency-key: 32 hexadecimal digits");
	return PDV_OK;
}

enum pdv_code
session_open(struct session *s, const struct args *a, unsigned in_flight, struct failure *f)
{
	struct pdv_client_options options = {.in_flight = in_flight};
	char why[PDV_WHY_LEN] = "";
	enum pdv_code rc;

	if ((rc = settings_load(a, &s->settings, f)) != PDV_OK)
		return rc;
	options.servers = (const char *const *)s->settings.servers;
	options.server_count = s->settings.servers_n;
	options.ca = s->settings.values[SETTINGS_CA];
	options.cert = s->settings.values[SETTINGS_CERT];
	options.key = s->settings.values[SETTINGS_KEY];
	options.crl = s->settings.values[SETTINGS_CRL];
	options.server_spiffe = s->settings.values[SETTINGS_SERVER_SPIFFE];
	options.deadline_ms = s->settings.timeout_ms;
	s->options.purpose = s->settings.values[SETTINGS_PURPOSE];
	if (a->values[FLAG_IDEMPOTENCY_KEY] != NULL) {
		if ((rc = read_key(a->values[FLAG_IDEMPOTENCY_KEY], s->key, f)) != PDV_OK)
			return rc;
		s->options.idempotency_key = s->key;
	}
	rc = pdv_client_new(&options, &s->client, why);
	if (rc == PDV_INVALID_ARGUMENT)
		return failure_settings(f, "%s", why);
	return rc == PDV_OK ? rc : failure_set(f, rc, "CLIENT", "%s", why);
}

void
session_close(struct session *s)
{
	pdv_client_free(s->client);
	s->client = NULL;
	settings_free(&s->settings);
}

enum pdv_code
session_failed(const struct pdv_result *r, struct failure *f)
{
	enum pdv_code code = pdv_result_code(r);
	const struct pdv_violation *list;
	char hex[2 * PDV_KEY_LEN + 1];
	size_t i, n = 0;

	if (code == PDV_OK)
		return code;
	(void)failure_set(f, code, pdv_result_reason(r), "%s", pdv_result_detail(r));
	if (strcmp(f->reason, PDV_REASON_INDETERMINATE) == 0 && pdv_result_key(r) != NULL) {
		(void)sodium_bin2hex(hex, sizeof(hex), pdv_result_key(r), PDV_KEY_LEN);
		(void)failure_set(f, code, pdv_result_reason(r),
		    "it is not known whether this was done: repeat it with --idempotency-key %s", hex);
	}
	list = pdv_result_violations(r, &n);
	for (i = 0; i < n; i++)
		failure_violation(f, list[i].field, list[i].rule);
	return code;
}

void
session_repeatable(struct failure *f)
{
	if (strcmp(f->reason, PDV_REASON_INDETERMINATE) == 0)
		(void)failure_set(f, f->code, f->reason, "it is not known whether all of this was done: "
		    "run the same command again");
}

bool
session_no_record(const struct failure *f)
{
	return (f->code == PDV_NOT_FOUND && strcmp(f->reason, "RECORD_NOT_FOUND") == 0) ||
	    (f->code == PDV_FAILED_PRECONDITION && strcmp(f->reason, "CATEGORY_ERASED") == 0);
}

enum pdv_code
session_subject(const char *text, struct pdv_subject_id *out, struct failure *f)
{
	if (pdv_subject_id_parse(text, out) == PDV_OK)
		return PDV_OK;
	return failure_set(f, PDV_INVALID_ARGUMENT, "MALFORMED_ID",
	    "a subject id is sub_ and 26 characters");
}

enum pdv_code
session_erasure(const char *text, struct pdv_erasure_id *out, struct failure *f)
{
	if (pdv_erasure_id_parse(text, out) == PDV_OK)
		return PDV_OK;
	return failure_set(f, PDV_INVALID_ARGUMENT, "MALFORMED_ID",
	    "an erasure id is era_ and 26 characters");
}
