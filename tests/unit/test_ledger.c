/* The ledger of erasures: its entries, their chain, and what proves one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>

#include "fault.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "raw_store.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/store/ledger.h"
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
	fault_none();
	vault_bed_free(&bed);
	return 0;
}

static void
run(uint8_t *out, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(first + i);
}

static void
hex(const char *text, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static enum status
verify(const uint8_t *public, const uint8_t *vault, const struct ledger_proof *p)
{
	uint8_t said[16 + VAULT_ID_LEN + SEAL_DIGEST_LEN];

	memcpy(said, LEDGER_LABEL, 16);
	memcpy(said + 16, vault, VAULT_ID_LEN);
	ledger_hash(p->entry, said + 16 + VAULT_ID_LEN);
	return seal_verify(public, bytes_of(said, sizeof(said)), p->signature);
}

/* docs/FORMAT.md's example, made by other code. */
static void
example(void **state)
{
	struct ledger_entry e = { .sequence = 1, .epoch = 5, .time_ms = 1700000000000, .slot = 7,
		.categories = 5, .kind = LEDGER_WHOLE }, again;
	uint8_t vault[16], head[LEDGER_HEAD_LEN], hash[32], public[32], want[64];
	struct ledger_proof p;
	struct root root;

	(void)state;
	run(vault, sizeof(vault), 0x10);
	run(e.subject, sizeof(e.subject), 0x20);
	run(e.erasure, sizeof(e.erasure), 0x30);
	run(root.signing.b, SEAL_KEY_LEN, 0xe0);
	ledger_first_head(vault, head);
	assert_int_equal(bytes_get64(head), 0);
	memcpy(e.before, head + 8, sizeof(e.before));
	ledger_encode(&e, p.entry);
	ledger_hash(p.entry, hash);
	hex("8c30538b3174c8031972608f5b1c7dabdb2bf0abb159847ab41e84e1bc04f260", want, 32);
	assert_memory_equal(hash, want, 32);
	seal_public(&root.signing, public);
	hex("13d9908a70925992ed546007d27f50da68ba7217ef62ac3cca784529ff10471c", want, 32);
	assert_memory_equal(public, want, 32);
	root_publish(&root);
	ledger_sign(&(struct ledger_signer){ &root, vault }, &p);
	hex("c1581596582a40be96ae52595e43aa9968de9979ca2cb4493223467cbab9e423"
	    "f7599de18fe5976f676723a0def28fac9e941f45aef78fd4a06c17eb828d5108", want, 64);
	assert_memory_equal(p.signature, want, 64);
	assert_int_equal(ledger_decode(bytes_of(p.entry, LEDGER_ENTRY_LEN), &again), STATUS_OK);
	assert_memory_equal(again.before, e.before, sizeof(e.before));
	assert_true(again.kind == LEDGER_WHOLE && again.slot == 7 && again.categories == 5);
	assert_int_equal(ledger_decode(bytes_of(p.entry, LEDGER_ENTRY_LEN - 1), &again), STATUS_CORRUPT);
	/* Any bit of it, or another vault: not what was signed. */
	assert_int_equal(verify(public, vault, &p), STATUS_OK);
	for (size_t bit = 0; bit < LEDGER_ENTRY_LEN * 8; bit++) {
		p.entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(verify(public, vault, &p), STATUS_FORGED);
		p.entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	vault[0] ^= 1;
	assert_int_equal(verify(public, vault, &p), STATUS_FORGED);
}

/* Walks all entries; the last one's is the head. Returns how many. */
static uint64_t
walk(struct ledger_entry *last)
{
	struct store_snapshot *s = NULL;
	uint8_t entry[LEDGER_ENTRY_LEN], head[LEDGER_HEAD_LEN];
	struct ledger_head now;

	assert_int_equal(store_snapshot_new(bed.vault->store, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_int_equal(ledger_head(s, &now), STATUS_OK);
	ledger_first_head(bed.vault->id, head);
	for (uint64_t n = 1; n <= now.count; n++) {
		assert_int_equal(ledger_get(s, n, entry), STATUS_OK);
		assert_int_equal(ledger_decode(bytes_of(entry, sizeof(entry)), last), STATUS_OK);
		assert_int_equal(last->sequence, n);
		assert_memory_equal(last->before, head + 8, SEAL_DIGEST_LEN);
		ledger_hash(entry, head + 8);
	}
	assert_memory_equal(now.hash, head + 8, SEAL_DIGEST_LEN);
	assert_int_equal(ledger_get(s, now.count + 1, entry), STATUS_CORRUPT);
	store_snapshot_end(s);
	store_snapshot_free(s);
	return now.count;
}

/* Erasures of one batch, one that is refused among them: one entry for each that was done. */
static void
chain(void **state)
{
	enum { MANY = 24 };
	static struct vault_call calls[MANY + 1];
	static uint8_t id[MANY + 1][16];
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct ledger_entry e;

	(void)state;
	assert_int_equal(walk(&e), 0);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	memcpy(id[MANY], id[0], 16);
	id[MANY][15] ^= 1;		/* nobody */
	for (unsigned i = 0; i <= MANY; i++) {
		q.subject = VAULT_BED_ID(id[i]);
		vault_bed_submit(&bed, "Rights.EraseSubject", &q, &calls[i]);
	}
	for (unsigned i = 0; i <= MANY; i++) {
		assert_int_equal(vault_bed_wait(&calls[i]), i < MANY ? STATUS_OK : STATUS_NO_SUBJECT);
		vault_bed_done(&calls[i]);
	}
	assert_int_equal(walk(&e), MANY);
	assert_true(e.kind == LEDGER_WHOLE && e.epoch == vault_epoch(bed.vault));
	/* Asked again it is the first erasure. */
	assert_int_equal(vault_bed_erase(&bed, id[3]), STATUS_OK);
	assert_int_equal(walk(&e), MANY);
	vault_bed_restart(&bed);
	assert_int_equal(walk(&e), MANY);
}

static void
assert_proves(const Pdvault__V1__LedgerProof *m, const uint8_t subject[static 16], unsigned categories)
{
	uint8_t public[SEAL_PUBLIC_LEN];
	struct ledger_entry e;
	struct ledger_proof p;

	assert_non_null(m);
	assert_int_equal(m->entry.len, sizeof(p.entry));
	assert_int_equal(m->signature.len, sizeof(p.signature));
	memcpy(p.entry, m->entry.data, sizeof(p.entry));
	memcpy(p.signature, m->signature.data, sizeof(p.signature));
	vault_public_key(bed.vault, public);
	assert_int_equal(verify(public, bed.vault->id, &p), STATUS_OK);
	assert_int_equal(ledger_decode(bytes_of(p.entry, sizeof(p.entry)), &e), STATUS_OK);
	assert_memory_equal(e.subject, subject, 16);
	assert_int_equal(e.categories, categories);
}

/* The answer, its repetition, the answer to who asks later, and after a restart: all prove the same. */
static void
proofs(void **state)
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__GetErasureRequest g = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	static const uint8_t key[16] = "key of a request";
	uint8_t id[16], erasure[16], public[SEAL_PUBLIC_LEN], after[SEAL_PUBLIC_LEN];
	struct vault_call c;

	(void)state;
	vault_public_key(bed.vault, public);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	q.subject = VAULT_BED_ID(id);
	for (unsigned i = 0; i < 3; i++) {
		vault_bed_submit_again(&bed, "Rights.EraseSubject", &q, key, &c);
		assert_int_equal(vault_bed_wait(&c), STATUS_OK);
		assert_proves(VAULT_BED_ANSWER(EraseSubjectResponse, &c)->ledger, id, 1);
		memcpy(erasure, VAULT_BED_ANSWER(EraseSubjectResponse, &c)->erasure.data, 16);
		vault_bed_done(&c);
		if (i == 1)
			vault_bed_restart(&bed);
	}
	g.erasure = VAULT_BED_ID(erasure);
	assert_int_equal(vault_bed_call(&bed, "Rights.GetErasure", &g, &c), STATUS_OK);
	assert_proves(VAULT_BED_ANSWER(GetErasureResponse, &c)->ledger, id, 1);
	vault_bed_done(&c);
	vault_public_key(bed.vault, after);
	assert_memory_equal(public, after, sizeof(public));
}

/* Lists entries behind ${after}; returns how many came, in order. */
static size_t
listed(uint64_t after, uint32_t size, bool *more)
{
	Pdvault__V1__ListLedgerRequest q = PDVAULT__V1__LIST_LEDGER_REQUEST__INIT;
	const Pdvault__V1__ListLedgerResponse *r;
	struct vault_call c;
	size_t n;

	q.after = after;
	q.page_size = size;
	assert_int_equal(vault_bed_call(&bed, "Admin.ListLedger", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(ListLedgerResponse, &c);
	for (n = 0; n < r->n_entries; n++)
		assert_int_equal(bytes_get64(r->entries[n]->entry.data), after + n + 1);
	*more = r->more;
	vault_bed_done(&c);
	return n;
}

static void
pages(void **state)
{
	Pdvault__V1__ListLedgerRequest q = PDVAULT__V1__LIST_LEDGER_REQUEST__INIT;
	uint8_t id[16];
	bool more;

	(void)state;
	assert_int_equal(listed(0, 0, &more), 0);
	assert_false(more);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(vault_bed_create(&bed, i, id), STATUS_OK);
		assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	}
	for (uint64_t after = 0; after <= 6; after++) {
		size_t want = after >= 5 ? 0 : after == 4 ? 1 : 2;

		assert_int_equal(listed(after, 2, &more), want);
		assert_true(more == (want == 2));
	}
	assert_int_equal(listed(0, 6, &more), 5);
	assert_false(more);
	assert_int_equal(listed(UINT64_MAX, 0, &more), 0);
	assert_int_equal(listed(UINT64_MAX - 51, 0, &more), 0);
	q.page_size = 201;
	assert_int_equal(vault_bed_status(&bed, "Admin.ListLedger", &q), STATUS_INVALID);
}

/* K7: as long as the old root may be there, nothing signed says that it is gone. */
static void
unsettled(void **state)
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__GetErasureRequest g = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	uint64_t end = clock_monotonic_ns() + UINT64_C(30000000000);
	uint8_t id[16], erasure[16];
	struct ledger_entry e;
	struct vault_call c;
	bool more;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	q.subject = VAULT_BED_ID(id);
	fault_set(FAULT_ANCHOR, 3, FAULT_FOR_EVER, EIO);
	assert_int_equal(vault_bed_call(&bed, "Rights.EraseSubject", &q, &c), STATUS_INDETERMINATE);
	memcpy(erasure, VAULT_BED_ANSWER(EraseSubjectResponse, &c)->erasure.data, 16);
	vault_bed_done(&c);
	assert_int_equal(walk(&e), 1);
	g.erasure = VAULT_BED_ID(erasure);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(listed(0, 0, &more), round);
		assert_false(more);
		assert_int_equal(vault_bed_call(&bed, "Rights.GetErasure", &g, &c), STATUS_OK);
		assert_true((VAULT_BED_ANSWER(GetErasureResponse, &c)->ledger != NULL) == (round == 1));
		vault_bed_done(&c);
		fault_none();
		while (vault_settled(bed.vault) < e.epoch && clock_monotonic_ns() < end)
			(void)sched_yield();
	}
}

/* A head that is not the newest entry's, whichever was changed: told at the start, which serves what it can. */
static void
damaged(void **state)
{
	static const char *const parts[] = { "meta", "ledger" };
	uint8_t id[16], living[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, living), STATUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vault_bed_create(&bed, 2 + i, id), STATUS_OK);
		assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	}
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before = metrics_get(METRIC_INTEGRITY_ERRORS);
		struct raw_row row, whole;
		struct raw_store r;

		vault_bed_stop(&bed);
		raw_store_open(&r, bed.options.store_path);
		if (i == 0)
			assert_true(raw_store_get(&r, parts[i], bytes_of("ledger", 6), &row));
		else
			raw_store_nth(&r, parts[i], 1, &row);
		whole = row;
		row.value[row.value_len - 1] ^= 1;
		raw_store_write(&r, parts[i], &row);
		raw_store_close(&r);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		assert_int_equal(metrics_get(METRIC_INTEGRITY_ERRORS), before + 1);
		assert_int_equal(vault_bed_get(&bed, living), STATUS_OK);
		vault_bed_stop(&bed);
		raw_store_open(&r, bed.options.store_path);
		raw_store_write(&r, parts[i], &whole);
		raw_store_close(&r);
		before = metrics_get(METRIC_INTEGRITY_ERRORS);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		assert_int_equal(metrics_get(METRIC_INTEGRITY_ERRORS), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(example, setup, teardown),
		cmocka_unit_test_setup_teardown(chain, setup, teardown),
		cmocka_unit_test_setup_teardown(proofs, setup, teardown),
		cmocka_unit_test_setup_teardown(pages, setup, teardown),
		cmocka_unit_test_setup_teardown(unsettled, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
