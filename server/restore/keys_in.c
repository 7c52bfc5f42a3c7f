#include "server/restore/keys_in.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <limits.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/store/backup.h"
#include "server/store/mark.h"
#include "server/store/moving.h"
#include "server/store/recover.h"
#include "server/store/vault_internal.h"

/* The parts of what is sealed for the recovery key. */
enum { OFF_VAULT = SEAL_KEY_LEN, OFF_BACKUP = OFF_VAULT + VAULT_ID_LEN,
	OFF_EPOCH = OFF_BACKUP + KEY_BACKUP_ID_LEN, OFF_EXPIRES = OFF_EPOCH + 8 };

static enum status
refuse(const char *path, const char *what)
{
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, what));
	return STATUS_REFUSED;
}

static enum status
read_sealed(const char *folder, uint8_t out[static BACKUP_SEALED_ROOT_LEN])
{
	char path[PATH_MAX];
	uint8_t more;
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/root.sealed", folder) >= (int)sizeof(path))
		return STATUS_CONFIG;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
		return refuse(path, "the sealed root key is not there: this backup of keys was destroyed");
	n = read(fd, out, BACKUP_SEALED_ROOT_LEN);
	if (n != (ssize_t)BACKUP_SEALED_ROOT_LEN || read(fd, &more, 1) != 0)
		n = -1;
	(void)close(fd);
	return n < 0 ? refuse(path, "is not a sealed root key") : STATUS_OK;
}

static enum status
judge_sealed(const char *folder, const uint8_t *plain, const Pdvault__V1__BackupHead *h)
{
	if (memcmp(plain + OFF_VAULT, h->vault.data, VAULT_ID_LEN) != 0 ||
	    memcmp(plain + OFF_BACKUP, h->backup.data, KEY_BACKUP_ID_LEN) != 0 ||
	    bytes_get64(plain + OFF_EPOCH) != h->epoch)
		return refuse(folder, "the sealed root key is of another backup");
	if ((int64_t)bytes_get64(plain + OFF_EXPIRES) <= clock_wall_ms())
		return refuse(folder, "this backup of keys has expired");
	return STATUS_OK;
}

static void
say_other_key(const char *folder, const uint8_t *given, const uint8_t *wanted)
{
	char hex[2][2 * SEAL_RECOVERY_KEY_LEN + 1], why[2 * sizeof(hex[0]) + 64];

	(void)snprintf(why, sizeof(why), "it is sealed for %s, and this is %s",
	    sodium_bin2hex(hex[0], sizeof(hex[0]), wanted, SEAL_RECOVERY_KEY_LEN),
	    sodium_bin2hex(hex[1], sizeof(hex[1]), given, SEAL_RECOVERY_KEY_LEN));
	log_event(LOG_FATAL, LOG_S(PATH, folder), LOG_S(WHAT, "this recovery secret does not open it"),
	    LOG_S(WHY, why));
}

/* The root key, out of the file next to the backup. */
static enum status
unseal(const struct restore_options *o, const Pdvault__V1__BackupHead *h, struct key *out)
{
	struct recovery_pair *pair = secret_alloc(sizeof(*pair));
	uint8_t *plain = secret_alloc(BACKUP_ROOT_LEN), box[BACKUP_SEALED_ROOT_LEN];
	struct backup_fault f;
	enum status rc = STATUS_NO_MEMORY;

	if (pair == NULL || plain == NULL || (rc = read_sealed(o->keys, box)) != STATUS_OK)
		goto out;
	if (recovery_read(o->recovery.path, o->recovery.count, pair, &f) != BACKUP_OK) {
		rc = STATUS_REFUSED;
		log_event(LOG_FATAL, LOG_S(WHAT, "no recovery secret"), LOG_S(WHY, f.text));
		goto out;
	}
	if (memcmp(pair->public, h->recovery_key.data, sizeof(pair->public)) != 0) {
		rc = STATUS_REFUSED;
		say_other_key(o->keys, pair->public, h->recovery_key.data);
		goto out;
	}
	if (seal_recover(pair->public, pair->secret, bytes_of(box, sizeof(box)), plain) != STATUS_OK) {
		rc = refuse(o->keys, "its sealed root key is damaged, or was destroyed");
		goto out;
	}
	if ((rc = judge_sealed(o->keys, plain, h)) == STATUS_OK)
		memcpy(out->b, plain, SEAL_KEY_LEN);
out:
	secret_free(pair, sizeof(*pair));
	secret_free(plain, BACKUP_ROOT_LEN);
	return rc;
}

static enum status
open_backup(const struct restore_options *o, struct keys_in *k)
{
	const Pdvault__V1__BackupHead *h;
	enum status rc;

	if ((rc = input_backup(&o->keys, 1, PDVAULT__V1__BACKUP_KIND__KEYS, &k->input)) != STATUS_OK)
		return rc;
	h = input_head(k->input);
	if (h->root_page.len != ROOT_BOX_LEN || h->recovery_key.len != SEAL_RECOVERY_KEY_LEN ||
	    h->store_format != VAULT_FORMAT || h->resurrections.len > sizeof(k->resurrection))
		return refuse(o->keys, "a backup of keys of another format");
	if ((rc = unseal(o, h, &k->root->self)) != STATUS_OK)
		return rc;
	if (root_open(&k->root->self, h->vault.data, h->epoch, bytes_of(h->root_page.data, h->root_page.len),
	    k->root) != STATUS_OK)
		return refuse(o->keys, "its root page does not open");
	memcpy(k->vault, h->vault.data, VAULT_ID_LEN);
	root_publish(k->root);
	memcpy(k->public, k->root->public_key, sizeof(k->public));
	if (memcmp(k->public, h->signing_key.data, SEAL_PUBLIC_LEN) != 0)
		return refuse(o->keys, "it is signed with a key that is not the vault's");
	k->number = (uint16_t)h->vault_number;
	k->country_code = (uint16_t)h->country_code;
	k->incarnation = h->incarnation;
	k->next_transaction = h->next_transaction;
	k->ledger.count = h->ledger_entries;
	memcpy(k->ledger.hash, h->ledger_head.data, SEAL_DIGEST_LEN);
	if ((k->resurrection_len = h->resurrections.len) > 0)
		memcpy(k->resurrection, h->resurrections.data, k->resurrection_len);
	return STATUS_OK;
}

/* What the store says of itself that no key guards. */
static enum status
read_living(struct keys_in *k)
{
	struct stream *s = NULL;
	struct bytes value;
	enum status rc;

	if ((rc = stream_new(k->input, STORE_META, &s)) != STATUS_OK)
		return rc;
	if (stream_get(s, META_KEY(META_SEQUENCE), &value) == STATUS_OK && value.len == 8)
		k->next_transaction = bytes_get64(value.p);
	if (stream_get(s, META_KEY(META_LEDGER), &value) == STATUS_OK && value.len == LEDGER_HEAD_LEN) {
		k->ledger.count = bytes_get64(value.p);
		memcpy(k->ledger.hash, value.p + 8, SEAL_DIGEST_LEN);
	}
	rc = stream_get(s, META_KEY(META_RESURRECTED), &value);
	if (rc == STATUS_OK && value.len <= sizeof(k->resurrection)) {
		memcpy(k->resurrection, value.p, value.len);
		k->resurrection_len = value.len;
	}
	stream_free(s);
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static enum status
open_living(const struct restore_options *o, struct keys_in *k)
{
	struct vault_options vo = *o->vault;
	struct recover_facts f;
	bool moving;
	enum status rc;

	vo.store_path = o->living;
	if ((rc = moving_stands(o->living, &moving)) != STATUS_OK)
		return rc;
	if (moving)
		return refuse(o->living, "anchor move is not through");
	if ((rc = vault_open_parts(&vo, false, &k->living)) != STATUS_OK ||
	    (rc = recover_look(k->living, false, &f, k->root)) != STATUS_OK)
		return rc;
	if (recover_decide(&f) != RECOVER_SERVE || f.unreadable)
		return refuse(o->living,
		    "the anchor and the key file do not open it: only a backup of keys helps");
	memcpy(k->vault, k->living->id, VAULT_ID_LEN);
	root_publish(k->root);
	memcpy(k->public, k->root->public_key, sizeof(k->public));
	k->number = k->living->number;
	k->country_code = k->living->country_code;
	k->incarnation = k->living->incarnation;
	if ((rc = input_vault(k->living, &k->input)) != STATUS_OK)
		return rc;
	return read_living(k);
}

enum status
keys_in_open(const struct restore_options *o, struct keys_in *out)
{
	memset(out, 0, sizeof(*out));
	if ((out->root = secret_alloc(sizeof(*out->root))) == NULL)
		return STATUS_NO_MEMORY;
	return o->keys != NULL ? open_backup(o, out) : open_living(o, out);
}

void
keys_in_close(struct keys_in *k)
{
	input_free(k->input);
	secret_free(k->root, sizeof(*k->root));
	vault_close(k->living);
	memset(k, 0, sizeof(*k));
}
