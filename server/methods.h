/*
 * The table of all methods, sorted by name.
 */
#ifndef SERVER_METHODS_H
#define SERVER_METHODS_H

#include "server/rpc/call.h"

/* The place of a method in the table is its label in metrics and access. Static. */
const struct method *methods_table(unsigned *count);

#endif /* SERVER_METHODS_H */
