/*
 * nng's mutexes spin a little before they sleep. Its threads hold them for a microsecond or two: to sleep and
 * to be woken costs more than that, and most of all when everything comes over one connection, whose stream
 * all threads want. The linker gives nng __wrap_nni_plat_mtx_init for its own (ld --wrap, as in orphan.h).
 * Measured with GetIdentity over one connection, two cores: 11 to 15 of a hundred more.
 */
#ifndef TRANSPORT_SPIN_H
#define TRANSPORT_SPIN_H

#include <stdbool.h>

/*
 * spin_linked():
 * Was the program linked so? engine_register refuses to run otherwise. Any thread.
 */
bool spin_linked(void) __attribute__((warn_unused_result));

#endif /* TRANSPORT_SPIN_H */
