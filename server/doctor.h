/*
 * What is wrong with this machine and with this vault, as `pdvaultd doctor` tells it: one table of checks,
 * each of which says one line or more. It runs beside the server as well as without it, as the vault's user
 * or root, and changes nothing. Files of the anchor and key files are never opened, since to the server
 * whoever else opens the anchor is an intruder: they are looked at by their names, and their folders by a
 * file that has none. The judgements are in doctor_judge.h.
 */
#ifndef SERVER_DOCTOR_H
#define SERVER_DOCTOR_H

#include <stdbool.h>

#include "server/config.h"
#include "server/status.h"

/*
 * doctor_run(c, path, force_class_d): all checks of the vault that ${c}, read from ${path}, describes, to
 * standard output. On a terminal for people; else a line each of level, check, what was found and what mends
 * it, with a tab between them (docs/OPERATIONS.md). STATUS_CONFIG: one of them is FAIL. The process's only
 * thread.
 */
enum status doctor_run(const struct config *c, const char *path, bool force_class_d) MUST_USE;

#endif /* SERVER_DOCTOR_H */
