/* Vector registers hold what was put there until registers_wipe(), which is called where threads wait. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <nng/nng.h>

#include <nng/supplemental/util/platform.h>

#include "client/transport/engine.h"
#include "client/transport/engine_internal.h"
#include "client/transport/registers.h"
#include "echo.h"
#include "plan.h"
#include "server/keys/epoch.h"
#include "server/keys/secret.h"

#define COUNT 4u
#define WIDTH 64u
#define PIECE 16u
#define MARK 0x5a

/* The linker puts these before the real ones. */
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __real_nng_tls_engine_send(void *below, const uint8_t *bytes, size_t *len);
int __wrap_nng_tls_engine_send(void *below, const uint8_t *bytes, size_t *len);
int __real_nng_tls_engine_recv(void *below, uint8_t *bytes, size_t *len);
int __wrap_nng_tls_engine_recv(void *below, uint8_t *bytes, size_t *len);

/* Of this thread: how often it waited while ${watched}, and how often with a mark. */
static _Thread_local bool watched;
static _Thread_local unsigned waits, marked;
static _Thread_local uint8_t from[COUNT * WIDTH], to[COUNT * WIDTH];
static char below;			/* a connection where nothing can be sent yet */

#ifdef __x86_64__
static unsigned
width(void)
{
	return __builtin_cpu_supports("avx512vl") ? 64 : __builtin_cpu_supports("avx") ? 32 : 16;
}

#define LOAD(op, size, n, at) op " " #at "(%0), %%" size #n "\n"
#define STORE(op, size, n, at) op " %%" size #n ", " #at "(%0)\n"

/* Fills registers of each kind; the compiler has no use for them before they are looked at. */
static void
mark(void)
{
	unsigned w = width();

	memset(from, MARK, sizeof(from));
	if (w == 64)
		__asm__ volatile(LOAD("vmovdqu64", "zmm", 0, 0) LOAD("vmovdqu64", "zmm", 15, 64)
			LOAD("vmovdqu64", "zmm", 16, 128) LOAD("vmovdqu64", "zmm", 31, 192)
			::"r"(from) : "memory");
	else if (w == 32)
		__asm__ volatile(LOAD("vmovdqu", "ymm", 0, 0) LOAD("vmovdqu", "ymm", 15, 64)
			::"r"(from) : "memory");
	else
		__asm__ volatile(LOAD("movdqu", "xmm", 0, 0) LOAD("movdqu", "xmm", 15, 64)
			::"r"(from) : "memory");
}

/* Puts them into ${to}. */
static void
look(void)
{
	unsigned w = width();

	if (w == 64)
		__asm__ volatile(STORE("vmovdqu64", "zmm", 0, 0) STORE("vmovdqu64", "zmm", 15, 64)
			STORE("vmovdqu64", "zmm", 16, 128) STORE("vmovdqu64", "zmm", 31, 192)
			"vzeroupper" ::"r"(to) : "memory");
	else if (w == 32)
		__asm__ volatile(STORE("vmovdqu", "ymm", 0, 0) STORE("vmovdqu", "ymm", 15, 64)
			"vzeroupper" ::"r"(to) : "memory");
	else
		__asm__ volatile(STORE("movdqu", "xmm", 0, 0) STORE("movdqu", "xmm", 15, 64)
			::"r"(to) : "memory");
}
#else
static void
mark(void)
{
	skip();
}

static void
look(void)
{
}
#endif

/* How many pieces of ${to} have the mark. */
static unsigned
pieces(void)
{
	unsigned n = 0, i;

	for (i = 0; i < sizeof(to); i += PIECE)
		n += memcmp(to + i, from, PIECE) == 0;
	return n;
}

static void
note_wait(void)
{
	look();
	waits++;
	marked += pieces() > 0;
}

int
__wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	if (watched)
		note_wait();
	return __real_pthread_cond_wait(c, m);
}

int
__wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	if (watched)
		note_wait();
	return __real_nanosleep(t, left);
}

int
__wrap_nng_tls_engine_send(void *where, const uint8_t *bytes, size_t *len)
{
	return where == &below ? NNG_EAGAIN : __real_nng_tls_engine_send(where, bytes, len);
}

int
__wrap_nng_tls_engine_recv(void *where, uint8_t *bytes, size_t *len)
{
	return where == &below ? NNG_EAGAIN : __real_nng_tls_engine_recv(where, bytes, len);
}

static void
watch(void)
{
	waits = marked = 0;
	watched = true;
	mark();
}

/* It has waited, and never with a mark. */
static void
expect_clean_waits(void)
{
	watched = false;
	assert_true(waits > 0);
	assert_int_equal(marked, 0);
}

static void
expect_clean_now(void)
{
	look();
	assert_int_equal(pieces(), 0);
}

static void
wiped(void **state)
{
	(void)state;
	memset(to, 0, sizeof(to));
	mark();
	look();
	assert_true(pieces() >= 2);	/* the control */
	mark();
	registers_wipe();
	look();
	for (size_t i = 0; i < sizeof(to); i++)
		assert_int_equal(to[i], 0);
}

static void
note_done(struct pdv_result *r, void *arg)
{
	pdv_result_free(r);
	atomic_store((atomic_bool *)arg, true);
}

/* Who waits for an answer has packed the request, and who does not wait for it goes on to something else. */
static void
callers_of_the_library(void **state)
{
	struct pdv_result *r = NULL;
	struct pdv_client *c;
	enum pdv_code code;
	atomic_bool done = false;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "w");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	c = plan_client_of(f);
	watch();
	code = pdv_create_subject(c, &plan_nobody, NULL, &r);
	expect_clean_waits();
	assert_int_equal(code, PDV_OK);
	pdv_result_free(r);
	mark();
	code = pdv_create_subject_async(c, &plan_nobody, NULL, note_done, &done);
	expect_clean_now();
	assert_int_equal(code, PDV_OK);
	while (!atomic_load(&done))
		nng_msleep(1);
	pdv_client_free(c);
	fake_free(f);
}

/* K6: the writer has just sealed and opened keys when it waits for readers. */
static void
writer_in_a_switch(void **state)
{
	struct root r = {.epoch = 10, .s_height = 1};
	struct epochs *e;
	bool free_of_readers;

	(void)state;
	assert_int_equal(secret_init(64u << 10), STATUS_OK);
	assert_int_equal(epoch_new(&r, 10, &e), STATUS_OK);
	epoch_pin(e, 0);
	r.epoch = 11;
	epoch_stage(e, &r);
	watch();
	free_of_readers = epoch_advance(e, 1000000);
	expect_clean_waits();
	assert_false(free_of_readers);
	epoch_unpin(e, 0);
	epoch_free(e);
	secret_end();
}

/* A context has read a private key; a handshake has made secrets. */
static void
threads_of_nng(void **state)
{
	struct tls_options o = {.role = TLS_CLIENT, .files = echo_files(plan_pki, "client")};
	struct nng_tls_engine_config config = {.host = "localhost"};
	struct nng_tls_engine_conn *conn = calloc(1, engine_conn_ops.size);
	char why[TLS_WHY_LEN];
	enum pdv_code code;
	int rv;

	(void)state;
	assert_non_null(conn);
	assert_int_equal(engine_register(), PDV_OK);
	mark();
	code = tls_context_new(&o, &config.context, why);
	expect_clean_now();
	assert_int_equal(code, PDV_OK);
	mark();
	code = tls_context_reload(config.context, why);
	expect_clean_now();
	assert_int_equal(code, PDV_OK);
	assert_int_equal(engine_conn_ops.init(conn, &below, &config), 0);
	mark();
	rv = engine_conn_ops.handshake(conn);
	expect_clean_now();
	assert_int_equal(rv, NNG_EAGAIN);
	engine_conn_ops.fini(conn);
	tls_context_free(config.context);
	free(conn);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wiped),
		cmocka_unit_test(callers_of_the_library),
		cmocka_unit_test(writer_in_a_switch),
		cmocka_unit_test(threads_of_nng),
	};

	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
