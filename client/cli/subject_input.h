/*
 * The JSON that `create` and `update` take, as requests of the client library.
 */
#ifndef CLI_SUBJECT_INPUT_H
#define CLI_SUBJECT_INPUT_H

#include <jansson.h>

#include "args.h"
#include "keep.h"
#include "pdvault/types.h"

enum { SUBJECT_INPUT_MASK_MAX = 64 };

/* Start with all zero; everything in it lives until subject_input_drop(). */
struct subject_input {
	struct keep keep;
	json_t *doc;
	const struct pdv_identity *identity;	/* NULL: nothing was said of it */
	const struct pdv_billing *billing;
	const char *identity_mask[SUBJECT_INPUT_MASK_MAX];
	size_t identity_mask_n;
	const char *billing_mask[SUBJECT_INPUT_MASK_MAX];
	size_t billing_mask_n;
	const char *etag;			/* or NULL */
};

/*
 * subject_input_create(a, in, f):
 * --input: {"identity", "billing"}.
 */
enum pdv_code subject_input_create(const struct args *a, struct subject_input *in,
    struct failure *f);

/*
 * subject_input_update(a, in, f):
 * --input: {"identity", "billing", "update_mask", "etag"}, --mask and --etag. A path of the
 * mask is "emails", or "identity.emails"; a message that only the mask names is an empty
 * one.
 */
enum pdv_code subject_input_update(const struct args *a, struct subject_input *in,
    struct failure *f);

/*
 * subject_input_billing(a, in, f):
 * --input: a billing object, or {"billing", "update_mask", "etag"}; --mask and --etag.
 */
enum pdv_code subject_input_billing(const struct args *a, struct subject_input *in,
    struct failure *f);

/*
 * subject_input_drop(in):
 * Wipe and free; all zero is allowed.
 */
void subject_input_drop(struct subject_input *in);

#endif /* CLI_SUBJECT_INPUT_H */
