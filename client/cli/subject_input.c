#include "subject_input.h"

#include <string.h>

#include "input.h"
#include "json_in.h"
#include "schema.h"

static const struct pdv_identity no_identity;
static const struct pdv_billing no_billing;

static enum pdv_code
read_input(const struct args *a, struct subject_input *in, struct failure *f)
{
	if (a->values[FLAG_INPUT] == NULL)
		return failure_usage(f, "--input is missing");
	return input_json(a->values[FLAG_INPUT], &in->doc, f);
}

static enum pdv_code
read_messages(struct subject_input *in, struct failure *f)
{
	json_t *identity = json_object_get(in->doc, "identity");
	json_t *billing = json_object_get(in->doc, "billing");
	struct json_in i = {&schema_identity, "identity", &in->keep};
	struct json_in b = {&schema_billing, "billing", &in->keep};
	const void *message = NULL;

	if (identity != NULL && !json_is_null(identity)) {
		if (json_in_message(&i, identity, &message, f) != PDV_OK)
			return f->code;
		in->identity = message;
	}
	if (billing != NULL && !json_is_null(billing)) {
		if (json_in_message(&b, billing, &message, f) != PDV_OK)
			return f->code;
		in->billing = message;
	}
	return PDV_OK;
}

/* The part of a path behind "NAME.", if it begins so. */
static const char *
without(const char *path, const char *name)
{
	size_t len = strlen(name);

	return strncmp(path, name, len) == 0 && path[len] == '.' ? path + len + 1 : NULL;
}

/* One path of the mask, to the message that has such a field. */
static enum pdv_code
add_path(struct subject_input *in, const char *path, bool billing_only, struct failure *f)
{
	const char *identity = without(path, "identity"), *billing = without(path, "billing");
	bool plain = identity == NULL && billing == NULL;

	if (plain && !billing_only && schema_find(&schema_identity, path, strlen(path)) != NULL)
		identity = path;
	else if (plain && schema_find(&schema_billing, path, strlen(path)) != NULL)
		billing = path;
	if (identity != NULL && !billing_only &&
	    schema_find(&schema_identity, identity, strlen(identity)) != NULL &&
	    in->identity_mask_n < SUBJECT_INPUT_MASK_MAX) {
		in->identity_mask[in->identity_mask_n++] = identity;
		return PDV_OK;
	}
	if (billing != NULL && schema_find(&schema_billing, billing, strlen(billing)) != NULL &&
	    in->billing_mask_n < SUBJECT_INPUT_MASK_MAX) {
		in->billing_mask[in->billing_mask_n++] = billing;
		return PDV_OK;
	}
	return failure_invalid(f, "update_mask", "UNKNOWN_FIELD");
}

/* "emails,phones" of a flag. */
static enum pdv_code
add_paths(struct subject_input *in, const char *list, bool billing_only, struct failure *f)
{
	size_t len;
	char *path;

	for (;; list += len + 1) {
		len = strcspn(list, ",");
		if ((path = keep_alloc(&in->keep, len + 1)) == NULL)
			return failure_memory(f);
		memcpy(path, list, len);
		if (add_path(in, path, billing_only, f) != PDV_OK)
			return f->code;
		if (list[len] == '\0')
			return PDV_OK;
	}
}

static enum pdv_code
read_mask(const struct args *a, struct subject_input *in, bool billing_only, struct failure *f)
{
	json_t *list = json_object_get(in->doc, "update_mask"), *item;
	size_t i;

	if (list != NULL && !json_is_null(list) && !json_is_array(list))
		return failure_invalid(f, "update_mask", "NOT_A_LIST");
	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return failure_invalid(f, "update_mask", "NOT_A_STRING");
		if (add_path(in, json_string_value(item), billing_only, f) != PDV_OK)
			return f->code;
	}
	for (i = 0; i < a->repeated_n; i++)
		if (add_paths(in, a->repeated[i], billing_only, f) != PDV_OK)
			return f->code;
	if (in->identity == NULL && in->identity_mask_n > 0)
		in->identity = &no_identity;
	if (in->billing == NULL && in->billing_mask_n > 0)
		in->billing = &no_billing;
	return PDV_OK;
}

/* A mask that names nothing of a message which is there would change all of it. */
static enum pdv_code
check_masks(const struct subject_input *in, struct failure *f)
{
	bool masked = in->identity_mask_n > 0 || in->billing_mask_n > 0;

	if (in->identity == NULL && in->billing == NULL)
		return failure_invalid(f, "input", "NOTHING_TO_UPDATE");
	if (masked && in->identity != NULL && in->identity_mask_n == 0)
		return failure_invalid(f, "update_mask", "NAMES_NOTHING_OF_IDENTITY");
	if (masked && in->billing != NULL && in->billing_mask_n == 0)
		return failure_invalid(f, "update_mask", "NAMES_NOTHING_OF_BILLING");
	return PDV_OK;
}

static enum pdv_code
read_etag(const struct args *a, struct subject_input *in, struct failure *f)
{
	json_t *etag = json_object_get(in->doc, "etag");

	if (etag != NULL && !json_is_null(etag) && !json_is_string(etag))
		return failure_invalid(f, "etag", "NOT_A_STRING");
	in->etag = a->values[FLAG_ETAG] != NULL ? a->values[FLAG_ETAG] : json_string_value(etag);
	if (in->etag != NULL && in->etag[0] == '\0')
		in->etag = NULL;
	if (in->etag != NULL && in->identity != NULL && in->billing != NULL)
		return failure_invalid(f, "etag", "IDENTITY_AND_BILLING");
	return PDV_OK;
}

enum pdv_code
subject_input_create(const struct args *a, struct subject_input *in, struct failure *f)
{
	static const char *const names[] = {"identity", "billing", NULL};

	if (read_input(a, in, f) != PDV_OK || json_in_only(in->doc, "", names, f) != PDV_OK)
		return f->code;
	return read_messages(in, f);
}

static enum pdv_code
finish(const struct args *a, struct subject_input *in, bool billing_only, struct failure *f)
{
	if (read_messages(in, f) != PDV_OK || read_mask(a, in, billing_only, f) != PDV_OK ||
	    check_masks(in, f) != PDV_OK)
		return f->code;
	return read_etag(a, in, f);
}

enum pdv_code
subject_input_update(const struct args *a, struct subject_input *in, struct failure *f)
{
	static const char *const names[] = {"identity", "billing", "update_mask", "etag", NULL};

	if (read_input(a, in, f) != PDV_OK || json_in_only(in->doc, "", names, f) != PDV_OK)
		return f->code;
	return finish(a, in, false, f);
}

enum pdv_code
subject_input_billing(const struct args *a, struct subject_input *in, struct failure *f)
{
	static const char *const names[] = {"billing", "update_mask", "etag", NULL};
	json_t *wrapped;

	if (read_input(a, in, f) != PDV_OK)
		return f->code;
	if (json_is_object(in->doc) && json_object_get(in->doc, "billing") == NULL &&
	    json_object_get(in->doc, "update_mask") == NULL) {
		wrapped = json_pack("{s:O}", "billing", in->doc);
		if (wrapped == NULL)
			return failure_memory(f);
		json_decref(in->doc);
		in->doc = wrapped;
	}
	if (json_in_only(in->doc, "", names, f) != PDV_OK)
		return f->code;
	return finish(a, in, true, f);
}

void
subject_input_drop(struct subject_input *in)
{
	keep_free(&in->keep);
	json_decref(in->doc);
	memset(in, 0, sizeof(*in));
}
