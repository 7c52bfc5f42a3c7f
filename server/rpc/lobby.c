#include "server/rpc/lobby.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MAX 16u

/* Somebody unknown, since when. */
struct seat {
	struct lobby_remote who;
	uint64_t since_ns;
};

/* 1. seat[0 .. taken-1] are those of the last sweep, sorted by who. */
struct lobby {
	uint16_t port[PORTS_MAX];
	size_t ports;
	struct seat *seat, *next;	/* LOBBY_SEATS each; the sweep fills next */
	size_t taken, filled;
};

static int
compare(const void *a, const void *b)
{
	/* A struct seat begins with its struct lobby_remote. */
	return memcmp(a, b, sizeof(struct lobby_remote));
}

struct lobby_remote
lobby_remote_of(const struct sockaddr_storage *a)
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;
	struct lobby_remote r = { { 0 } };

	if (a->ss_family == AF_INET6) {
		memcpy(r.b, &six->sin6_addr, 16);
		memcpy(r.b + 16, &six->sin6_port, 2);
	} else if (a->ss_family == AF_INET) {
		memset(r.b + 10, 0xff, 2);
		memcpy(r.b + 12, &four->sin_addr, 4);
		memcpy(r.b + 16, &four->sin_port, 2);
	}
	return r;
}

enum status
lobby_new(const uint16_t *ports, size_t count, struct lobby **out)
{
	struct lobby *l = calloc(1, sizeof(*l));

	must(count <= PORTS_MAX);
	if (l == NULL || (l->seat = calloc(LOBBY_SEATS, sizeof(struct seat))) == NULL ||
	    (l->next = calloc(LOBBY_SEATS, sizeof(struct seat))) == NULL) {
		lobby_free(l);
		return STATUS_NO_MEMORY;
	}
	memcpy(l->port, ports, count * sizeof(ports[0]));
	l->ports = count;
	*out = l;
	return STATUS_OK;
}

static bool
is_our_port(const struct lobby *l, int fd)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(a);
	struct lobby_remote own;
	size_t i;

	if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return false;
	own = lobby_remote_of(&a);
	for (i = 0; i < l->ports; i++) {
		if (own.b[16] == l->port[i] >> 8 && own.b[17] == (l->port[i] & 0xff))
			return true;
	}
	return false;
}

/* Was accepted by one of our listeners, and from whom? */
static bool
visitor(const struct lobby *l, int fd, struct lobby_remote *who)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(a);

	if (!is_our_port(l, fd) || getpeername(fd, (struct sockaddr *)&a, &len) != 0)
		return false;
	*who = lobby_remote_of(&a);
	return true;
}

/* Since when the visitor is here; from now on if it was not there at the last sweep. */
static uint64_t
seat(struct lobby *l, const struct lobby_remote *who, uint64_t now_ns)
{
	const struct seat *before =
	    bsearch(who, l->seat, l->taken, sizeof(struct seat), compare);
	uint64_t since = before == NULL ? now_ns : before->since_ns;

	if (l->filled < LOBBY_SEATS)
		l->next[l->filled++] = (struct seat){ *who, since };
	return since;
}

struct round {
	const struct lobby_remote *known;
	size_t count;
	uint64_t now_ns, limit_ns;
};

/*
 * nng may close the descriptor at any moment, and its number be another's: a copy stays
 * what it is. No copies of what is not a socket: closing one drops the locks of its file.
 */
static bool
shut(const struct lobby *l, int number, const struct lobby_remote *who)
{
	struct lobby_remote again;
	bool done = false;
	int fd;

	if ((fd = fcntl(number, F_DUPFD_CLOEXEC, 0)) < 0)
		return false;
	if (visitor(l, fd, &again) && compare(who, &again) == 0)
		done = shutdown(fd, SHUT_RDWR) == 0;
	(void)close(fd);
	return done;
}

/* One of our descriptors: true if it was a visitor for too long, and was shut down. */
static bool
look_at(struct lobby *l, int number, const struct round *r)
{
	struct lobby_remote who;

	return visitor(l, number, &who) &&
	    bsearch(&who, r->known, r->count, sizeof(who), compare) == NULL &&
	    r->now_ns - seat(l, &who, r->now_ns) >= r->limit_ns && shut(l, number, &who);
}

static void
turn(struct lobby *l)
{
	struct seat *last = l->seat;

	qsort(l->next, l->filled, sizeof(struct seat), compare);
	l->seat = l->next;
	l->taken = l->filled;
	l->next = last;
	l->filled = 0;
}

unsigned
lobby_sweep(struct lobby *l, struct lobby_remote *known, size_t count, uint64_t now_ns,
    uint64_t limit_ns)
{
	struct round r = { known, count, now_ns, limit_ns };
	DIR *all = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned done = 0;

	if (all == NULL)
		return 0;
	qsort(known, count, sizeof(*known), compare);
	while ((e = readdir(all)) != NULL) {
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			done += look_at(l, (int)strtol(e->d_name, NULL, 10), &r) ? 1 : 0;
	}
	(void)closedir(all);
	turn(l);
	return done;
}

void
lobby_free(struct lobby *l)
{
	if (l == NULL)
		return;
	free(l->seat);
	free(l->next);
	free(l);
}
