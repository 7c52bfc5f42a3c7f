#include "server/rotate/step.h"
#include "server/store/signer.h"

enum status
step_signing(struct step *s)
{
	enum status rc = signer_rotate(s->ws);

	if (rc == STATUS_OK)
		rc = writeset_merge(s->ws);
	writeset_reset(s->ws);
	s->job->done += rc == STATUS_OK;
	s->ended = rc == STATUS_OK;
	return rc;
}
