/*
 * The look-ups of an identity. They are personal data: wipe. Any thread.
 */
#ifndef SERVER_STORE_LOOKUP_LIST_H
#define SERVER_STORE_LOOKUP_LIST_H

#include <stddef.h>

#include "pdvault/v1/subject.pb-c.h"
#include "server/store/lookup.h"

/* How many it has at most. */
size_t lookup_list_max(const Pdvault__V1__Identity *id);

/* Which text cannot be one, and by which rule of the contract; all static. */
struct lookup_fault {
	const char *field, *rule;
	size_t index;
};

/*
 * lookup_list(id, country, item, count, bad): normalised and without repetitions, into
 * item[lookup_list_max(id)]. STATUS_INVALID: ${bad} says which; those before it are in ${item}.
 */
enum status lookup_list(const Pdvault__V1__Identity *id, uint16_t country, struct lookup *item,
    unsigned *count, struct lookup_fault *bad) MUST_USE;

/* The same look-up among ${count}; NULL. */
const struct lookup *lookup_list_in(const struct lookup *item, unsigned count, const struct lookup *l);

#endif /* SERVER_STORE_LOOKUP_LIST_H */
