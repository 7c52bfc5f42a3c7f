/*
 * SPIFFE ids: the names of principals.
 * Source: The SPIFFE Identity and Verifiable Identity Document, section 2.
 */
#ifndef TRANSPORT_SPIFFE_H
#define TRANSPORT_SPIFFE_H

#include <stdbool.h>
#include <stddef.h>

#define SPIFFE_MAX 255			/* bytes, without the NUL */

/*
 * spiffe_ok(s, len):
 * Are the ${len} bytes at ${s} the SPIFFE id of a workload, in the one spelling that is
 * allowed? "spiffe://", a trust domain of a-z 0-9 . - _, then one or more segments, each
 * "/" and one or more of a-z A-Z 0-9 . - _, none of them "." or "..". So there is no user,
 * port, query, fragment, escape or ending slash. At most SPIFFE_MAX bytes. Pure.
 */
bool spiffe_ok(const char *s, size_t len);

#endif /* TRANSPORT_SPIFFE_H */
