/* Vector registers hold what was put there until registers_wipe(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/transport/registers.h"

#define COUNT 8u
#define WIDTH 64u

#ifdef __x86_64__
static unsigned
width(void)
{
	return __builtin_cpu_supports("avx512vl") ? 64 : __builtin_cpu_supports("avx") ? 32 : 16;
}

#define LOAD(op, size, n, at) op " " #at "(%0), %%" size #n "\n"
#define STORE(op, size, n, at) op " %%" size #n ", " #at "(%0)\n"

/*
 * Fills registers of each kind from one buffer, wipes or not, and puts them into the other; the compiler has no
 * use for them in between.
 */
static void
pass(const uint8_t *from, uint8_t *to, bool wipe)
{
	unsigned w = width();

	if (w == 64)
		__asm__ volatile(LOAD("vmovdqu64", "zmm", 0, 0) LOAD("vmovdqu64", "zmm", 15, 64)
			LOAD("vmovdqu64", "zmm", 16, 128) LOAD("vmovdqu64", "zmm", 31, 192)
			::"r"(from) : "memory");
	else if (w == 32)
		__asm__ volatile(LOAD("vmovdqu", "ymm", 0, 0) LOAD("vmovdqu", "ymm", 15, 32)
			::"r"(from) : "memory");
	else
		__asm__ volatile(LOAD("movdqu", "xmm", 0, 0) LOAD("movdqu", "xmm", 15, 16)
			::"r"(from) : "memory");
	if (wipe)
		registers_wipe();
	if (w == 64)
		__asm__ volatile(STORE("vmovdqu64", "zmm", 0, 0) STORE("vmovdqu64", "zmm", 15, 64)
			STORE("vmovdqu64", "zmm", 16, 128) STORE("vmovdqu64", "zmm", 31, 192)
			"vzeroupper" ::"r"(to) : "memory");
	else if (w == 32)
		__asm__ volatile(STORE("vmovdqu", "ymm", 0, 0) STORE("vmovdqu", "ymm", 15, 32)
			"vzeroupper" ::"r"(to) : "memory");
	else
		__asm__ volatile(STORE("movdqu", "xmm", 0, 0) STORE("movdqu", "xmm", 15, 16)
			::"r"(to) : "memory");
}

static void
wiped(void **state)
{
	static uint8_t from[COUNT * WIDTH], to[COUNT * WIDTH];
	size_t len = width() == 64 ? 4 * 64 : 2 * width(), i;

	(void)state;
	memset(from, 0x5a, sizeof(from));
	pass(from, to, false);
	assert_memory_equal(to, from, len);	/* the control */
	pass(from, to, true);
	for (i = 0; i < len; i++)
		assert_int_equal(to[i], 0);
}
#else
static void
wiped(void **state)
{
	(void)state;
	registers_wipe();
	skip();
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
