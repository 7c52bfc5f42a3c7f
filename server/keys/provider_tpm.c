/*
 * A TPM 2.0. A version is a box that the TPM opens as long as a counter has the value that the
 * box was made at, and it dies when the counter goes on. A provider has two neighbouring
 * counters, which its versions use in turn: so either of two versions can be destroyed, the old
 * one or one that was made in vain, and neither needs the other's leave.
 *
 * The file, of at most 616 bytes:
 *   0   8   "pdvtpm2" and the format, 1
 *   8   16  id, random
 *   24  4   NV index of the counter; that of the other version differs in the lowest bit
 *   28  8   value of the counter
 *   36  32  SHA-256 of the parent's public area (of its name, without the algorithm)
 *   68  2   n, length of the next field, at most 256
 *   70  2   m, length of the field after it, at most 256
 *   72  n   TPM2B_PUBLIC of the box, as the TPM gives it
 *   ..  m   TPM2B_PRIVATE
 *   ..  32  BLAKE2b-256 of all before: damage is told from a box that the TPM refuses
 *
 * Who puts back the state of a TPM itself, which only one in software allows, puts back its
 * counters and what died by them.
 */
#include <errno.h>
#include <string.h>

#include "server/keys/tpm.h"

#define MAGIC "pdvtpm2\1"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define OFF_ID MAGIC_LEN
#define OFF_COUNTER (OFF_ID + PROVIDER_ID_LEN)
#define OFF_VALUE (OFF_COUNTER + 4)
#define OFF_PARENT (OFF_VALUE + 8)
#define OFF_PUBLIC_LEN (OFF_PARENT + TPM_NAME_LEN)
#define OFF_PRIVATE_LEN (OFF_PUBLIC_LEN + 2)
#define OFF_PARTS (OFF_PRIVATE_LEN + 2)
#define FILE_MAX (OFF_PARTS + 2 * TPM_PART_MAX + SEAL_DIGEST_LEN)

struct version {
	uint8_t id[PROVIDER_ID_LEN];
	struct tpm_box box;
};

static size_t
put(const struct version *v, uint8_t file[static FILE_MAX])
{
	const struct tpm_box *b = &v->box;
	size_t len = OFF_PARTS + b->public_len + b->private_len;

	memcpy(file, MAGIC, MAGIC_LEN);
	memcpy(file + OFF_ID, v->id, PROVIDER_ID_LEN);
	bytes_put32(file + OFF_COUNTER, b->counter);
	bytes_put64(file + OFF_VALUE, b->value);
	memcpy(file + OFF_PARENT, b->parent, TPM_NAME_LEN);
	bytes_put16(file + OFF_PUBLIC_LEN, b->public_len);
	bytes_put16(file + OFF_PRIVATE_LEN, b->private_len);
	memcpy(file + OFF_PARTS, b->public, b->public_len);
	memcpy(file + OFF_PARTS + b->public_len, b->private, b->private_len);
	seal_digest(bytes_of(file, len), file + len);
	return len + SEAL_DIGEST_LEN;
}

/* What put() makes, and nothing else. */
static bool
get(const uint8_t *file, size_t len, struct version *v)
{
	struct tpm_box *b = &v->box;
	uint8_t again[FILE_MAX];

	if (len < OFF_PARTS)
		return false;
	b->public_len = bytes_get16(file + OFF_PUBLIC_LEN);
	b->private_len = bytes_get16(file + OFF_PRIVATE_LEN);
	if (b->public_len > TPM_PART_MAX || b->private_len > TPM_PART_MAX ||
	    len != OFF_PARTS + b->public_len + b->private_len + SEAL_DIGEST_LEN)
		return false;
	memcpy(v->id, file + OFF_ID, PROVIDER_ID_LEN);
	b->counter = bytes_get32(file + OFF_COUNTER);
	b->value = bytes_get64(file + OFF_VALUE);
	memcpy(b->parent, file + OFF_PARENT, TPM_NAME_LEN);
	memcpy(b->public, file + OFF_PARTS, b->public_len);
	memcpy(b->private, file + OFF_PARTS + b->public_len, b->private_len);
	return b->counter >= TPM_FIRST && b->counter < TPM_FIRST + 2 * TPM_PAIRS &&
	    put(v, again) == len && memcmp(again, file, len) == 0;
}

static enum status
read_version(struct provider *p, enum version_place at, struct version *v, const char **why)
{
	uint8_t file[FILE_MAX];
	struct version_buffer b = { file, sizeof(file), 0 };
	enum status rc = versions_read(p->o.path, at, &b, why);

	if (rc != STATUS_OK || get(file, b.len, v))
		return rc;
	errno = 0;
	*why = "is not a file of this kind, or is damaged";
	return STATUS_CONFIG;
}

/* The counter of ${v} has just been advanced. */
static enum status
make(struct tpm *t, struct provider *p, enum version_place at, struct version *v,
    struct provider_kek *out)
{
	uint8_t file[FILE_MAX];
	enum status rc;

	seal_random(v->id, sizeof(v->id));
	memcpy(out->id, v->id, sizeof(v->id));
	seal_key_new(&out->key, SEAL_FOR_KEK);
	if ((rc = tpm_box_make(t, &out->key, &v->box)) == STATUS_OK)
		rc = provider_add_version(p, at, bytes_of(file, put(v, file)));
	if (rc != STATUS_OK)
		seal_key_wipe(&out->key);
	return rc;
}

/* Over a new way to the TPM: the one on which something failed may be good for nothing. */
static void
forget(struct provider *p, uint32_t counter)
{
	struct tpm *t = NULL;

	if (tpm_open(p, &t) != STATUS_OK || tpm_counter_remove(t, counter) != STATUS_OK) {
		errno = 0;
		provider_complain(p, "a counter that was made in vain stays in the TPM");
	}
	tpm_close(t);
}

static enum status
create(struct provider *p, struct provider_kek *out)
{
	struct version v = { .id = { 0 } };
	struct tpm *t = NULL;
	bool counts = false;
	enum status rc;

	if ((rc = provider_vacant(p, VERSION_NOW)) != STATUS_OK ||
	    (rc = provider_vacant(p, VERSION_NEXT)) != STATUS_OK ||
	    (rc = tpm_open(p, &t)) != STATUS_OK ||
	    (rc = tpm_counter_pair(t, &v.box.counter)) != STATUS_OK)
		goto out;
	counts = true;
	if ((rc = tpm_counter_advance(t, v.box.counter)) == STATUS_OK)
		rc = make(t, p, VERSION_NOW, &v, out);
out:
	tpm_close(t);
	if (rc != STATUS_OK && counts)
		forget(p, v.box.counter);
	return rc;
}

/* Else what is advanced or removed for its sake could be what another version rests on. */
static enum status
must_live(struct tpm *t, struct provider *p, const struct version *v)
{
	uint64_t value = 0;
	enum status rc = tpm_box_is_ours(t, &v->box);

	if (rc != STATUS_OK)
		return rc;
	rc = tpm_counter_read(t, v->box.counter, &value);
	if (rc != STATUS_ABSENT && (rc != STATUS_OK || value == v->box.value))
		return rc;
	errno = 0;
	provider_complain(p, "the counter has gone on: an old state was put back");
	return STATUS_REFUSED;
}

static enum status
renew(struct provider *p, struct provider_kek *out)
{
	const char *why = NULL;
	struct version now, next = { .id = { 0 } };
	struct tpm *t = NULL;
	enum status rc = provider_vacant(p, VERSION_NEXT);

	if (rc != STATUS_OK)
		return rc;
	if ((rc = read_version(p, VERSION_NOW, &now, &why)) != STATUS_OK) {
		provider_complain(p, why);
		return rc == STATUS_ABSENT ? STATUS_CONFIG : rc;
	}
	next.box.counter = now.box.counter ^ 1;
	/* Advanced first: what was made in vain at its last value dies now. */
	if ((rc = tpm_open(p, &t)) == STATUS_OK && (rc = must_live(t, p, &now)) == STATUS_OK &&
	    (rc = tpm_counter_advance(t, next.box.counter)) == STATUS_OK)
		rc = make(t, p, VERSION_NEXT, &next, out);
	tpm_close(t);
	return rc;
}

/* The version at that place. */
static enum status
load(struct provider *p, enum version_place at, struct provider_kek *out, const char **why)
{
	struct version v;
	struct tpm *t = NULL;
	enum status rc = read_version(p, at, &v, why);

	if (rc != STATUS_OK)
		return rc;
	*why = NULL;
	if ((rc = tpm_open(p, &t)) == STATUS_OK &&
	    (rc = tpm_box_open(t, &v.box, &out->key)) == STATUS_OK)
		memcpy(out->id, v.id, sizeof(v.id));
	tpm_close(t);
	return rc;
}

static enum status
open_all(struct provider *p, struct provider_kek *out, unsigned *count)
{
	return provider_open_versions(p, load, out, count);
}

static enum status
keep_one(struct provider *p, const uint8_t *id)
{
	const char *why = NULL;
	enum version_place at;
	struct version v;
	struct tpm *t = NULL;
	enum status rc = STATUS_OK;

	for (at = VERSION_NOW; at < VERSION_NONE; at++)
		if (read_version(p, at, &v, &why) == STATUS_OK && memcmp(v.id, id, sizeof(v.id)) == 0)
			break;
	errno = 0;
	if (at == VERSION_NONE) {
		provider_complain(p, "the version that is to be kept is not there");
		return STATUS_CONFIG;
	}
	/* The counter before the file, so that a crash in between is followed by another try. */
	if (versions_stands(p->o.path, at == VERSION_NOW ? VERSION_NEXT : VERSION_NOW)) {
		if ((rc = tpm_open(p, &t)) == STATUS_OK && (rc = must_live(t, p, &v)) == STATUS_OK)
			rc = tpm_counter_advance(t, v.box.counter ^ 1);
		tpm_close(t);
	}
	return rc == STATUS_OK ? provider_keep_version(p, at) : rc;
}

/* The counters of ${v}, if it lives: its own is the last, since it tells that. */
static enum status
remove_counters(struct tpm *t, const struct version *v)
{
	uint64_t value = 0;
	enum status rc;

	/* Of a TPM that was cleared nothing but the file is left. */
	if (tpm_box_is_ours(t, &v->box) != STATUS_OK)
		return STATUS_OK;
	rc = tpm_counter_read(t, v->box.counter, &value);
	if (rc == STATUS_ABSENT || (rc == STATUS_OK && value != v->box.value))
		return STATUS_OK;
	if (rc != STATUS_OK || (rc = tpm_counter_remove(t, v->box.counter ^ 1)) != STATUS_OK)
		return rc;
	return tpm_counter_remove(t, v->box.counter);
}

static enum status
keep_none(struct provider *p)
{
	const char *why = NULL;
	enum version_place at;
	struct version v;
	struct tpm *t = NULL;
	enum status rc = STATUS_OK;

	for (at = VERSION_NOW; rc == STATUS_OK && at < VERSION_NONE; at++) {
		if ((rc = read_version(p, at, &v, &why)) == STATUS_OK) {
			if (t != NULL || (rc = tpm_open(p, &t)) == STATUS_OK)
				rc = remove_counters(t, &v);
		} else {
			if (rc != STATUS_ABSENT)
				provider_complain(p,
				    "is damaged, so that its counter stays in the TPM");
			rc = STATUS_OK;
		}
	}
	tpm_close(t);
	return rc == STATUS_OK ? provider_keep_version(p, VERSION_NONE) : rc;
}

static enum status
keep(struct provider *p, const uint8_t *id)
{
	return id == NULL ? keep_none(p) : keep_one(p, id);
}

static char
class(struct provider *p, const char **why)
{
	bool hardware = false;

	*why = "a TPM that cannot be asked what it is";
	if (tpm_is_hardware(p, &hardware) != STATUS_OK)
		return PROVIDER_CLASS_C;
	*why = hardware ? "TPM 2.0, NV counter" : "a TPM in software, whose state can be put back";
	return hardware ? PROVIDER_CLASS_A : PROVIDER_CLASS_C;
}

/*
 * A version advances one counter when it is made and the other when that one's version dies: each
 * counter once a version on the average. Makers of TPMs promise some 100 000 writes to a place of
 * NV memory; at one an hour, 8 766 a year, that is eleven years.
 */
const struct provider_kind provider_tpm = {
	.name = "tpm", .renews = true, .opens = true, .interval_s = 3600, .create = create,
	.renew = renew, .open = open_all, .keep = keep, .class = class,
};
