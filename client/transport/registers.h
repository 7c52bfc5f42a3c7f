/*
 * What memcpy and ciphers moved is left in the vector registers: up to 64 bytes in one piece, text or a
 * key, for as long as the thread waits, and a core file shows them. So registers_wipe() is called
 * behind such bytes
 *  - by threads of the server before they wait for work, for readers (K6) or for time, and before the first of
 *    them is made, since threads are born with the registers of who starts them;
 *  - by what nng calls, in the server and in the library, before it returns to nng;
 *  - by the library before a caller waits for an answer, or gets its thread back with a call begun, a
 *    handle made or a result freed. What it reads out of a result is its own.
 * Not before the locks and the disk that a piece of work itself waits for.
 */
#ifndef TRANSPORT_REGISTERS_H
#define TRANSPORT_REGISTERS_H

#ifdef __x86_64__
#define REGISTERS_LOW(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
	op(15)
#define REGISTERS_HIGH(op) \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) \
	op(30) op(31)
#define REGISTERS_PXOR(n) "pxor %%xmm" #n ", %%xmm" #n "\n"
#define REGISTERS_VPXOR(n) "vpxorq %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n"	/* and all bits above */
#define REGISTERS_CLOBBERED \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
	"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#ifdef __AVX512F__
#define REGISTERS_CLOBBERED_HIGH \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", \
	"xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
#else
#define REGISTERS_CLOBBERED_HIGH		/* the compiler does not use them */
#endif
#endif
#ifdef __aarch64__
/* The lower halves of 8 to 15 are the caller's. */
#define REGISTERS_ALL(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(16) op(17) op(18) op(19) op(20) op(21) op(22) \
	op(23) op(24) op(25) op(26) op(27) op(28) op(29) op(30) op(31)
#define REGISTERS_MOVI(n) "movi v" #n ".2d, #0\n"
#define REGISTERS_CLOBBERED \
	"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", \
	"v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
#endif

/* Zeroes the vector registers that a function may use without saving them. Nothing on other processors. */
static inline void
registers_wipe(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall" ::: REGISTERS_CLOBBERED);
	else
		__asm__ volatile(REGISTERS_LOW(REGISTERS_PXOR) ::: REGISTERS_CLOBBERED);
	/* glibc uses these wherever they are. */
	if (__builtin_cpu_supports("avx512vl"))
		__asm__ volatile(REGISTERS_HIGH(REGISTERS_VPXOR) ::: "memory" REGISTERS_CLOBBERED_HIGH);
#elif defined(__aarch64__)
	__asm__ volatile(REGISTERS_ALL(REGISTERS_MOVI) ::: REGISTERS_CLOBBERED);
#endif
}

#endif /* TRANSPORT_REGISTERS_H */
