/*
 * Memory for personal data that lives as long as one command or one row, and is wiped
 * when it goes: the tool's own allocations, and those of jansson.
 */
#ifndef CLI_KEEP_H
#define CLI_KEEP_H

#include <stddef.h>

struct keep_block;

/* Start with all zero. */
struct keep {
	struct keep_block *blocks;
};

/*
 * keep_alloc(k, size):
 * ${size} zeroed bytes that live until keep_free(k); NULL without memory.
 */
void *keep_alloc(struct keep *k, size_t size);

/*
 * keep_free(k):
 * Wipe and free all of ${k}, which is then empty and may be used again.
 */
void keep_free(struct keep *k);

/*
 * keep_new(size), keep_resize(at, size), keep_drop(at):
 * As malloc, realloc and free, but what is freed or left behind is wiped. NULL is
 * allowed in the last two. Any thread.
 */
void *keep_new(size_t size);
void *keep_resize(void *at, size_t size);
void keep_drop(void *at);

/*
 * keep_copy(text, len):
 * The ${len} bytes and a NUL, for keep_drop(); NULL without memory.
 */
char *keep_copy(const char *text, size_t len);

/*
 * keep_json():
 * From here on jansson allocates with keep_new and keep_drop. Once, before any JSON.
 */
void keep_json(void);

#endif /* CLI_KEEP_H */
