/*
 * A command's connection to the vault: the client library's handle, made from the settings.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "args.h"
#include "pdvault/pdvault.h"
#include "settings.h"

/* Start with all zero. */
struct session {
	struct settings settings;
	struct pdv_client *client;
	struct pdv_call_options options;	/* for every call */
	uint8_t key[PDV_KEY_LEN];		/* of --idempotency-key */
};

/*
 * session_open(s, a, in_flight, f):
 * Load settings, make the handle; ${in_flight} calls at once, 0 for the default. A server
 * that is down shows in the first call.
 */
enum pdv_code session_open(struct session *s, const struct args *a, unsigned in_flight,
    struct failure *f);

/*
 * session_close(s):
 * All zero is allowed; whatever came of session_open().
 */
void session_close(struct session *s);

/*
 * session_failed(r, f):
 * The code of a result; when it is not PDV_OK, ${f} is filled from it. ${r} stays.
 */
enum pdv_code session_failed(const struct pdv_result *r, struct failure *f);

/*
 * session_repeatable(f):
 * For a command of several calls, after session_failed(): of an unknown outcome it then says that the whole
 * command can be run again, since one idempotency key is one call's.
 */
void session_repeatable(struct failure *f);

/*
 * session_no_record(f):
 * The call failed because the subject has no data of that category: none yet (a category can
 * be in use before it has any), or none any more.
 */
bool session_no_record(const struct failure *f);

/*
 * session_subject(text, out, f), session_erasure(text, out, f):
 * Read an id; INVALID_ARGUMENT, reason MALFORMED_ID.
 */
enum pdv_code session_subject(const char *text, struct pdv_subject_id *out, struct failure *f);
enum pdv_code session_erasure(const char *text, struct pdv_erasure_id *out, struct failure *f);

#endif /* CLI_SESSION_H */
