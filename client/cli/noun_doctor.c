#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/tls_expiry.h"
#include "daemon.h"
#include "doctor_status.h"
#include "nouns.h"
#include "session.h"

enum { SAID_MAX = 1 << 20, PAUSE_SECONDS = 1 };

/* Exit statuses of pdvaultd doctor. */
enum { ALL_WELL = 0, SOME_FAIL = 3 };

/* What the program wrote to the file, for free(); NULL: no memory. */
static char *
read_back(int fd)
{
	char *text = calloc(1, SAID_MAX);
	ssize_t n;
	size_t len = 0;

	while (text != NULL && len < SAID_MAX - 1 &&
	    (n = pread(fd, text + len, SAID_MAX - 1 - len, (off_t)len)) > 0)
		len += (size_t)n;
	return text;
}

/* Its lines, and that it came to its end. */
static void
add_host(const struct args *a, int fd, struct findings *l)
{
	static const struct findings_line line = {FINDINGS_FAIL, "pdvaultd",
	    "its log lines stand above; run pdvault doctor on the server's host, as the vault's user or root"};
	struct daemon_words w = {.n = 1};
	struct failure f = {.code = PDV_OK};
	const size_t before = l->fails;
	char *text = NULL;
	int status = 0;
	bool whole;

	daemon_word(&w, "doctor");
	daemon_pair(&w, "--config", a->values[FLAG_CONFIG]);
	if (daemon_run(&w, fd, &status, &f) != PDV_OK) {
		findings_add(l, &line, "%s", f.detail);
		return;
	}
	whole = (text = read_back(fd)) != NULL && findings_read(l, text);
	if (!whole || status != (l->fails > before ? SOME_FAIL : ALL_WELL))
		findings_add(l, &line, "doctor ended with status %d before it was through", status);
	free(text);
}

static enum pdv_code
ask_host(const struct args *a, struct findings *l, struct failure *f)
{
	int fd;

	if (a->values[FLAG_CONFIG] == NULL)
		return PDV_OK;
	if ((fd = memfd_create("doctor", MFD_CLOEXEC)) < 0)
		return failure_memory(f);
	add_host(a, fd, l);
	(void)close(fd);
	return PDV_OK;
}

static const char *
mend_of(enum pdv_code code)
{
	switch (code) {
	case PDV_PERMISSION_DENIED:
		return "methods = Health.Check, Admin.GetStatus in the [principal] of this certificate";
	case PDV_UNAUTHENTICATED:
	case PDV_INVALID_ARGUMENT:
	case PDV_FAILED_PRECONDITION:
		return "certificate, key and CA of both ends; PDVAULT.md, Settings";
	default:
		return "systemctl status pdvaultd, and journalctl -u pdvaultd; pdvault doctor --config on "
		    "its host";
	}
}

static void
add_failed(const char *check, const struct failure *f, struct findings *l)
{
	const struct findings_line line = {FINDINGS_FAIL, check, mend_of(f->code)};

	findings_add(l, &line, "%s: %s", f->reason, f->detail);
}

static void
add_certificate(const char *path, struct findings *l)
{
	static const struct findings_line line = {
	    FINDINGS_FAIL, "own_certificate", "name a certificate that can be read (--cert)"};
	char why[TLS_WHY_LEN];
	struct tls_expiry e;

	if (path == NULL)
		return;		/* the settings have none, and "server" says so */
	if (tls_expiry_read(path, TLS_EXPIRY_CERTIFICATES, &e, why))
		doctor_status_term(path, e.first, (int64_t)time(NULL), l);
	else
		findings_add(l, &line, "%s: %s", path, why);
}

/* Whether it answers at all; GetStatus says why it takes no writes. */
static bool
add_health(struct session *s, struct findings *l)
{
	static const struct findings_line line = {FINDINGS_OK, "server", NULL};
	struct failure f = {.code = PDV_OK};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	(void)pdv_check(s->client, &s->options, &r);
	if ((rc = session_failed(r, &f)) == PDV_OK)
		findings_add(l, &line, "answers: %s", pdv_serving_state_name(pdv_result_serving(r)));
	else
		add_failed("server", &f, l);
	pdv_result_free(r);
	return rc == PDV_OK || rc == PDV_PERMISSION_DENIED;
}

/* A switch that is under way is given its time: what counts is whether that epoch settles. */
static uint64_t
settled_later(struct session *s, const struct pdv_status *now)
{
	struct pdv_result *r = NULL;
	uint64_t settled = now->settled_epoch;

	if (settled >= now->epoch)
		return settled;
	(void)sleep(PAUSE_SECONDS);
	if (pdv_get_status(s->client, &s->options, &r) == PDV_OK)
		settled = pdv_result_status(r)->settled_epoch;
	pdv_result_free(r);
	return settled;
}

static void
add_status(struct session *s, struct findings *l)
{
	struct failure f = {.code = PDV_OK};
	struct pdv_result *r = NULL;

	(void)pdv_get_status(s->client, &s->options, &r);
	if (session_failed(r, &f) != PDV_OK)
		add_failed("status", &f, l);
	else
		doctor_status_judge(pdv_result_status(r), settled_later(s, pdv_result_status(r)),
		    (int64_t)time(NULL), l);
	pdv_result_free(r);
}

static void
ask_server(const struct args *a, struct findings *l)
{
	struct failure f = {.code = PDV_OK};
	struct session s = {.client = NULL};

	if (session_open(&s, a, 0, &f) != PDV_OK)
		add_failed("server", &f, l);
	else if (add_health(&s, l))
		add_status(&s, l);
	add_certificate(s.settings.values[SETTINGS_CERT], l);
	session_close(&s);
}

enum pdv_code
noun_doctor(const struct args *a, struct failure *f)
{
	struct findings l = {.list = NULL};
	enum pdv_code rc;

	if ((rc = ask_host(a, &l, f)) != PDV_OK)
		goto out;
	ask_server(a, &l);
	if ((rc = findings_print(&l, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f)) == PDV_OK &&
	    l.fails > 0) {
		rc = failure_set(f, PDV_FAILED_PRECONDITION, "DOCTOR_FAILED", "a line is FAIL");
		f->told = true;
	}
out:
	findings_free(&l);
	return rc;
}
