#include "server/ledger_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/registers.h"
#include "server/clock.h"
#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/store/ledger.h"
#include "server/store/reader.h"

#define PASS_MS 200u			/* how often it is looked for new entries */
#define RETRY_NS UINT64_C(5000000000)	/* a place that failed */
#define AT_ONCE 128u			/* entries written with one flush */

enum { LABEL_LEN = sizeof(LEDGER_LABEL) - 1, HEAD_LEN = LEDGER_FILE_HEAD_LEN, ITEM_LEN = LEDGER_FILE_ITEM_LEN,
	OFF_KEY = LABEL_LEN + VAULT_ID_LEN };

struct copy {
	struct ledger_copies *of;
	const char *path;
	pthread_t thread;
	_Atomic uint64_t held;		/* entries, durable; 0 while it is not open */
	_Atomic uint64_t caught_ns;	/* when it last had all that were settled */

	/* The thread's own. */
	int fd;				/* -1: not open */
	uint64_t entries;		/* durable in it, as far as is known */
	bool had;			/* it was open in this life: ${entries} is known */
	uint64_t retry_ns;
	const char *told;		/* why it fails, as was logged; NULL: it works */
};

struct ledger_copies {
	struct vault *vault;
	struct ledger_copies_options o;
	struct copy copy[LEDGER_COPIES_MAX];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ending;			/* under the lock, as the next */
	unsigned running;
};

/* Each reason is told once, until it works again. */
static enum status
fail(struct copy *c, const char *what)
{
	if (c->told == NULL || strcmp(c->told, what) != 0)
		log_event(LOG_LEDGER_COPY, LOG_S(PATH, c->path), LOG_S(WHAT, what),
		    LOG_S(ERRNO, errno != 0 ? strerror(errno) : ""), LOG_N(COUNT, c->entries));
	c->told = what;
	atomic_store(&c->held, 0);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	return STATUS_IO;
}

static enum status
fail_plain(struct copy *c, const char *what)
{
	errno = 0;
	return fail(c, what);
}

static void
head_of(struct vault *v, uint8_t out[static HEAD_LEN])
{
	memcpy(out, LEDGER_LABEL, LABEL_LEN);
	memcpy(out + LABEL_LEN, vault_id(v), VAULT_ID_LEN);
	vault_public_key(v, out + OFF_KEY);
}

/* The head of a file that is whole names the present key, or the one that was when the file was made. */
static enum status
check_key(struct copy *c, const uint8_t *key)
{
	struct reader *rd = NULL;
	enum status rc = reader_begin(c->of->vault, &rd);

	if (rc == STATUS_OK) {
		rc = reader_signer(rd, key);
		reader_end(rd);
	}
	/* Who reads such a file from its head on would not believe what is added to it. */
	if (rc == STATUS_ABSENT)
		return fail_plain(c, "begins with a signing key that does not lead to the one in use");
	return rc == STATUS_OK ? rc : fail_plain(c, "the vault's own ledger cannot be read");
}

static bool
write_all(int fd, const uint8_t *p, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The vault's own entry; its pin ends before any file is touched. */
static enum status
own_entry(struct ledger_copies *l, uint64_t sequence, struct ledger_proof *out, bool sign)
{
	struct reader *rd = NULL;
	bool settled;
	enum status rc = reader_begin(l->vault, &rd);

	if (rc != STATUS_OK)
		return rc;
	rc = sign ? reader_ledger(rd, sequence, out) : reader_ledger_entry(rd, sequence, out->entry, &settled);
	reader_end(rd);
	return rc;
}

/* Its newest entry must be the vault's of that sequence: each holds the hash of all before. */
static enum status
match(struct copy *c, uint64_t entries)
{
	uint8_t item[ITEM_LEN];
	struct ledger_proof own;
	enum status rc;

	if (entries == 0)
		return STATUS_OK;
	errno = 0;
	if (pread(c->fd, item, sizeof(item), (off_t)(HEAD_LEN + (entries - 1) * ITEM_LEN)) != ITEM_LEN)
		return fail(c, "cannot be read");
	rc = own_entry(c->of, entries, &own, false);
	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		return fail_plain(c, "the vault's own ledger cannot be read");
	if (rc == STATUS_ABSENT || memcmp(own.entry, item, sizeof(own.entry)) != 0)
		return fail_plain(c, "has entries that the vault has not: one of them was put back");
	return STATUS_OK;
}

/* The file as it was left, or empty. What is not a copy is not touched. */
static enum status
resume(struct copy *c, off_t size)
{
	uint8_t head[HEAD_LEN], found[HEAD_LEN];
	size_t want = size < HEAD_LEN ? (size_t)size : (size_t)HEAD_LEN;
	uint64_t entries = size < HEAD_LEN ? 0 : (uint64_t)(size - HEAD_LEN) / ITEM_LEN;
	enum status rc;

	head_of(c->of->vault, head);
	errno = 0;
	if (pread(c->fd, found, want, 0) != (ssize_t)want)
		return fail(c, "cannot be read");
	if (memcmp(head, found, want < OFF_KEY ? want : (size_t)OFF_KEY) != 0)
		return fail_plain(c, "is not a copy of this vault's ledger");
	if (want == HEAD_LEN && (rc = check_key(c, found + OFF_KEY)) != STATUS_OK)
		return rc;
	/* What a failed flush leaves may be there or not: what is not known to be durable is written again. */
	if (c->had && entries > c->entries)
		entries = c->entries;
	if ((rc = match(c, entries)) != STATUS_OK)
		return rc;
	errno = 0;
	if ((want < HEAD_LEN && !write_all(c->fd, head, sizeof(head), 0)) ||
	    ftruncate(c->fd, (off_t)(HEAD_LEN + entries * ITEM_LEN)) != 0 || fsync(c->fd) != 0 ||
	    !own_file_flush_folder(c->path))
		return fail(c, "cannot be written");
	c->entries = entries;
	return STATUS_OK;
}

static void
tell_device(const struct copy *c, const struct stat *file)
{
	struct stat store;

	if (c->told == NULL && c->of->o.store != NULL && stat(c->of->o.store, &store) == 0 &&
	    store.st_dev == file->st_dev)
		log_event(LOG_LEDGER_COPY, LOG_S(PATH, c->path),
		    LOG_S(WHAT, "lies on the store's own device, and goes with it"));
}

static enum status
open_copy(struct copy *c)
{
	struct stat st;
	enum status rc;

	errno = 0;
	/* One that was there and is gone: perhaps its volume is, and this would be a place beneath. */
	c->fd = open(c->path, O_RDWR | (c->had ? 0 : O_CREAT) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (c->fd < 0 || fstat(c->fd, &st) != 0)
		return fail(c, c->had ? "is gone; only a start makes it anew" : "cannot be opened");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return fail_plain(c, "is not a file of ours alone");
	if (flock(c->fd, LOCK_EX | LOCK_NB) != 0)
		return fail(c, "is locked: it is named twice, or another process adds to it");
	if ((rc = resume(c, st.st_size)) != STATUS_OK)
		return rc;
	tell_device(c, &st);
	c->had = true;
	return STATUS_OK;
}

/* Nobody has removed it, put another in its place or written to it; nor was its place unmounted. */
static enum status
check(struct copy *c)
{
	struct stat held, named;

	errno = 0;
	if (fstat(c->fd, &held) != 0 || lstat(c->path, &named) != 0 || held.st_dev != named.st_dev ||
	    held.st_ino != named.st_ino || held.st_size != (off_t)(HEAD_LEN + c->entries * ITEM_LEN))
		return fail(c, "was removed, replaced or changed");
	return STATUS_OK;
}

/* Entries behind what it has, as many as one flush takes. *all: that were all. */
static enum status
append(struct copy *c, bool *all)
{
	uint8_t items[AT_ONCE * ITEM_LEN];
	struct ledger_proof p;
	uint64_t n = 0;
	enum status rc = STATUS_OK;

	while (n < AT_ONCE && (rc = own_entry(c->of, c->entries + n + 1, &p, true)) == STATUS_OK) {
		memcpy(items + n * ITEM_LEN, p.entry, sizeof(p.entry));
		memcpy(items + n * ITEM_LEN + sizeof(p.entry), p.signature, sizeof(p.signature));
		n++;
	}
	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		return fail_plain(c, "the vault's own ledger cannot be read");
	*all = rc == STATUS_ABSENT;
	errno = 0;
	if (n > 0 && (!write_all(c->fd, items, n * ITEM_LEN, (off_t)(HEAD_LEN + c->entries * ITEM_LEN)) ||
	    fdatasync(c->fd) != 0))
		return fail(c, "cannot be written");
	c->entries += n;
	atomic_store(&c->held, c->entries);
	return STATUS_OK;
}

/* As far as it goes in one flush. *all: it has what was settled when this began. */
static void
pass(struct copy *c, uint64_t now, bool last, bool *all)
{
	enum status rc = STATUS_OK;

	*all = true;
	if (c->fd < 0 && now < c->retry_ns && !last)
		return;
	rc = c->fd < 0 ? open_copy(c) : check(c);
	if (rc == STATUS_OK)
		rc = append(c, all);
	if (rc != STATUS_OK) {
		*all = true;
		c->retry_ns = now + RETRY_NS;
		return;
	}
	if (*all)
		atomic_store(&c->caught_ns, now);
	if (c->told != NULL)
		log_event(LOG_LEDGER_COPY, LOG_S(PATH, c->path), LOG_S(WHAT, "works again"),
		    LOG_N(COUNT, c->entries));
	c->told = NULL;
}

static struct timespec
in(uint64_t ms)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void *
run(void *arg)
{
	struct copy *c = arg;
	struct ledger_copies *l = c->of;
	bool ending = false, all = true;

	while (!ending || !all) {
		struct timespec until = in(PASS_MS);

		registers_wipe();
		must(pthread_mutex_lock(&l->lock) == 0);
		if (all && !l->ending)
			(void)pthread_cond_timedwait(&l->wake, &l->lock, &until);
		ending = l->ending;
		must(pthread_mutex_unlock(&l->lock) == 0);
		pass(c, clock_monotonic_ns(), ending, &all);
	}
	registers_wipe();
	must(pthread_mutex_lock(&l->lock) == 0);
	l->running--;
	must(pthread_cond_broadcast(&l->wake) == 0);
	must(pthread_mutex_unlock(&l->lock) == 0);
	return NULL;
}

enum status
ledger_copies_start(struct vault *v, const struct ledger_copies_options *o, struct ledger_copies **out)
{
	struct ledger_copies *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	bool all = true;

	must(o->count <= LEDGER_COPIES_MAX);
	if (l == NULL)
		return STATUS_NO_MEMORY;
	l->vault = v;
	l->o = *o;
	must(pthread_mutex_init(&l->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&l->wake, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	for (size_t i = 0; i < o->count; i++) {
		l->copy[i].of = l;
		l->copy[i].path = o->path[i];
		l->copy[i].fd = -1;
		atomic_store(&l->copy[i].caught_ns, clock_monotonic_ns());
	}
	must(pthread_mutex_lock(&l->lock) == 0);
	for (size_t i = 0; i < o->count && all; i++) {
		all = pthread_create(&l->copy[i].thread, NULL, run, &l->copy[i]) == 0;
		l->running += all;
	}
	l->o.count = l->running;
	must(pthread_mutex_unlock(&l->lock) == 0);
	if (!all) {
		(void)!ledger_copies_stop(l, UINT32_MAX);
		return STATUS_NO_MEMORY;
	}
	*out = l;
	return STATUS_OK;
}

bool
ledger_copies_stop(struct ledger_copies *l, uint64_t patience_ms)
{
	struct timespec until = in(patience_ms);
	bool ended;
	int rc = 0;

	if (l == NULL)
		return true;
	must(pthread_mutex_lock(&l->lock) == 0);
	l->ending = true;
	must(pthread_cond_broadcast(&l->wake) == 0);
	while (l->running > 0 && rc == 0)
		rc = pthread_cond_timedwait(&l->wake, &l->lock, &until);
	ended = l->running == 0;
	must(pthread_mutex_unlock(&l->lock) == 0);
	if (!ended)
		return false;
	for (size_t i = 0; i < l->o.count; i++) {
		must(pthread_join(l->copy[i].thread, NULL) == 0);
		if (l->copy[i].fd >= 0)
			(void)close(l->copy[i].fd);
	}
	(void)pthread_cond_destroy(&l->wake);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
	return true;
}

bool
ledger_copies_late(struct ledger_copies *l)
{
	uint64_t now = clock_monotonic_ns();
	bool late = false;

	for (size_t i = 0; l != NULL && i < l->o.count; i++) {
		uint64_t caught = atomic_load(&l->copy[i].caught_ns);

		late = late || (now > caught && now - caught > l->o.late_ms * 1000000);
	}
	return late;
}

uint64_t
ledger_copies_lag(struct ledger_copies *l, uint64_t entries)
{
	uint64_t worst = 0;

	for (size_t i = 0; l != NULL && i < l->o.count; i++) {
		uint64_t held = atomic_load(&l->copy[i].held);
		uint64_t lag = entries > held ? entries - held : 0;

		worst = lag > worst ? lag : worst;
	}
	return worst;
}
