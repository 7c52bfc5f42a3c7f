/*
 * A TPM 2.0 (TCG library specification, revision 1.59), reached through tpm2-tss, and what we
 * have in it: counters in its NV memory, and boxes that it opens for as long as a counter has the
 * value that they were made at. Nothing stays open between two operations, so that a TPM that was
 * away is found again.
 *
 * The parent of all boxes is a primary key of the owner hierarchy, made again each time from a
 * fixed template. All that matters goes through a session that is salted with it: what is read
 * and counted is authenticated, and a key never crosses the bus in clear. Who sits on the bus can
 * pose as the TPM only when the first box is made; later the name of the parent, kept beside the
 * box, gives him away.
 *
 * Counters, parent and boxes do without passwords and are not subject to dictionary-attack
 * protection: a TPM that somebody has locked out works for us as before. Who may use the TPM may
 * count, too, and so destroy, but not read what was destroyed.
 *
 * All log what is wrong. STATUS_REFUSED: the TPM says no; STATUS_SEAL: it is not there or does
 * not work. One thread at a time.
 */
#ifndef SERVER_KEYS_TPM_H
#define SERVER_KEYS_TPM_H

#include "server/keys/provider_internal.h"

#define TPM_NAME_LEN 32u
#define TPM_PART_MAX 256u

/*
 * Counters lie in pairs, at an even index and the next: TPM_PAIRS of them from TPM_FIRST on, in
 * the range of the owner (TCG, Registry of Reserved TPM 2.0 Handles and Localities).
 */
#define TPM_FIRST 0x01800000u
#define TPM_PAIRS 128u

struct tpm;

struct tpm_box {
	uint32_t counter;			/* its NV index */
	uint64_t value;				/* of it, at which this opens */
	uint8_t parent[TPM_NAME_LEN];		/* SHA-256 of the parent's public area */
	uint16_t public_len, private_len;
	uint8_t public[TPM_PART_MAX];		/* TPM2B_PUBLIC */
	uint8_t private[TPM_PART_MAX];		/* TPM2B_PRIVATE */
};

/* The TPM of ${p}'s option tcti; "" is "device:/dev/tpmrm0". */
enum status tpm_open(const struct provider *p, struct tpm **out) MUST_USE;

/* Flushes what we have in it; NULL does nothing. */
void tpm_close(struct tpm *t);

/* The even index of a pair that nobody has. */
enum status tpm_counter_pair(struct tpm *t, uint32_t *out) MUST_USE;

/* STATUS_ABSENT: there is no such counter; STATUS_REFUSED: it is none of ours. */
enum status tpm_counter_read(struct tpm *t, uint32_t index, uint64_t *out) MUST_USE;

/*
 * One more, for ever; defined first when it is not there. A TPM begins above each value that a
 * counter of it ever had.
 */
enum status tpm_counter_advance(struct tpm *t, uint32_t index) MUST_USE;

/* It need not be there. */
enum status tpm_counter_remove(struct tpm *t, uint32_t index) MUST_USE;

/* Opens as long as the counter of ${box}, which is set, has the value that it has now. */
enum status tpm_box_make(struct tpm *t, const struct key *k, struct tpm_box *box) MUST_USE;

/*
 * STATUS_REFUSED: the counter has gone on, or it was made in another TPM. ${out} lies in secret
 * memory.
 */
enum status tpm_box_open(struct tpm *t, const struct tpm_box *box, struct key *out) MUST_USE;

/* false: its maker is known for TPMs in software. */
enum status tpm_is_hardware(const struct provider *p, bool *out) MUST_USE;

#endif /* SERVER_KEYS_TPM_H */
