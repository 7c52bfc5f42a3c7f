/* How long to pause before trying again. Pure. */
#ifndef CLIENT_BACKOFF_H
#define CLIENT_BACKOFF_H

#include <stdint.h>

/*
 * backoff_ms(tries, hint, dice):
 * The pause, in ms, after ${tries} (1, 2, ...) tries: full jitter, that is ${dice} taken
 * as uniform over 0 to min(PDV_BACKOFF_MAX_MS, PDV_BACKOFF_MIN_MS * 2^tries); but when the
 * server gave a ${hint} in ms (else 0), that is added, so that all whom it sent away
 * together do not come back together. At least 1.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
uint32_t backoff_ms(uint32_t tries, uint32_t hint, uint32_t dice);

#endif /* CLIENT_BACKOFF_H */
