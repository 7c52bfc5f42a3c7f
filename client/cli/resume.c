#include "resume.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"

enum { VERSION = 1, PATH_LEN = 4096 };

static const char *const outcomes[TALLY_OUTCOMES] = {
	[TALLY_OPEN] = NULL,
	[TALLY_CREATED] = "created",
	[TALLY_UPDATED] = "updated",
	[TALLY_UNCHANGED] = "unchanged",
	[TALLY_FAILED] = "failed",
};

bool
resume_file(int fd, struct resume_file *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &st) != 0)
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	out->device = (uint64_t)st.st_dev;
	out->inode = (uint64_t)st.st_ino;
	out->size = (uint64_t)st.st_size;
	out->changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return true;
}

static json_t *
file_json(const struct resume_file *file)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "device", (json_int_t)file->device,
	    "inode", (json_int_t)file->inode, "size", (json_int_t)file->size,
	    "changed_ns", (json_int_t)file->changed_ns);
}

static bool
same_file(const json_t *doc, const char *name, const struct resume_file *file)
{
	json_t *now = file_json(file);
	bool same = json_equal(json_object_get(doc, name), now) == 1;

	json_decref(now);
	return same;
}

static enum pdv_code
read_tally(const json_t *doc, struct tally *t)
{
	json_int_t n, sum = 0;
	size_t i;

	for (i = TALLY_CREATED; i < TALLY_OUTCOMES; i++) {
		n = json_integer_value(json_object_get(doc, outcomes[i]));
		if (n < 0 || __builtin_add_overflow(sum, n, &sum))
			return PDV_INVALID_ARGUMENT;
		t->counts[i] = (uint64_t)n;
	}
	t->mark = t->next = (uint64_t)sum;
	return json_integer_value(json_object_get(doc, "rows")) == sum ? PDV_OK
	    : PDV_INVALID_ARGUMENT;
}

enum pdv_code
resume_load(const struct resume *r, struct tally *t, bool *other, struct failure *f)
{
	enum pdv_code rc = PDV_OK;
	json_t *doc = NULL;

	memset(t, 0, sizeof(*t));
	*other = false;
	if (r->path == NULL || access(r->path, F_OK) != 0)
		return PDV_OK;
	if ((rc = input_json(r->path, &doc, f)) != PDV_OK)
		return rc;
	if (json_integer_value(json_object_get(doc, "pdvault_import")) != VERSION) {
		rc = failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE",
		    "%.200s is not the progress of an import", r->path);
	} else if (!same_file(doc, "input", &r->input) || !same_file(doc, "map", &r->map)) {
		*other = true;
	} else if (read_tally(doc, t) != PDV_OK) {
		memset(t, 0, sizeof(*t));
		rc = failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE",
		    "%.200s is damaged; without it the import begins anew", r->path);
	}
	json_decref(doc);
	return rc;
}

/* The name of a file has to be durable too. */
static bool
sync_folder(const char *path)
{
	char folder[PATH_LEN];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);
	bool good;
	int fd;

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
	if (slash == NULL || len == 0)
		(void)snprintf(folder, sizeof(folder), "%s", slash == NULL ? "." : "/");
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	good = fsync(fd) == 0;
	(void)close(fd);
	return good;
}

static bool
replace(const char *path, const json_t *doc)
{
	char fresh[PATH_LEN];
	bool good;
	int fd;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= PATH_LEN)
		return false;
	if ((fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		return false;
	good = json_dumpfd(doc, fd, JSON_COMPACT) == 0 && fsync(fd) == 0;
	if (close(fd) != 0 || !good || rename(fresh, path) != 0) {
		(void)unlink(fresh);
		return false;
	}
	return sync_folder(path);
}

enum pdv_code
resume_save(const struct resume *r, const struct tally *t, struct failure *f)
{
	bool good;
	json_t *doc;
	size_t i;

	if (r->path == NULL)
		return PDV_OK;
	doc = json_pack("{s:i, s:o, s:o, s:I}", "pdvault_import", VERSION,
	    "input", file_json(&r->input), "map", file_json(&r->map), "rows", (json_int_t)t->mark);
	for (i = TALLY_CREATED; i < TALLY_OUTCOMES; i++)
		(void)json_object_set_new(doc, outcomes[i], json_integer((json_int_t)t->counts[i]));
	good = doc != NULL && replace(r->path, doc);
	json_decref(doc);
	return good ? PDV_OK : failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNWRITABLE",
	    "cannot write %.200s: %s", r->path, strerror(errno));
}

void
resume_done(const struct resume *r)
{
	if (r->path != NULL)
		(void)unlink(r->path);
}
