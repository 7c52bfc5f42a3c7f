/*
 * The memory of one request: bump allocation out of a first chunk that is kept and
 * further ones up to a budget, all wiped and given back together. It is protobuf-c's
 * allocator, since unpacking takes up to 56 times the bytes of the wire. One thread at
 * a time.
 */
#ifndef SERVER_ARENA_H
#define SERVER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "server/bytes.h"
#include "server/must.h"

#define ARENA_CHUNK 16384u		/* kept from request to request */
#define ARENA_BUDGET (4u << 20)		/* of one request, all chunks together */

struct arena;

/* NULL: out of memory. */
struct arena *arena_new(void) MUST_USE;

/*
 * len zero bytes, aligned for any type; NULL beyond the budget. They die at arena_reset. One
 * piece never spans chunks, and what is left of a chunk counts against the budget.
 */
void *arena_alloc(struct arena *a, size_t len) MUST_USE;

/* Whether anything was refused since the last arena_reset. */
bool arena_refused(const struct arena *a);

/* A copy, which ends in a NUL byte not counted in len; NULL p beyond the budget. */
struct bytes arena_copy(struct arena *a, struct bytes b) MUST_USE;

/* For protobuf_c_message_unpack(); its free does nothing. */
ProtobufCAllocator *arena_allocator(struct arena *a);

/* Wipes what was handed out and starts again. */
void arena_reset(struct arena *a);

/* Wipes and frees. */
void arena_free(struct arena *a);

#ifdef PDV_TEST_HOOKS
/* Shows each chunk after it was wiped and before it is used again or freed. NULL: no more. */
void arena_test_wiped(void (*see)(const void *p, size_t len));
/* The nth malloc from now answers NULL; 0: none. */
void arena_test_fail(size_t nth);
void arena_check(struct arena *a);
#endif

#endif /* SERVER_ARENA_H */
