/*
 * What is told of the seals: those of the configuration, and those that the anchor is wrapped for.
 */
#ifndef SERVER_STORE_SEALS_LIST_H
#define SERVER_STORE_SEALS_LIST_H

#include "server/store/seals.h"

/* What is told of one. */
struct seals_info {
	char name[PROVIDER_NAME_MAX + 1];
	const char *kind, *class_why;
	char class;
	bool configured, used, opens;	/* opens: when it was tested last, it gave its key */
	uint8_t id[PROVIDER_ID_LEN];	/* of the version in use */
	int64_t made_ms, tested_ms;	/* 0: never */
	uint64_t since;			/* epoch */
	uint32_t interval_s;		/* between two versions at least */
};

/* All that are configured or in use, into out[2 * PROVIDER_MAX]. Any thread. */
unsigned seals_list(struct vault *v, struct seals_info *out);

/*
 * Whether a version in use is ${every} ms old or older, of a seal that can have another one by now and gave
 * its key when it was tested last. Any thread.
 */
bool seals_due(struct vault *v, int64_t now, int64_t every);

#endif /* SERVER_STORE_SEALS_LIST_H */
