/*
 * The verbs of pdvaultd that do not serve.
 */
#ifndef SERVER_INIT_H
#define SERVER_INIT_H

#include <stdbool.h>

#include "server/config.h"
#include "server/status.h"

/* A new vault where ${c} says; the log says what went wrong. Single thread. */
enum status init_vault(const struct config *c, bool force_class_d) MUST_USE;

/*
 * Whether a server could start with ${c}: principals, certificates, files and their modes,
 * class of the anchor. What is found goes to standard output, a line each. Only
 * reads and locks nothing, so it may run beside the server. STATUS_CONFIG: it could not.
 */
enum status init_check(const struct config *c, bool force_class_d) MUST_USE;

#endif /* SERVER_INIT_H */
