/*
 * The rules of every field of every message, as one table (validate.c): how many, how long, and of
 * what form. What protoscan.h checks (UTF-8, control characters) is checked before.
 */
#ifndef SERVER_VALIDATE_H
#define SERVER_VALIDATE_H

#include "server/rpc/call.h"

#define VALIDATE_BATCH_MAX 64u
#define VALIDATE_TRANSACTIONS_MAX 100u
#define VALIDATE_DATA_KEYS_MAX 256u
#define VALIDATE_CONTEXT_MAX 256u
#define VALIDATE_PAGE_MAX 200u
#define VALIDATE_PAGE_DEFAULT 50u

/*
 * Walks the request message of the call; every broken rule becomes a violation with the path of
 * the field. STATUS_INVALID if there is one. Any thread.
 */
enum status validate_message(struct call *c) MUST_USE;

#endif /* SERVER_VALIDATE_H */
