/*
 * What the same engine does when the answer is the request: a REP socket whose callback sends
 * back the message that it got, in a process of its own as the server is.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "bench.h"
#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "client/transport/tls_context.h"

#define CONTEXTS 256

struct turn {
	nng_ctx ctx;
	nng_aio *aio;
	bool sending;
};

static void
turn_step(void *arg)
{
	struct turn *t = arg;
	nng_msg *m;

	if (nng_aio_result(t->aio) != 0) {
		if (t->sending)
			nng_msg_free(nng_aio_get_msg(t->aio));
		t->sending = false;
		nng_ctx_recv(t->ctx, t->aio);
		return;
	}
	if (t->sending) {
		t->sending = false;
		nng_ctx_recv(t->ctx, t->aio);
		return;
	}
	m = nng_aio_get_msg(t->aio);
	nng_aio_set_msg(t->aio, m);
	t->sending = true;
	nng_ctx_send(t->ctx, t->aio);
}

static bool
listen_any(nng_socket s, struct tls_context *tls, int *port)
{
	nng_listener l;

	return nng_listener_create(&l, s, "tls+tcp://127.0.0.1:0") == 0 &&
	    tls_context_listen(tls, l) == PDV_OK && nng_listener_start(l, 0) == 0 &&
	    nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, port) == 0;
}

/* Writes its port to standard output and serves until it is killed, at the latest with its parent. */
int
echo_serve(const struct options *o)
{
	static struct turn turn[CONTEXTS];
	struct tls_options to = { .role = TLS_SERVER,
		.files = { .ca = o->ca, .cert = o->echo_cert, .key = o->echo_key } };
	struct tls_context *tls = NULL;
	char why[TLS_WHY_LEN] = "";
	nng_socket s;
	int port;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (engine_register() != PDV_OK || tls_context_new(&to, &tls, why) != PDV_OK) {
		(void)fprintf(stderr, "pdvault-bench: echo: %s\n", why);
		return 1;
	}
	if (nng_rep0_open(&s) != 0 || sp_settle(s, SP_SERVER) != PDV_OK)
		return 1;
	for (int i = 0; i < CONTEXTS; i++) {
		if (nng_ctx_open(&turn[i].ctx, s) != 0 ||
		    nng_aio_alloc(&turn[i].aio, turn_step, &turn[i]) != 0)
			return 1;
		nng_ctx_recv(turn[i].ctx, turn[i].aio);
	}
	if (!listen_any(s, tls, &port))
		return 1;
	(void)printf("%d\n", port);
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

bool
echo_start(const struct options *o, struct echo *e)
{
	char line[32] = "";
	int fd[2];
	FILE *in;

	if (pipe(fd) != 0 || (e->pid = fork()) < 0)
		return false;
	if (e->pid == 0) {
		(void)dup2(fd[1], STDOUT_FILENO);
		(void)close(fd[0]);
		(void)close(fd[1]);
		(void)execl("/proc/self/exe", "pdvault-bench", "--echo-serve", "--ca", o->ca,
		    "--echo-cert", o->echo_cert, "--echo-key", o->echo_key, (char *)NULL);
		_exit(1);
	}
	(void)close(fd[1]);
	in = fdopen(fd[0], "r");
	if (in == NULL || fgets(line, sizeof(line), in) == NULL) {
		(void)fprintf(stderr, "pdvault-bench: the echo did not start\n");
		return false;
	}
	(void)fclose(in);
	line[strcspn(line, "\n")] = '\0';
	(void)snprintf(e->url, sizeof(e->url), "tls+tcp://127.0.0.1:%s", line);
	return true;
}

void
echo_stop(struct echo *e)
{
	if (e->pid > 0) {
		(void)kill(e->pid, SIGKILL);
		(void)waitpid(e->pid, NULL, 0);
	}
	e->pid = 0;
}
