/*
 * What is stored does not open, or does not fit together: counted each time, and said in the
 * log at most once a second, since whoever damaged a row can have it read as often as they like.
 */
#ifndef SERVER_STORE_DAMAGE_H
#define SERVER_STORE_DAMAGE_H

#include "server/status.h"

/*
 * Gives ${rc} back, after it was counted and logged if it is STATUS_FORGED or STATUS_CORRUPT. ${what}
 * is static and names the kind of thing, never whose. Called once, at the place that knows it. Any thread.
 */
enum status damage_judged(enum status rc, const char *what) MUST_USE;

#endif /* SERVER_STORE_DAMAGE_H */
