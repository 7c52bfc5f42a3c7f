#include <stdbool.h>
#include <string.h>

#include "client/epochs.h"

void
epochs_mark(const struct epochs *e, struct epochs_mark *out)
{
	out->count = e->count;
	memcpy(out->at, e->at, e->count * sizeof(e->at[0]));
}

static bool
below(struct epochs_at a, struct epochs_at b)
{
	return a.incarnation < b.incarnation || (a.incarnation == b.incarnation && a.epoch < b.epoch);
}

enum epochs_verdict
epochs_note(struct epochs *e, const struct epochs_mark *mark,
    const uint8_t vault[static PDV_ID_LEN], struct epochs_at at)
{
	unsigned i;

	for (i = 0; i < e->count; i++) {
		if (memcmp(e->vault[i], vault, PDV_ID_LEN) == 0)
			break;
	}
	if (i == EPOCHS_MAX)
		return EPOCHS_TOO_MANY;
	if (i < mark->count && below(at, mark->at[i]))
		return EPOCHS_ROLLED_BACK;
	if (i == e->count) {
		memcpy(e->vault[i], vault, PDV_ID_LEN);
		e->at[i] = at;
		e->count++;
	} else if (below(e->at[i], at)) {
		e->at[i] = at;
	}
	return EPOCHS_FINE;
}
