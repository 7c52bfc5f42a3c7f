/*
 * What the files of doctor share: one run of it, and the functions of its table. Each looks at something and
 * says one line or more of it.
 */
#ifndef SERVER_DOCTOR_INTERNAL_H
#define SERVER_DOCTOR_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/config.h"
#include "server/doctor_judge.h"
#include "server/store/vault.h"

struct doctor {
	const struct config *c;
	const char *path;		/* of the configuration */
	const struct vault_options *vault;
	uid_t user, owner;		/* whose process this is; whose the vault is */
	bool force_class_d, terminal;
	const char *check;		/* the name of the one that is made */
	unsigned fails;
};

/* One line about what is checked just now. */
void doctor_say(struct doctor *d, const struct doctor_finding *f);

/* doctor_host.c: the machine. */
void doctor_host_swap(struct doctor *d);
void doctor_host_core(struct doctor *d);
void doctor_host_memory(struct doctor *d);
void doctor_host_secret(struct doctor *d);
void doctor_host_ptrace(struct doctor *d);
void doctor_host_clock(struct doctor *d);

/* doctor_place.c: where the vault lies. */
void doctor_place_store(struct doctor *d);
void doctor_place_anchor(struct doctor *d);
void doctor_place_keys(struct doctor *d);
void doctor_place_class(struct doctor *d);
void doctor_place_pair(struct doctor *d);
void doctor_place_space(struct doctor *d);
void doctor_place_flush(struct doctor *d);
void doctor_place_terms(struct doctor *d);
void doctor_place_unfinished(struct doctor *d);

#endif /* SERVER_DOCTOR_INTERNAL_H */
