/*
 * System calls on the files of a vault that fail, or end the process, when a test wants it. A test
 * that uses this has these calls instead of the C library's: pwrite, writev, fdatasync,
 * posix_fallocate, for its own code and for LMDB's.
 */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <limits.h>

/* "anchor", "data.mdb", "ledger..." */
enum fault_file { FAULT_ANCHOR = 1, FAULT_STORE = 2, FAULT_LEDGER = 4 };

#define FAULT_EXIT (-1)		/* the process ends before the call, as if the power was cut */
#define FAULT_TORN (-2)		/* it ends after half of a write */
#define FAULT_EXIT_STATUS 99
#define FAULT_FOR_EVER UINT_MAX

/* The calls number first to last from now on files ${files} (a sum) fail with errno ${error}. */
void fault_set(unsigned files, unsigned first, unsigned last, int error);
void fault_none(void);

/* From now on no file is made longer: posix_fallocate fails with that errno. 0: it does again. */
void fault_allocation(int error);

/* Calls on those files since fault_set(). */
unsigned fault_count(void);

/* Writes to them since then that no flush came after, through descriptors that do not flush by themselves. */
unsigned fault_unflushed(void);

#endif /* TESTS_FAULT_H */
