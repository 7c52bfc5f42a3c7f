/* Names of numbers, made from the lists in pdvault/code.h and pdvault/types.h. */
#include <stddef.h>
#include <strings.h>

#include "pdvault/pdvault.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NAME(name, number) [number] = #name,

static const char *const codes[] = {PDV_CODES(NAME)};
static const char *const categories[] = {PDV_CATEGORIES(NAME)};
static const char *const states[] = {PDV_STATES(NAME)};
static const char *const erasures[] = {PDV_ERASURE_STATES(NAME)};
static const char *const key_backups[] = {PDV_KEY_BACKUP_STATES(NAME)};
static const char *const servings[] = {PDV_SERVING_STATES(NAME)};

static const char *
name(const char *const *list, size_t count, unsigned number)
{
	return number < count ? list[number] : "UNSPECIFIED";
}

const char *
pdv_code_name(enum pdv_code code)
{
	return (unsigned)code < COUNT(codes) ? codes[code] : "UNKNOWN";
}

const char *
pdv_category_name(enum pdv_category category)
{
	return name(categories, COUNT(categories), (unsigned)category);
}

const char *
pdv_state_name(enum pdv_state state)
{
	return name(states, COUNT(states), (unsigned)state);
}

const char *
pdv_erasure_state_name(enum pdv_erasure_state state)
{
	return name(erasures, COUNT(erasures), (unsigned)state);
}

const char *
pdv_serving_state_name(enum pdv_serving_state state)
{
	return name(servings, COUNT(servings), (unsigned)state);
}

const char *
pdv_key_backup_state_name(enum pdv_key_backup_state state)
{
	return name(key_backups, COUNT(key_backups), (unsigned)state);
}

enum pdv_code
pdv_category_parse(const char *text, enum pdv_category *out)
{
	size_t i;

	for (i = 1; text != NULL && i < COUNT(categories); i++) {
		if (strcasecmp(text, categories[i]) == 0) {
			*out = (enum pdv_category)i;
			return PDV_OK;
		}
	}
	return PDV_INVALID_ARGUMENT;
}

const char *
pdv_version(void)
{
	return PDV_VERSION;
}
