/*
 * Which program this is, and since when it runs.
 */
#ifndef SERVER_VERSION_H
#define SERVER_VERSION_H

#include <stdint.h>

#ifndef PDVAULT_VERSION
#define PDVAULT_VERSION "unversioned"	/* the build says which */
#endif
#define VERSION_TEXT PDVAULT_VERSION

/* CLOCK_MONOTONIC when this was first called; main calls it first. Any thread after that. */
uint64_t version_start_ns(void);

#endif /* SERVER_VERSION_H */
