/*
 * What a process can give up by itself, without a policy of the machine.
 */
#ifndef SERVER_HARDEN_H
#define SERVER_HARDEN_H

#include <stdint.h>

#include "server/status.h"

/*
 * harden_process():
 * File descriptors 0 to 2 are open, no file of ours is readable by others (umask 077), no
 * core dumps, not dumpable (so not traceable by the same user, and /proc/self belongs to
 * root), no new privileges through exec. Before any thread and any file. STATUS_REFUSED: the
 * kernel refused; the log says what.
 */
enum status harden_process(void) MUST_USE;

/*
 * harden_limits(descriptors):
 * Raises the soft limits of open files, to at least ${descriptors}, and of locked memory as
 * far as the hard ones allow. STATUS_REFUSED: the hard limit of open files is below; the log
 * says how many are needed. (Whether memory can be locked, secret_init finds out.)
 */
enum status harden_limits(uint64_t descriptors) MUST_USE;

#endif /* SERVER_HARDEN_H */
