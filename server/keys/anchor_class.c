#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"
#include "server/keys/own_file.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct anchor_roots real_roots = { "/sys", "/proc" };

/* What statfs(2) gives: linux/magic.h or, where that has none, the file system's own source. */
struct file_system {
	uint32_t magic;
	bool in_place;		/* an overwritten block is the same block */
	const char *why;
};

static const struct file_system file_systems[] = {
	{ 0x0000ef53, true, "ext2, ext3 or ext4" },
	{ 0x58465342, true, "xfs" },
	{ 0x3153464a, true, "jfs" },
	{ 0x00004d44, true, "fat" },
	{ 0x2011bab0, true, "exfat" },
	{ 0x9123683e, false, "btrfs: copy on write" },
	{ 0x2fc12fc1, false, "zfs: copy on write" },
	{ 0xca451a4e, false, "bcachefs: copy on write" },
	{ 0xf2f52010, false, "f2fs: log-structured" },
	{ 0x00003434, false, "nilfs2: log-structured" },
	{ 0x24051905, false, "ubifs: log-structured" },
	{ 0x000072b6, false, "jffs2: log-structured" },
	{ 0x794c7630, false, "overlay file system" },
	{ 0x61756673, false, "aufs: a file system on top of others" },
	{ 0x0000f15f, false, "ecryptfs: a file system on top of another" },
	{ 0x65735546, false, "fuse: a file system run by a program" },
	{ 0x00006969, false, "nfs: network file system" },
	{ 0xff534d42, false, "cifs: network file system" },
	{ 0xfe534d42, false, "smb: network file system" },
	{ 0x0000517b, false, "smb: network file system" },
	{ 0x01021997, false, "9p: the host's file system" },
	{ 0x786f4256, false, "vboxsf: the host's file system" },
	{ 0x00c36400, false, "ceph: network file system" },
	{ 0x5346414f, false, "afs: network file system" },
	{ 0x73757245, false, "coda: network file system" },
	{ 0x0bd00bd0, false, "lustre: network file system" },
	{ 0x47504653, false, "gpfs: network file system" },
	/* Its pages may be copied to swap, where nothing overwrites them. */
	{ 0x01021994, false, "tmpfs: may be copied to swap, and is empty after a restart" },
	{ 0x858458f6, false, "ramfs: is empty after a restart" },
};

struct device_row {
	enum anchor_class class;
	const char *why;
};

static const struct device_row devices[ANCHOR_DEVICES] = {
	[ANCHOR_DEVICE_UNKNOWN] = { ANCHOR_CLASS_C, "unknown device" },
	[ANCHOR_DEVICE_ROTATING] = { ANCHOR_CLASS_B, "rotating disk, overwritten in place" },
	[ANCHOR_DEVICE_FLASH] = { ANCHOR_CLASS_C, "flash: writes go to other cells" },
	[ANCHOR_DEVICE_SHINGLED] = { ANCHOR_CLASS_C, "zoned disk: writes may go elsewhere" },
	[ANCHOR_DEVICE_USB] = { ANCHOR_CLASS_C, "usb storage" },
	[ANCHOR_DEVICE_VIRTUAL] = { ANCHOR_CLASS_C, "virtual disk" },
	[ANCHOR_DEVICE_MAPPER] = { ANCHOR_CLASS_C, "device mapper" },
	[ANCHOR_DEVICE_RAID] = { ANCHOR_CLASS_C, "software raid" },
	[ANCHOR_DEVICE_CONTROLLER] = { ANCHOR_CLASS_C, "disk behind a controller or a network" },
	[ANCHOR_DEVICE_LOOP] = { ANCHOR_CLASS_C, "loop device over an unknown file" },
	[ANCHOR_DEVICE_NETWORK] = { ANCHOR_CLASS_D, "network block device" },
	[ANCHOR_DEVICE_MEMORY] = { ANCHOR_CLASS_D, "memory disk: is empty after a restart" },
};

static const struct device_row loops[] = {
	{ ANCHOR_CLASS_B, "loop device over a file on a rotating disk" },
	{ ANCHOR_CLASS_C, "loop device over a file of class C" },
	{ ANCHOR_CLASS_D, "loop device over a file of class D" },
};

static const struct file_system *
find_file_system(uint32_t magic)
{
	size_t i;

	for (i = 0; i < COUNT(file_systems); i++)
		if (file_systems[i].magic == magic)
			return &file_systems[i];
	return NULL;
}

static const struct device_row *
find_device(const struct anchor_facts *f)
{
	size_t i;

	must((unsigned)f->device < ANCHOR_DEVICES);
	if (f->device == ANCHOR_DEVICE_LOOP)
		for (i = 0; i < COUNT(loops); i++)
			if (loops[i].class == f->backing)
				return &loops[i];
	return &devices[f->device];
}

/* Each reason for D counts by itself; only when there is none does the device decide. */
enum anchor_class
anchor_class_decide(const struct anchor_facts *f, const char **why)
{
	const struct file_system *fs = find_file_system(f->file_system);
	const struct device_row *d = find_device(f);
	enum anchor_class class = ANCHOR_CLASS_D;

	if (fs != NULL && !fs->in_place) {
		*why = fs->why;
	} else if (f->journalled) {
		*why = "data=journal: what is written is copied to the journal";
	} else if (f->shared) {
		*why = "an extent is shared: a snapshot or a copy by reference";
	} else if (f->moved) {
		*why = "the file's blocks were moved while it was open";
	} else if (fs == NULL && d->class < ANCHOR_CLASS_D) {
		*why = "unknown file system";
		class = ANCHOR_CLASS_C;
	} else {
		*why = d->why;
		class = d->class;
	}
	return class;
}

static enum anchor_class
class_of_file(const struct anchor_file *file, const char **why)
{
	struct anchor_facts f;
	uint8_t now[SEAL_DIGEST_LEN];

	anchor_place_look(file->fd, &real_roots, &f);
	f.moved = file->mapped && anchor_place_extents(file->fd, now, NULL) &&
	    sodium_memcmp(now, file->extents, sizeof(now)) != 0;
	return anchor_class_decide(&f, why);
}

enum anchor_class
anchor_class_at(struct anchor *a, size_t file, const char **why)
{
	must(file < a->files);
	return class_of_file(&a->file[file], why);
}

enum anchor_class
anchor_class(struct anchor *a, const char **why)
{
	enum anchor_class worst = 0, one;
	const char *because;

	for (size_t i = 0; i < a->files; i++) {
		if (a->file[i].retiring || (one = class_of_file(&a->file[i], &because)) <= worst)
			continue;
		worst = one;
		*why = because;
	}
	return worst;
}

enum anchor_class
anchor_class_of(const char *path, const char **why)
{
	struct anchor_facts f = { 0 };
	char folder[PATH_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && own_file_folder(path, folder, sizeof(folder)))
		fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd >= 0) {
		anchor_place_look(fd, &real_roots, &f);
		(void)close(fd);
	}
	return anchor_class_decide(&f, why);
}
