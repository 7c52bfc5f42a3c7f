/*
 * What nng frees is wiped. nng owns a message from the moment it is sent, and frees its body,
 * and the buffers of its streams, as they are: answers and requests with personal data would
 * lie on the heap until something else is put there. The linker gives nng __wrap_nni_free for
 * its own nni_free (ld --wrap; the archive is linked for this and for orphan.h).
 */
#ifndef TRANSPORT_LEFTOVER_H
#define TRANSPORT_LEFTOVER_H

#include <stdbool.h>

/*
 * leftover_linked():
 * Was the program linked so? engine_register refuses to run otherwise. Any thread.
 */
bool leftover_linked(void) __attribute__((warn_unused_result));

#endif /* TRANSPORT_LEFTOVER_H */
