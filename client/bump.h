/*
 * A bump allocator: the memory of one result. It has a hard budget, gives nothing back
 * before its end, and is wiped then. Not thread-safe.
 */
#ifndef CLIENT_BUMP_H
#define CLIENT_BUMP_H

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct bump_chunk;

/*
 * Invariants:
 *   1. used <= size in the first chunk and in every other;
 *   2. held <= budget, where held counts all chunks.
 */
struct bump {
	unsigned char *base; /* the first chunk, memory of the caller's */
	size_t size;
	size_t used;
	struct bump_chunk *more; /* newest first */
	size_t held;
	size_t budget;
};

/*
 * bump_init(b, base, size, budget):
 * Start with the ${size} bytes at ${base}, aligned for any type, which stay the caller's;
 * take at most ${budget} bytes in all.
 */
void bump_init(struct bump *b, void *base, size_t size, size_t budget);

/*
 * bump_alloc(b, n):
 * ${n} bytes, aligned for any type, not cleared, good until bump_end. NULL over
 * the budget or without memory.
 */
void *bump_alloc(struct bump *b, size_t n);

/* bump_array(b, count, each): as bump_alloc, cleared; NULL also if the product overflows. */
void *bump_array(struct bump *b, size_t count, size_t each);

/* bump_allocator(b): as the allocator that protobuf-c takes; freeing does nothing. */
ProtobufCAllocator bump_allocator(struct bump *b);

/* bump_end(b): wipe all that was handed out, free the further chunks. */
void bump_end(struct bump *b);

/* bump_check(b): abort unless the invariants hold. For tests. */
void bump_check(const struct bump *b);

#endif /* CLIENT_BUMP_H */
