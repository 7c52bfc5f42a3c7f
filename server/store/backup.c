#include "server/store/backup.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "client/backup/rows.h"
#include "server/clock.h"
#include "server/keys/node.h"
#include "server/store/vault_internal.h"

#define FINISHED_MS 5000u	/* how long a session that is finished can be asked again */
#define COMPARE_MAX (64u << 20)	/* bytes of rows that one call compares */
_Static_assert(SEAL_DIGEST_LEN == BACKUP_DIGEST_LEN, "one digest");

struct session {
	pthread_mutex_t lock;		/* held while it is used */
	struct store_snapshot *snapshot;
	bool used, finished;
	uint64_t used_ms;		/* monotonic: of the last use */
	struct backup_begun begun;
};

struct backup_sessions {
	struct session session[BACKUP_SESSIONS_MAX];
};

struct kind {
	enum store_table table[BACKUP_TABLES_MAX];
	unsigned tables;
};

static const struct kind kinds[2] = {
	{ { STORE_RECORDS, STORE_TRANSACTIONS, STORE_BACKUPS }, 3 },
	{ { STORE_NODES, STORE_KEYRINGS, STORE_BACKUPS }, 3 },
};

#define TABLE_NAME(name, text, grows) text,
static const char *const names[STORE_TABLE_COUNT] = { STORE_TABLES(TABLE_NAME) };
#undef TABLE_NAME

#ifdef PDV_TEST_HOOKS
static _Atomic uint64_t lease_ms = BACKUP_LEASE_MS;

void
backup_test_lease(uint64_t ms)
{
	lease_ms = ms;
}
#else
static const uint64_t lease_ms = BACKUP_LEASE_MS;
#endif

static uint64_t
now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static bool
is_over(const struct session *s, uint64_t now)
{
	return s->used && now - s->used_ms > (s->finished ? FINISHED_MS : lease_ms);
}

static void
end(struct session *s)
{
	store_snapshot_free(s->snapshot);
	s->snapshot = NULL;
	s->used = s->finished = false;
	memset(&s->begun, 0, sizeof(s->begun));
}

/* All sessions there may be, made with the first; under the readers' lock. */
static struct backup_sessions *
sessions_of(struct vault *v)
{
	struct backup_sessions *all;

	must(pthread_mutex_lock(&v->readers_lock) == 0);
	if (v->backups == NULL && (v->backups = calloc(1, sizeof(*v->backups))) != NULL)
		for (unsigned i = 0; i < BACKUP_SESSIONS_MAX; i++)
			must(pthread_mutex_init(&v->backups->session[i].lock, NULL) == 0);
	all = v->backups;
	must(pthread_mutex_unlock(&v->readers_lock) == 0);
	return all;
}

/* A free one, locked; or, rather than none, one that is finished. */
static enum status
take_free(struct vault *v, struct session **out)
{
	struct backup_sessions *all = sessions_of(v);

	if (all == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < 2 * BACKUP_SESSIONS_MAX; i++) {
		struct session *s = &all->session[i % BACKUP_SESSIONS_MAX];

		if (pthread_mutex_trylock(&s->lock) != 0)
			continue;
		if (is_over(s, now_ms()) || (s->finished && i >= BACKUP_SESSIONS_MAX))
			end(s);
		if (!s->used) {
			*out = s;
			return STATUS_OK;
		}
		must(pthread_mutex_unlock(&s->lock) == 0);
	}
	return STATUS_BUSY;
}

/* The session of that id, locked, and used now. */
static enum status
take(struct vault *v, const uint8_t *id, struct session **out)
{
	struct backup_sessions *all = sessions_of(v);
	enum status rc = STATUS_NO_SESSION;

	for (unsigned i = 0; all != NULL && i < BACKUP_SESSIONS_MAX; i++) {
		struct session *s = &all->session[i];

		if (pthread_mutex_trylock(&s->lock) != 0) {
			rc = STATUS_BUSY;	/* perhaps it is this one */
			continue;
		}
		if (s->used && !is_over(s, now_ms()) && sodium_memcmp(s->begun.session.b, id,
		    sizeof(s->begun.session.b)) == 0) {
			s->used_ms = now_ms();
			*out = s;
			return STATUS_OK;
		}
		must(pthread_mutex_unlock(&s->lock) == 0);
	}
	return rc;
}

static enum status
describe(struct session *s, const struct kind *k)
{
	struct backup_begun *b = &s->begun;
	struct bytes value;
	enum status rc = ledger_head(s->snapshot, &b->ledger);

	for (unsigned i = 0; i < k->tables && rc == STATUS_OK; i++) {
		b->table[i].name = names[k->table[i]];
		rc = store_count(s->snapshot, k->table[i], &b->table[i].rows);
	}
	b->tables = k->tables;
	if (rc != STATUS_OK)
		return rc;
	rc = store_get(s->snapshot, STORE_META, META_KEY(META_SEQUENCE), &value);
	if (rc != STATUS_OK || value.len != 8)
		return rc == STATUS_OK || rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	b->next_transaction = bytes_get64(value.p);
	return STATUS_OK;
}

/* The one way out for a key: the root key of the snapshot, for who has the recovery secret. */
static enum status
seal_root(const struct vault *v, const struct root *root, struct backup_begun *b)
{
	uint8_t plain[BACKUP_ROOT_LEN], *p = plain;
	enum status rc;

	memcpy(p, root->self.b, SEAL_KEY_LEN);
	memcpy(p += SEAL_KEY_LEN, v->id, VAULT_ID_LEN);
	memcpy(p += VAULT_ID_LEN, b->backup.b, KEY_BACKUP_ID_LEN);
	bytes_put64(p += KEY_BACKUP_ID_LEN, b->epoch);
	bytes_put64(p + 8, (uint64_t)b->row.expires_ms);
	rc = seal_for_recovery(b->row.recovery_key, bytes_of(plain, sizeof(plain)), b->sealed_root);
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

static enum status
begin_keys(struct vault *v, struct session *s, const uint8_t *id)
{
	struct backup_begun *b = &s->begun;
	const struct root *root = epoch_root(v->epochs, b->epoch);
	uint8_t key[SEAL_RECOVERY_KEY_LEN];
	struct bytes row, page;
	enum status rc;

	rc = store_get(s->snapshot, STORE_BACKUPS, bytes_of(id, KEY_BACKUP_ID_LEN), &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_KEY_BACKUP : rc;
	if ((rc = key_backup_decode(bytes_of(id, KEY_BACKUP_ID_LEN), row, &b->row)) != STATUS_OK)
		return rc;
	if (!key_backup_is_open(&b->row, b->time_ms) || b->row.slots != KEY_BACKUP_ALL_SLOTS)
		return STATUS_KEY_BACKUP_CLOSED;
	/* Nobody signed the row, and a key that was given up must not get more: the configuration decides. */
	if (!vault_recovery_key(v, key) || memcmp(key, b->row.recovery_key, sizeof(key)) != 0)
		return STATUS_KEY_BACKUP_CLOSED;
	rc = store_get(s->snapshot, STORE_META, META_KEY(META_ROOT), &page);
	if (rc != STATUS_OK || page.len != ROOT_BOX_LEN || root == NULL)
		return rc == STATUS_OK || rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	memcpy(b->root_page, page.p, ROOT_BOX_LEN);
	memcpy(b->backup.b, id, KEY_BACKUP_ID_LEN);
	b->keys = true;
	b->slots = root->next_slot;
	return seal_root(v, root, b);
}

/* Under a pin, so that the root of the snapshot's epoch is there. */
static enum status
begin(struct vault *v, struct session *s, const uint8_t *keys)
{
	struct backup_begun *b = &s->begun;
	uint8_t commitment[SEAL_DIGEST_LEN];
	const struct root *root;
	enum status rc;

	if ((rc = store_snapshot_new(v->store, &s->snapshot)) != STATUS_OK ||
	    (rc = store_snapshot_begin(s->snapshot)) != STATUS_OK ||
	    (rc = vault_snapshot_epoch(s->snapshot, &b->epoch, commitment)) != STATUS_OK)
		return rc;
	if ((root = epoch_root(v->epochs, b->epoch)) == NULL)
		return STATUS_CORRUPT;
	memcpy(b->signing_key, root->public_key, sizeof(b->signing_key));
	b->time_ms = clock_wall_ms();
	randombytes_buf(b->session.b, sizeof(b->session.b));
	randombytes_buf(b->backup.b, sizeof(b->backup.b));
	if (keys != NULL && (rc = begin_keys(v, s, keys)) != STATUS_OK)
		return rc;
	return describe(s, &kinds[keys != NULL]);
}

enum status
backup_begin(struct vault *v, const uint8_t *keys, struct backup_begun *out)
{
	struct session *s = NULL;
	struct reader *rd = NULL;
	enum status rc;

	if ((rc = take_free(v, &s)) != STATUS_OK)
		return rc;
	if ((rc = reader_begin(v, &rd)) == STATUS_OK) {
		rc = begin(v, s, keys);
		reader_end(rd);
	}
	if (rc == STATUS_OK) {
		s->used = true;
		s->used_ms = now_ms();
		*out = s->begun;
	} else {
		end(s);
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}

static bool
table_of(const struct backup_begun *b, const char *name, enum store_table *out)
{
	const struct kind *k = &kinds[b->keys];

	for (unsigned i = 0; i < k->tables; i++)
		if (strcmp(names[k->table[i]], name) == 0) {
			*out = k->table[i];
			return true;
		}
	return false;
}

/* A walk over a range, row by row. */
struct walk {
	struct store_snapshot *snapshot;
	enum store_table table;
	struct bytes to;
	uint8_t from[STORE_KEY_MAX + 1];
	size_t from_len;
};

/* STATUS_ABSENT: the range is at its end. */
static enum status
walk_next(struct walk *w, struct backup_row *out)
{
	struct bytes key, value;
	enum status rc = store_seek(w->snapshot, w->table, bytes_of(w->from, w->from_len), &key, &value);

	if (rc != STATUS_OK)
		return rc;
	if (key.len > STORE_KEY_MAX)
		return STATUS_CORRUPT;
	/* Of the nodes those of tree S alone: a restore makes the look-ups anew. */
	if ((w->to.len > 0 && bytes_compare(key, w->to) >= 0) ||
	    (w->table == STORE_NODES && key.p[0] >= NODE_B))
		return STATUS_ABSENT;
	*out = (struct backup_row){ .key = key.p, .key_len = key.len, .value = value.p,
		.value_len = value.len };
	memcpy(w->from, key.p, key.len);
	w->from[key.len] = 0;		/* with a zero byte behind it: the next key */
	w->from_len = key.len + 1;
	return STATUS_OK;
}

static enum status
compare(struct walk *w, const uint8_t *digest, struct backup_got *got)
{
	struct seal_digest_state state;
	uint8_t head[BACKUP_ROW_HEAD + STORE_KEY_MAX], now[SEAL_DIGEST_LEN];
	struct backup_row row;
	size_t seen = 0;
	enum status rc;

	seal_digest_begin(&state);
	while ((rc = walk_next(w, &row)) == STATUS_OK) {
		if ((seen += backup_row_len(&row)) > COMPARE_MAX)
			return STATUS_OK;	/* no range is made so long: it has grown */
		backup_row_put_head(&row, head);
		seal_digest_add(&state, bytes_of(head, BACKUP_ROW_HEAD + row.key_len));
		seal_digest_add(&state, bytes_of(row.value, row.value_len));
	}
	seal_digest_end(&state, now);
	got->same = rc == STATUS_ABSENT && memcmp(now, digest, sizeof(now)) == 0;
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static enum status
copy(struct walk *w, uint8_t *out, size_t room, struct backup_got *got)
{
	struct backup_row row;
	enum status rc;

	while ((rc = walk_next(w, &row)) == STATUS_OK) {
		if (backup_row_len(&row) > room - got->len) {
			got->next_len = row.key_len;
			memcpy(got->next, row.key, row.key_len);
			return got->len > 0 ? STATUS_OK : STATUS_TOO_LARGE;
		}
		got->len = (size_t)(backup_row_put(&row, out + got->len) - out);
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* The row as it is now: from the commit on that destroys it, and from its expiry on, no key of it leaves. */
static enum status
still_open(struct vault *v, const struct backup_begun *b)
{
	struct store_snapshot *now = NULL;
	struct key_backup k;
	struct bytes row, id = bytes_of(b->backup.b, KEY_BACKUP_ID_LEN);
	enum status rc;

	if (!b->keys)
		return STATUS_OK;
	if ((rc = store_snapshot_new(v->store, &now)) == STATUS_OK &&
	    (rc = store_snapshot_begin(now)) == STATUS_OK &&
	    (rc = store_get(now, STORE_BACKUPS, id, &row)) == STATUS_OK &&
	    (rc = key_backup_decode(id, row, &k)) == STATUS_OK && !key_backup_is_open(&k, clock_wall_ms()))
		rc = STATUS_KEY_BACKUP_CLOSED;
	store_snapshot_free(now);
	return rc == STATUS_ABSENT ? STATUS_NO_KEY_BACKUP : rc;
}

enum status
backup_read(struct vault *v, const struct backup_wanted *q, uint8_t *out, size_t room,
    struct backup_got *got)
{
	struct walk w = { .to = q->to, .from_len = q->from.len };
	struct session *s = NULL;
	enum status rc;

	if (q->from.len > STORE_KEY_MAX || q->to.len > STORE_KEY_MAX)
		return STATUS_INVALID;
	if ((rc = take(v, q->session, &s)) != STATUS_OK)
		return rc;
	*got = (struct backup_got){ .len = 0 };
	w.snapshot = s->snapshot;
	if (q->from.len > 0)
		memcpy(w.from, q->from.p, q->from.len);
	if (!table_of(&s->begun, q->table, &w.table))
		rc = STATUS_INVALID;
	else if ((rc = still_open(v, &s->begun)) == STATUS_OK)
		rc = q->digest != NULL ? compare(&w, q->digest, got) : copy(&w, out, room, got);
	s->used_ms = now_ms();
	must(pthread_mutex_unlock(&s->lock) == 0);
	return rc;
}

enum status
backup_finish(struct vault *v, const uint8_t *session, struct backup_begun *out)
{
	struct session *s = NULL;
	enum status rc = take(v, session, &s);

	if (rc != STATUS_OK)
		return rc;
	*out = s->begun;
	s->finished = true;
	must(pthread_mutex_unlock(&s->lock) == 0);
	return STATUS_OK;
}

void
backup_sweep(struct vault *v)
{
	struct backup_sessions *all;

	must(pthread_mutex_lock(&v->readers_lock) == 0);
	all = v->backups;
	must(pthread_mutex_unlock(&v->readers_lock) == 0);
	for (unsigned i = 0; all != NULL && i < BACKUP_SESSIONS_MAX; i++) {
		struct session *s = &all->session[i];

		if (pthread_mutex_trylock(&s->lock) != 0)
			continue;
		if (is_over(s, now_ms()))
			end(s);
		must(pthread_mutex_unlock(&s->lock) == 0);
	}
}

void
backup_free(struct vault *v)
{
	for (unsigned i = 0; v->backups != NULL && i < BACKUP_SESSIONS_MAX; i++) {
		end(&v->backups->session[i]);
		(void)pthread_mutex_destroy(&v->backups->session[i].lock);
	}
	free(v->backups);
	v->backups = NULL;
}
