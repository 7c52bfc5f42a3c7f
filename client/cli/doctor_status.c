#include "doctor_status.h"

#include <inttypes.h>
#include <string.h>

#include "instant.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { HOUR = 3600, DAY = 24 * HOUR, WARN_PERCENT = 80, FAIL_PERCENT = 90, JOB_STANDS = 300 };

static bool
warned(const struct pdv_status *s, const char *token)
{
	for (size_t i = 0; i < s->warning_count; i++)
		if (strcmp(s->warnings[i], token) == 0)
			return true;
	return false;
}

static void
judge_writes(const struct pdv_status *s, struct findings *l)
{
	static const struct {
		const char *reason, *mend;
	} reasons[] = {
		{"READ_ONLY_MEDIUM", "mount -o remount,rw, then systemctl restart pdvaultd"},
		{"ANCHOR_NOT_ERASED", "mend the device that anchor_error in the log names; else pdvaultd "
		    "anchor move"},
		{"ANCHOR_CLASS_D", "do not restart: OPERATIONS.md, When something is full or broken"},
		{"STORE_FULL", "make room on the store's disk; a full map: raise [vault] map_size, restart"},
	};
	struct findings_line line = {FINDINGS_OK, "writes", NULL};

	if (!s->read_only) {
		findings_add(l, &line, "taken");
		return;
	}
	line.level = FINDINGS_FAIL;
	line.mend = "read_only in the log says why";
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (strcmp(s->read_only_reason, reasons[i].reason) == 0)
			line.mend = reasons[i].mend;
	findings_add(l, &line, "refused: %s", s->read_only_reason);
}

static void
judge_class(const struct pdv_status *s, struct findings *l)
{
	struct findings_line line = {FINDINGS_OK, "anchor_class", NULL};

	if (strcmp(s->anchor_class, "A") != 0 && strcmp(s->anchor_class, "B") != 0 &&
	    strcmp(s->anchor_class, "C") != 0) {
		line.level = FINDINGS_WARN;
		line.mend = "pdvaultd anchor move to a place of class C or better; OPERATIONS.md, Where to "
		    "put it";
	}
	findings_add(l, &line, "%s (%s)", s->anchor_class, s->anchor_class_reason);
}

static void
judge_vault_class(const struct pdv_status *s, struct findings *l)
{
	struct findings_line line = {FINDINGS_OK, "vault_class", NULL};

	findings_add(l, &line, "%s (%s)", s->class_, s->class_reason);
}

static void
judge_seals(const struct pdv_status *s, struct findings *l)
{
	struct findings_line line = {FINDINGS_OK, "seals", NULL};

	if (s->seals_failing == 0) {
		findings_add(l, &line, "each gave its key when it was tested last");
		return;
	}
	/* As long as one opens, nothing is lost but the spare. */
	line.level = s->seals_failing < s->seal_count ? FINDINGS_WARN : FINDINGS_FAIL;
	line.mend = "pdvault seal test, and seal in the log; bring it back, or pdvault seal remove NAME";
	findings_add(l, &line, "%u of %zu did not give their key", s->seals_failing, s->seal_count);
}

static void
judge_jobs(const struct pdv_status *s, int64_t now, struct findings *l)
{
	struct findings_line line = {FINDINGS_OK, "jobs", NULL};

	if (s->open_jobs == 0) {
		findings_add(l, &line, "none is open");
		return;
	}
	if (s->job_update_time == NULL) {
		line.level = FINDINGS_WARN;
		line.mend = "pdvault job list; pdvault job resume JOB, or cancel";
		findings_add(l, &line, "%u open, and none runs", s->open_jobs);
		return;
	}
	if (now - s->job_update_time->seconds > JOB_STANDS) {
		line.level = FINDINGS_FAIL;
		line.mend = "pdvault job list, and the log: is the store full, or read only?";
	}
	findings_add(l, &line, "%u open, the one that runs got on %" PRId64 " s ago", s->open_jobs,
	    now - s->job_update_time->seconds);
}

static void
judge_settled(const struct pdv_status *s, uint64_t settled, struct findings *l)
{
	struct findings_line line = {FINDINGS_OK, "settled", NULL};

	if (settled >= s->epoch) {
		findings_add(l, &line, "epoch %" PRIu64, s->epoch);
		return;
	}
	line.level = FINDINGS_FAIL;
	line.mend = "mend the device that anchor_error in the log names; else pdvaultd anchor move";
	findings_add(l, &line, "epoch %" PRIu64 ", settled is %" PRIu64 ": erasures since are not done",
	    s->epoch, settled);
}

static void
judge_filling(const struct pdv_status *s, struct findings *l)
{
	const double percent =
	    s->store_limit_bytes == 0 ? 0 : 100.0 * (double)s->store_bytes / (double)s->store_limit_bytes;
	struct findings_line line = {FINDINGS_OK, "filling", NULL};

	if (percent > WARN_PERCENT) {
		line.level = percent > FAIL_PERCENT ? FINDINGS_FAIL : FINDINGS_WARN;
		line.mend = "raise [vault] map_size, and its volume, and restart; above 90 % only erasures "
		    "are taken";
	}
	findings_add(l, &line, "%.1f %% of %" PRIu64 " MiB", percent, s->store_limit_bytes >> 20);
}

static void
judge_backup(const struct findings_line *line, const struct pdv_time *t, int64_t now, struct findings *l)
{
	const int64_t age = t == NULL ? 0 : now - t->seconds;

	if (t == NULL)
		findings_add(l, line, "never");
	else if (age < 2 * DAY)
		findings_add(l, line, "%" PRId64 " hours ago", age / HOUR);
	else
		findings_add(l, line, "%" PRId64 " days ago", age / DAY);
}

/* Rows of what may be too long ago: the server says when it is, by one of two words. */
static void
judge_backups(const struct pdv_status *s, int64_t now, struct findings *l)
{
	const struct {
		const char *check, *none, *old, *mend;
		const struct pdv_time *when;
	} rows[] = {
		{"data_backup", "NO_DATA_BACKUP", "DATA_BACKUP_OLD", "pdvault backup data DIR",
		    s->data_backup_time},
		{"key_backup", "NO_KEY_BACKUP", "KEY_BACKUP_OLD", "pdvault backup keys DIR",
		    s->key_backup_time},
		{"backup_verify", "NO_BACKUP_VERIFIED", "BACKUP_VERIFY_OLD",
		    "pdvault backup verify DIR --note", s->backup_verify_time},
		{"backup_drill", "NO_RESTORE_TRIED", "RESTORE_DRILL_OLD",
		    "pdvault backup drill DIR ..., on the server's host (BACKUP.md)", s->backup_drill_time},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const bool bad = warned(s, rows[i].none) || warned(s, rows[i].old);
		const struct findings_line line = {
		    bad ? FINDINGS_WARN : FINDINGS_OK, rows[i].check, bad ? rows[i].mend : NULL};

		judge_backup(&line, rows[i].when, now, l);
	}
}

/* Whatever else it warns of, also words that this tool does not know. */
static void
judge_others(const struct pdv_status *s, struct findings *l)
{
	static const char *const told[] = {"NO_DATA_BACKUP", "DATA_BACKUP_OLD", "NO_KEY_BACKUP",
	    "KEY_BACKUP_OLD", "NO_BACKUP_VERIFIED", "BACKUP_VERIFY_OLD", "NO_RESTORE_TRIED",
	    "RESTORE_DRILL_OLD"};
	static const struct {
		const char *token, *mend;
	} known[] = {
		{"NO_RECOVERY_KEY", "pdvault recovery new --out FILE, and the lines that it prints"},
		{"RESURRECTED", "pdvault status says of which ledger; ask again for the erasures that it "
		    "lacked"},
	};
	struct findings_line line = {FINDINGS_WARN, "warning", NULL};
	size_t i, k;

	for (i = 0; i < s->warning_count; i++) {
		for (k = 0; k < COUNT(told) && strcmp(s->warnings[i], told[k]) != 0; k++)
			;
		if (k < COUNT(told))
			continue;
		line.mend = "PROTOCOL.md, GetStatus, says what it means";
		for (k = 0; k < COUNT(known); k++)
			if (strcmp(s->warnings[i], known[k].token) == 0)
				line.mend = known[k].mend;
		findings_add(l, &line, "%s", s->warnings[i]);
	}
}

void
doctor_status_judge(const struct pdv_status *s, uint64_t settled, int64_t now, struct findings *l)
{
	judge_writes(s, l);
	judge_class(s, l);
	judge_vault_class(s, l);
	judge_seals(s, l);
	judge_jobs(s, now, l);
	judge_settled(s, settled, l);
	judge_filling(s, l);
	judge_backups(s, now, l);
	judge_others(s, l);
}

void
doctor_status_term(const char *path, int64_t ends, int64_t now, struct findings *l)
{
	const struct instant when = {.seconds = ends};
	struct findings_line line = {FINDINGS_OK, "own_certificate", NULL};
	char text[INSTANT_TEXT_LEN] = "?";

	(void)instant_write(&when, text);
	if (ends - now < (int64_t)DOCTOR_STATUS_SOON_DAYS * DAY) {
		line.level = ends <= now ? FINDINGS_FAIL : FINDINGS_WARN;
		line.mend = "have the CA of the clients sign a new one";
	}
	if (ends <= now)
		findings_add(l, &line, "%s: ended %s", path, text);
	else
		findings_add(l, &line, "%s: ends %s, in %" PRId64 " days", path, text, (ends - now) / DAY);
}
