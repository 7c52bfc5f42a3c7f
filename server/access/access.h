/*
 * Who may call what: the principals of the configuration, each known by the SPIFFE id of
 * its certificate, with the methods that it may call. Built once before the server
 * listens, not changed after; then any thread may ask.
 */
#ifndef SERVER_ACCESS_ACCESS_H
#define SERVER_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/status.h"

#define ACCESS_PRINCIPALS_MAX 256u		/* principals */
#define ACCESS_NAME_MAX 40u		/* bytes of a name */
#define ACCESS_METHODS_MAX 64u	/* methods of the server */
#define ACCESS_WHY_LEN 256u		/* with its NUL */
#define ACCESS_NONE (-1)

struct access;

/* One section of the configuration. */
struct access_entry {
	const char *name;		/* a-z A-Z 0-9 . - _ */
	const char *spiffe;
	/* Each "Vault.GetIdentity", "Vault.*" or "*". */
	const char *const *methods;
	size_t method_count;
};

/*
 * access_new(methods, count, out):
 * No principal yet. ${methods} are the server's, "/pdvault.v1.Vault/GetIdentity", in the
 * order of its table; they are borrowed and must outlive ${out}, which the caller frees.
 * STATUS_NO_MEMORY.
 */
enum status access_new(const char *const *methods, unsigned count, struct access **out)
    MUST_USE;

/*
 * access_add(a, e, why):
 * One more principal; everything is copied. STATUS_CONFIG: it cannot be, ${why} says why
 * and names the name, id or method meant, fit for the log. STATUS_NO_MEMORY.
 */
enum status access_add(struct access *a, const struct access_entry *e,
    char why[static ACCESS_WHY_LEN]) MUST_USE;

/* The principal with this SPIFFE id, 0 to ACCESS_PRINCIPALS_MAX - 1, or ACCESS_NONE. */
int access_find(const struct access *a, const char *spiffe);

/* Its name, valid as long as ${a}; "unknown" of ACCESS_NONE. */
const char *access_name(const struct access *a, int principal);

/* May it call the method at this place of the table? ACCESS_NONE may call none. */
bool access_allows(const struct access *a, int principal, unsigned method);

void access_free(struct access *a);

#endif /* SERVER_ACCESS_ACCESS_H */
