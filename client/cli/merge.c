#include "merge.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool
contains(const json_t *list, const json_t *value)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), value))
			return true;
	return false;
}

static json_t *
added(const json_t *held, const json_t *wanted)
{
	json_t *all = held != NULL ? json_copy((json_t *)(uintptr_t)held) : json_array(), *item;
	size_t i;

	json_array_foreach(wanted, i, item)
		if (!contains(all, item))
			(void)json_array_append(all, item);
	return all;
}

static json_t *
member_by_member(const json_t *held, const json_t *wanted)
{
	json_t *all = json_is_object(held) ? json_copy((json_t *)(uintptr_t)held) : json_object();

	(void)json_object_update(all, (json_t *)(uintptr_t)wanted);
	return all;
}

json_t *
merge_changes(const json_t *held, const json_t *wanted)
{
	json_t *out = json_object(), *all = (json_t *)(uintptr_t)wanted, *item, *merged, *old;
	const char *key;

	json_object_foreach(all, key, item) {
		old = json_object_get(held, key);
		if (strcmp(key, "account_ids") == 0)
			merged = added(old, item);
		else if (json_is_object(item))
			merged = member_by_member(old, item);
		else
			merged = json_incref(item);
		if (merged == NULL || (!json_equal(old, merged) &&
		    json_object_set(out, key, merged) != 0)) {
			json_decref(merged);
			json_decref(out);
			return NULL;
		}
		json_decref(merged);
	}
	return out;
}
