#include "soft_tpm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "programs.h"
#include "server/must.h"

#define HEADER 10u
#define PACKET_MAX 4096u
#define TAPE (256u << 10)

static pid_t pid;
static pthread_t thread, control_thread;
static int listener = -1, control = -1, tpm = -1;
static uint16_t port;
static char tcti[64];
static _Atomic unsigned seen, fail_at;
static uint32_t fail_code;
static bool lose;
static atomic_bool flush_wanted;
static uint8_t *tape;
static size_t taped;

static bool
read_all(int fd, uint8_t *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = read(fd, p, len)) <= 0)
			return false;
	return true;
}

static bool
send_all(int fd, const uint8_t *p, size_t len)
{
	return send(fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* A command or a response: tag (2), length of all (4), code (4), ... */
static size_t
read_packet(int fd, uint8_t out[static PACKET_MAX])
{
	size_t len;

	if (!read_all(fd, out, HEADER))
		return 0;
	len = bytes_get32(out + 2);
	must(len >= HEADER && len <= PACKET_MAX);
	if (!read_all(fd, out + HEADER, len - HEADER))
		return 0;
	if (taped + len <= TAPE) {
		memcpy(tape + taped, out, len);
		taped += len;
	}
	return len;
}

/*
 * There is something to read; false: somebody else wants in, so that this one was forgotten, not
 * closed.
 */
static bool
has_more(int fd, int others)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = others, .events = POLLIN } };

	while (poll(p, 2, -1) < 0)
		;
	return p[0].revents != 0;
}

static bool
one_command(int fd)
{
	uint8_t b[PACKET_MAX];
	size_t len;
	bool this;

	if (!has_more(fd, listener) || (len = read_packet(fd, b)) == 0)
		return false;
	this = ++seen == fail_at;
	if (this && fail_code != 0) {
		bytes_put16(b, 0x8001);	/* TPM_ST_NO_SESSIONS */
		bytes_put32(b + 2, HEADER);
		bytes_put32(b + 6, fail_code);
		return send_all(fd, b, HEADER);
	}
	if (this && !lose)
		return false;
	if (!send_all(tpm, b, len) || (len = read_packet(tpm, b)) == 0 || this)
		return false;
	return send_all(fd, b, len);
}

/* TPM2_FlushContext. */
static void
flush_all(void)
{
	static const uint32_t kinds[] = { 0x80000000, 0x02000000, 0x03000000 };
	uint8_t b[PACKET_MAX];

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (uint32_t i = 0; i < 4; i++) {
			bytes_put16(b, 0x8001);
			bytes_put32(b + 2, 14);
			bytes_put32(b + 6, 0x165);
			bytes_put32(b + 10, kinds[k] + i);
			must(send_all(tpm, b, 14) && read_packet(tpm, b) > 0);
		}
	}
}

static void *
run(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		while (!flush_wanted && one_command(fd))
			;
		if (flush_wanted) {
			flush_all();
			flush_wanted = false;
		}
		/*
		 * The library connects for each command. What we leave otherwise is for the test
		 * to see.
		 */
		if (fail_at != 0 && fail_code == 0 && seen == fail_at)
			flush_all();
		(void)close(fd);
	}
	return NULL;
}

/*
 * At the next port the library sets the locality, each time that it connects: it is told that
 * this was done.
 */
static void *
run_control(void *arg)
{
	static const uint8_t done[4];
	uint8_t b[64];
	int fd;

	(void)arg;
	while ((fd = accept(control, NULL, NULL)) >= 0) {
		if (has_more(fd, control) && read(fd, b, sizeof(b)) > 0)
			(void)send_all(fd, done, sizeof(done));
		(void)close(fd);
	}
	return NULL;
}

/* On that port, 0: any; its port, or 0 where that was taken. */
static uint16_t
listen_on(uint16_t at, int *out)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(at),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 8) != 0) {
		(void)close(fd);
		return 0;
	}
	must(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*out = fd;
	return ntohs(a.sin_port);
}

static void
listen_again(void)
{
	uint16_t at;

	for (int i = 0; i < 100; i++) {
		if ((at = listen_on(port, &listener)) == 0)
			continue;
		if (at < UINT16_MAX && listen_on((uint16_t)(at + 1), &control) != 0) {
			port = at;
			(void)snprintf(tcti, sizeof(tcti), "swtpm:host=127.0.0.1,port=%u", port);
			return;
		}
		(void)close(listener);
	}
	must(false);
}

void
soft_tpm_start(const char *folder)
{
	char state[300];
	const char *const argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--fd", "3",
	    "--flags",
		"not-need-init,startup-clear", NULL };
	int pair[2];

	must(snprintf(state, sizeof(state), "dir=%s", folder) < (int)sizeof(state));
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	pid = programs_start(argv, pair[1]);
	must(close(pair[1]) == 0);
	tpm = pair[0];
	must(tape != NULL || (tape = malloc(TAPE)) != NULL);
	taped = 0;
	soft_tpm_fail(0, 0);
	listen_again();
	must(pthread_create(&thread, NULL, run, NULL) == 0);
	must(pthread_create(&control_thread, NULL, run_control, NULL) == 0);
}

void
soft_tpm_stop(void)
{
	must(shutdown(listener, SHUT_RDWR) == 0 && shutdown(control, SHUT_RDWR) == 0);
	must(pthread_join(thread, NULL) == 0 && pthread_join(control_thread, NULL) == 0);
	(void)close(listener);
	(void)close(control);
	(void)close(tpm);
	programs_end(pid);
	free(tape);
	tape = NULL;
}

const char *
soft_tpm_tcti(void)
{
	return tcti;
}

void
soft_tpm_fail(unsigned n, uint32_t code)
{
	lose = false;
	fail_code = code;
	seen = 0;
	fail_at = n;
}

void
soft_tpm_lose(unsigned n)
{
	soft_tpm_fail(n, 0);
	lose = true;
}

/*
 * By the thread that speaks with the TPM: it may be waiting for an answer that nobody waits for
 * any more.
 */
void
soft_tpm_flush(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	flush_wanted = true;
	must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	while (flush_wanted)
		(void)sched_yield();
	(void)close(fd);
}

unsigned
soft_tpm_seen(void)
{
	return seen;
}

bool
soft_tpm_said(struct bytes what)
{
	return memmem(tape, taped, what.p, what.len) != NULL;
}
