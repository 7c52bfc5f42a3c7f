/*
 * What doctor makes of a vault's own words: each judgement depends on its arguments alone.
 */
#ifndef CLI_DOCTOR_STATUS_H
#define CLI_DOCTOR_STATUS_H

#include "findings.h"
#include "pdvault/pdvault.h"

enum { DOCTOR_STATUS_SOON_DAYS = 14 };	/* before a certificate ends */

/*
 * doctor_status_judge(s, settled, now, l):
 * A line for each thing that GetStatus tells. ${settled}: the epoch that was settled a little later, when
 * the switch of s->epoch had its time; ${now}: seconds since 1970.
 */
void doctor_status_judge(const struct pdv_status *s, uint64_t settled, int64_t now, struct findings *l);

/* doctor_status_term(path, ends, now, l): the tool's own certificate. */
void doctor_status_term(const char *path, int64_t ends, int64_t now, struct findings *l);

#endif /* CLI_DOCTOR_STATUS_H */
