/*
 * TCP connections that were accepted and have not come through the gate. nng 1.5.2 times
 * them out only once TLS is established: a peer that connects and says nothing, or stops
 * in the middle of the handshake, would keep its socket and its buffers for ever, and no
 * function of nng shows it. So we look at our own sockets, and shut down those that are
 * connected to one of our ports, unknown, and old.
 */
#ifndef SERVER_RPC_LOBBY_H
#define SERVER_RPC_LOBBY_H

#include <stddef.h>
#include <stdint.h>

#include "server/status.h"

#define LOBBY_SEATS 4096u	/* unknown connections that are remembered */

struct sockaddr_storage;

/* The other end's address, as text of its own: IPv4 mapped into IPv6, port last. */
struct lobby_remote {
	uint8_t b[18];
};

/* All zero of another family. */
struct lobby_remote lobby_remote_of(const struct sockaddr_storage *a);

struct lobby;

/* ${ports}[0 .. count-1] are ours, and copied. STATUS_NO_MEMORY. The caller frees ${out}. */
enum status lobby_new(const uint16_t *ports, size_t count, struct lobby **out) MUST_USE;

/*
 * lobby_sweep(l, known, count, now_ns, limit_ns):
 * Look at every socket of this process. Those that were accepted at one of our ports,
 * whose peers are not among ${known} (which is sorted here), and which every call since
 * ${limit_ns} ago has seen, are shut down, for nng to close. Returns how many. One thread
 * at a time.
 */
unsigned lobby_sweep(struct lobby *l, struct lobby_remote *known, size_t count,
    uint64_t now_ns, uint64_t limit_ns);

/* NULL: nothing. */
void lobby_free(struct lobby *l);

#endif /* SERVER_RPC_LOBBY_H */
