/*
 * must(cond):
 * Our own bug otherwise: stop here, in every build. For what the world or an input can
 * cause there is struct failure.
 */
#ifndef CLI_MUST_H
#define CLI_MUST_H

#include <stdlib.h>

#define must(cond) ((cond) ? (void)0 : abort())

#endif /* CLI_MUST_H */
