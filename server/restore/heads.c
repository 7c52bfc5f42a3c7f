#include "server/restore/heads.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"
#include "server/store/vault_internal.h"

void
heads_judge(struct heads *h, const struct ledger_head *head)
{
	if (forget_knows(h->ledger, head))
		return;
	if (!h->old || h->wanted.count <= head->count)
		h->wanted = *head;
	h->old = true;
}

enum status
heads_store(struct heads *h, struct input *in, uint64_t *epoch)
{
	struct ledger_head head = { .count = 0 };
	struct stream *s = NULL;
	struct bytes value;
	enum status rc = stream_new(in, STORE_META, &s);

	if (rc == STATUS_OK && (rc = stream_get(s, META_KEY(META_LEDGER), &value)) == STATUS_OK) {
		if (value.len != LEDGER_HEAD_LEN)
			rc = STATUS_CORRUPT;
		else
			memcpy(head.hash, value.p + 8, SEAL_DIGEST_LEN);
		head.count = rc == STATUS_OK ? bytes_get64(value.p) : 0;
	}
	if (rc == STATUS_OK && (rc = stream_get(s, META_KEY(META_EPOCH), &value)) == STATUS_OK)
		*epoch = value.len == META_EPOCH_LEN ? bytes_get64(value.p) : 0;
	stream_free(s);
	if (rc == STATUS_OK)
		heads_judge(h, &head);
	return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
}

enum status
heads_copy(struct heads *h, const char *path, const struct forget_owner *o,
    const struct resurrections *earlier)
{
	struct ledger_head head;
	struct forget *copy;
	enum status rc;

	if (access(path, F_OK) != 0)
		return STATUS_OK;
	if ((rc = forget_file(path, o, NULL, &copy)) != STATUS_OK) {
		log_event(
		    LOG_RESTORE, LOG_S(PATH, path), LOG_S(WHAT, "this copy of the ledger is passed over"));
		return rc == STATUS_NO_MEMORY ? rc : STATUS_OK;
	}
	forget_head(copy, &head);
	forget_free(copy);
	if (resurrections_gave_up(earlier, &head) || forget_knows(h->ledger, &head))
		return STATUS_OK;
	log_event(LOG_RESTORE, LOG_S(PATH, path), LOG_N(COUNT, head.count),
	    LOG_S(WHAT, "this copy of the ledger has what the ledger that is taken has not"));
	heads_judge(h, &head);
	return STATUS_OK;
}

void
heads_say(const char *what, const struct ledger_head *head)
{
	char hex[2 * SEAL_DIGEST_LEN + 1];

	log_event(LOG_RESTORE, LOG_S(WHAT, what), LOG_N(COUNT, head->count),
	    LOG_S(WHY, sodium_bin2hex(hex, sizeof(hex), head->hash, sizeof(head->hash))));
}
