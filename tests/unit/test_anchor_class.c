#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/keys/secret.h"

#define EXT4 0x0000ef53u
#define XFS 0x58465342u
#define BTRFS 0x9123683eu
#define OVERLAY 0x794c7630u
#define NFS 0x00006969u
#define TMPFS 0x01021994u

static char folder[256], sys[300], proc[300];
static struct anchor_roots roots = { sys, proc };

/* A new empty /sys and /proc, of a machine that is not virtual. */
static int
begin(void **state)
{
	(void)state;
	scratch_make(folder);
	(void)snprintf(sys, sizeof(sys), "%s/sys", folder);
	(void)snprintf(proc, sizeof(proc), "%s/proc", folder);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	scratch_remove(folder);
	return 0;
}

static void
put(const char *root, const char *name, const char *text)
{
	char path[512], *slash;

	assert_true(snprintf(path, sizeof(path), "%s/%s", root, name) < (int)sizeof(path));
	for (slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	scratch_write(path, text, strlen(text));
}

/* The device 8:${minor} at ${at} in the device tree. */
static void
put_device(unsigned minor_, const char *at)
{
	char link_[512], target[512];

	put(sys, "dev/block/made", "");
	(void)snprintf(link_, sizeof(link_), "%s/dev/block/8:%u", sys, minor_);
	(void)snprintf(target, sizeof(target), "../../devices/%s", at);
	(void)unlink(link_);
	assert_int_equal(symlink(target, link_), 0);
}

static void
each_reason_decides(void **state)
{
	static const struct {
		struct anchor_facts f;
		enum anchor_class class;
		const char *why;
	} rows[] = {
		{ { 0 }, ANCHOR_CLASS_C, "unknown file system" },
		{ { .file_system = EXT4 }, ANCHOR_CLASS_C, "unknown device" },
		{ { EXT4, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_B, "rotating" },
		{ { XFS, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_B, "rotating" },
		{ { 0x1234, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_C, "unknown file" },
		{ { EXT4, .device = ANCHOR_DEVICE_FLASH }, ANCHOR_CLASS_C, "flash" },
		{ { EXT4, .device = ANCHOR_DEVICE_VIRTUAL }, ANCHOR_CLASS_C, "virtual" },
		{ { EXT4, .device = ANCHOR_DEVICE_MAPPER }, ANCHOR_CLASS_C, "mapper" },
		{ { EXT4, .device = ANCHOR_DEVICE_RAID }, ANCHOR_CLASS_C, "raid" },
		{ { EXT4, .device = ANCHOR_DEVICE_USB }, ANCHOR_CLASS_C, "usb" },
		{ { EXT4, .device = ANCHOR_DEVICE_SHINGLED }, ANCHOR_CLASS_C, "zoned" },
		{ { EXT4, .device = ANCHOR_DEVICE_CONTROLLER }, ANCHOR_CLASS_C, "controller" },
		{ { EXT4, .device = ANCHOR_DEVICE_NETWORK }, ANCHOR_CLASS_D, "network" },
		{ { 0x1234, .device = ANCHOR_DEVICE_NETWORK }, ANCHOR_CLASS_D, "network" },
		{ { EXT4, .device = ANCHOR_DEVICE_MEMORY }, ANCHOR_CLASS_D, "memory" },
		{ { EXT4, .device = ANCHOR_DEVICE_LOOP }, ANCHOR_CLASS_C, "unknown file" },
		{ { EXT4, .device = ANCHOR_DEVICE_LOOP, .backing = 'B' }, ANCHOR_CLASS_B, "loop" },
		{ { EXT4, .device = ANCHOR_DEVICE_LOOP, .backing = 'C' }, ANCHOR_CLASS_C, "loop" },
		{ { EXT4, .device = ANCHOR_DEVICE_LOOP, .backing = 'D' }, ANCHOR_CLASS_D, "loop" },
		{ { BTRFS, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "btrfs" },
		{ { OVERLAY, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "overlay" },
		{ { NFS, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "network" },
		{ { 0xfe534d42, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "network" },
		{ { 0x65735546, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "fuse" },
		{ { 0x2fc12fc1, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "zfs" },
		{ { 0xca451a4e, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D, "bcachefs" },
		{ { TMPFS, .device = ANCHOR_DEVICE_UNKNOWN }, ANCHOR_CLASS_D, "swap" },
		{ { EXT4, .journalled = true, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D,
		    "data=journal" },
		{ { XFS, .shared = true, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D,
		    "shared" },
		{ { EXT4, .moved = true, .device = ANCHOR_DEVICE_ROTATING }, ANCHOR_CLASS_D,
		    "moved" },
	};
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why = NULL;
		assert_int_equal(anchor_class_decide(&rows[i].f, &why), rows[i].class);
		if (strstr(why, rows[i].why) == NULL)
			fail_msg("row %zu: %s", i, why);
	}
}

static void
assert_device(unsigned minor_, enum anchor_device want)
{
	struct anchor_facts f = { 0 };

	anchor_place_device(8, minor_, &roots, &f);
	assert_int_equal(f.device, want);
}

#define SATA "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"
#define USB "pci0000:00/0000:00:14.0/usb2/2-1/host6/target6:0:0/6:0:0:0/block/sdb"
#define ISCSI "platform/host3/session1/target3:0:0/3:0:0:1/block/sdc"
#define SAS "pci0000:00/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sdd"
#define RAID_CARD "pci0000:00/host2/target2:2:0/2:2:0:0/block/sde"

static void
disks_by_their_place(void **state)
{
	static const struct {
		const char *at;
		enum anchor_device device;
	} rows[] = {
		{ SATA, ANCHOR_DEVICE_ROTATING }, { USB, ANCHOR_DEVICE_USB },
		{ ISCSI, ANCHOR_DEVICE_NETWORK }, { SAS, ANCHOR_DEVICE_ROTATING },
		{ RAID_CARD, ANCHOR_DEVICE_CONTROLLER },
		{ "pci0000:00/virtio1/block/vda", ANCHOR_DEVICE_VIRTUAL },
		{ "vbd-768/block/xvda", ANCHOR_DEVICE_VIRTUAL },
		{ "virtual/block/dm-3", ANCHOR_DEVICE_MAPPER },
		{ "virtual/block/md0", ANCHOR_DEVICE_RAID },
		{ "pci0000:00/nvme/nvme0/nvme0n1", ANCHOR_DEVICE_FLASH },
		{ "platform/mmc0/block/mmcblk0", ANCHOR_DEVICE_FLASH },
		{ "virtual/block/nbd0", ANCHOR_DEVICE_NETWORK },
		{ "virtual/block/rbd0", ANCHOR_DEVICE_NETWORK },
		{ "virtual/block/zram0", ANCHOR_DEVICE_MEMORY },
		{ "virtual/block/ram1", ANCHOR_DEVICE_MEMORY },
		{ "virtual/block/strange0", ANCHOR_DEVICE_UNKNOWN },
	};
	char name[256];
	unsigned i;

	(void)state;
	put(proc, "cpuinfo", "flags\t\t: fpu vme sse2\n");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(name, sizeof(name), "devices/%s/queue/rotational", rows[i].at);
		put(sys, name, "1\n");
		put_device(i, rows[i].at);
		assert_device(i, rows[i].device);
		/* A partition is what its disk is. */
		(void)snprintf(name, sizeof(name), "devices/%s/part1/partition", rows[i].at);
		put(sys, name, "1\n");
		(void)snprintf(name, sizeof(name), "%s/part1", rows[i].at);
		put_device(i + 100, name);
		assert_device(i + 100, rows[i].device);
	}
	assert_device(99, ANCHOR_DEVICE_UNKNOWN);	/* there is none */
}

static void
a_rotating_disk_must_be_a_real_one(void **state)
{
	(void)state;
	put(proc, "cpuinfo", "flags\t\t: fpu vme sse2\n");
	put_device(0, SATA);
	put(sys, "devices/" SATA "/queue/rotational", "1\n");
	assert_device(0, ANCHOR_DEVICE_ROTATING);
	put(sys, "devices/" SATA "/queue/zoned", "none\n");
	assert_device(0, ANCHOR_DEVICE_ROTATING);
	put(sys, "devices/" SATA "/queue/zoned", "host-aware\n");
	assert_device(0, ANCHOR_DEVICE_SHINGLED);
	put(sys, "devices/" SATA "/queue/zoned", "none\n");
	put(sys, "devices/" SATA "/device/model", "QEMU HARDDISK\n");
	assert_device(0, ANCHOR_DEVICE_VIRTUAL);
	put(sys, "devices/" SATA "/device/model", "ST4000NM0035\n");
	assert_device(0, ANCHOR_DEVICE_ROTATING);
	put(proc, "cpuinfo", "flags\t\t: fpu vme hypervisor sse2\n");
	assert_device(0, ANCHOR_DEVICE_VIRTUAL);
	put(proc, "cpuinfo", "flags\t\t: fpu vme sse2\n");
	put(sys, "devices/" SATA "/queue/rotational", "0\n");
	assert_device(0, ANCHOR_DEVICE_FLASH);
	put(sys, "devices/" SATA "/queue/rotational", "");
	assert_device(0, ANCHOR_DEVICE_UNKNOWN);
}

/* The class of a loop device is that of what backs it, however deep. */
static void
loops_are_followed(void **state)
{
	struct anchor_facts f = { 0 };
	char name[1200];
	struct stat st;

	(void)state;
	put(folder, "backing", "file");
	(void)snprintf(name, sizeof(name), "%s/backing\n", folder);
	put(sys, "devices/virtual/block/loop7/loop/backing_file", name);
	put_device(200, "virtual/block/loop7");
	anchor_place_device(8, 200, &roots, &f);
	assert_int_equal(f.device, ANCHOR_DEVICE_LOOP);
	assert_true(f.backing == ANCHOR_CLASS_C || f.backing == ANCHOR_CLASS_D);

	/* data=journal below is found from above. */
	assert_int_equal(stat(scratch_path(folder, "backing"), &st), 0);
	(void)snprintf(name, sizeof(name),
	    "20 1 0:5 / /proc rw - proc proc rw\n"
	    "21 1 %u:%u / /a rw,relatime shared:1 - ext4 /dev/x rw,data=journal\n",
	    major(st.st_dev), minor(st.st_dev));
	put(proc, "self/mountinfo", name);
	memset(&f, 0, sizeof(f));
	anchor_place_device(8, 200, &roots, &f);
	assert_int_equal(f.backing, ANCHOR_CLASS_D);

	/* A loop that runs into itself ends. */
	(void)snprintf(name, sizeof(name), "%s/dev/block/%u:%u", sys, major(st.st_dev),
	    minor(st.st_dev));
	(void)unlink(name);
	assert_int_equal(symlink("../../devices/virtual/block/loop7", name), 0);
	memset(&f, 0, sizeof(f));
	anchor_place_device(8, 200, &roots, &f);
	assert_int_equal(f.device, ANCHOR_DEVICE_LOOP);
	assert_int_equal(unlink(name), 0);

	put(sys, "devices/virtual/block/loop7/loop/backing_file", "/no/such/file (deleted)\n");
	memset(&f, 0, sizeof(f));
	anchor_place_device(8, 200, &roots, &f);
	assert_int_equal(f.backing, 0);
	assert_int_equal(unlink(scratch_path(proc, "self/mountinfo")), 0);
}

static void
journalled_mounts_are_found(void **state)
{
	static const struct {
		const char *options;
		bool found;
	} rows[] = { { "rw", false }, { "rw,data=ordered", false }, { "rw,data=writeback", false },
		{ "rw,data=journal", true }, { "rw,errors=continue,data=journal,discard", true } };
	struct anchor_facts f;
	char text[1024];
	struct stat st;
	size_t i;
	int fd;

	(void)state;
	put(folder, "file", "x");
	fd = open(scratch_path(folder, "file"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "20 1 9999:1 / /o rw - ext4 /dev/o rw,data=journal\n"
		    "21 1 %u:%u / /a rw,relatime - ext4 /dev/x %s\n",
		    major(st.st_dev), minor(st.st_dev), rows[i].options);
		put(proc, "self/mountinfo", text);
		anchor_place_look(fd, &roots, &f);
		assert_int_equal(f.journalled, rows[i].found);
	}
	(void)close(fd);
	assert_int_equal(unlink(scratch_path(proc, "self/mountinfo")), 0);
}

static void
extents_tell_one_place_from_another(void **state)
{
	uint8_t one[SEAL_DIGEST_LEN], again[SEAL_DIGEST_LEN], two[SEAL_DIGEST_LEN];
	int a, b;
	bool shared = true;

	(void)state;
	assert_int_equal(anchor_create(scratch_path(folder, "one")), STATUS_OK);
	assert_int_equal(anchor_create(scratch_path(folder, "two")), STATUS_OK);
	a = open(scratch_path(folder, "one"), O_RDONLY | O_CLOEXEC);
	b = open(scratch_path(folder, "two"), O_RDONLY | O_CLOEXEC);
	if (!anchor_place_extents(a, one, &shared)) {
		(void)close(a);
		(void)close(b);
		skip();		/* a file system without FIEMAP */
	}
	assert_true(anchor_place_extents(a, again, NULL));
	assert_true(anchor_place_extents(b, two, NULL));
	assert_false(shared);
	assert_memory_equal(one, again, sizeof(one));
	assert_memory_not_equal(one, two, sizeof(one));
	(void)close(a);
	(void)close(b);
}

/* What can be known of any machine: never A, always a reason, tmpfs is D. */
static void
of_real_paths(void **state)
{
	const char *why = NULL, *path = scratch_path(folder, "anchor");
	struct statfs fs;
	enum anchor_class c, later;

	(void)state;
	c = anchor_class_of(path, &why);
	assert_true(c >= ANCHOR_CLASS_B && c <= ANCHOR_CLASS_D);
	assert_non_null(why);
	assert_int_equal(anchor_create(path), STATUS_OK);
	later = anchor_class_of(path, &why);
	assert_int_equal(later, c);
	assert_int_equal(anchor_class_of("/no/such/folder/anchor", &why), ANCHOR_CLASS_C);
	assert_string_equal(why, "unknown file system");
	if (statfs("/dev/shm", &fs) == 0 && (uint32_t)fs.f_type == TMPFS)
		assert_int_equal(anchor_class_of("/dev/shm/anchor", &why), ANCHOR_CLASS_D);
	assert_int_equal(anchor_class_of("/proc/anchor", &why), ANCHOR_CLASS_C);
}

/* The open anchor says the same; once its blocks are elsewhere it is D. */
static void
of_an_open_anchor(void **state)
{
	struct anchor_options o = { .kek_count = 0 };
	const char *why = NULL;
	struct anchor *a = NULL;

	(void)state;
	assert_int_equal(secret_init(SECRET_DEFAULT), STATUS_OK);
	o.files = (struct anchor_paths){ { scratch_path(folder, "open") }, 1 };
	assert_int_equal(anchor_create(o.files.path[0]), STATUS_OK);
	assert_int_equal(anchor_open(&o, &a), STATUS_OK);
	assert_int_equal(anchor_class(a, &why), anchor_class_of(o.files.path[0], &why));
	if (a->file[0].mapped) {
		a->file[0].extents[0] ^= 1;
		assert_int_equal(anchor_class(a, &why), ANCHOR_CLASS_D);
	}
	anchor_close(a);
	secret_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_decides),
		cmocka_unit_test(disks_by_their_place),
		cmocka_unit_test(a_rotating_disk_must_be_a_real_one),
		cmocka_unit_test(loops_are_followed),
		cmocka_unit_test(journalled_mounts_are_found),
		cmocka_unit_test(extents_tell_one_place_from_another),
		cmocka_unit_test(of_real_paths),
		cmocka_unit_test(of_an_open_anchor),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
