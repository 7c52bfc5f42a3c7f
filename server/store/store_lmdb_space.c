/*
 * Room for a batch, before it is begun: K3.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include "server/log.h"
#include "server/store/store_lmdb_internal.h"

#define GROWTH (4u << 20)		/* the file grows ahead of need by this much */
#define PAGES_PER_ROW 4u		/* copied on write: a leaf and its parents */
#define PAGES_FIXED 64u			/* free list, meta, roots */

void
store_lmdb_count(struct store *st)
{
	MDB_envinfo info;

	must(mdb_env_info(st->env, &info) == 0);
	atomic_store(&st->used, ((uint64_t)info.me_last_pgno + 1) * STORE_PAGE);
}

static enum status
extend(struct store *st, uint64_t upto)
{
	int rc;

	upto = (upto + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
	rc = posix_fallocate(st->data_fd, 0, (off_t)upto);

	if (rc != 0) {
		log_event(LOG_STORE_FULL, LOG_S(ERRNO, strerror(rc)), LOG_N(BYTES, upto));
		return STATUS_FULL;
	}
	/* The new length must survive a power cut before anything rests on it; no second try (F18). */
	if (fdatasync(st->data_fd) != 0) {
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "flush"), LOG_S(ERRNO, strerror(errno)));
		st->broken = true;
		return STATUS_IO;
	}
	st->allocated = upto;
	return STATUS_OK;
}

/*
 * Pages of the file that no commit holds any more and no snapshot can see: what the next batch takes
 * before it makes the file longer. Walks LMDB's list of them, its table 0 (as mdb_stat -f does).
 */
static uint64_t
free_pages(struct store *st)
{
	MDB_txn *txn = NULL;
	MDB_cursor *c = NULL;
	MDB_val k, v;
	uint64_t pages = 0;

	if (mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	if (mdb_cursor_open(txn, 0, &c) != 0)
		goto out;
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		size_t commit, count;

		memcpy(&commit, k.mv_data, sizeof(commit));
		memcpy(&count, v.mv_data, sizeof(count));
		/* The last commit's own are still seen by whoever reads the one before. */
		if (commit < mdb_txn_id(txn))
			pages += count;
	}
	mdb_cursor_close(c);
out:
	mdb_txn_abort(txn);
	return pages;
}

/* What a batch may take: ${whole} bytes in all, ${tail} of them by making the file longer. */
struct demand {
	uint64_t whole, tail, given_back;
	bool erasure;
};

static enum status
satisfy(struct store *st, const struct demand *d)
{
	uint64_t used = atomic_load(&st->used), end = used + d->tail;
	enum status rc;

	/* Erasures have the last tenth for themselves, and the last twentieth of the file. */
	if (!d->erasure && (used - d->given_back + d->whole > st->map_bytes / 10 * 9 ||
	    end > st->map_bytes / 20 * 19))
		return STATUS_FULL;
	if (end > st->map_bytes)
		return STATUS_FULL;
	if (!d->erasure)
		end += st->reserve_bytes;
	if (end <= st->allocated)
		return STATUS_OK;
	/* Ahead of need while there is room; exactly what is needed when there is not. */
	if (end + GROWTH <= st->map_bytes && (rc = extend(st, end + GROWTH)) != STATUS_FULL)
		return rc;
	return extend(st, end);
}

enum status
store_allocate(struct store *st, size_t rows, size_t bytes, bool erasure)
{
	/* Long values need pages side by side, which only the end of the file surely has. */
	uint64_t fixed = (uint64_t)PAGES_FIXED * STORE_PAGE + (uint64_t)bytes * 2;
	uint64_t single = (uint64_t)rows * PAGES_PER_ROW * STORE_PAGE;
	struct demand d = { fixed + single, fixed + single, 0, erasure };
	enum status rc;

	if (st->broken)
		return STATUS_IO;
	store_lmdb_count(st);
	if ((rc = satisfy(st, &d)) != STATUS_FULL)
		return rc;
	/* Pages that were given back count only now, since finding them takes a walk. */
	d.given_back = free_pages(st) * STORE_PAGE;
	d.tail = fixed + (single > d.given_back ? single - d.given_back : 0);
	return d.given_back > 0 ? satisfy(st, &d) : rc;
}

void
store_usage(struct store *st, uint64_t *used, uint64_t *limit)
{
	*used = atomic_load(&st->used);
	*limit = st->map_bytes;
}
