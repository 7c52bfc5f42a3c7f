#include "ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pdvault ledger 1"

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	HEAD_LEN = MAGIC_LEN + PDV_ID_LEN + PDV_SIGNING_KEY_LEN,
	ITEM_LEN = PDV_LEDGER_ENTRY_LEN + PDV_SIGNATURE_LEN
};

static enum pdv_code
broken(const struct ledger_file *l, struct failure *f, const char *why)
{
	return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: behind entry %llu: %s", l->path,
	    (unsigned long long)l->end.entries, why);
}

static enum pdv_code
storage(const struct ledger_file *l, struct failure *f, const char *what)
{
	return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s: %s", l->path, what, strerror(errno));
}

/* Up to ${len} bytes; fewer only at the end. -1: an error. */
static ssize_t
read_all(int fd, uint8_t *out, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, out + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static bool
write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* ${p} is the next entry. */
static enum pdv_code
follow(struct ledger_file *l, const struct pdv_ledger_proof *p, struct failure *f)
{
	struct pdv_ledger_entry e;

	if (pdv_ledger_walk_next(&l->walk, p, &e) != PDV_OK ||
	    (l->pinned != NULL && pdv_ledger_walk_next(&l->pin, p, &e) != PDV_OK))
		return broken(l, f, "an entry that does not follow on the one before");
	l->end.entries = l->walk.entries;
	memcpy(l->end.hash, l->walk.hash, sizeof(l->end.hash));
	memcpy(l->newest, p->entry, sizeof(l->newest));
	if (l->each != NULL)
		l->each(&e, l->arg);
	l->seen = l->seen || (l->wanted != NULL && memcmp(l->wanted, e.hash, sizeof(e.hash)) == 0);
	return PDV_OK;
}

static void
begin(struct ledger_file *l)
{
	pdv_ledger_walk_begin(&l->walk, l->owner.vault, l->owner.signing_key);
	if (l->pinned != NULL)
		pdv_ledger_walk_begin(&l->pin, l->owner.vault, l->pinned);
	l->end.entries = 0;
	memcpy(l->end.hash, l->walk.hash, sizeof(l->end.hash));
	l->seen = l->wanted != NULL && memcmp(l->wanted, l->end.hash, PDV_LEDGER_HASH_LEN) == 0;
}

/* Whose it is, at its beginning. */
static enum pdv_code
read_head(struct ledger_file *l, struct failure *f)
{
	uint8_t head[HEAD_LEN];
	ssize_t n = read_all(l->fd, head, sizeof(head));

	if (n < 0)
		return storage(l, f, "cannot be read");
	if (n != HEAD_LEN || memcmp(head, MAGIC, MAGIC_LEN) != 0)
		return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: is no copy of a ledger", l->path);
	memcpy(l->owner.vault, head + MAGIC_LEN, PDV_ID_LEN);
	memcpy(l->owner.signing_key, head + MAGIC_LEN + PDV_ID_LEN, PDV_SIGNING_KEY_LEN);
	begin(l);
	return PDV_OK;
}

/* *rest: bytes of an entry that was cut off, at the end. */
static enum pdv_code
read_items(struct ledger_file *l, size_t *rest, struct failure *f)
{
	struct pdv_ledger_proof p;
	uint8_t item[ITEM_LEN];
	enum pdv_code rc;
	ssize_t n;

	while ((n = read_all(l->fd, item, sizeof(item))) == ITEM_LEN) {
		memcpy(p.entry, item, sizeof(p.entry));
		memcpy(p.signature, item + sizeof(p.entry), sizeof(p.signature));
		if ((rc = follow(l, &p, f)) != PDV_OK)
			return rc;
	}
	if (n < 0)
		return storage(l, f, "cannot be read");
	*rest = (size_t)n;
	return PDV_OK;
}

/* All of it is proven, by the key that it begins with and by the pinned one. */
static enum pdv_code
judge(const struct ledger_file *l, struct failure *f)
{
	uint64_t doubt = pdv_ledger_walk_doubt(&l->walk);

	if (doubt != 0)
		return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN",
		    "%s: behind entry %llu: an entry that the vault has not signed", l->path,
		    (unsigned long long)doubt - 1);
	if (l->pinned == NULL)
		return PDV_OK;
	doubt = pdv_ledger_walk_doubt(&l->pin);
	if (doubt != 0 || (l->pin.entries == 0 &&
			      memcmp(l->pinned, l->owner.signing_key, PDV_SIGNING_KEY_LEN) != 0))
		return failure_set(
		    f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: is signed with another key", l->path);
	return PDV_OK;
}

enum pdv_code
ledger_file_read(struct ledger_file *l, struct failure *f)
{
	enum pdv_code rc;
	size_t rest = 0;

	if ((l->fd = open(l->path, O_RDONLY | O_CLOEXEC)) < 0)
		return errno == ENOENT ? failure_set(f, PDV_NOT_FOUND, "FILE", "%s: is not there", l->path) :
		    storage(l, f, "cannot be opened");
	if ((rc = read_head(l, f)) != PDV_OK || (rc = read_items(l, &rest, f)) != PDV_OK)
		return rc;
	return rest == 0 ? judge(l, f) : broken(l, f, "an entry that is cut off");
}

/* A new name is durable only when its folder is flushed. */
static bool
flush_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == path ? 1 : slash != NULL ? (size_t)(slash - path) : 0;
	char *folder = slash == NULL ? strdup(".") : strndup(path, len);
	int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool done = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	free(folder);
	return done;
}

/* New, or cut off while it was made; anything else is somebody's. */
static enum pdv_code
make(struct ledger_file *l, size_t size, struct failure *f)
{
	uint8_t head[HEAD_LEN], found[HEAD_LEN];

	memcpy(head, MAGIC, MAGIC_LEN);
	memcpy(head + MAGIC_LEN, l->owner.vault, PDV_ID_LEN);
	memcpy(head + MAGIC_LEN + PDV_ID_LEN, l->owner.signing_key, PDV_SIGNING_KEY_LEN);
	if (read_all(l->fd, found, size) != (ssize_t)size)
		return storage(l, f, "cannot be read");
	if (memcmp(head, found, size) != 0)
		return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: is no copy of this vault's ledger",
		    l->path);
	if (ftruncate(l->fd, 0) != 0 || !write_all(l->fd, head, sizeof(head)) || !flush_folder(l->path))
		return storage(l, f, "cannot be written");
	begin(l);
	return PDV_OK;
}

enum pdv_code
ledger_file_extend(struct ledger_file *l, struct failure *f)
{
	struct ledger_owner ours = l->owner;
	struct stat st;
	enum pdv_code rc;
	size_t rest = 0;

	if ((l->fd = open(l->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600)) < 0)
		return storage(l, f, "cannot be opened");
	if (flock(l->fd, LOCK_EX | LOCK_NB) != 0)
		return failure_set(f, PDV_ABORTED, "FILE", "%s: another process adds to it", l->path);
	if (fstat(l->fd, &st) != 0)
		return storage(l, f, "cannot be looked at");
	if (!S_ISREG(st.st_mode))
		return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: is not a regular file", l->path);
	if (st.st_size < HEAD_LEN)
		return make(l, (size_t)st.st_size, f);
	if ((rc = read_head(l, f)) != PDV_OK)
		return rc;
	if (memcmp(l->owner.vault, ours.vault, sizeof(ours.vault)) != 0)
		return failure_set(f, PDV_DATA_LOSS, "LEDGER_BROKEN", "%s: is another vault's", l->path);
	if ((rc = read_items(l, &rest, f)) != PDV_OK)
		return rc;
	if (rest > 0 && ftruncate(l->fd, st.st_size - (off_t)rest) != 0)
		return storage(l, f, "cannot be written");
	return PDV_OK;
}

static bool
hold(struct ledger_file *l, const struct pdv_ledger_proof *p)
{
	if (l->held_room - l->held_len < ITEM_LEN) {
		size_t room = l->held_room * 2 + ITEM_LEN;
		uint8_t *more = realloc(l->held, room);

		if (more == NULL)
			return false;
		l->held = more;
		l->held_room = room;
	}
	memcpy(l->held + l->held_len, p->entry, sizeof(p->entry));
	memcpy(l->held + l->held_len + sizeof(p->entry), p->signature, sizeof(p->signature));
	l->held_len += ITEM_LEN;
	return true;
}

enum pdv_code
ledger_file_add(struct ledger_file *l, const struct pdv_ledger_proof *p, struct failure *f)
{
	enum pdv_code rc = follow(l, p, f);
	size_t len;

	if (rc != PDV_OK)
		return rc;
	if (!hold(l, p))
		return failure_memory(f);
	if (pdv_ledger_walk_doubt(&l->walk) != 0)
		return PDV_OK;
	len = l->held_len;
	l->held_len = 0;
	return write_all(l->fd, l->held, len) ? PDV_OK : storage(l, f, "cannot be written");
}

enum pdv_code
ledger_file_keep(struct ledger_file *l, struct failure *f)
{
	enum pdv_code rc = judge(l, f);

	if (rc != PDV_OK)
		return rc;
	return fsync(l->fd) == 0 ? PDV_OK : storage(l, f, "cannot be flushed");
}

void
ledger_file_close(struct ledger_file *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	free(l->held);
	l->held = NULL;
	l->held_len = l->held_room = 0;
}
