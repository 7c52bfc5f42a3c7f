/*
 * A restored vault, looked at: as many rows as there should be, and a sample of its people with everything they
 * have. One thread.
 */
#ifndef SERVER_RESTORE_LOOK_H
#define SERVER_RESTORE_LOOK_H

#include "server/restore/drill.h"

/*
 * look_at(v, stop, report): report->restored says what should be there; what was looked at is added. ${stop}:
 * as in restore_options. STATUS_CORRUPT: it is not as it should be, the log says what; STATUS_REFUSED: it was
 * stopped; STATUS_IO, STATUS_NO_MEMORY.
 */
enum status look_at(struct vault *v, const volatile sig_atomic_t *stop, struct drill_report *report) MUST_USE;

#endif /* SERVER_RESTORE_LOOK_H */
