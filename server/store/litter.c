#include "server/store/litter.h"

#include "server/store/overlay.h"
#include "server/store/writeset_internal.h"

#define SLOT_LEN 8u

enum status
litter_drop(struct writeset *ws, const uint8_t slot[static 8])
{
	static const uint8_t zero[1];
	struct bytes prefix = bytes_of(slot, SLOT_LEN);
	bool left;
	enum status rc;

	rc = writeset_delete_some(ws, STORE_TRANSACTIONS, prefix, LITTER_AT_ONCE, &left);
	if (rc != STATUS_OK || !left)
		return rc;
	return writeset_put(ws, STORE_LITTER, prefix, bytes_of(zero, sizeof(zero)));
}

enum status
litter_sweep(struct writeset *ws, unsigned most, bool *deleted)
{
	struct bytes slot, value;
	uint8_t prefix[SLOT_LEN];
	bool left;
	enum status rc;

	*deleted = false;
	rc = store_seek(overlay_snapshot(ws->overlay), STORE_LITTER, bytes_of(NULL, 0), &slot, &value);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_OK : rc;
	if (slot.len != SLOT_LEN)
		return STATUS_CORRUPT;
	memcpy(prefix, slot.p, SLOT_LEN);
	rc = writeset_delete_some(ws, STORE_TRANSACTIONS, bytes_of(prefix, SLOT_LEN), most, &left);
	if (rc == STATUS_OK && !left)
		rc = writeset_delete(ws, STORE_LITTER, bytes_of(prefix, SLOT_LEN));
	*deleted = rc == STATUS_OK;
	return rc;
}
