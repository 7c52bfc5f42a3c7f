#include "tally.h"

#include "must.h"

bool
tally_room(const struct tally *t)
{
	return t->next - t->mark < TALLY_WINDOW;
}

uint64_t
tally_begin(struct tally *t)
{
	must(tally_room(t));
	t->ring[t->next % TALLY_WINDOW] = TALLY_OPEN;
	return t->next++;
}

void
tally_end(struct tally *t, uint64_t number, enum tally_outcome outcome)
{
	uint8_t *at = &t->ring[number % TALLY_WINDOW];

	must(number >= t->mark && number < t->next && *at == TALLY_OPEN);
	must(outcome > TALLY_OPEN && outcome < TALLY_OUTCOMES);
	*at = (uint8_t)outcome;
	t->early[outcome]++;
	for (; t->mark < t->next; t->mark++) {
		at = &t->ring[t->mark % TALLY_WINDOW];
		if (*at == TALLY_OPEN)
			break;
		t->early[*at]--;
		t->counts[*at]++;
	}
}

uint64_t
tally_count(const struct tally *t, enum tally_outcome outcome)
{
	return t->counts[outcome] + t->early[outcome];
}
