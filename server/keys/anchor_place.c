/* Where a file lies: what the kernel tells of its file system, its extents and its disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define EXTENTS_MAX 160u	/* of ANCHOR_LEN, on blocks of 1 KiB or more */
#define TEXT_MAX_BYTES 16384u	/* of a file under /sys or /proc that is looked at */
#define LOOPS_MAX 3u		/* of loop devices on loop devices */

static void look(int fd, const struct anchor_roots *r, unsigned depth, struct anchor_facts *out);

__attribute__((format(printf, 2, 3))) static bool
join(char out[static PATH_MAX], const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(out, PATH_MAX, format, ap);
	va_end(ap);
	return n > 0 && n < PATH_MAX;
}

/* The beginning of a small text file, without the line end; empty: not there. */
static void
read_text(const char *folder, const char *name, char *out, size_t cap)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd = -1;

	if (join(path, "%s/%s", folder, name) && (fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, out, cap - 1);
		(void)close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
	if (n > 0 && out[n - 1] == '\n')
		out[n - 1] = '\0';
}

/* A disk that says so, or a processor that does: what it does with a write is the host's affair. */
static bool
is_virtual(const char *disk, const struct anchor_roots *r)
{
	static const char *const makers[] = { "QEMU", "VBOX", "VMware", "Virtual", "Msft", "Google",
		"Amazon", "Nutanix", "Xen" };
	static const char *const names[] = { "device/vendor", "device/model" };
	char text[TEXT_MAX_BYTES];
	size_t i, j;

	for (i = 0; i < COUNT(names); i++) {
		read_text(disk, names[i], text, sizeof(text));
		for (j = 0; j < COUNT(makers); j++)
			if (strstr(text, makers[j]) != NULL)
				return true;
	}
	read_text(r->proc, "cpuinfo", text, sizeof(text));
	return strstr(text, " hypervisor") != NULL;
}

/* A SCSI disk, by its place in the device tree: known is only what hangs directly on ATA or SAS. */
static enum anchor_device
look_scsi(const char *path, const struct anchor_roots *r)
{
	char text[64];

	if (strstr(path, "/session") != NULL)
		return ANCHOR_DEVICE_NETWORK;	/* iSCSI */
	if (strstr(path, "/usb") != NULL)
		return ANCHOR_DEVICE_USB;	/* sticks call themselves rotating */
	read_text(path, "queue/rotational", text, sizeof(text));
	if (strcmp(text, "0") == 0)
		return is_virtual(path, r) ? ANCHOR_DEVICE_VIRTUAL : ANCHOR_DEVICE_FLASH;
	if (strcmp(text, "1") != 0)
		return ANCHOR_DEVICE_UNKNOWN;
	read_text(path, "queue/zoned", text, sizeof(text));
	if (text[0] != '\0' && strcmp(text, "none") != 0)
		return ANCHOR_DEVICE_SHINGLED;
	if (is_virtual(path, r))
		return ANCHOR_DEVICE_VIRTUAL;
	if (strstr(path, "/ata") != NULL || strstr(path, "/end_device-") != NULL)
		return ANCHOR_DEVICE_ROTATING;
	return ANCHOR_DEVICE_CONTROLLER;
}

/* What backs a loop device: a file, or another block device. */
static void
look_loop(const char *disk, const struct anchor_roots *r, unsigned depth, struct anchor_facts *out)
{
	struct anchor_facts below = { 0 };
	const char *why;
	char file[PATH_MAX];
	int fd;

	read_text(disk, "loop/backing_file", file, sizeof(file));
	/* O_NONBLOCK: what lies there now need not be the file that the loop was set up with. */
	if (depth == 0 || (fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
		return;
	look(fd, r, depth - 1, &below);
	(void)close(fd);
	out->backing = anchor_class_decide(&below, &why);
}

/* By the name of the whole disk. */
static const struct name_row {
	const char *prefix;
	enum anchor_device device;
} names[] = {
	{ "vd", ANCHOR_DEVICE_VIRTUAL },
	{ "xvd", ANCHOR_DEVICE_VIRTUAL },
	{ "ubd", ANCHOR_DEVICE_VIRTUAL },
	{ "dm-", ANCHOR_DEVICE_MAPPER },
	{ "bcache", ANCHOR_DEVICE_MAPPER },
	{ "md", ANCHOR_DEVICE_RAID },
	{ "nvme", ANCHOR_DEVICE_FLASH },
	{ "mmcblk", ANCHOR_DEVICE_FLASH },
	{ "mtdblock", ANCHOR_DEVICE_FLASH },
	{ "nbd", ANCHOR_DEVICE_NETWORK },
	{ "rbd", ANCHOR_DEVICE_NETWORK },
	{ "drbd", ANCHOR_DEVICE_NETWORK },
	{ "zram", ANCHOR_DEVICE_MEMORY },
	{ "ram", ANCHOR_DEVICE_MEMORY },
	{ "loop", ANCHOR_DEVICE_LOOP },
};

static void
look_device(dev_t dev, const struct anchor_roots *r, unsigned depth, struct anchor_facts *out)
{
	char link[PATH_MAX], disk[PATH_MAX], *name;
	size_t i;

	if (!join(link, "%s/dev/block/%u:%u", r->sys, major(dev), minor(dev)) ||
	    realpath(link, disk) == NULL)
		return;
	/* A partition lies in its disk's folder, where the queue is described. */
	if (join(link, "%s/partition", disk) && access(link, F_OK) == 0)
		*strrchr(disk, '/') = '\0';
	name = strrchr(disk, '/') + 1;
	for (i = 0; i < COUNT(names); i++)
		if (strncmp(name, names[i].prefix, strlen(names[i].prefix)) == 0)
			out->device = names[i].device;
	if (strncmp(name, "sd", 2) == 0)
		out->device = look_scsi(disk, r);
	if (out->device == ANCHOR_DEVICE_LOOP)
		look_loop(disk, r, depth, out);
}

void
anchor_place_device(unsigned major_, unsigned minor_, const struct anchor_roots *r,
    struct anchor_facts *out)
{
	look_device(makedev(major_, minor_), r, LOOPS_MAX, out);
}

/* data=journal is an option of the whole file system, so any mount of ${dev} tells. */
static bool
mounted_with_journal(dev_t dev, const struct anchor_roots *r)
{
	char path[PATH_MAX], want[32], *line = NULL, *at;
	bool found = false;
	size_t cap = 0;
	FILE *f = NULL;

	(void)snprintf(want, sizeof(want), " %u:%u ", major(dev), minor(dev));
	if (join(path, "%s/self/mountinfo", r->proc))
		f = fopen(path, "re");
	/* proc(5): id parent MAJ:MIN root point options [optional] - type source super-options */
	while (f != NULL && !found && getline(&line, &cap, f) > 0) {
		at = strstr(line, want);
		found = at != NULL && (at = strstr(at, " - ")) != NULL &&
		    strstr(at, "data=journal") != NULL;
	}
	if (f != NULL)
		(void)fclose(f);
	free(line);
	return found;
}

bool
anchor_place_extents(int fd, uint8_t digest[static SEAL_DIGEST_LEN], bool *shared)
{
	union {
		struct fiemap head;
		uint8_t room[sizeof(struct fiemap) + EXTENTS_MAX * sizeof(struct fiemap_extent)];
	} map;
	uint8_t in[EXTENTS_MAX * 24];
	const struct fiemap_extent *e;
	uint64_t end = 0, physical_end = 0;
	bool share = false, whole = false;
	size_t len = 0;
	unsigned i;

	memset(&map, 0, sizeof(map));
	map.head.fm_length = FIEMAP_MAX_OFFSET;
	map.head.fm_flags = FIEMAP_FLAG_SYNC;
	map.head.fm_extent_count = EXTENTS_MAX;
	if (ioctl(fd, FS_IOC_FIEMAP, &map) != 0)
		return false;
	for (i = 0; i < map.head.fm_mapped_extents && i < EXTENTS_MAX; i++) {
		e = &map.head.fm_extents[i];
		share |= (e->fe_flags & FIEMAP_EXTENT_SHARED) != 0;
		whole |= (e->fe_flags & FIEMAP_EXTENT_LAST) != 0;
		/* One stretch may be told as one extent today and as two tomorrow. */
		if (len == 0 || e->fe_logical != end || e->fe_physical != physical_end) {
			bytes_put64(in + len, e->fe_logical);
			bytes_put64(in + len + 8, e->fe_physical);
			len += 16;
		}
		end = e->fe_logical + e->fe_length;
		physical_end = e->fe_physical + e->fe_length;
	}
	if (shared != NULL)
		*shared = share;
	seal_digest(bytes_of(in, len), digest);
	return whole;
}

static bool
file_is_journalled(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_JOURNAL_DATA_FL) != 0;
}

static void
look(int fd, const struct anchor_roots *r, unsigned depth, struct anchor_facts *out)
{
	uint8_t digest[SEAL_DIGEST_LEN];
	struct statfs fs;
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &st) != 0)
		return;
	if (S_ISBLK(st.st_mode)) {
		look_device(st.st_rdev, r, depth, out);
		return;
	}
	if (fstatfs(fd, &fs) == 0)
		out->file_system = (uint32_t)fs.f_type;
	if (S_ISREG(st.st_mode))
		(void)anchor_place_extents(fd, digest, &out->shared);
	out->journalled = file_is_journalled(fd) || mounted_with_journal(st.st_dev, r);
	look_device(st.st_dev, r, depth, out);
}

void
anchor_place_look(int fd, const struct anchor_roots *r, struct anchor_facts *out)
{
	look(fd, r, LOOPS_MAX, out);
}
