/*
 * Which program this is, and since when it runs.
 */
#ifndef SERVER_VERSION_H
#define SERVER_VERSION_H

#include <stdint.h>

#define VERSION_TEXT PDV_VERSION	/* from the build */

/* CLOCK_MONOTONIC when this was first called; main calls it first. Any thread after that. */
uint64_t version_start_ns(void);

#endif /* SERVER_VERSION_H */
