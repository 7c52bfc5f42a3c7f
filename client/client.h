/*
 * The handle's inside: its flights, the calls that wait for one, and what it has seen.
 * Any thread.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>

#include "client/epochs.h"
#include "client/erased.h"
#include "pdvault/code.h"

struct call;
struct flight;
struct pdv_client;
struct servers;

/* --- for invoke.c --- */

/* Why a call cannot begin; static strings. */
struct client_refusal {
	enum pdv_code code;
	const char *reason;
	const char *detail;
};

/* client_usable(c, why): false in a process that is not the handle's. */
bool client_usable(const struct pdv_client *c, struct client_refusal *why);

/* client_in_callback(): is this thread in a callback of a handle? */
bool client_in_callback(void);

/* client_deadline(c): of calls that name none, in ms. */
uint32_t client_deadline(const struct pdv_client *c);

/*
 * client_submit(c, call, why):
 * Begin ${call}, now or when it is its turn. True: its callback will be called with its
 * result, which is no longer ours. False: it will not, and nothing was taken.
 */
bool client_submit(struct pdv_client *c, struct call *call, struct client_refusal *why);

/* client_check(c): abort unless the invariants hold. For tests. */
void client_check(struct pdv_client *c);

/* --- for flight.c --- */

struct servers *client_servers(struct pdv_client *c);

/* client_erased(c): who wants to know of erasures; for client/blob/ too. */
struct erased *client_erased(struct pdv_client *c);

/* client_closing(c): has pdv_client_free begun? */
bool client_closing(struct pdv_client *c);

/* client_mark, client_note: epochs_mark and epochs_note, one thread at a time. */
void client_mark(struct pdv_client *c, struct epochs_mark *out);
enum epochs_verdict client_note(struct pdv_client *c, const struct epochs_mark *mark,
    const uint8_t vault[static PDV_ID_LEN], struct epochs_at at);

/* client_retrying(c): one more attempt is counted. */
void client_retrying(struct pdv_client *c);

/*
 * client_landed(c, f, call):
 * ${f} is idle, ${call} has its final result: let the next waiting call fly, then
 * hand the result to its callback.
 */
void client_landed(struct pdv_client *c, struct flight *f, struct call *call);

#endif /* CLIENT_CLIENT_H */
