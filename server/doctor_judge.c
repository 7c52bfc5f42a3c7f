/* Judgements of the machine. */
#include "server/doctor_judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define LOCK_LINE 160u	/* of /proc/locks */
#define LINE 1200u		/* of /proc/swaps: a path, its blanks as \040, and four words */

__attribute__((format(printf, 2, 0))) static void
print(char out[static DOCTOR_TEXT], const char *format, va_list ap)
{
	(void)vsnprintf(out, DOCTOR_TEXT, format, ap);
	/* Tabs and line ends are the reader's marks, and the rest is for a terminal. */
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

void
doctor_found(struct doctor_finding *f, enum doctor_level level, const char *format, ...)
{
	va_list ap;

	f->level = level;
	f->mend[0] = '\0';
	va_start(ap, format);
	print(f->found, format, ap);
	va_end(ap);
}

void
doctor_mend(struct doctor_finding *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print(f->mend, format, ap);
	va_end(ap);
}

/* proc(5): blanks and backslashes of a path stand as three octal digits. */
static void
decode(char *path)
{
	char *to = path, digits[4] = "";

	for (; *path != '\0'; to++) {
		if (path[0] == '\\' && strspn(path + 1, "01234567") >= 3) {
			memcpy(digits, path + 1, 3);
			*to = (char)strtoul(digits, NULL, 8);
			path += 4;
		} else {
			*to = *path++;
		}
	}
	*to = '\0';
}

static void
judge_one_swap(const char *path, bool (*encrypted)(const char *), struct doctor_finding *f)
{
	if (strncmp(path, "/dev/zram", 9) == 0) {
		doctor_found(f, DOCTOR_WARN, "%s: compressed memory, in which nothing is wiped", path);
		doctor_mend(f, "swapoff %s, or MemorySwapMax=0 in the service", path);
	} else if (encrypted(path)) {
		doctor_found(f, DOCTOR_OK, "%s: on dm-crypt", path);
	} else {
		doctor_found(f, DOCTOR_FAIL, "%s: not on dm-crypt: what is erased may stay there", path);
		doctor_mend(f, "swapoff %s, and take it out of /etc/fstab or put it on dm-crypt", path);
	}
}

void
doctor_judge_swap(const char *swaps, bool (*encrypted)(const char *path), struct doctor_finding *f)
{
	struct doctor_finding one;
	char line[LINE], path[LINE], *rest;
	const char *at = strchr(swaps, '\n');	/* the heading */
	size_t len;

	doctor_found(f, DOCTOR_OK, "none is used");
	for (unsigned n = 0; at != NULL && at[1] != '\0'; at = strchr(at, '\n')) {
		len = strcspn(++at, "\n");
		(void)snprintf(line, sizeof(line), "%.*s", (int)(len < LINE ? len : LINE - 1), at);
		rest = line;
		(void)snprintf(path, sizeof(path), "%s", strsep(&rest, " \t"));
		if (path[0] == '\0')
			continue;
		decode(path);
		judge_one_swap(path, encrypted, &one);
		if (n++ == 0 || one.level > f->level)
			*f = one;
	}
}

void
doctor_judge_core(const char *pattern, const char *suid_dumpable, struct doctor_finding *f)
{
	const bool none = pattern[0] == '\0' || strncmp(pattern, "|/bin/false", 11) == 0;

	if (strcmp(suid_dumpable, "1") == 0) {
		doctor_found(f, DOCTOR_WARN, "suid_dumpable is 1: setuid programs leave cores, too");
		doctor_mend(f, "sysctl -w fs.suid_dumpable=0");
	} else if (pattern[0] == '|' && !none) {
		doctor_found(f, DOCTOR_WARN, "cores go to %s: pdvaultd makes none, but its clients' hold "
		    "personal data", pattern);
		doctor_mend(f, "sysctl -w kernel.core_pattern='|/bin/false'");
	} else if (none) {
		doctor_found(f, DOCTOR_OK, "none is kept");
	} else {
		doctor_found(f, DOCTOR_OK, "pdvaultd makes none; others' go to the file %s within their "
		    "limit (ulimit -c)", pattern);
	}
}

void
doctor_judge_memory(const struct doctor_memory *m, struct doctor_finding *f)
{
	if (m->server > 0) {
		doctor_found(f, DOCTOR_OK, "pdvaultd runs (process %ld) and has its memory", (long)m->server);
	} else if (m->privileged) {
		doctor_found(f, DOCTOR_OK, "no limit for this user, %" PRIu64 " bytes are needed", m->need);
	} else if (m->limit < m->need) {
		doctor_found(f, DOCTOR_FAIL, "%" PRIu64 " bytes may be locked, %" PRIu64 " are needed",
		    m->limit, m->need);
		doctor_mend(f, "LimitMEMLOCK=%" PRIu64 " in the service, or ulimit -l %" PRIu64, m->need,
		    (m->need + 1023) / 1024);
	} else if (m->limit == UINT64_MAX) {
		doctor_found(f, DOCTOR_OK, "no limit, %" PRIu64 " bytes are needed", m->need);
	} else {
		doctor_found(f, DOCTOR_OK, "%" PRIu64 " bytes may be locked, %" PRIu64 " are needed",
		    m->limit, m->need);
	}
}

/* proc_locks(5): "1: FLOCK  ADVISORY  WRITE 708 fe:01:2359475 0 EOF"; a waiting one has "->" before FLOCK. */
static pid_t
holder(const char *line, size_t len)
{
	enum { KIND = 1, PID = 4, WORDS };
	char copy[LOCK_LINE], *rest = copy;
	const char *word[WORDS] = { NULL };

	(void)snprintf(copy, sizeof(copy), "%.*s", (int)(len < LOCK_LINE ? len : LOCK_LINE - 1), line);
	for (size_t n = 0; n < WORDS && rest != NULL; n += word[n][0] != '\0')
		word[n] = strsep(&rest, " ");
	return word[PID] != NULL && strcmp(word[KIND], "FLOCK") == 0 ? (pid_t)strtol(word[PID], NULL, 10) : 0;
}

pid_t
doctor_lock_holder(const char *locks, dev_t dev, ino_t inode)
{
	char want[64];
	const char *at = locks, *end;
	size_t len;
	pid_t pid;

	(void)snprintf(want, sizeof(want), " %02x:%02x:%ju ", major(dev), minor(dev), (uintmax_t)inode);
	for (; *at != '\0'; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		end = strstr(at, want);
		if (end != NULL && end < at + len && (pid = holder(at, len)) > 0)
			return pid;
	}
	return 0;
}

void
doctor_judge_secret(int error, struct doctor_finding *f)
{
	if (error == 0) {
		doctor_found(f, DOCTOR_OK, "keys lie in memory that the kernel does not map");
		return;
	}
	doctor_found(f, DOCTOR_WARN, "not to be had (%s): keys lie in locked memory, which root can read",
	    strerrorname_np(error));
	doctor_mend(f, "secretmem.enable=1 on the kernel's command line, Linux 5.14 or later");
}

void
doctor_judge_ptrace(const char *scope, struct doctor_finding *f)
{
	if (scope[0] >= '1' && scope[0] <= '3') {
		doctor_found(f, DOCTOR_OK, "kernel.yama.ptrace_scope is %s", scope);
		return;
	}
	doctor_found(f, DOCTOR_WARN, "%s: processes of one user may look into each other; pdvaultd itself "
	    "forbids it", scope[0] == '\0' ? "the kernel has no Yama" : "kernel.yama.ptrace_scope is 0");
	doctor_mend(f, "%s", scope[0] == '\0' ? "lsm=...,yama on the kernel's command line" :
	    "sysctl -w kernel.yama.ptrace_scope=1");
}

void
doctor_judge_clock(bool synchronised, int64_t now, int64_t newest, struct doctor_finding *f)
{
	if (now + DOCTOR_CLOCK_SLACK < newest) {
		doctor_found(f, DOCTOR_FAIL, "it is %" PRId64 " seconds before what was written by it "
		    "last", newest - now);
		doctor_mend(f, "timedatectl set-ntp true; else timedatectl set-time, before anything is "
		    "written");
	} else if (!synchronised) {
		doctor_found(f, DOCTOR_WARN, "not synchronised: certificates and key backups end by it");
		doctor_mend(f, "timedatectl set-ntp true, or start the time service of your choice");
	} else {
		doctor_found(f, DOCTOR_OK, "synchronised");
	}
}
