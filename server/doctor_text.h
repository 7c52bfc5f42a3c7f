/*
 * Small files of the kernel's under /proc and /sys. Any thread.
 */
#ifndef SERVER_DOCTOR_TEXT_H
#define SERVER_DOCTOR_TEXT_H

#include "server/must.h"

#define DOCTOR_TEXT_FILE (256u << 10)	/* bytes that are read, with the NUL */

/* The beginning of a file without its last line end, for free(); "" if there is none. NULL: no memory. */
char *doctor_text(const char *path) MUST_USE;

#endif /* SERVER_DOCTOR_TEXT_H */
