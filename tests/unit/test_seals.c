/* What the seals make of the class of an erasure; an alarm for who else opens the anchor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/anchor_watch.h"
#include "server/metrics.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

static void
believe(uint64_t since, uint64_t lasting, char dead, bool ended)
{
	struct seals *s = bed.vault->seals;

	atomic_store(&s->since, since);
	atomic_store(&s->lasting, lasting);
	atomic_store(&s->dead_class, dead);
	atomic_store(&s->ended, ended);
}

/*
 * Keys that died with the switch to epoch 10 lay under slots up to 9. What was destroyed counts for
 * them when no living seal, and none that lasts, wrapped one of those.
 */
static void
a_dead_seal_counts_when_all_are_dead(void **state)
{
	static const struct { uint64_t since, lasting; char dead; bool ended; char anchor, want; } rows[] = {
		{ 10, 0, 'A', true, 'C', 'A' },
		{ 11, 0, 'A', true, 'C', 'A' },
		{ 11, 9, 'A', true, 'C', 'C' },		/* so do slots up to 8, which had the keys, too */
		{ 9, 0, 'A', true, 'C', 'C' },		/* one that lives wrapped slot 9 */
		{ 10, 10, 'A', true, 'C', 'C' },	/* slot 9 opens with one that nothing destroyed */
		{ 10, 0, 'A', false, 'C', 'C' },	/* its destruction is not through */
		{ 10, 0, 0, true, 'C', 'C' },		/* nothing was destroyed */
		{ 10, 0, 'C', true, 'B', 'B' },		/* never worse than the anchor */
		{ 10, 0, 'B', true, 'D', 'B' },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		believe(rows[i].since, rows[i].lasting, rows[i].dead, rows[i].ended);
		if (seals_class(bed.vault, 10, rows[i].anchor) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

/* What is left of one seal is not made good by another that is through. */
static void
a_seal_ends_what_is_its_own(void **state)
{
	struct seals *s = bed.vault->seals;

	(void)state;
	atomic_store(&s->count, 2);
	assert_true(atomic_load(&s->ended));
	seals_ended(s, 0, false);
	assert_false(atomic_load(&s->ended));
	seals_ended(s, 1, true);
	assert_false(atomic_load(&s->ended));
	seals_ended(s, 0, true);
	assert_true(atomic_load(&s->ended));
	atomic_store(&s->count, 1);
}

/* One static secret that opens a stolen old anchor decides. */
static void
the_weakest_seal_decides(void **state)
{
	struct seals *s = bed.vault->seals;
	const char *why = NULL;

	(void)state;
	atomic_store(&bed.vault->anchor_class, 'C');
	s->class[0] = 'A';
	s->class_why[0] = "hardware";
	assert_int_equal(seals_vault_class(bed.vault, &why), 'A');
	assert_string_equal(why, "hardware");
	s->now->seal[s->now->count] = s->now->seal[0];
	memcpy(s->now->seal[s->now->count].name, "words", sizeof("words"));
	s->now->count++;
	assert_int_equal(seals_vault_class(bed.vault, &why), 'C');
	s->now->count--;
	s->class[0] = PROVIDER_LASTING;
	assert_int_equal(seals_vault_class(bed.vault, &why), 'C');
	s->class[0] = 'A';
	atomic_store(&bed.vault->anchor_class, 'A');
	assert_int_equal(seals_vault_class(bed.vault, &why), 'A');
}

/* The vault's own work on it is no alarm; somebody else's look is. */
static void
another_process_opens_the_anchor(void **state)
{
	uint64_t before = metrics_get(METRIC_ANCHOR_OPENED);
	uint8_t id[16];
	char *text;
	int fd;

	(void)state;
	assert_non_null(bed.vault->watch);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	vault_watch(bed.vault);
	assert_int_equal(metrics_get(METRIC_ANCHOR_OPENED), before);
	fd = open(bed.anchor, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)close(fd);
	scratch_log_begin();
	vault_watch(bed.vault);
	text = scratch_log_end(NULL);
	assert_int_equal(metrics_get(METRIC_ANCHOR_OPENED), before + 1);
	assert_non_null(strstr(text, "\"event\":\"anchor_opened\""));
	assert_non_null(strstr(text, bed.anchor));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_dead_seal_counts_when_all_are_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(a_seal_ends_what_is_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(the_weakest_seal_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(another_process_opens_the_anchor, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
