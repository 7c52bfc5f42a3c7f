#include "server/store/vault.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/anchor_watch.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/store/backup.h"
#include "server/store/damage.h"
#include "server/store/ledger.h"
#include "server/store/mark.h"
#include "server/store/moving.h"
#include "server/store/recover.h"
#include "server/store/vault_internal.h"

#define CACHE_BYTES (2u << 20)
#define CLASS_EVERY_NS 1000000000u

static _Atomic uint64_t serials = 1;

enum status
vault_snapshot_epoch(struct store_snapshot *s, uint64_t *epoch,
    uint8_t commitment[static SEAL_DIGEST_LEN])
{
	struct bytes v;
	enum status rc = store_get(s, STORE_META, META_KEY(META_EPOCH), &v);

	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	if (v.len != META_EPOCH_LEN)
		return STATUS_CORRUPT;
	*epoch = bytes_get64(v.p);
	memcpy(commitment, v.p + 8, SEAL_DIGEST_LEN);
	return STATUS_OK;
}

enum status
vault_classes(const struct vault_options *o)
{
	enum status rc = STATUS_OK;
	const char *why;

	for (size_t i = 0; i < o->anchor.count; i++) {
		const char *path = o->anchor.path[i];
		enum anchor_class c = anchor_class_of(path, &why);
		char name[2] = { (char)c, '\0' };

		log_event(LOG_ANCHOR_CLASS, LOG_S(CLASS, name), LOG_S(WHY, why), LOG_S(PATH, path));
		if (c != ANCHOR_CLASS_D || o->force_class_d)
			continue;
		log_event(LOG_FATAL, LOG_S(WHAT, "here overwriting the anchor would not erase it (class "
		    "D); choose another place, or force it"), LOG_S(PATH, path));
		rc = STATUS_REFUSED;
	}
	return rc;
}

enum status
vault_open_anchor(struct vault *v, const struct vault_options *o, bool read_only)
{
	struct anchor_options ao = { .files = o->anchor, .retiring = o->retiring,
		.recovery = o->recovery, .read_only = read_only };

	if (v->seals != NULL)
		ao.keks = seals_keks(v->seals, &ao.kek_count);
	memcpy(ao.vault, v->id, sizeof(ao.vault));
	return anchor_open(&ao, &v->anchor);
}

struct vault *
vault_alloc(const struct vault_options *o)
{
	struct vault *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->serial = atomic_fetch_add(&serials, 1);
	v->country_code = o->country_code;
	v->force_class_d = o->force_class_d;
	v->has_recovery_key = o->has_recovery_key;
	memcpy(v->recovery_key, o->recovery_key, sizeof(v->recovery_key));
	must(pthread_mutex_init(&v->readers_lock, NULL) == 0);
	must(pthread_mutex_init(&v->public_lock, NULL) == 0);
	return v;
}

/* Format and identity: the first things to be looked at. */
static enum status
read_identity(struct vault *v)
{
	struct store_snapshot *s = NULL;
	struct bytes value;
	enum status rc;

	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		return rc;
	if ((rc = store_snapshot_begin(s)) != STATUS_OK)
		goto out;
	rc = store_get(s, STORE_META, META_KEY(META_FORMAT), &value);
	if (rc != STATUS_OK || value.len != 4) {
		rc = STATUS_CORRUPT;
		log_event(LOG_FATAL, LOG_S(WHAT, "this is not the store of a vault"));
		goto end;
	}
	if (bytes_get32(value.p) != VAULT_FORMAT) {
		rc = STATUS_REFUSED;
		log_event(LOG_FATAL, LOG_S(WHAT, "the store has another format than this program reads"),
		    LOG_N(COUNT, bytes_get32(value.p)), LOG_N(VERSION, VAULT_FORMAT));
		goto end;
	}
	rc = store_get(s, STORE_META, META_KEY(META_VAULT), &value);
	if (rc != STATUS_OK || value.len != META_VAULT_LEN) {
		rc = STATUS_CORRUPT;
		goto end;
	}
	memcpy(v->id, value.p, VAULT_ID_LEN);
	v->number = bytes_get16(value.p + VAULT_OFF_NUMBER);
	v->created_ms = (int64_t)bytes_get64(value.p + VAULT_OFF_CREATED);
	/* Phones are stored with it: under another one an erasure would not find its own look-ups. */
	if (bytes_get16(value.p + VAULT_OFF_COUNTRY) != v->country_code) {
		rc = STATUS_CONFIG;
		log_event(LOG_FATAL, LOG_S(WHAT, "default_country_code is not what the vault was made with"),
		    LOG_N(COUNT, v->country_code), LOG_N(OTHER, bytes_get16(value.p + VAULT_OFF_COUNTRY)));
		goto end;
	}
	rc = store_get(s, STORE_META, META_KEY(META_INCARNATION), &value);
	if (rc != STATUS_OK || value.len != 8) {
		rc = STATUS_CORRUPT;
		goto end;
	}
	v->incarnation = bytes_get64(value.p);
	rc = store_get(s, STORE_META, META_KEY(META_RESURRECTED), &value);
	for (size_t at = 0; rc == STATUS_OK && at + VAULT_RESURRECTION_LEN <= value.len;
	     at += VAULT_RESURRECTION_LEN) {
		int64_t ms = (int64_t)bytes_get64(value.p + at);

		v->resurrected_ms = ms > v->resurrected_ms ? ms : v->resurrected_ms;
	}
	rc = rc == STATUS_ABSENT ? STATUS_OK : rc;
end:
	store_snapshot_end(s);
out:
	store_snapshot_free(s);
	return rc;
}

/* Before its last commit there is no vault yet; nothing may be served before it is through. */
static enum status
check_restore(const struct vault_options *o)
{
	bool stands;
	enum status rc = mark_stands(o->store_path, MARK_RESTORE, &stands);

	if (rc != STATUS_OK || !stands)
		return rc;
	log_event(LOG_FATAL, LOG_S(PATH, o->store_path),
	    LOG_S(WHAT, "a restore is not through: run it again, it begins anew"));
	return STATUS_REFUSED;
}

enum status
vault_open_parts(const struct vault_options *o, bool read_only, struct vault **out)
{
	struct store_options so = { o->store_path, o->map_bytes, o->reserve_bytes, false, o->stepped,
		read_only };
	struct vault *v = vault_alloc(o);
	enum status rc = STATUS_NO_MEMORY;

	if (v == NULL)
		return rc;
	if ((rc = check_restore(o)) != STATUS_OK ||
	    (rc = store_open(&so, &v->store)) != STATUS_OK ||
	    (rc = read_identity(v)) != STATUS_OK ||
	    (rc = seals_new(o, &v->seals)) != STATUS_OK || (rc = seals_open(v->seals, o)) != STATUS_OK ||
	    (rc = vault_open_anchor(v, o, read_only)) != STATUS_OK)
		goto out;
	*out = v;
	v = NULL;
out:
	vault_close(v);
	return rc;
}

enum status
vault_open_store(const struct vault_options *o, struct vault **out)
{
	struct store_options so = { o->store_path, o->map_bytes, o->reserve_bytes, false, false, false };
	struct vault *v = vault_alloc(o);
	enum status rc = STATUS_NO_MEMORY;

	if (v == NULL)
		return rc;
	if ((rc = check_restore(o)) == STATUS_OK && (rc = store_open(&so, &v->store)) == STATUS_OK &&
	    (rc = read_identity(v)) == STATUS_OK) {
		*out = v;
		v = NULL;
	}
	vault_close(v);
	return rc;
}

static enum status
recover(struct vault *v, struct root *root, bool read_only)
{
	const char *why;
	uint64_t settled;
	enum status rc;

	if ((rc = recover_run(v, read_only, root, &settled)) != STATUS_OK)
		return rc;
	root_publish(root);
	vault_publish(v, root);
	if ((rc = epoch_new(root, settled, &v->epochs)) != STATUS_OK ||
	    (rc = cache_new(CACHE_BYTES, &v->cache)) != STATUS_OK)
		return rc;
	atomic_store(&v->anchor_class, (int)anchor_class(v->anchor, &why));
	atomic_store(&v->anchor_class_why, why);
	vault_trouble(v, VAULT_MEDIUM, read_only);
	metrics_set(METRIC_EPOCH, root->epoch);
	metrics_set(METRIC_SETTLED_EPOCH, settled);
	return STATUS_OK;
}

/* A file that was to be left may hold a root key until the move is through. *made: the mark is this run's. */
static enum status
check_move(const struct vault_options *o, bool read_only, bool *made)
{
	bool stands;
	enum status rc = moving_stands(o->store_path, &stands);

	if (rc != STATUS_OK || (!stands && !o->moving) || (o->moving && read_only))
		return rc;
	if (o->moving && (stands || o->retiring.count > 0)) {
		*made = !stands;
		return moving_begin(o->store_path, &o->anchor, &o->retiring);
	}
	log_event(LOG_FATAL, LOG_S(WHAT, stands ? "anchor move is not through: files that were to be left may "
	    "hold a root key. Run it again; of a file whose device is gone leave --from away" :
	    "no anchor move is unfinished: name the files to be left with --from"));
	return STATUS_REFUSED;
}

/* Whether recovery, which ended so, has written a root key into no file that lacked it. */
static bool
wrote_no_key(enum status rc)
{
	return rc == STATUS_REFUSED || rc == STATUS_IO || rc == STATUS_FULL || rc == STATUS_CORRUPT;
}

/* It serves all the same: what can be read is read. The log and a metric tell. */
static void
look_at_ledger(struct vault *v)
{
	struct store_snapshot *s = NULL;

	if (store_snapshot_new(v->store, &s) == STATUS_OK && store_snapshot_begin(s) == STATUS_OK) {
		(void)!damage_judged(ledger_check(s), "the ledger's head");
		store_snapshot_end(s);
	}
	store_snapshot_free(s);
}

/* It serves without, too; the log says that it does. */
static void
watch(struct vault *v)
{
	if (anchor_watch_new(v->anchor, &v->watch) != STATUS_OK)
		log_event(LOG_ANCHOR_ERROR,
		    LOG_S(WHAT, "it cannot be watched: fs.inotify.max_user_instances?"));
}

void
vault_watch(struct vault *v)
{
	if (v->watch != NULL)
		(void)anchor_watch_poll(v->watch);
}

enum status
vault_open(const struct vault_options *o, struct vault **out)
{
	struct root *root = secret_alloc(sizeof(*root));
	bool read_only = store_is_read_only(o->store_path), made = false;
	struct vault *v = NULL;
	enum status rc = STATUS_NO_MEMORY;

	if (root == NULL)
		return rc;
	if ((rc = vault_classes(o)) != STATUS_OK ||
	    (rc = vault_open_parts(o, read_only, &v)) != STATUS_OK ||
	    (rc = check_move(o, read_only, &made)) != STATUS_OK)
		goto out;
	if ((rc = recover(v, root, read_only)) != STATUS_OK) {
		if (made && wrote_no_key(rc) && moving_end(o->store_path) != STATUS_OK)
			rc = STATUS_IO;
		goto out;
	}
	seals_settle(v);
	look_at_ledger(v);
	watch(v);
	*out = v;
	v = NULL;
out:
	secret_free(root, sizeof(*root));
	vault_close(v);
	return rc;
}

void
vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	backup_free(v);
	reader_free_all(v);
	cache_free(v->cache);
	epoch_free(v->epochs);
	anchor_watch_free(v->watch);
	anchor_close(v->anchor);
	seals_free(v->seals);
	store_close(v->store);
	(void)pthread_mutex_destroy(&v->readers_lock);
	(void)pthread_mutex_destroy(&v->public_lock);
	free(v);
}

const uint8_t *
vault_id(const struct vault *v)
{
	return v->id;
}

void
vault_public_key(struct vault *v, uint8_t out[static SEAL_PUBLIC_LEN])
{
	must(pthread_mutex_lock(&v->public_lock) == 0);
	memcpy(out, v->public_key, SEAL_PUBLIC_LEN);
	must(pthread_mutex_unlock(&v->public_lock) == 0);
}

void
vault_publish(struct vault *v, const struct root *root)
{
	must(pthread_mutex_lock(&v->public_lock) == 0);
	memcpy(v->public_key, root->public_key, SEAL_PUBLIC_LEN);
	must(pthread_mutex_unlock(&v->public_lock) == 0);
}

uint16_t
vault_country_code(const struct vault *v)
{
	return v->country_code;
}

bool
vault_recovery_key(const struct vault *v, uint8_t out[static SEAL_RECOVERY_KEY_LEN])
{
	memcpy(out, v->recovery_key, SEAL_RECOVERY_KEY_LEN);
	return v->has_recovery_key;
}

int64_t
vault_resurrected_ms(const struct vault *v)
{
	return v->resurrected_ms;
}

int64_t
vault_created_ms(const struct vault *v)
{
	return v->created_ms;
}

uint64_t
vault_incarnation(const struct vault *v)
{
	return v->incarnation;
}

char
vault_class_of_anchor(struct vault *v)
{
	return (char)atomic_load(&v->anchor_class);
}

uint64_t
vault_epoch(struct vault *v)
{
	return epoch_current(v->epochs);
}

uint64_t
vault_settled(struct vault *v)
{
	return epoch_settled(v->epochs);
}

const char *
vault_read_only(struct vault *v)
{
	static const struct { enum vault_trouble trouble; const char *reason; } reasons[] = {
		{ VAULT_MEDIUM, "READ_ONLY_MEDIUM" },
		{ VAULT_NOT_ERASED, "ANCHOR_NOT_ERASED" },
		{ VAULT_CLASS_D, "ANCHOR_CLASS_D" },
		{ VAULT_FULL, "STORE_FULL" },
	};
	unsigned now = atomic_load(&v->trouble);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((now & (unsigned)reasons[i].trouble) != 0)
			return reasons[i].reason;
	return NULL;
}

void
vault_trouble(struct vault *v, enum vault_trouble t, bool is)
{
	if (is)
		atomic_fetch_or(&v->trouble, (unsigned)t);
	else
		atomic_fetch_and(&v->trouble, ~(unsigned)t);
}

void
vault_look_at_class(struct vault *v)
{
	uint64_t now = clock_monotonic_ns();
	const char *why;
	enum anchor_class c;
	char name[2] = { 0 };
	bool bad;

	if (now - v->class_seen_ns < CLASS_EVERY_NS)
		return;
	v->class_seen_ns = now;
	c = anchor_class(v->anchor, &why);
	atomic_store(&v->anchor_class_why, why);
	if ((int)c == atomic_exchange(&v->anchor_class, (int)c))
		return;
	name[0] = (char)c;
	log_event(LOG_ANCHOR_CLASS_CHANGED, LOG_S(CLASS, name), LOG_S(WHY, why));
	/* There the next shred would not be one. */
	bad = c == ANCHOR_CLASS_D && !v->force_class_d;
	if (bad)
		log_event(LOG_READ_ONLY, LOG_S(WHY, "the anchor came to lie on class D"));
	vault_trouble(v, VAULT_CLASS_D, bad);
}
