#include "server/access/access.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/transport/spiffe.h"

struct principal {
	char name[ACCESS_NAME_MAX + 1];
	char spiffe[SPIFFE_MAX + 1];
	uint64_t methods;		/* bit i: may call method i */
};

/*
 * 1. count <= ACCESS_PRINCIPALS_MAX.
 * 2. No two of the list share a name or an id.
 * 3. No bit of methods at or above method_count is set.
 */
struct access {
	const char *const *methods;
	unsigned method_count;
	unsigned count;
	struct principal list[ACCESS_PRINCIPALS_MAX];
};

_Static_assert(ACCESS_METHODS_MAX == 64, "struct principal keeps them in a uint64_t");

enum status
access_new(const char *const *methods, unsigned count, struct access **out)
{
	struct access *a;

	must(count <= ACCESS_METHODS_MAX);
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return STATUS_NO_MEMORY;
	a->methods = methods;
	a->method_count = count;
	*out = a;
	return STATUS_OK;
}

static enum status
refuse(char *why, const char *problem, const char *what)
{
	(void)snprintf(why, ACCESS_WHY_LEN, "%s: %.120s", problem, what);
	return STATUS_CONFIG;
}

static bool
name_ok(const char *name)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t len = strnlen(name, ACCESS_NAME_MAX + 1);

	return len > 0 && len <= ACCESS_NAME_MAX && strspn(name, letters) == len;
}

static enum status
check_unique(const struct access *a, const struct access_entry *e, char *why)
{
	unsigned i;

	for (i = 0; i < a->count; i++) {
		if (strcmp(a->list[i].name, e->name) == 0)
			return refuse(why, "two principals have this name", e->name);
		if (strcmp(a->list[i].spiffe, e->spiffe) == 0)
			return refuse(why, "two principals have this SPIFFE id", e->spiffe);
	}
	return STATUS_OK;
}

/* Of "/pdvault.v1.Vault/GetIdentity": "Vault/GetIdentity". */
static const char *
short_name(const char *method)
{
	const char *slash = strrchr(method, '/');
	const char *p = slash;

	must(slash != NULL);
	while (p > method && p[-1] != '.' && p[-1] != '/')
		p--;
	return p;
}

/* Does "Vault.GetIdentity", "Vault.*" or "*" mean the method? */
static bool
matches(const char *pattern, const char *method)
{
	const char *name = short_name(method);
	size_t service = strcspn(name, "/");

	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, name, service) != 0 || pattern[service] != '.')
		return false;
	pattern += service + 1;
	return strcmp(pattern, "*") == 0 || strcmp(pattern, name + service + 1) == 0;
}

static uint64_t
methods_of(const struct access *a, const char *pattern)
{
	uint64_t found = 0;
	unsigned i;

	for (i = 0; i < a->method_count; i++) {
		if (matches(pattern, a->methods[i]))
			found |= UINT64_C(1) << i;
	}
	return found;
}

static enum status
all_methods(const struct access *a, const struct access_entry *e, uint64_t *out, char *why)
{
	uint64_t all = 0, some;
	size_t i;

	for (i = 0; i < e->method_count; i++) {
		if ((some = methods_of(a, e->methods[i])) == 0)
			return refuse(why, "there is no such method", e->methods[i]);
		all |= some;
	}
	*out = all;
	return STATUS_OK;
}

enum status
access_add(struct access *a, const struct access_entry *e, char why[static ACCESS_WHY_LEN])
{
	struct principal *p = &a->list[a->count];
	enum status rc;
	uint64_t methods = 0;

	if (a->count == ACCESS_PRINCIPALS_MAX)
		return refuse(why, "one principal too many", e->name);
	if (!name_ok(e->name))
		return refuse(why, "not the name of a principal", e->name);
	if (!spiffe_ok(e->spiffe, strnlen(e->spiffe, SPIFFE_MAX + 1)))
		return refuse(why, "not a SPIFFE id", e->spiffe);
	if ((rc = check_unique(a, e, why)) != STATUS_OK ||
	    (rc = all_methods(a, e, &methods, why)) != STATUS_OK)
		return rc;
	memcpy(p->name, e->name, strlen(e->name) + 1);
	memcpy(p->spiffe, e->spiffe, strlen(e->spiffe) + 1);
	p->methods = methods;
	a->count++;
	return STATUS_OK;
}

int
access_find(const struct access *a, const char *spiffe)
{
	unsigned i;

	for (i = 0; i < a->count; i++) {
		if (strcmp(a->list[i].spiffe, spiffe) == 0)
			return (int)i;
	}
	return ACCESS_NONE;
}

const char *
access_name(const struct access *a, int principal)
{
	if (principal == ACCESS_NONE)
		return "unknown";
	must(principal >= 0 && (unsigned)principal < a->count);
	return a->list[principal].name;
}

bool
access_allows(const struct access *a, int principal, unsigned method)
{
	must(method < a->method_count);
	if (principal == ACCESS_NONE)
		return false;
	must(principal >= 0 && (unsigned)principal < a->count);
	return (a->list[principal].methods >> method & 1) != 0;
}

void
access_free(struct access *a)
{
	free(a);
}
