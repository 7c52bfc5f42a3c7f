/*
 * The look-up key's rotation: at every moment each value leads to whom it led before, values are nobody
 * else's, and in the end nothing is left of the key before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "raw_store.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/rotate/step_internal.h"
#include "server/store/overlay_internal.h"
#include "server/store/record.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

#define PEOPLE 40u
#define SHARED "+49 30 999000"

/* Steps of a job of the index. */
enum { BEGIN, MOVE, SWEEP, END };

static const struct job index_job = { .kind = JOB_INDEX };
static struct vault_bed bed;
static uint8_t id[PEOPLE][16];
static struct rotate_bed_keys keys;

/* Person n, who has the shared phone, too. */
static enum status
create(unsigned n, uint8_t out[static 16])
{
	char *phones[2] = { NULL, VAULT_BED_TEXT(SHARED) };
	struct vault_bed_person p;
	struct vault_call c;
	enum status rc;

	vault_bed_person(n, &p);
	phones[0] = p.phone;
	p.identity.phones = phones;
	p.identity.n_phones = 2;
	rc = vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c);
	if (rc == STATUS_OK)
		memcpy(out, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < PEOPLE; i++)
		if (create(i, id[i]) != STATUS_OK)
			return -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

static enum status
find(enum lookup_kind kind, const char *value, uint8_t out[static 16])
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	if (kind == LOOKUP_ACCOUNT) {
		q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_ACCOUNT_ID;
		q.account_id = VAULT_BED_TEXT(value);
	} else {
		q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
		q.phone = VAULT_BED_TEXT(value);
	}
	rc = vault_bed_call(&bed, "Vault.FindSubject", &q, &c);
	if (rc == STATUS_OK)
		memcpy(out, VAULT_BED_ANSWER(FindSubjectResponse, &c)->subjects[0].data, 16);
	vault_bed_done(&c);
	return rc;
}

/* By email, phone and account id. */
static void
assert_found(unsigned n, const uint8_t who[static 16], bool changed)
{
	char phone[32], account[32], email[64];
	uint8_t found[16];

	if (changed) {
		(void)snprintf(email, sizeof(email), "changed.%u@example.org", n);
		assert_int_equal(vault_bed_find(&bed, email, found), STATUS_OK);
		assert_memory_equal(found, who, 16);
		assert_int_equal(vault_bed_find_email(&bed, n, found), STATUS_NO_SUBJECT);
	} else {
		assert_int_equal(vault_bed_find_email(&bed, n, found), STATUS_OK);
		assert_memory_equal(found, who, 16);
	}
	(void)snprintf(phone, sizeof(phone), "+49 30 %07u", n);
	(void)snprintf(account, sizeof(account), "account-%u", n);
	assert_int_equal(find(LOOKUP_PHONE, phone, found), STATUS_OK);
	assert_memory_equal(found, who, 16);
	assert_int_equal(find(LOOKUP_ACCOUNT, account, found), STATUS_OK);
	assert_memory_equal(found, who, 16);
}

static void
assert_all_found(unsigned sharers)
{
	bool among;

	for (unsigned i = 0; i < PEOPLE; i++)
		assert_found(i, id[i], false);
	assert_int_equal(rotate_bed_sharers(&bed, SHARED, id[PEOPLE - 1], &among), sharers);
	assert_true(among);
}

/* Nothing is left of the key before, which no older one than ${j}'s floor follows. */
static void
assert_rotated(const struct job *j, unsigned entries)
{
	rotate_bed_assert_done(&bed, j);
	rotate_bed_look(&bed, &keys);
	assert_true(seal_key_is_zero(&keys.root.index_before));
	assert_int_equal(keys.before, 0);
	assert_int_equal(keys.entries, entries);
	assert_true(keys.root.index_ms >= j->floor_ms);
}

static void
every_moment(void **state)
{
	unsigned steps = 0;
	struct key was;
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &keys);
	was = keys.root.index;
	assert_int_equal(keys.entries, 4 * PEOPLE);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
		while (job_is_open(&j)) {
			assert_int_equal(rotate_bed_step(&bed, &j, round + 1), STATUS_OK);
			assert_all_found(PEOPLE);
			if (++steps % 10 == 0)
				vault_bed_restart(&bed);
		}
		assert_rotated(&j, 4 * PEOPLE);
		assert_int_equal(j.done, PEOPLE);
		assert_int_equal(j.damaged, 0);
		assert_int_equal(keys.root.index_parity, round == 0);
		assert_false(seal_key_equal(&keys.root.index, &was));
		was = keys.root.index;
	}
	assert_true(steps > PEOPLE);
}

/* Come, change, go, before the cursor and behind it; values stay somebody's under both keys. */
static void
work_meanwhile(void **state)
{
	enum { CHANGED = 5, GONE = 5, COME = 10 };
	uint8_t more[COME][16], other[16];
	bool changed[PEOPLE] = { false }, gone[PEOPLE] = { false }, among;
	unsigned come = 0;
	struct job j;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
	for (unsigned turn = 0; job_is_open(&j); turn++) {
		assert_int_equal(rotate_bed_step(&bed, &j, 1), STATUS_OK);
		for (unsigned i = 0; i < PEOPLE; i++) {
			if (gone[i])
				assert_int_equal(vault_bed_find_email(&bed, i, other), STATUS_NO_SUBJECT);
			else
				assert_found(i, id[i], changed[i]);
		}
		for (unsigned i = 0; i < come; i++)
			assert_found(100 + i, more[i], false);
		if (turn % 4 == 1 && turn / 4 < CHANGED) {
			unsigned n = turn / 4 % 2 == 0 ? turn / 8 : PEOPLE - 1 - turn / 8;

			assert_int_equal(vault_bed_change_email(&bed, n, id[n]), STATUS_OK);
			changed[n] = true;
		}
		if (turn % 4 == 2 && turn / 4 < GONE) {
			unsigned n = turn / 4 % 2 == 0 ? 10 + turn / 8 : PEOPLE - 10 - turn / 8;

			assert_int_equal(vault_bed_erase(&bed, id[n]), STATUS_OK);
			gone[n] = true;
		}
		if (turn % 4 == 3 && come < COME) {
			assert_int_equal(create(100 + come, more[come]), STATUS_OK);
			come++;
		}
		/* Whether it has gone over or not. */
		if (!gone[turn % PEOPLE] && !changed[turn % PEOPLE])
			assert_int_equal(create(turn % PEOPLE, other), STATUS_LOOKUP_TAKEN);
	}
	assert_true(come > 5);
	assert_int_equal(rotate_bed_sharers(&bed, SHARED, more[0], &among), PEOPLE + come - GONE);
	assert_true(among);
	assert_rotated(&j, 4 * (PEOPLE + come - GONE));
	assert_int_equal(j.damaged, 0);
}

/* A phone has room for 64 subjects, under both keys together. */
static void
crowd(void **state)
{
	uint8_t more[LOOKUP_SHARED_MAX][16], other[16];
	unsigned count = PEOPLE;
	bool among;
	struct job j;

	(void)state;
	for (; count < LOOKUP_SHARED_MAX; count++)
		assert_int_equal(create(200 + count, more[count]), STATUS_OK);
	assert_int_equal(create(300, other), STATUS_CROWDED);
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
	while (job_is_open(&j)) {
		assert_int_equal(rotate_bed_step(&bed, &j, 5), STATUS_OK);
		assert_int_equal(create(300, other), STATUS_CROWDED);
		assert_int_equal(rotate_bed_sharers(&bed, SHARED, id[3], &among), LOOKUP_SHARED_MAX);
		/* One goes and another comes in the middle of it. */
		if (j.step == MOVE && j.done == 20) {
			assert_int_equal(vault_bed_erase(&bed, more[50]), STATUS_OK);
			assert_int_equal(create(301, more[50]), STATUS_OK);
		}
	}
	assert_int_equal(j.damaged, 0);
	assert_rotated(&j, 4 * LOOKUP_SHARED_MAX);
	for (unsigned i = PEOPLE; i < LOOKUP_SHARED_MAX; i++) {
		assert_int_equal(rotate_bed_sharers(&bed, SHARED, more[i], &among), LOOKUP_SHARED_MAX);
		assert_true(among);
	}
}

/* One that was given up half-way is ended by the next, whose own key is a newer one all the same. */
static void
cancelled(void **state)
{
	struct job j, next;
	struct key half;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
	while (j.done < PEOPLE / 2)
		assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &j), STATUS_OK);
	assert_int_equal(j.state, JOB_CANCELLED);
	assert_int_equal(j.signer, 0);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_RESUME, &j), STATUS_REFUSED);
	rotate_bed_look(&bed, &keys);
	assert_false(seal_key_is_zero(&keys.root.index_before));
	half = keys.root.index;
	vault_bed_restart(&bed);
	assert_all_found(PEOPLE);

	rotate_bed_run(&bed, &index_job, 3, &next);
	assert_rotated(&next, 4 * PEOPLE);
	assert_false(seal_key_equal(&keys.root.index, &half));
	assert_all_found(PEOPLE);
}

/* One that was paused meets what others of its kind have done meanwhile. */
static void
paused(void **state)
{
	struct job a, b, c;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &a), STATUS_OK);
	while (a.done < PEOPLE / 2)
		assert_int_equal(rotate_bed_step(&bed, &a, 3), STATUS_OK);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_PAUSE, &a), STATUS_OK);
	rotate_bed_run(&bed, &index_job, 3, &b);
	assert_rotated(&b, 4 * PEOPLE);

	assert_int_equal(rotate_bed_ask(&bed, &index_job, &c), STATUS_OK);
	while (c.done < 5)
		assert_int_equal(rotate_bed_step(&bed, &c, 1), STATUS_OK);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_PAUSE, &c), STATUS_OK);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_RESUME, &a), STATUS_OK);
	while (job_is_open(&a)) {
		assert_int_equal(rotate_bed_step(&bed, &a, 3), STATUS_OK);
		assert_all_found(PEOPLE);
	}
	assert_rotated(&a, 4 * PEOPLE);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_RESUME, &c), STATUS_OK);
	while (job_is_open(&c))
		assert_int_equal(rotate_bed_step(&bed, &c, 3), STATUS_OK);
	assert_rotated(&c, 4 * PEOPLE);
	assert_all_found(PEOPLE);
}

/* An entry of a subject that is not there, as damage may leave one. */
static enum status
plant(struct writeset *ws, void *arg)
{
	unsigned n = *(unsigned *)arg;
	struct lookup l = { .kind = LOOKUP_ACCOUNT };
	uint8_t nobody[16] = { 0, 7, 0xee };
	char text[32];

	(void)snprintf(text, sizeof(text), "left-over-%u", n);
	must(lookup_normalise(LOOKUP_ACCOUNT, bytes_of(text, strlen(text)), 49, &l) == STATUS_OK);
	bytes_put32(nobody + 3, n);
	return writeset_add_lookup(ws, &l, SUBJECT_IDENTITY, nobody);
}

/* What belongs to nobody is swept; also what a bucket that splits meanwhile has given to those below it. */
static void
left_over(void **state)
{
	enum { MANY = 200 };
	uint8_t more[MANY][16];
	unsigned come = 0;
	struct job j;

	(void)state;
	for (unsigned n = 0; n < MANY; n++)
		assert_int_equal(rotate_bed_do(&bed, plant, &n), STATUS_OK);
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
	while (job_is_open(&j)) {
		assert_int_equal(rotate_bed_step(&bed, &j, 4), STATUS_OK);
		for (unsigned i = 0; i < 10 && j.step == SWEEP && come < MANY; i++, come++)
			assert_int_equal(vault_bed_create(&bed, 500 + come, more[come]), STATUS_OK);
	}
	assert_true(come > 20);
	assert_int_equal(j.damaged, 0);
	assert_rotated(&j, 4 * PEOPLE + 3 * come);
	assert_all_found(PEOPLE);
	for (unsigned i = 0; i < come; i++)
		assert_found(500 + i, more[i], false);
}

static struct bytes
record_of(unsigned slot)
{
	static uint8_t key[RECORD_KEY_LEN];

	record_key(slot, SUBJECT_IDENTITY, 0, key);
	return bytes_of(key, sizeof(key));
}

/* Of an identity that does not open nobody knows the values: it is counted, and its entries go. */
static void
damaged_identity(void **state)
{
	struct job j;
	uint8_t found[16];

	(void)state;
	vault_bed_stop(&bed);
	raw_store_flip(bed.store, "records", record_of(9));
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	rotate_bed_run(&bed, &index_job, 3, &j);
	assert_int_equal(j.done, PEOPLE - 1);
	assert_int_equal(j.damaged, 1);
	assert_rotated(&j, 4 * (PEOPLE - 1));
	for (unsigned i = 0; i < PEOPLE; i++)
		if (i != 9)
			assert_found(i, id[i], false);
	assert_int_equal(vault_bed_find_email(&bed, 9, found), STATUS_NO_SUBJECT);
}

/* Counted and left behind: one that a restore did not find, no message, and a phone that no rule allows. */
static enum status
spoil(struct writeset *ws, void *n)
{
	static const struct { uint8_t plain[RECORD_HEAD + 3]; size_t len; } as[] = {
		{ { [7] = RECORD_LOST_ETAG }, RECORD_HEAD }, { { 1, [RECORD_HEAD] = 0xff }, RECORD_HEAD + 1 },
		{ { 1, [RECORD_HEAD] = 0x1a, 1, 'x' }, RECORD_HEAD + 3 } };
	unsigned i = *(unsigned *)n;
	const struct keyring *k = NULL;

	must(writeset_subject(ws, id[i], &k) == STATUS_OK);
	return writeset_put_record(ws, k, SUBJECT_IDENTITY, bytes_of(as[i].plain, as[i].len));
}

static void
spoilt(void **state)
{
	struct job j;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rotate_bed_do(&bed, spoil, &i), STATUS_OK);
	rotate_bed_run(&bed, &index_job, 3, &j);
	assert_true(j.done == PEOPLE - 3 && j.damaged == 3);
	assert_rotated(&j, 4 * (PEOPLE - 3));
}

/* The bucket that an email of person n is in under the present key. */
struct sought {
	unsigned n;
	uint8_t key[9];
};

static unsigned
not_found(void)
{
	char account[32], phone[32];
	uint8_t found[16];
	unsigned n = 0;

	for (unsigned i = 0; i < PEOPLE; i++) {
		(void)snprintf(account, sizeof(account), "account-%u", i);
		(void)snprintf(phone, sizeof(phone), "+49 30 %07u", i);
		n += vault_bed_find_email(&bed, i, found) != STATUS_OK;
		n += find(LOOKUP_ACCOUNT, account, found) != STATUS_OK;
		n += find(LOOKUP_PHONE, phone, found) != STATUS_OK;
	}
	return n;
}

static enum status
seek(struct writeset *ws, void *arg)
{
	struct sought *s = arg;
	struct overlay_item *it = NULL;
	struct bucket_entry e;
	struct lookup l;
	char text[64];

	(void)snprintf(text, sizeof(text), "person.%u@example.org", s->n);
	must(lookup_normalise(LOOKUP_EMAIL, bytes_of(text, strlen(text)), 49, &l) == STATUS_OK);
	lookup_entry(overlay_root(ws->overlay), LOOKUP_NOW, &l, 0, &e);
	must(overlay_bucket(ws->overlay, e.tag, &it) == STATUS_OK);
	s->key[0] = it->node.level;
	bytes_put64(s->key + 1, it->node.index);
	return STATUS_ETAG;
}

/* A value in a bucket that does not open is lost; the subject's others are not. */
static void
damaged_bucket(void **state)
{
	struct sought s = { .n = 11 };
	unsigned lost, now, values;
	struct job j;

	(void)state;
	assert_int_equal(rotate_bed_do(&bed, seek, &s), STATUS_ETAG);
	vault_bed_stop(&bed);
	raw_store_flip(bed.store, "buckets", bytes_of(s.key, sizeof(s.key)));
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	lost = not_found();
	assert_in_range(lost, 1, BUCKET_ENTRIES);
	assert_int_equal(rotate_bed_ask(&bed, &index_job, &j), STATUS_OK);
	while (j.step != SWEEP)
		assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
	values = (unsigned)j.damaged;
	while (job_is_open(&j))
		assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
	assert_true(j.state == JOB_DONE && values >= lost && j.damaged == values + 1);	/* and the bucket */
	/* Nobody lost more than before, but for those whose new place, by chance, does not open: one in 32. */
	now = not_found();
	assert_in_range(now, lost, lost + 15);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(every_moment), TEST(work_meanwhile), TEST(crowd), TEST(paused),
		TEST(cancelled), TEST(left_over), TEST(damaged_identity),
		TEST(spoilt), TEST(damaged_bucket) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
