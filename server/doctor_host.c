#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <unistd.h>

#include <linux/capability.h>

#include "server/clock.h"
#include "server/doctor_internal.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447		/* the same on every architecture that has it */
#endif

#define TEXT_MAX (256u << 10)		/* of a file under /proc or /sys */
#define LAYERS_MAX 4u			/* of devices on devices */

/* The beginning of such a file without its last line end, for free(); "" if there is none. NULL: no memory. */
static char *
text_of(const char *path)
{
	char *out = calloc(1, TEXT_MAX);
	size_t len = 0;
	ssize_t n;
	int fd = out != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd < 0)
		return out;
	while (len < TEXT_MAX - 1 && (n = read(fd, out + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	if (len > 0 && out[len - 1] == '\n')
		out[len - 1] = '\0';
	return out;
}

static bool is_crypt(const char *folder, unsigned layers);

/* All devices below it are, and there is one. */
static bool
lies_on_crypt(const char *folder, unsigned layers)
{
	char path[PATH_MAX];
	const struct dirent *e;
	bool all = false;
	DIR *dir;

	if (layers == 0 || snprintf(path, sizeof(path), "%s/slaves", folder) >= (int)sizeof(path) ||
	    (dir = opendir(path)) == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		all = snprintf(path, sizeof(path), "%s/slaves/%s", folder, e->d_name) < (int)sizeof(path) &&
		    is_crypt(path, layers - 1);
		if (!all)
			break;
	}
	(void)closedir(dir);
	return all;
}

/* folder: of a block device under /sys. */
static bool
is_crypt(const char *folder, unsigned layers)
{
	char path[PATH_MAX], *uuid;
	bool crypt;

	if (snprintf(path, sizeof(path), "%s/dm/uuid", folder) >= (int)sizeof(path) ||
	    (uuid = text_of(path)) == NULL)
		return false;
	crypt = strncmp(uuid, "CRYPT-", 6) == 0;
	free(uuid);
	return crypt || lies_on_crypt(folder, layers);
}

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
	return is_crypt(folder, LAYERS_MAX);
}

void
doctor_host_swap(struct doctor *d)
{
	char *swaps = text_of("/proc/swaps");
	struct doctor_finding f;

	doctor_judge_swap(swaps != NULL ? swaps : "", encrypted, &f);
	doctor_say(d, &f);
	free(swaps);
}

void
doctor_host_core(struct doctor *d)
{
	char *pattern = text_of("/proc/sys/kernel/core_pattern"), *suid = text_of("/proc/sys/fs/suid_dumpable");
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
	    &st) == 0 && (locks = text_of("/proc/locks")) != NULL)
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
	char *scope = text_of("/proc/sys/kernel/yama/ptrace_scope");
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
