#include "server/keys/epoch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "client/transport/registers.h"
#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/mutant.h"

struct pin {
	_Alignas(64) _Atomic uint64_t epoch;	/* 0: none */
};

struct epochs {
	struct pin pin[EPOCH_READERS_MAX];
	_Alignas(64) _Atomic uint64_t current;
	_Atomic uint64_t settled;
	_Atomic uint64_t root_epoch[2];		/* UINT64_MAX: none */
	struct root *root[2];			/* secret memory */
};

enum status
epoch_new(const struct root *root, uint64_t settled, struct epochs **out)
{
	struct epochs *e = aligned_alloc(64, sizeof(*e));

	if (e == NULL)
		return STATUS_NO_MEMORY;
	memset(e, 0, sizeof(*e));
	for (int i = 0; i < 2; i++)
		e->root[i] = secret_alloc(sizeof(struct root));
	if (e->root[0] == NULL || e->root[1] == NULL) {
		epoch_free(e);
		return STATUS_NO_MEMORY;
	}
	*e->root[root->epoch % 2] = *root;
	atomic_store(&e->root_epoch[root->epoch % 2], root->epoch);
	atomic_store(&e->root_epoch[(root->epoch + 1) % 2], UINT64_MAX);
	atomic_store(&e->current, root->epoch);
	atomic_store(&e->settled, settled);
	*out = e;
	return STATUS_OK;
}

void
epoch_free(struct epochs *e)
{
	if (e == NULL)
		return;
	for (int i = 0; i < 2; i++)
		secret_free(e->root[i], sizeof(struct root));
	free(e);
}

#ifdef PDV_TEST_HOOKS
static void (*watch)(bool pinned);

void
epoch_test_watch(void (*f)(bool pinned))
{
	watch = f;
}
#endif

static void
set_pin(struct epochs *e, unsigned reader, uint64_t epoch)
{
#ifdef PDV_TEST_HOOKS
	if (watch != NULL)
		watch(false);
#endif
	atomic_store(&e->pin[reader].epoch, epoch);
#ifdef PDV_TEST_HOOKS
	if (watch != NULL)
		watch(true);
#endif
}

void
epoch_pin(struct epochs *e, unsigned reader)
{
	uint64_t now, seen;

	must(reader < EPOCH_READERS_MAX && atomic_load(&e->pin[reader].epoch) == 0);
	now = atomic_load(&e->current);
	/*
	 * Invariant 2: a pin that an advance did not see was set before the advance read it, or
	 * it sees the new epoch here and is set again.
	 */
	do {
		seen = now;
		set_pin(e, reader, seen);
		now = atomic_load(&e->current);
	} while (now != seen);
}

void
epoch_unpin(struct epochs *e, unsigned reader)
{
	must(atomic_load(&e->pin[reader].epoch) != 0);
	atomic_store_explicit(&e->pin[reader].epoch, 0, memory_order_release);
}

const struct root *
epoch_root(struct epochs *e, uint64_t epoch)
{
	return atomic_load(&e->root_epoch[epoch % 2]) == epoch ? e->root[epoch % 2] : NULL;
}

uint64_t
epoch_current(struct epochs *e)
{
	return atomic_load(&e->current);
}

uint64_t
epoch_settled(struct epochs *e)
{
	return atomic_load(&e->settled);
}

void
epoch_stage(struct epochs *e, const struct root *root)
{
	unsigned place = root->epoch % 2;

	must(root->epoch == atomic_load(&e->current) + 1);
	must(atomic_load(&e->root_epoch[place]) == UINT64_MAX);
	*e->root[place] = *root;
	atomic_store(&e->root_epoch[place], root->epoch);
}

static void
drop_root(struct epochs *e, unsigned place)
{
	atomic_store(&e->root_epoch[place], UINT64_MAX);
	if (!mutant(root_stays))
		root_wipe(e->root[place]);
}

void
epoch_unstage(struct epochs *e)
{
	drop_root(e, (atomic_load(&e->current) + 1) % 2);
}

static bool
pinned_below(struct epochs *e, uint64_t epoch)
{
	for (unsigned i = 0; i < EPOCH_READERS_MAX; i++) {
		uint64_t p = atomic_load(&e->pin[i].epoch);

		if (p != 0 && p < epoch)
			return true;
	}
	return false;
}

bool
epoch_advance(struct epochs *e, uint64_t limit_ns)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	uint64_t epoch = atomic_load(&e->current) + 1, start = clock_monotonic_ns();

	must(atomic_load(&e->root_epoch[epoch % 2]) == epoch);
	atomic_store(&e->current, epoch);
	while (!mutant(reader_not_awaited) && pinned_below(e, epoch)) {
		if (clock_monotonic_ns() - start > limit_ns)
			return false;
		registers_wipe();
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void
epoch_settle(struct epochs *e, bool erased)
{
	uint64_t epoch = atomic_load(&e->current);

	/* A pin below may show up again for a moment: epoch_pin() takes it back before it is used. */
	drop_root(e, (epoch + 1) % 2);
	if (erased)
		atomic_store(&e->settled, epoch);
}

void
epoch_settled_late(struct epochs *e)
{
	atomic_store(&e->settled, atomic_load(&e->current));
}

void
epoch_check(struct epochs *e)
{
	uint64_t current = atomic_load(&e->current), settled = atomic_load(&e->settled);

	must(settled <= current);
	must(epoch_root(e, current) != NULL);
	for (unsigned i = 0; i < EPOCH_READERS_MAX; i++) {
		uint64_t p = atomic_load(&e->pin[i].epoch);

		must(p == 0 || (p <= atomic_load(&e->current) && p + 1 >= current));
	}
}
