/*
 * A vault of data keys in memory, behind fake_vault.h: its wrapped keys hide nothing, but open for what they
 * were made for only. With erasures, and with trouble at will.
 */
#ifndef TESTS_DATA_KEY_VAULT_H
#define TESTS_DATA_KEY_VAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fake_vault.h"
#include "pdvault/blob.h"

#define DATA_KEY_VAULT_WRAPPED 64

/* To be looked at and changed while no call is going, but for what is atomic. */
struct data_key_vault {
	atomic_uint generated, opened; /* calls */
	atomic_bool erased;            /* of the one subject that this vault knows: all */
	atomic_bool erased_in_part;    /* its content */
	bool rewraps;
	unsigned delay_ms; /* of opening */
	uint32_t code;     /* of the next calls for data keys, with this reason; 0: as they should be */
	const char *reason;
};
extern struct data_key_vault data_key_vault;

/* data_key_vault_serve: a fake_handler. */
void data_key_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);

void data_key_vault_empty(void);

#endif /* TESTS_DATA_KEY_VAULT_H */
