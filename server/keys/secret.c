#include "server/keys/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/log.h"
#include "server/poison.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447		/* the same on every architecture that has it */
#endif

#define UNIT 64u
#define BINS 64u		/* of free pieces: bin n those of n units, bin 0 all longer ones */
#define NONE UINT32_MAX

/*
 * What is known of a unit stands beside the slab, so that nothing but secrets is in it
 * and no stray write to it can mislead us.
 */
struct unit {
	uint32_t count;		/* of the piece that begins or (free ones) ends here; else 0 */
	uint32_t len;		/* asked for, of a piece handed out that begins here; else 0 */
	uint32_t next, prev;	/* of a free piece that begins here, in its bin */
};

/*
 * Invariants (secret_check):
 *  1. Pieces follow each other without a gap from the first unit to the last.
 *  2. No two free pieces are neighbours.
 *  3. A free piece is in the bin of its length, and used counts all others.
 */
static struct {
	pthread_mutex_t lock;
	uint8_t *base;
	size_t size;
	struct unit *units;
	uint32_t count, bin[BINS];
	size_t used;
	const char *kind;
} slab = { .lock = PTHREAD_MUTEX_INITIALIZER, .kind = "none" };

#if defined(PDV_TEST_HOOKS) || defined(PDV_KEY_REGISTRY)
static bool want_hidden = false;
#else
static bool want_hidden = true;
#endif

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void
say_unlocked(size_t len)
{
	struct rlimit limit = { 0, 0 };
	int why = errno;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		limit.rlim_cur = 0;
	log_event(LOG_FATAL, LOG_S(WHAT, "memory for secrets cannot be locked"),
	    LOG_S(WHY, "raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the service, ulimit -l)"),
	    LOG_N(BYTES, len), LOG_N(OTHER, limit.rlim_cur), LOG_S(ERRNO, strerrorname_np(why)));
}

/* Room for ${len} bytes between two pages that nobody can touch. */
static uint8_t *
reserve(size_t len)
{
	size_t all = len + 2 * page_size();
	uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p + page_size();
}

static void
release(uint8_t *p, size_t len)
{
	must(munmap(p - page_size(), len + 2 * page_size()) == 0);
}

/* Memory that not even the kernel maps; it is locked by nature, within the same limit. */
static bool
map_hidden(uint8_t *at, size_t len)
{
	long fd = syscall(SYS_memfd_secret, (unsigned long)O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = ftruncate((int)fd, (off_t)len) == 0 &&
	    mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (int)fd, 0) == at;
	(void)close((int)fd);
	return done;
}

static bool
map_locked(uint8_t *at, size_t len)
{
	if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    at)
		return false;
	/* Not by name: the sanitizers' mlock() does nothing and says that it did. */
	return syscall(SYS_mlock, at, len) == 0;
}

/* NULL: logged. */
static uint8_t *
map_guarded(size_t len, bool hidden, const char **kind)
{
	uint8_t *p = reserve(len);

	*kind = "memfd_secret";
	if (p != NULL && !(hidden && map_hidden(p, len))) {
		*kind = "locked";
		if (!map_locked(p, len)) {
			say_unlocked(len);
			release(p, len);
			return NULL;
		}
	}
	if (p == NULL) {
		say_unlocked(len);
		return NULL;
	}
	must(madvise(p, len, MADV_DONTDUMP) == 0);
	must(madvise(p, len, MADV_DONTFORK) == 0);
	memset(p, 0, len);	/* has every page now rather than when a key is to be kept */
	return p;
}

static uint32_t *
bin_of(uint32_t count)
{
	return &slab.bin[count < BINS ? count : 0];
}

static void
bin_add(uint32_t at, uint32_t count)
{
	uint32_t *bin = bin_of(count);

	slab.units[at] = (struct unit){ .count = count, .next = *bin, .prev = NONE };
	slab.units[at + count - 1].count = count;
	if (*bin != NONE)
		slab.units[*bin].prev = at;
	*bin = at;
}

static void
bin_remove(uint32_t at)
{
	struct unit u = slab.units[at];

	if (u.prev == NONE)
		*bin_of(u.count) = u.next;
	else
		slab.units[u.prev].next = u.next;
	if (u.next != NONE)
		slab.units[u.next].prev = u.prev;
	slab.units[at + u.count - 1].count = 0;
	slab.units[at] = (struct unit){ 0 };
}

/* The shortest free piece that will do, from the bins; of the long ones, the first. */
static uint32_t
find_free(uint32_t count)
{
	uint32_t n, at;

	for (n = count; n < BINS; n++)
		if (slab.bin[n] != NONE)
			return slab.bin[n];
	for (at = slab.bin[0]; at != NONE; at = slab.units[at].next)
		if (slab.units[at].count >= count)
			return at;
	return NONE;
}

static uint32_t
units_of(size_t len)
{
	must(len > 0 && len <= SECRET_MAX);
	return (uint32_t)((len + UNIT - 1) / UNIT);
}

enum status
secret_init(size_t len)
{
	size_t i;

	must(slab.base == NULL && len > 0 && len % page_size() == 0 && len <= SECRET_MAX);
	must(pthread_mutex_lock(&slab.lock) == 0);
	if ((slab.units = calloc(len / UNIT, sizeof(*slab.units))) != NULL)
		slab.base = map_guarded(len, want_hidden, &slab.kind);
	if (slab.base != NULL) {
		slab.size = len;
		slab.count = (uint32_t)(len / UNIT);
		slab.used = 0;
		for (i = 0; i < BINS; i++)
			slab.bin[i] = NONE;
		bin_add(0, slab.count);
		poison(slab.base, len);
	} else {
		free(slab.units);
		slab.units = NULL;
		slab.kind = "none";
	}
	must(pthread_mutex_unlock(&slab.lock) == 0);
	if (slab.base == NULL)
		return STATUS_NO_MEMORY;
	log_event(LOG_SECRET_MEMORY, LOG_S(WHAT, slab.kind), LOG_N(BYTES, len));
	return STATUS_OK;
}

const char *
secret_kind(void)
{
	return slab.kind;
}

void *
secret_alloc(size_t len)
{
	uint32_t count = len > slab.size ? NONE : units_of(len), at = NONE, whole;
	uint8_t *p = NULL;

	must(slab.base != NULL);
	if (count == NONE)
		return NULL;
	must(pthread_mutex_lock(&slab.lock) == 0);
	if ((at = find_free(count)) != NONE) {
		whole = slab.units[at].count;
		bin_remove(at);
		if (whole > count)
			bin_add(at + count, whole - count);
		slab.units[at] = (struct unit){ .count = count, .len = (uint32_t)len };
		slab.used += (size_t)count * UNIT;
		p = slab.base + (size_t)at * UNIT;
	}
	must(pthread_mutex_unlock(&slab.lock) == 0);
	if (p != NULL)
		unpoison(p, len);
	return p;
}

/* Joins the free pieces before and after. */
static void
give_back(uint32_t at, uint32_t count)
{
	uint32_t after = at + count, before;

	slab.units[at] = (struct unit){ 0 };
	if (after < slab.count && slab.units[after].len == 0) {
		count += slab.units[after].count;
		bin_remove(after);
	}
	/* Only a free piece has its length at its end as well. */
	if (at > 0 && slab.units[at - 1].count > 0 && slab.units[at - 1].len == 0) {
		before = slab.units[at - 1].count;
		at -= before;
		count += before;
		bin_remove(at);
	}
	bin_add(at, count);
}

void
secret_free(void *p, size_t len)
{
	size_t offset;
	uint32_t at, count;

	if (p == NULL)
		return;
	must(slab.base != NULL && (uint8_t *)p >= slab.base);
	offset = (size_t)((uint8_t *)p - slab.base);
	must(offset < slab.size && offset % UNIT == 0);
	at = (uint32_t)(offset / UNIT);
	count = units_of(len);
	must(pthread_mutex_lock(&slab.lock) == 0);
	must(slab.units[at].count == count && slab.units[at].len == len);	/* or freed twice */
	unpoison(p, (size_t)count * UNIT);
	sodium_memzero(p, (size_t)count * UNIT);
	poison(p, (size_t)count * UNIT);
	slab.used -= (size_t)count * UNIT;
	give_back(at, count);
	must(pthread_mutex_unlock(&slab.lock) == 0);
}

size_t
secret_used(void)
{
	size_t used;

	must(pthread_mutex_lock(&slab.lock) == 0);
	used = slab.used;
	must(pthread_mutex_unlock(&slab.lock) == 0);
	return used;
}

void
secret_end(void)
{
	if (slab.base == NULL)
		return;
	unpoison(slab.base, slab.size);
	sodium_memzero(slab.base, slab.size);
	release(slab.base, slab.size);
	free(slab.units);
	slab.base = NULL;
	slab.units = NULL;
	slab.size = slab.used = 0;
	slab.kind = "none";
}

static size_t
whole_pages(size_t len)
{
	return (len + page_size() - 1) / page_size() * page_size();
}

void *
secret_pages(size_t len)
{
	const char *kind;

	must(len > 0);
	return map_guarded(whole_pages(len), false, &kind);
}

void
secret_pages_free(void *p, size_t len)
{
	if (p == NULL)
		return;
	sodium_memzero(p, whole_pages(len));
	release(p, whole_pages(len));
}

#ifdef PDV_TEST_HOOKS
void
secret_test_hidden(void)
{
	want_hidden = true;
}

void
secret_check(void)
{
	uint32_t at, n, free_before = 0;
	size_t used = 0;

	must(pthread_mutex_lock(&slab.lock) == 0);
	for (at = 0; at < slab.count; at += n) {
		n = slab.units[at].count;
		must(n > 0 && n <= slab.count - at);				/* 1 */
		if (slab.units[at].len == 0) {
			must(!free_before && slab.units[at + n - 1].count == n);	/* 2 */
			must(slab.units[at].prev != NONE || *bin_of(n) == at);	/* 3 */
		} else {
			used += (size_t)n * UNIT;
		}
		free_before = slab.units[at].len == 0;
	}
	must(used == slab.used);
	must(pthread_mutex_unlock(&slab.lock) == 0);
}
#endif
