/* `pdvault doctor`: what it makes of a vault's own words, and of the lines of pdvaultd; both of its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/cli/doctor_status.h"
#include "client/cli/nouns.h"
#include "fake_vault.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pki.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)
#define LINES 11u		/* of a vault that warns of nothing else than its backups */

static const char *
field(const json_t *line, const char *name)
{
	const char *text = json_string_value(json_object_get(line, name));

	assert_non_null(text);
	return text;
}

/* The line of that check; there is exactly one. */
static const json_t *
line_of(const struct findings *l, const char *check)
{
	const json_t *found = NULL, *one;
	size_t i;

	json_array_foreach(l->list, i, one)
		if (strcmp(field(one, "check"), check) == 0) {
			assert_null(found);
			found = one;
		}
	if (found == NULL)
		fail_msg("no line of %s", check);
	return found;
}

static void
judged(const struct findings *l, const char *check, const char *level, const char *found)
{
	const json_t *line = line_of(l, check);

	if (strcmp(field(line, "level"), level) != 0 || strstr(field(line, "found"), found) == NULL)
		fail_msg("%s: %s, \"%s\"", check, field(line, "level"), field(line, "found"));
	assert_int_equal(field(line, "mend")[0] == '\0', strcmp(level, "OK") == 0);
}

static const struct pdv_time recent = {.seconds = NOW - 5 * 3600};

static struct pdv_status
healthy(void)
{
	return (struct pdv_status){
	    .epoch = 9, .settled_epoch = 9, .anchor_class = "C", .anchor_class_reason = "virtual disk",
	    .class_ = "C", .class_reason = "virtual disk", .seal_count = 2,
	    .read_only_reason = "", .store_bytes = 10, .store_limit_bytes = 100,
	    .data_backup_time = &recent, .key_backup_time = &recent, .backup_verify_time = &recent,
	    .backup_drill_time = &recent,
	};
}

static void
well(void **state)
{
	static const char *const checks[] = { "writes", "anchor_class", "vault_class", "seals", "jobs",
		"settled", "filling", "data_backup", "key_backup", "backup_verify",
		"backup_drill" };
	const struct pdv_status s = healthy();
	struct findings l = {.list = NULL};

	(void)state;
	doctor_status_judge(&s, 9, NOW, &l);
	assert_int_equal(COUNT(checks), LINES);
	assert_int_equal(json_array_size(l.list), LINES);
	for (size_t i = 0; i < COUNT(checks); i++)
		judged(&l, checks[i], "OK", "");
	assert_int_equal(l.fails, 0);
	judged(&l, "data_backup", "OK", "5 hours ago");
	findings_free(&l);
}

static void
writes(void **state)
{
	static const char *const reasons[] = {
	    "READ_ONLY_MEDIUM", "ANCHOR_NOT_ERASED", "ANCHOR_CLASS_D", "STORE_FULL", "SOMETHING_NEW"};
	const char *mends[COUNT(reasons)];
	struct pdv_status s = healthy();

	(void)state;
	s.read_only = 1;
	for (size_t i = 0; i < COUNT(reasons); i++) {
		struct findings l = {.list = NULL};

		s.read_only_reason = reasons[i];
		doctor_status_judge(&s, 9, NOW, &l);
		judged(&l, "writes", "FAIL", reasons[i]);
		assert_int_equal(l.fails, 1);
		mends[i] = strdup(field(line_of(&l, "writes"), "mend"));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(mends[k], mends[i]);
		findings_free(&l);
	}
	for (size_t i = 0; i < COUNT(reasons); i++)
		free((char *)(uintptr_t)mends[i]);
}

/* One thing is changed; the line of one check. */
static void
one(const struct pdv_status *s, uint64_t settled, const char *check, const char *level, const char *found)
{
	struct findings l = {.list = NULL};

	doctor_status_judge(s, settled, NOW, &l);
	judged(&l, check, level, found);
	assert_int_equal(l.fails, strcmp(level, "FAIL") == 0);
	assert_int_equal(json_array_size(l.list), LINES + (size_t)(strcmp(check, "warning") == 0));
	findings_free(&l);
}

static void
limits(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *level;
	} fillings[] = {{0, "OK"}, {799, "OK"}, {800, "OK"}, {801, "WARN"}, {899, "WARN"}, {900, "WARN"},
	    {901, "FAIL"}, {1000, "FAIL"}};
	static const char *const classes[] = {"A", "B", "C"};
	struct pdv_status s = healthy();

	(void)state;
	s.store_limit_bytes = 1000;
	for (size_t i = 0; i < COUNT(fillings); i++) {
		s.store_bytes = fillings[i].bytes;
		one(&s, 9, "filling", fillings[i].level, "%");
	}
	s.store_bytes = s.store_limit_bytes = 0;
	one(&s, 9, "filling", "OK", "0.0 %");
	for (size_t i = 0; i < COUNT(classes); i++) {
		s.anchor_class = classes[i];
		one(&s, 9, "anchor_class", "OK", classes[i]);
	}
	s.anchor_class = "D";
	one(&s, 9, "anchor_class", "WARN", "D (virtual disk)");
	s.anchor_class = "";
	one(&s, 9, "anchor_class", "WARN", "");
	/* What counts is what was settled in the end. */
	s = healthy();
	s.settled_epoch = 8;
	one(&s, 8, "settled", "FAIL", "epoch 9, settled is 8");
	one(&s, 9, "settled", "OK", "epoch 9");
	one(&s, 10, "settled", "OK", "epoch 9");
}

static void
backups(void **state)
{
	static const struct {
		const char *warning, *check;
	} rows[] = {
	    {"NO_DATA_BACKUP", "data_backup"}, {"DATA_BACKUP_OLD", "data_backup"},
	    {"NO_KEY_BACKUP", "key_backup"}, {"KEY_BACKUP_OLD", "key_backup"},
	    {"NO_BACKUP_VERIFIED", "backup_verify"}, {"BACKUP_VERIFY_OLD", "backup_verify"},
	    {"NO_RESTORE_TRIED", "backup_drill"}, {"RESTORE_DRILL_OLD", "backup_drill"},
	    {"NO_RECOVERY_KEY", "warning"}, {"RESURRECTED", "warning"}, {"SOMETHING_NEW", "warning"},
	};
	struct pdv_time old = {.seconds = NOW - 2 * DAY + 1};
	struct pdv_status s = healthy();

	(void)state;
	s.warning_count = 1;
	for (size_t i = 0; i < COUNT(rows); i++) {
		s.warnings = &rows[i].warning;
		one(&s, 9, rows[i].check, "WARN", i < 8 ? "5 hours ago" : rows[i].warning);
	}
	s = healthy();
	s.data_backup_time = &old;
	one(&s, 9, "data_backup", "OK", "47 hours ago");
	old.seconds = NOW - 2 * DAY;
	one(&s, 9, "data_backup", "OK", "2 days ago");
	s.data_backup_time = NULL;
	one(&s, 9, "data_backup", "OK", "never");
}

static void
own_certificate(void **state)
{
	static const struct {
		int64_t left;
		const char *level, *found;
	} cases[] = {
	    {-1, "FAIL", "/c: ended"}, {0, "FAIL", "/c: ended 2027-01-15T08:00:00Z"}, {1, "WARN", "in 0 days"},
	    {DOCTOR_STATUS_SOON_DAYS * DAY - 1, "WARN", "in 13 days"},
	    {DOCTOR_STATUS_SOON_DAYS * DAY, "OK", "in 14 days"},
	    {DOCTOR_STATUS_SOON_DAYS * DAY + 1, "OK", "in 14 days"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings l = {.list = NULL};

		doctor_status_term("/c", NOW + cases[i].left, NOW, &l);
		judged(&l, "own_certificate", cases[i].level, cases[i].found);
		findings_free(&l);
	}
}

static void
lines(void **state)
{
	static const struct {
		const char *text;
		bool good;
		size_t lines, fails;
	} cases[] = {
	    {"", true, 0, 0}, {"OK\ta\tb\t\n", true, 1, 0}, {"WARN\ta\tb\tc\nFAIL\td\te\tf\n", true, 2, 1},
	    {"OK\ta\tb\t", false, 0, 0},		/* cut off */
	    {"OK\ta\tb\t\nFAIL\tc", false, 1, 0}, {"OK\ta\tb\n", false, 0, 0},
	    {"OK\ta\tb\tc\td\n", false, 0, 0},
	    {"ok\ta\tb\t\n", false, 0, 0}, {"\n", false, 0, 0}, {"==1==ERROR: AddressSanitizer\n", false, 0, 0},
	    {"FAIL\ta\t\xff\xfe\tc\n", true, 1, 1},	/* a path need not be UTF-8 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings l = {.list = NULL};
		char text[128];

		(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		assert_int_equal(findings_read(&l, text), cases[i].good);
		assert_int_equal(json_array_size(l.list), cases[i].lines);
		assert_int_equal(l.fails, cases[i].fails);
		assert_false(l.incomplete);
		findings_free(&l);
	}
}

static char *
printed(const struct findings *l, bool json)
{
	static char text[4096];
	struct failure why;
	int fd = memfd_create("printed", MFD_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(findings_print(l, json, fd, &why), PDV_OK);
	assert_true((n = pread(fd, text, sizeof(text) - 1, 0)) >= 0);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

static void
forms(void **state)
{
	static const struct findings_line bad = {FINDINGS_FAIL, "place", "chmod go= x"}, good = {
	    FINDINGS_OK, "swap", NULL};
	struct findings l = {.list = NULL};
	json_t *doc;

	(void)state;
	findings_add(&l, &good, "none");
	findings_add(&l, &bad, "x\x1b[2J: %s", "open");
	assert_string_equal(printed(&l, false), "OK    swap              none\n"
	    "FAIL  place             x?[2J: open\n"
	    "                        mend: chmod go= x\n");
	assert_non_null(doc = json_loads(printed(&l, true), 0, NULL));
	assert_true(json_equal(doc, l.list));
	assert_string_equal(field(json_array_get(doc, 0), "mend"), "");
	assert_string_equal(field(json_array_get(doc, 1), "level"), "FAIL");
	assert_int_equal(json_object_size(json_array_get(doc, 1)), 4);
	json_decref(doc);
	findings_free(&l);
}

/* Not told as complete when a line was dropped. */
static void
too_many(void **state)
{
	static const struct findings_line good = {FINDINGS_OK, "x", NULL};
	struct findings l = {.list = NULL};
	struct failure why;

	(void)state;
	for (size_t i = 0; i < FINDINGS_MAX; i++)
		findings_add(&l, &good, "y");
	assert_false(l.incomplete);
	findings_add(&l, &good, "y");
	assert_true(l.incomplete);
	assert_int_equal(json_array_size(l.list), FINDINGS_MAX);
	assert_int_not_equal(findings_print(&l, true, -1, &why), PDV_OK);
	findings_free(&l);
}

/* A vault whose switch of epoch 9 settles when it is asked again, or does not. */
static atomic_uint asked;
static atomic_bool settles, refuses;

static void
serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__GetStatusResponse s = PDVAULT__V1__GET_STATUS_RESPONSE__INIT;
	Pdvault__V1__CheckResponse h = PDVAULT__V1__CHECK_RESPONSE__INIT;
	static uint8_t zeros[PDV_SIGNING_KEY_LEN];

	(void)arg;
	s.vault = (ProtobufCBinaryData){PDV_ID_LEN, zeros};
	s.signing_key = (ProtobufCBinaryData){PDV_SIGNING_KEY_LEN, zeros};
	h.status = PDVAULT__V1__SERVING_STATUS__SERVING;
	s.epoch = 9;
	s.settled_epoch = 8;
	s.anchor_class = (char *)(uintptr_t)"C";
	if (strcmp(q->method, "/pdvault.v1.Health/Check") == 0) {
		fake_message(out, &h.base);
		return;
	}
	if (atomic_load(&refuses)) {
		out->response.code = PDV_PERMISSION_DENIED;
		out->response.reason = (char *)(uintptr_t)"METHOD_NOT_ALLOWED";
		return;
	}
	if (atomic_fetch_add(&asked, 1) > 0) {
		s.epoch = 12;
		s.settled_epoch = atomic_load(&settles) ? 11 : 8;
	}
	fake_message(out, &s.base);
}

/* What the verb prints, as JSON; *code is its status. */
static struct findings
run_doctor(enum pdv_code *code)
{
	const struct args a = {.values = {[FLAG_JSON] = ""}};
	struct findings l = {.list = NULL};
	struct failure f = {.code = PDV_OK};
	static char text[8192];
	int fd = memfd_create("out", MFD_CLOEXEC), saved = dup(STDOUT_FILENO);
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0);
	atomic_store(&asked, 0);
	(void)fflush(stdout);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	*code = noun_doctor(&a, &f);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	assert_int_equal(f.told, *code != PDV_OK);
	assert_true((n = pread(fd, text, sizeof(text) - 1, 0)) > 0);
	text[n] = '\0';
	(void)close(fd);
	(void)close(saved);
	assert_non_null(l.list = json_loads(text, 0, NULL));
	return l;
}

static void
asks_again(void **state)
{
	struct pki *p = pki_new();
	struct fake *fake = fake_new(p, 0, serve, NULL);
	struct findings l;
	enum pdv_code rc;

	(void)state;
	(void)setenv("PDVAULT_SERVER", fake_url(fake), 1);
	(void)setenv("PDVAULT_CA", pki_path(p, "ca.pem"), 1);
	(void)setenv("PDVAULT_CERT", pki_path(p, "client.pem"), 1);
	(void)setenv("PDVAULT_KEY", pki_path(p, "client.key"), 1);
	(void)setenv("HOME", "/nowhere", 1);
	atomic_store(&settles, true);
	l = run_doctor(&rc);
	judged(&l, "settled", "OK", "epoch 9");
	judged(&l, "own_certificate", "WARN", "client.pem: ends");
	assert_int_equal(rc, PDV_OK);
	assert_int_equal(atomic_load(&asked), 2);
	findings_free(&l);
	atomic_store(&settles, false);
	l = run_doctor(&rc);
	judged(&l, "settled", "FAIL", "epoch 9, settled is 8");
	assert_int_equal(rc, PDV_FAILED_PRECONDITION);
	findings_free(&l);
	atomic_store(&refuses, true);
	l = run_doctor(&rc);
	judged(&l, "server", "OK", "SERVING");
	judged(&l, "status", "FAIL", "METHOD_NOT_ALLOWED");
	assert_int_equal(rc, PDV_FAILED_PRECONDITION);
	findings_free(&l);
	fake_free(fake);
	pki_free(p);
}

static int
stop(void **state)
{
	(void)state;
	nng_closeall();
	nng_msleep(200);		/* plan_tear_down() says why */
	nng_fini();
	return 0;
}

/* A seal that is away is a spare that is lost; all of them, and the next start fails. A job must get on. */
static void
seals_and_jobs(void **state)
{
	struct pdv_status s = healthy();
	struct pdv_time at = {.seconds = NOW};

	(void)state;
	one(&s, 9, "seals", "OK", "each gave its key");
	s.seals_failing = 1;
	one(&s, 9, "seals", "WARN", "1 of 2");
	s.seals_failing = 2;
	one(&s, 9, "seals", "FAIL", "2 of 2");
	s.seals_failing = 0;
	one(&s, 9, "jobs", "OK", "none is open");
	s.open_jobs = 1;
	one(&s, 9, "jobs", "WARN", "none runs");
	s.job_update_time = &at;
	for (int64_t age = 299; age <= 301; age++) {
		at.seconds = NOW - age;
		one(&s, 9, "jobs", age > 300 ? "FAIL" : "OK", "1 open");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(well),
	    cmocka_unit_test(writes),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(backups),
	    cmocka_unit_test(own_certificate),
	    cmocka_unit_test(lines),
	    cmocka_unit_test(forms),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test(asks_again), cmocka_unit_test(seals_and_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, stop);
}
