#include <stdio.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "client/servers.h"
#include "client/transport/must.h"
#include "client/transport/sp.h"
#include "client/transport/tls_context.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
lock(struct servers *s)
{
	must(pthread_mutex_lock(&s->lock) == 0);
}

static void
unlock(struct servers *s)
{
	must(pthread_mutex_unlock(&s->lock) == 0);
}

/* Before the first message may pass; nothing of nng but the id may be asked here. */
static void
pipe_added(nng_pipe p, nng_pipe_ev event, void *arg)
{
	struct server *v = arg;

	(void)event;
	lock(v->all);
	if (v->pipe_count < COUNT(v->pipes))
		v->pipes[v->pipe_count++] = (uint32_t)nng_pipe_id(p);
	unlock(v->all);
}

static void
pipe_gone(nng_pipe p, nng_pipe_ev event, void *arg)
{
	struct server *v = arg;
	unsigned i;

	(void)event;
	lock(v->all);
	for (i = 0; i < v->pipe_count; i++) {
		if (v->pipes[i] == (uint32_t)nng_pipe_id(p)) {
			v->pipes[i] = v->pipes[--v->pipe_count];
			break;
		}
	}
	unlock(v->all);
}

static enum pdv_code
of_nng(int rv)
{
	switch (rv) {
	case 0:
		return PDV_OK;
	case NNG_ENOMEM:
	case NNG_ENOFILES:
		return PDV_RESOURCE_EXHAUSTED;
	case NNG_EADDRINVAL:
	case NNG_EINVAL:
		return PDV_INVALID_ARGUMENT;
	default:
		return PDV_FAILED_PRECONDITION;
	}
}

static enum pdv_code
dial(struct server *v, const char *url)
{
	nng_dialer d;
	enum pdv_code code;

	if ((code = of_nng(nng_dialer_create(&d, v->socket, url))) != PDV_OK)
		return code;
	if ((code = tls_context_dial(v->all->tls, d)) != PDV_OK)
		return code;
	if ((code = of_nng(nng_dialer_set_ms(
		 d, NNG_OPT_RECONNMINT, SERVERS_RECONNECT_MIN))) != PDV_OK ||
	    (code = of_nng(nng_dialer_set_ms(
		 d, NNG_OPT_RECONNMAXT, SERVERS_RECONNECT_MAX))) != PDV_OK)
		return code;
	return of_nng(nng_dialer_start(d, NNG_FLAG_NONBLOCK));
}

static enum pdv_code
open_one(struct server *v, const char *url, unsigned connections)
{
	enum pdv_code code;
	unsigned i;

	if ((code = of_nng(nng_req0_open(&v->socket))) != PDV_OK)
		return code;
	v->open = true;
	if ((code = sp_settle(v->socket, SP_CLIENT)) != PDV_OK)
		return code;
	if ((code = of_nng(nng_pipe_notify(
		 v->socket, NNG_PIPE_EV_ADD_PRE, pipe_added, v))) != PDV_OK ||
	    (code = of_nng(nng_pipe_notify(
		 v->socket, NNG_PIPE_EV_REM_POST, pipe_gone, v))) != PDV_OK)
		return code;
	for (i = 0; i < connections; i++) {
		if ((code = dial(v, url)) != PDV_OK)
			return code;
	}
	return PDV_OK;
}

static enum pdv_code
check(const struct pdv_client_options *o, char why[static PDV_WHY_LEN])
{
	size_t i;

	if (o->server_count == 0 || o->server_count > PDV_SERVERS_MAX || o->servers == NULL) {
		snprintf(why, PDV_WHY_LEN, "1 to %d servers are needed", PDV_SERVERS_MAX);
		return PDV_INVALID_ARGUMENT;
	}
	if (o->connections > PDV_CONNECTIONS_MAX) {
		snprintf(why, PDV_WHY_LEN, "at most %d connections to a server",
		    PDV_CONNECTIONS_MAX);
		return PDV_INVALID_ARGUMENT;
	}
	for (i = 0; i < o->server_count; i++) {
		if (o->servers[i] == NULL || !sp_url_ok(o->servers[i])) {
			snprintf(why, PDV_WHY_LEN,
			    "server %zu is not of the form tls+tcp://HOST:PORT", i + 1);
			return PDV_INVALID_ARGUMENT;
		}
	}
	return PDV_OK;
}

enum pdv_code
servers_open(struct servers *s, const struct pdv_client_options *o,
    char why[static PDV_WHY_LEN])
{
	struct tls_options tls = {
	    .role = TLS_CLIENT,
	    .files = {o->ca, o->crl, o->cert, o->key},
	    .server_spiffe = o->server_spiffe,
	};
	char reason[TLS_WHY_LEN] = "";
	unsigned connections = o->connections > 0 ? o->connections : 1;
	enum pdv_code code;

	memset(s, 0, sizeof(*s));
	must(pthread_mutex_init(&s->lock, NULL) == 0);
	if ((code = check(o, why)) != PDV_OK)
		return code;
	if ((code = tls_context_new(&tls, &s->tls, reason)) != PDV_OK) {
		snprintf(why, PDV_WHY_LEN, "%s", reason);
		/* Files that cannot be used are the caller's to set right. */
		return code == PDV_FAILED_PRECONDITION ? PDV_INVALID_ARGUMENT : code;
	}
	for (; s->count < o->server_count; s->count++) {
		s->list[s->count].all = s;
		code = open_one(&s->list[s->count], o->servers[s->count], connections);
		if (code != PDV_OK) {
			snprintf(why, PDV_WHY_LEN, "server %u cannot be dialled", s->count + 1);
			return code;
		}
	}
	return PDV_OK;
}

/* A connected server after ${from}, or ${from} itself if there is none. */
static unsigned
next_connected(const struct servers *s, unsigned from)
{
	unsigned k, i;

	for (k = 1; k < s->count; k++) {
		i = (from + k) % s->count;
		if (s->list[i].pipe_count > 0)
			return i;
	}
	return from;
}

static void
prefer(struct servers *s, unsigned i)
{
	if (s->preferred != i)
		s->failovers++;
	s->preferred = i;
}

unsigned
servers_pick(struct servers *s)
{
	unsigned i = s->preferred;

	if (s->list[i].pipe_count > 0)
		return i;
	lock(s);
	if (s->list[s->preferred].pipe_count == 0)
		prefer(s, next_connected(s, s->preferred));
	i = s->preferred;
	unlock(s);
	return i;
}

void
servers_heard(struct servers *s, unsigned i)
{
	s->list[i].heard = nng_clock();
}

void
servers_avoid(struct servers *s, unsigned i)
{
	lock(s);
	if (i == s->preferred)
		prefer(s, next_connected(s, i));
	unlock(s);
}

void
servers_silent(struct servers *s, unsigned i, nng_time since)
{
	lock(s);
	if (i == s->preferred && s->list[i].heard < since &&
	    nng_clock() - since >= SERVERS_SILENCE)
		prefer(s, next_connected(s, i));
	unlock(s);
}

uint64_t
servers_connections(struct servers *s, uint64_t *failovers)
{
	uint64_t total = 0;
	unsigned i;

	lock(s);
	for (i = 0; i < s->count; i++)
		total += s->list[i].pipe_count;
	*failovers = s->failovers;
	unlock(s);
	return total;
}

void
servers_close(struct servers *s)
{
	unsigned i;

	for (i = 0; i < PDV_SERVERS_MAX; i++) {
		if (s->list[i].open)
			(void)nng_close(s->list[i].socket);
	}
	tls_context_free(s->tls);
	must(pthread_mutex_destroy(&s->lock) == 0);
}

bool
servers_refused(const struct servers *s)
{
	return tls_context_refused(s->tls);
}
