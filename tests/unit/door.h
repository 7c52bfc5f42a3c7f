/*
 * Holds nng up in the middle of closing a connection: what sends on it is closed, and it is still known. For a
 * test that is linked with --wrap=nni_aio_close and --wrap=nni_pipe_close.
 */
#ifndef TESTS_UNIT_DOOR_H
#define TESTS_UNIT_DOOR_H

/* The next connection that nng closes waits there for door_let_go(). */
void door_hold(void);

/* Until one waits. */
void door_wait(void);

void door_let_go(void);

#endif /* TESTS_UNIT_DOOR_H */
