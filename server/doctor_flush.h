/*
 * How long a flush takes in a folder: 4 KiB written in place and flushed, again and again, in a file that
 * loses its name as soon as it is made. Any thread.
 */
#ifndef SERVER_DOCTOR_FLUSH_H
#define SERVER_DOCTOR_FLUSH_H

#include <stdint.h>

#include "server/must.h"

#define DOCTOR_FLUSH_ROUNDS 64u
#define DOCTOR_FLUSH_LIMIT_NS UINT64_C(2000000000)	/* no further round begins after that */

struct doctor_flush {
	uint64_t median_ns;
	unsigned rounds;
};

/* doctor_flush_measure(folder, out): 0, or the errno of what failed there; nothing is left in either case. */
int doctor_flush_measure(const char *folder, struct doctor_flush *out) MUST_USE;

/* The median of ${n} > 0 times, which it sorts; of an even number the upper one. */
uint64_t doctor_flush_median(uint64_t *ns, unsigned n);

#endif /* SERVER_DOCTOR_FLUSH_H */
