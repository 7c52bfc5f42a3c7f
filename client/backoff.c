#include "client/backoff.h"
#include "pdvault/pdvault.h"

uint32_t
backoff_ms(uint32_t tries, uint32_t hint, uint32_t dice)
{
	uint64_t top = PDV_BACKOFF_MAX_MS;
	uint64_t pause;

	if (tries < 16 && ((uint64_t)PDV_BACKOFF_MIN_MS << tries) < top)
		top = (uint64_t)PDV_BACKOFF_MIN_MS << tries;
	pause = dice % (top + 1) + hint;
	if (pause > PDV_DEADLINE_MAX_MS)
		return PDV_DEADLINE_MAX_MS;
	return pause == 0 ? 1 : (uint32_t)pause;
}
