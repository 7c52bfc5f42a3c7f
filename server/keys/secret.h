/*
 * The one place where secrets rest: a slab that is locked in memory, guarded at both
 * ends, left out of core dumps, and hidden from the kernel's direct map where
 * memfd_secret(2) exists. Test builds use ordinary locked memory, so that an image of the
 * process shows what lives.
 */
#ifndef SERVER_KEYS_SECRET_H
#define SERVER_KEYS_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "server/status.h"

#define SECRET_DEFAULT (4u << 20)
#define SECRET_MAX (1u << 30)

/*
 * Makes the slab of len bytes (whole pages, at most SECRET_MAX), once, before any thread.
 * STATUS_NO_MEMORY: it could not be locked; the log says which limit to raise. A child process
 * does not have it.
 */
enum status secret_init(size_t len) MUST_USE;

/* "memfd_secret" or "locked". */
const char *secret_kind(void);

/*
 * len (> 0) zero bytes of the slab, aligned to 16; NULL when no free stretch is that long.
 * Freed neighbours grow together again. Any thread.
 */
void *secret_alloc(size_t len) MUST_USE;

/* Wipes; p may be NULL. len is what was asked for: another, or twice, aborts. Any thread. */
void secret_free(void *p, size_t len);

/* Bytes handed out, each piece rounded up to 64. Any thread. */
size_t secret_used(void);

/*
 * Pages of their own, zero, locked in ordinary memory, guarded at both ends and left out of core
 * dumps: for O_DIRECT, which does not reach hidden memory. len becomes whole pages. NULL:
 * they could not be locked; the log says which limit to raise. Does not need secret_init().
 */
void *secret_pages(size_t len) MUST_USE;

/* Wipes; p may be NULL; the same len. */
void secret_pages_free(void *p, size_t len);

/* Wipes and gives the slab back. After the last thread. */
void secret_end(void);

#ifdef PDV_TEST_HOOKS
/* The next secret_init() uses memfd_secret after all, where the kernel has it. */
void secret_test_hidden(void);
void secret_check(void);
#endif

#endif /* SERVER_KEYS_SECRET_H */
