#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <unistd.h>

#include <linux/capability.h>

#include "server/clock.h"
#include "server/doctor_crypt.h"
#include "server/doctor_internal.h"
#include "server/doctor_text.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447		/* the same on every architecture that has it */
#endif

static bool
encrypted(const char *path)
{
	char folder[64];
	struct stat st;
	dev_t dev;

	if (stat(path, &st) != 0)
		return false;
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	(void)snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	return doctor_crypt(folder);
}

void
doctor_host_swap(struct doctor *d)
{
	char *swaps = doctor_text("/proc/swaps");
	struct doctor_finding f;

	doctor_judge_swap(swaps != NULL ? swaps : "", encrypted, &f);
	doctor_say(d, &f);
	free(swaps);
}

void
doctor_host_core(struct doctor *d)
{
	char *pattern = doctor_text("/proc/sys/kernel/core_pattern");
	char *suid = doctor_text("/proc/sys/fs/suid_dumpable");
	struct doctor_finding f;

	doctor_judge_core(pattern != NULL ? pattern : "", suid != NULL ? suid : "", &f);
	doctor_say(d, &f);
	free(pattern);
	free(suid);
}

/* Who runs on the store; asking for its lock could keep a server from its start. */
static pid_t
server_of(const char *store)
{
	char path[PATH_MAX], *locks = NULL;
	struct stat st;
	pid_t pid = 0;

	if (snprintf(path, sizeof(path), "%s/pdvault.lock", store) < (int)sizeof(path) && stat(path,
	    &st) == 0 && (locks = doctor_text("/proc/locks")) != NULL)
		pid = doctor_lock_holder(locks, st.st_dev, st.st_ino);
	free(locks);
	return pid;
}

void
doctor_host_memory(struct doctor *d)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct doctor_memory m = {
		.limit = UINT64_MAX, .server = server_of(d->c->vault_path),
		.privileged = d->user == 0 && prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) == 1,
	};
	struct doctor_finding f;
	struct rlimit limit;

	/* secret_init(), and the anchor's two buffers of a slot each. */
	m.need = (d->c->secret_bytes + page - 1) / page * page +
	    2 * ((ANCHOR_SLOT_LEN + page - 1) / page * page);
	/* The server raises its soft limit to the hard one. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
		m.limit = limit.rlim_max;
	doctor_judge_memory(&m, &f);
	doctor_say(d, &f);
}

void
doctor_host_secret(struct doctor *d)
{
	long fd = syscall(SYS_memfd_secret, (unsigned long)O_CLOEXEC);
	int error = fd < 0 ? errno : 0;
	struct doctor_finding f;

	if (fd >= 0)
		(void)close((int)fd);
	doctor_judge_secret(error, &f);
	doctor_say(d, &f);
}

void
doctor_host_ptrace(struct doctor *d)
{
	char *scope = doctor_text("/proc/sys/kernel/yama/ptrace_scope");
	struct doctor_finding f;

	doctor_judge_ptrace(scope != NULL ? scope : "", &f);
	doctor_say(d, &f);
	free(scope);
}

void
doctor_host_clock(struct doctor *d)
{
	struct timex clock = { .modes = 0 };
	const bool synchronised = adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
	char path[PATH_MAX];
	struct doctor_finding f;
	struct stat st;
	int64_t newest = 0;

	if (stat("/proc/self/exe", &st) == 0)
		newest = st.st_mtim.tv_sec;
	if (snprintf(path, sizeof(path), "%s/data.mdb", d->c->vault_path) < (int)sizeof(path) &&
	    stat(path, &st) == 0 && st.st_mtim.tv_sec > newest)
		newest = st.st_mtim.tv_sec;
	doctor_judge_clock(synchronised, clock_wall_ms() / 1000, newest, &f);
	doctor_say(d, &f);
}
