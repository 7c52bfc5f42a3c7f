#include "server/ledger_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/registers.h"
#include "server/clock.h"
#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/store/ledger.h"
#include "server/store/reader.h"

#define PASS_MS 200u			/* how often it is looked for new entries */
#define RETRY_NS UINT64_C(5000000000)	/* a place that failed */
#define AT_ONCE 128u			/* entries written with one flush */

enum { HEAD_LEN = sizeof(LEDGER_LABEL) - 1 + VAULT_ID_LEN + SEAL_PUBLIC_LEN,
	ITEM_LEN = LEDGER_ENTRY_LEN + SEAL_SIGNATURE_LEN };

struct copy {
	const char *path;
	int fd;				/* -1: not open */
	uint64_t entries;		/* whole and durable in it, as far as is known */
	uint64_t retry_ns;
	uint64_t behind_ns;		/* since when an entry is missing; 0: none is */
	bool told;			/* that it fails */
};

struct ledger_copies {
	struct vault *vault;
	struct ledger_copies_options o;
	struct copy copy[LEDGER_COPIES_MAX];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ending;			/* under the lock */
	_Atomic bool late;
};

/* Why a place fails, once until it works again. */
static enum status
fail(struct copy *c, const char *what)
{
	if (!c->told)
		log_event(LOG_LEDGER_COPY, LOG_S(PATH, c->path), LOG_S(WHAT, what),
		    LOG_S(ERRNO, errno != 0 ? strerror(errno) : ""), LOG_N(COUNT, c->entries));
	c->told = true;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	return STATUS_IO;
}

static void
head_of(const struct vault *v, uint8_t out[static HEAD_LEN])
{
	memcpy(out, LEDGER_LABEL, sizeof(LEDGER_LABEL) - 1);
	memcpy(out + sizeof(LEDGER_LABEL) - 1, vault_id(v), VAULT_ID_LEN);
	memcpy(out + sizeof(LEDGER_LABEL) - 1 + VAULT_ID_LEN, vault_public_key(v), SEAL_PUBLIC_LEN);
}

static bool
write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Cut off before it had anything in it, or new. */
static enum status
begin(const struct vault *v, struct copy *c)
{
	uint8_t head[HEAD_LEN];

	head_of(v, head);
	if (ftruncate(c->fd, 0) != 0 || !write_all(c->fd, head, sizeof(head)) || fsync(c->fd) != 0 ||
	    !own_file_flush_folder(c->path))
		return fail(c, "cannot be written");
	c->entries = 0;
	return STATUS_OK;
}

/* Its newest entry must be the store's of that sequence: each holds the hash of all before. */
static enum status
match(struct copy *c, struct reader *rd)
{
	uint8_t item[ITEM_LEN];
	struct ledger_proof own;

	if (c->entries == 0)
		return STATUS_OK;
	errno = 0;
	if (pread(c->fd, item, sizeof(item), (off_t)(HEAD_LEN + (c->entries - 1) * ITEM_LEN)) != ITEM_LEN)
		return fail(c, "cannot be read");
	errno = 0;
	if (reader_ledger(rd, c->entries, &own) != STATUS_OK ||
	    memcmp(own.entry, item, sizeof(own.entry)) != 0)
		return fail(c, "has entries that the vault has not: one of them was put back");
	return STATUS_OK;
}

/* The file as it was left: a last entry that is not whole is taken away. */
static enum status
resume(const struct vault *v, struct copy *c, struct reader *rd, off_t size)
{
	uint8_t head[HEAD_LEN], found[HEAD_LEN];
	off_t rest = (size - HEAD_LEN) % ITEM_LEN;

	head_of(v, head);
	errno = 0;
	if (pread(c->fd, found, sizeof(found), 0) != HEAD_LEN)
		return fail(c, "cannot be read");
	errno = 0;
	if (memcmp(head, found, sizeof(head)) != 0)
		return fail(c, "is not a copy of this vault's ledger");
	c->entries = (uint64_t)(size - HEAD_LEN) / ITEM_LEN;
	if (rest != 0 && ftruncate(c->fd, size - rest) != 0)
		return fail(c, "cannot be written");
	return match(c, rd);
}

static enum status
open_copy(const struct vault *v, struct copy *c, struct reader *rd)
{
	struct stat st;

	errno = 0;
	c->fd = open(c->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (c->fd < 0 || fstat(c->fd, &st) != 0)
		return fail(c, "cannot be opened");
	if (!S_ISREG(st.st_mode))
		return fail(c, "is not a regular file");
	return st.st_size < HEAD_LEN ? begin(v, c) : resume(v, c, rd, st.st_size);
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

/* Entries behind what it has, as many as one flush takes. *more: as many again may follow. */
static enum status
append(struct copy *c, struct reader *rd, bool *more)
{
	uint8_t items[AT_ONCE * ITEM_LEN];
	struct ledger_proof p;
	uint64_t n = 0;
	enum status rc = STATUS_OK;

	while (n < AT_ONCE && (rc = reader_ledger(rd, c->entries + n + 1, &p)) == STATUS_OK) {
		memcpy(items + n * ITEM_LEN, p.entry, sizeof(p.entry));
		memcpy(items + n * ITEM_LEN + sizeof(p.entry), p.signature, sizeof(p.signature));
		n++;
	}
	*more = n == AT_ONCE;
	if (n == 0)
		return rc == STATUS_ABSENT ? STATUS_OK : rc;
	errno = 0;
	if (!write_all(c->fd, items, n * ITEM_LEN) || fdatasync(c->fd) != 0)
		return fail(c, "cannot be written");
	c->entries += n;
	return STATUS_OK;
}

/* One place, as far as it goes in one pin. */
static enum status
advance(struct ledger_copies *l, struct copy *c, bool *more)
{
	struct reader *rd = NULL;
	enum status rc;

	*more = false;
	if ((rc = reader_begin(l->vault, &rd)) != STATUS_OK)
		return rc;
	rc = c->fd < 0 ? open_copy(l->vault, c, rd) : check(c);
	if (rc == STATUS_OK)
		rc = append(c, rd, more);
	reader_end(rd);
	if (rc == STATUS_OK && c->told) {
		c->told = false;
		log_event(LOG_LEDGER_COPY, LOG_S(PATH, c->path), LOG_S(WHAT, "works again"),
		    LOG_N(COUNT, c->entries));
	}
	return rc;
}

/* All places; then how far they are behind. */
static void
pass(struct ledger_copies *l, uint64_t now)
{
	uint64_t worst = 0, entries = 0;
	struct vault_status s;
	bool late = false, more;

	for (size_t i = 0; i < l->o.count; i++) {
		struct copy *c = &l->copy[i];

		do {
			if (c->fd < 0 && now < c->retry_ns)
				break;
			if (advance(l, c, &more) != STATUS_OK) {
				c->retry_ns = now + RETRY_NS;
				break;
			}
		} while (more);
	}
	if (vault_status(l->vault, &s) == STATUS_OK)
		entries = s.ledger_entries;
	for (size_t i = 0; i < l->o.count; i++) {
		struct copy *c = &l->copy[i];
		uint64_t behind = entries > c->entries ? entries - c->entries : 0;

		/* A file that is refused has all of them to come. */
		if (behind == 0 && c->fd >= 0)
			c->behind_ns = 0;
		else if (c->behind_ns == 0)
			c->behind_ns = now;
		late = late || (c->behind_ns != 0 && now - c->behind_ns > l->o.late_ms * 1000000);
		worst = behind > worst ? behind : worst;
	}
	metrics_set(METRIC_LEDGER_LAG, worst);
	atomic_store(&l->late, late);
}

static void *
run(void *arg)
{
	struct ledger_copies *l = arg;
	struct timespec until;
	bool ending = false;

	while (!ending) {
		must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
		until.tv_nsec += PASS_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		must(pthread_mutex_lock(&l->lock) == 0);
		if (!l->ending)
			(void)pthread_cond_timedwait(&l->wake, &l->lock, &until);
		ending = l->ending;
		must(pthread_mutex_unlock(&l->lock) == 0);
		pass(l, clock_monotonic_ns());
		registers_wipe();
	}
	return NULL;
}

static void
copies_free(struct ledger_copies *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->o.count; i++)
		if (l->copy[i].fd >= 0)
			(void)close(l->copy[i].fd);
	(void)pthread_cond_destroy(&l->wake);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

enum status
ledger_copies_start(struct vault *v, const struct ledger_copies_options *o, struct ledger_copies **out)
{
	struct ledger_copies *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;

	must(o->count <= LEDGER_COPIES_MAX);
	if (l == NULL)
		return STATUS_NO_MEMORY;
	l->vault = v;
	l->o = *o;
	for (size_t i = 0; i < o->count; i++)
		l->copy[i] = (struct copy){ .path = o->path[i], .fd = -1 };
	must(pthread_mutex_init(&l->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&l->wake, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	if (pthread_create(&l->thread, NULL, run, l) != 0) {
		copies_free(l);
		return STATUS_NO_MEMORY;
	}
	*out = l;
	return STATUS_OK;
}

void
ledger_copies_stop(struct ledger_copies *l)
{
	if (l == NULL)
		return;
	must(pthread_mutex_lock(&l->lock) == 0);
	l->ending = true;
	must(pthread_cond_signal(&l->wake) == 0);
	must(pthread_mutex_unlock(&l->lock) == 0);
	must(pthread_join(l->thread, NULL) == 0);
	copies_free(l);
}

bool
ledger_copies_late(const struct ledger_copies *l)
{
	return l != NULL && atomic_load(&l->late);
}
