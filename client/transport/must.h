/*
 * must(cond): our own bug if not true: aborts, in every build. For the rooms that serve
 * both ends and so cannot use the server's.
 */
#ifndef TRANSPORT_MUST_H
#define TRANSPORT_MUST_H

#include <stdlib.h>

#define must(cond) ((cond) ? (void)0 : abort())

#endif /* TRANSPORT_MUST_H */
