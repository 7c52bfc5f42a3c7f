/*
 * The process in which the library lives: nng does not survive a fork.
 */
#ifndef CLIENT_HOME_H
#define CLIENT_HOME_H

#include "pdvault/pdvault.h"

/*
 * home_enter(why):
 * Start what the library stands on, once. PDV_FAILED_PRECONDITION: a parent process has done it, or nng is not
 * of version 1.5; ${why} says so. Any thread.
 */
enum pdv_code home_enter(char why[static PDV_WHY_LEN]) __attribute__((warn_unused_result));

#endif /* CLIENT_HOME_H */
