/*
 * A token in software (SoftHSM) with its tokens in the folder of provider_bed.h, and seal
 * providers in it.
 */
#ifndef TESTS_UNIT_TOKEN_BED_H
#define TESTS_UNIT_TOKEN_BED_H

#include "module/faulty_token.h"
#include "provider_bed.h"

#define TOKEN_PIN "48151623"
#define TOKEN_LABEL "pdv"

/* What the module that fails does; all zero at the begin of each test. */
extern struct faulty *token_fault;

/* Of a group of tests, and of each: a token; what a test leaves in secret memory fails it. */
int token_begin(void **state);
int token_end(void **state);
int token_before_each(void **state);
int token_after_each(void **state);

/* One more token. */
void token_make(const char *label);

/* A provider with ${file} in the folder; module NULL: the one that fails when it is told to. */
struct provider *token_provider(const char *file, const char *mechanism, const char *module,
    const char *label);

/* AES-GCM, in the token. */
struct provider *token_usual(const char *file);

/* provider_closed(), and the PIN is not in the log. */
void token_closed(struct provider *p, enum status want, const char *why);

/* What the token keeps: a secret key is one, a pair two. */
unsigned token_objects(void);

#endif /* TESTS_UNIT_TOKEN_BED_H */
