#include <string.h>

#include "client/epochs.h"

void
epochs_mark(const struct epochs *e, struct epochs_mark *out)
{
	out->count = e->count;
	memcpy(out->epoch, e->epoch, e->count * sizeof(e->epoch[0]));
}

enum epochs_verdict
epochs_note(struct epochs *e, const struct epochs_mark *mark,
    const uint8_t vault[static PDV_ID_LEN], uint64_t epoch)
{
	unsigned i;

	for (i = 0; i < e->count; i++) {
		if (memcmp(e->vault[i], vault, PDV_ID_LEN) == 0)
			break;
	}
	if (i == EPOCHS_MAX)
		return EPOCHS_TOO_MANY;
	if (i < mark->count && epoch < mark->epoch[i])
		return EPOCHS_ROLLED_BACK;
	if (i == e->count) {
		memcpy(e->vault[i], vault, PDV_ID_LEN);
		e->epoch[i] = epoch;
		e->count++;
	} else if (epoch > e->epoch[i]) {
		e->epoch[i] = epoch;
	}
	return EPOCHS_FINE;
}
