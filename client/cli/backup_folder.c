#include "backup_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_call.h"
#include "client/backup/chunk.h"
#include "client/backup/file.h"

#define NOTE "unfinished"		/* kind, id of the backup, and of the one that it is since */
#define NOTE_LEN (1 + 2 * BACKUP_ID_LEN)

static enum pdv_code
refuse(const struct backup_folder *b, const char *what, struct failure *f)
{
	return failure_set(f, PDV_FAILED_PRECONDITION, "NOT_EMPTY", "%s: %s", b->path, what);
}

static enum pdv_code
note_path(const struct backup_folder *b, char out[static BACKUP_PATH_MAX], struct failure *f)
{
	struct backup_fault fault;

	return backup_failed(backup_file_path(b->path, NOTE, out, &fault), &fault, f);
}

/* What this tool puts there, but for the manifest. */
static bool
is_ours(const char *name)
{
	static const char *const names[] = {".", "..", NOTE, NOTE BACKUP_PART, BACKUP_SEALED_NAME,
	    BACKUP_SEALED_NAME BACKUP_PART, BACKUP_UNSIGNED_NAME, BACKUP_UNSIGNED_NAME BACKUP_PART,
	    "lost+found"};
	const char *dot = strchr(name, '.');
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return dot != NULL && strncmp(dot, ".chunk", 6) == 0;
}

static enum pdv_code
look(struct backup_folder *b, bool *empty, struct failure *f)
{
	DIR *d = opendir(b->path);
	const struct dirent *e;
	enum pdv_code rc = PDV_OK;

	*empty = true;
	if (d == NULL)
		return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s", b->path, strerror(errno));
	while (rc == PDV_OK && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, BACKUP_MANIFEST_NAME) == 0)
			rc = refuse(b, "has a whole backup already", f);
		else if (!is_ours(e->d_name))
			rc = refuse(b, "has something else in it", f);
		*empty = *empty && (e->d_name[0] == '.' || strcmp(e->d_name, "lost+found") == 0);
	}
	(void)closedir(d);
	return rc;
}

/* Two at once would write each other's chunks. */
static enum pdv_code
lock(struct backup_folder *b, struct failure *f)
{
	if (mkdir(b->path, 0700) != 0 && errno != EEXIST)
		return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s", b->path, strerror(errno));
	if ((b->lock = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s", b->path, strerror(errno));
	if (flock(b->lock, LOCK_EX | LOCK_NB) != 0)
		return failure_set(f, PDV_ABORTED, "FILE", "%s: another process is at it", b->path);
	return PDV_OK;
}

/* What an earlier try wrote down. */
static enum pdv_code
take_note(struct backup_folder *b, const uint8_t *note, size_t len, struct failure *f)
{
	if (len != NOTE_LEN)
		return refuse(b, "has parts of a backup, and not which", f);
	if ((note[0] != 0) != b->keys)
		return refuse(b, "has the beginning of a backup of the other kind", f);
	if (memcmp(note + 1 + BACKUP_ID_LEN, b->since, BACKUP_ID_LEN) != 0)
		return refuse(b, "has the beginning of a backup since another one", f);
	memcpy(b->id, note + 1, BACKUP_ID_LEN);
	b->begun = true;
	return PDV_OK;
}

enum pdv_code
backup_folder_open(struct backup_folder *b, struct failure *f)
{
	char path[BACKUP_PATH_MAX];
	struct backup_fault fault;
	uint8_t *note = NULL;
	size_t len;
	bool empty;
	enum backup_result r;
	enum pdv_code rc;

	if ((rc = lock(b, f)) != PDV_OK || (rc = look(b, &empty, f)) != PDV_OK ||
	    (rc = note_path(b, path, f)) != PDV_OK)
		return rc;
	r = backup_file_read(path, NOTE_LEN, &note, &len, &fault);
	if (r == BACKUP_ABSENT)
		return empty ? PDV_OK : refuse(b, "has parts of a backup, and not which", f);
	if (r != BACKUP_OK)
		return backup_failed(r, &fault, f);
	rc = take_note(b, note, len, f);
	free(note);
	return rc;
}

enum pdv_code
backup_folder_begin(struct backup_folder *b, struct failure *f)
{
	const uint8_t kind = b->keys;
	const struct backup_piece pieces[] = {
	    {&kind, 1}, {b->id, sizeof(b->id)}, {b->since, sizeof(b->since)}};
	char path[BACKUP_PATH_MAX];
	struct backup_fault fault;
	enum backup_result r;
	enum pdv_code rc = note_path(b, path, f);

	if (rc != PDV_OK)
		return rc;
	if ((r = backup_file_write(path, pieces, 3, &fault)) == BACKUP_OK)
		r = backup_file_flush(b->path, &fault);
	b->begun = true;
	return backup_failed(r, &fault, f);
}

static void
forget(struct backup_folder *b)
{
	while (b->count > 0)
		free(b->ranges[--b->count]);
	free(b->ranges);
	b->ranges = NULL;
}

static enum pdv_code
add(struct backup_folder *b, const struct backup_chunk *c, struct failure *f)
{
	Pdvault__V1__BackupRange **more = realloc(b->ranges, (b->count + 1) * sizeof(*more));

	if (more == NULL)
		return failure_memory(f);
	b->ranges = more;
	if ((more[b->count] = backup_range_copy(c->range)) == NULL)
		return failure_memory(f);
	memcpy(more[b->count]->chunk_digest.data, c->digest, sizeof(c->digest));
	more[b->count]->chunk_digest.len = sizeof(c->digest);
	b->count++;
	return PDV_OK;
}

enum pdv_code
backup_folder_reload(struct backup_folder *b, struct failure *f)
{
	DIR *d = opendir(b->path);
	const struct dirent *e;
	enum pdv_code rc = PDV_OK;

	forget(b);
	b->next = 1;
	if (d == NULL)
		return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s", b->path, strerror(errno));
	while (rc == PDV_OK && (e = readdir(d)) != NULL) {
		uint32_t number = backup_chunk_number(e->d_name);
		struct backup_chunk c = {.bytes = NULL};
		struct backup_fault fault;
		enum backup_result r;

		if (number == 0)
			continue;
		b->next = number >= b->next ? number + 1 : b->next;
		/* One that is not whole is made anew. */
		r = backup_chunk_read(b->path, number, b->id, &c, &fault);
		if (r == BACKUP_OK)
			rc = add(b, &c, f);
		else if (r != BACKUP_BAD)
			rc = backup_failed(r, &fault, f);
		backup_chunk_free(&c);
	}
	(void)closedir(d);
	return rc;
}

/* One for each number of a chunk, for free(); NULL without memory. */
static bool *
named_chunks(const Pdvault__V1__BackupManifest *m)
{
	bool *named = calloc(BACKUP_CHUNKS_MAX + 1, sizeof(*named));
	size_t i;

	for (i = 0; named != NULL && i < m->n_ranges; i++)
		named[m->ranges[i]->chunk] = true;
	return named;
}

void
backup_folder_finish(const struct backup_folder *b, const Pdvault__V1__BackupManifest *m)
{
	char path[BACKUP_PATH_MAX];
	struct backup_fault fault;
	DIR *d = opendir(b->path);
	bool *named = named_chunks(m);
	const struct dirent *e;

	while (d != NULL && named != NULL && (e = readdir(d)) != NULL) {
		uint32_t number = backup_chunk_number(e->d_name);
		bool goes = number > 0 ? !named[number] : strcmp(e->d_name, NOTE) == 0 ||
		    strstr(e->d_name, BACKUP_PART) != NULL;

		if (goes && backup_file_path(b->path, e->d_name, path, &fault) == BACKUP_OK)
			(void)unlink(path);
	}
	if (d != NULL)
		(void)closedir(d);
	free(named);
}

void
backup_folder_close(struct backup_folder *b)
{
	forget(b);
	if (b->lock >= 0)
		(void)close(b->lock);
	b->lock = -1;
}
