/*
 * The servers of a handle: for each a REQ socket with its dialers, which connect and
 * reconnect in the background. One server is preferred for as long as it works.
 */
#ifndef CLIENT_SERVERS_H
#define CLIENT_SERVERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "pdvault/pdvault.h"

#define SERVERS_RECONNECT_MIN 20   /* ms from a lost connection to the next try, at first */
#define SERVERS_RECONNECT_MAX 2000 /* and at most */
#define SERVERS_SILENCE 1000       /* ms without any answer that make a server suspect */

struct tls_context;

struct server {
	struct servers *all;
	nng_socket socket;
	bool open;
	atomic_uint pipe_count; /* connections that are there now */
	uint32_t pipes[2 * PDV_CONNECTIONS_MAX];
	_Atomic nng_time heard; /* when it last answered */
};

/*
 * The lock guards changes to all below it and is never held while nng is called. What is
 * atomic may be read without it: while the preferred server works, no call takes it.
 */
struct servers {
	struct tls_context *tls;
	unsigned count;
	pthread_mutex_t lock;
	atomic_uint preferred;
	uint64_t failovers;
	struct server list[PDV_SERVERS_MAX];
};

/*
 * servers_open(s, o, why):
 * Begin to connect to all servers of ${o}, whose addresses stay where they are in ${s}.
 * Whatever the code, ${s} is then for servers_close. Codes and ${why} as pdv_client_new.
 */
enum pdv_code servers_open(struct servers *s, const struct pdv_client_options *o,
    char why[static PDV_WHY_LEN]) __attribute__((warn_unused_result));

/*
 * servers_pick(s):
 * The server to use: the preferred one if it is connected, else another that is, which is
 * preferred from then on; if none is, the preferred one still.
 */
unsigned servers_pick(struct servers *s);

/* servers_heard(s, i): server ${i} has answered. */
void servers_heard(struct servers *s, unsigned i);

/* servers_avoid(s, i): server ${i} failed: prefer another that is connected, if any. */
void servers_avoid(struct servers *s, unsigned i);

/*
 * servers_silent(s, i, since):
 * A request of ${since} got no answer from server ${i} in time: avoid it, unless it answered
 * others since, or has had less than SERVERS_SILENCE.
 */
void servers_silent(struct servers *s, unsigned i, nng_time since);

/* servers_connections(s, failovers): connections to all servers now. */
uint64_t servers_connections(struct servers *s, uint64_t *failovers);

/* servers_close(s): close everything; no context may be in use any more. */
void servers_close(struct servers *s);

/* servers_refused(s): was it a certificate that the last connection failed over? Any thread. */
bool servers_refused(const struct servers *s);

#endif /* CLIENT_SERVERS_H */
