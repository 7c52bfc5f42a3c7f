#include "import_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/cli/exitcode.h"
#include "client/cli/nouns.h"
#include "fake_vault.h"
#include "import_vault.h"
#include "pki.h"
#include "scratch.h"

struct import_bed import_bed;

static struct {
	struct pki *pki;
	struct fake *fake;
	char folder[256];
} bed;

const char *
import_bed_path(const char *name)
{
	return scratch_path(bed.folder, name);
}

void
import_bed_write(const char *name, const char *text)
{
	scratch_write(import_bed_path(name), text, strlen(text));
}

static void
read_back(const char *name, char out[static IMPORT_BED_TEXT])
{
	FILE *in = fopen(import_bed_path(name), "r");
	size_t n;

	assert_non_null(in);
	n = fread(out, 1, IMPORT_BED_TEXT - 1, in);
	out[n] = '\0';
	(void)fclose(in);
}

static int
redirect(int fd, const char *name)
{
	int saved = dup(fd), to = open(import_bed_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(saved >= 0 && to >= 0);
	(void)fflush(NULL);
	assert_int_equal(dup2(to, fd), fd);
	(void)close(to);
	return saved;
}

int
import_bed_run(const char *input, const char *map, const char *timeout, bool resume)
{
	char in[2 * IMPORT_BED_PATH], with[2 * IMPORT_BED_PATH], state[2 * IMPORT_BED_PATH];
	const char *argv[] = {"import", in, "--map", with, "--json", "--timeout", timeout, "--resume",
	    state, NULL};
	struct failure f = {.code = PDV_OK};
	int out, err;
	struct args a;

	(void)snprintf(in, sizeof(in), "%s", import_bed_path(input));
	(void)snprintf(with, sizeof(with), "%s", import_bed_path(map));
	(void)snprintf(state, sizeof(state), "%s", import_bed_path("state"));
	if (!resume)
		argv[7] = NULL;
	assert_int_equal(args_parse(&nouns_table, argv, &a, &f), PDV_OK);
	out = redirect(STDOUT_FILENO, "out");
	err = redirect(STDERR_FILENO, "err");
	(void)a.verb->run(&a, &f);
	(void)fflush(NULL);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(out);
	(void)close(err);
	read_back("out", import_bed.out);
	read_back("err", import_bed.err);
	return (int)exitcode_of(f.code, f.reason);
}

void
import_bed_counts(int created, int updated, int unchanged, int failed)
{
	json_t *doc = json_loads(import_bed.out, 0, NULL);
	int c = -1, u = -1, n = -1, f = -1;

	(void)json_unpack(doc, "{s:i, s:i, s:i, s:i}", "created", &c, "updated", &u, "unchanged", &n,
	    "failed", &f);
	json_decref(doc);
	if (c != created || u != updated || n != unchanged || f != failed)
		fail_msg("%s%s", import_bed.out, import_bed.err);
}

int
import_bed_empty(void **state)
{
	(void)state;
	import_vault_empty();
	import_bed_write("s.map", "[map]\nkind = subjects\n[columns]\nidentity.account_ids = id\n"
	    "identity.name.full = name\nidentity.emails = mail\nbilling.tax_id = tax\n");
	import_bed_write("t.map", "[map]\nkind = transactions\ntime_zone = UTC\n[columns]\n"
	    "account_id = id\ntransaction.id = tid\ntransaction.amount = total\n"
	    "[constants]\ntransaction.currency = EUR\n");
	(void)unlink(import_bed_path("state"));
	return 0;
}

int
import_bed_start(void **state)
{
	(void)state;
	bed.pki = pki_new();
	bed.fake = fake_new(bed.pki, 0, import_vault_serve, NULL);
	scratch_make(bed.folder);
	(void)setenv("HOME", bed.folder, 1);
	(void)setenv("PDVAULT_SERVER", fake_url(bed.fake), 1);
	(void)setenv("PDVAULT_CA", pki_path(bed.pki, "ca.pem"), 1);
	(void)setenv("PDVAULT_CERT", pki_path(bed.pki, "client.pem"), 1);
	(void)setenv("PDVAULT_KEY", pki_path(bed.pki, "client.key"), 1);
	return 0;
}

int
import_bed_stop(void **state)
{
	(void)state;
	scratch_remove(bed.folder);
	fake_free(bed.fake);
	pki_free(bed.pki);
	nng_closeall();
	nng_msleep(200);		/* plan_tear_down() says why */
	nng_fini();			/* or connections that are being closed count as leaks */
	return 0;
}
