#include "server/doctor.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/doctor_internal.h"
#include "server/serve.h"

/* In the order of the output. Whatever else is to be looked at gets a row, and its function a file. */
static const struct {
	const char *name;
	void (*look)(struct doctor *d);
} checks[] = {
	{ "swap", doctor_host_swap },
	{ "core", doctor_host_core },
	{ "memlock", doctor_host_memory },
	{ "memfd_secret", doctor_host_secret },
	{ "ptrace", doctor_host_ptrace },
	{ "clock", doctor_host_clock },
	{ "store", doctor_place_store },
	{ "anchor", doctor_place_anchor },
	{ "keys", doctor_place_keys },
	{ "class", doctor_place_class },
	{ "devices", doctor_place_pair },
	{ "space", doctor_place_space },
	{ "flush", doctor_place_flush },
	{ "certificates", doctor_place_terms },
	{ "unfinished", doctor_place_unfinished },
};

void
doctor_say(struct doctor *d, const struct doctor_finding *f)
{
	static const char *const levels[] = { "OK", "WARN", "FAIL" };

	d->fails += f->level == DOCTOR_FAIL;
	if (!d->terminal) {
		(void)printf("%s\t%s\t%s\t%s\n", levels[f->level], d->check, f->found, f->mend);
		return;
	}
	(void)printf("%-4s  %-12s  %s\n", levels[f->level], d->check, f->found);
	if (f->mend[0] != '\0')
		(void)printf("%20smend: %s\n", "", f->mend);
}

enum status
doctor_run(const struct config *c, const char *path, bool force_class_d)
{
	struct doctor d = {
		.c = c, .path = path, .force_class_d = force_class_d, .user = geteuid(), .owner = geteuid(),
		.terminal = isatty(STDOUT_FILENO) == 1,
	};
	struct vault_options vo;
	struct stat st;

	serve_vault_options(c, force_class_d, &vo);
	d.vault = &vo;
	if (lstat(c->vault_path, &st) == 0)
		d.owner = st.st_uid;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		d.check = checks[i].name;
		checks[i].look(&d);
		(void)fflush(stdout);		/* who waits for a slow disk sees what came before */
	}
	return d.fails == 0 ? STATUS_OK : STATUS_CONFIG;
}
