/*
 * Seal providers: each gives one KEK, once at start. Wrapping in a switch is local,
 * so a slow provider is never in the path of a request.
 */
#ifndef SERVER_KEYS_PROVIDER_H
#define SERVER_KEYS_PROVIDER_H

#include "server/keys/seal.h"

#define PROVIDER_MAX 8u
#define PROVIDER_NAME_MAX 31u
#define PROVIDER_ID_LEN 16u

/* An opened provider. kek points into secret memory. */
struct provider {
	char name[PROVIDER_NAME_MAX + 1];	/* "file" */
	uint8_t id[PROVIDER_ID_LEN];		/* random, made with the KEK; names its wrap in a slot */
	struct key *kek;
};

/*
 * The key file: 0600, one line "pdvault-key-1 ID KEK" in lower-case hexadecimal.
 * provider_file_create(): STATUS_REFUSED if it exists; flushed with its folder on STATUS_OK.
 * provider_file_open(): STATUS_CONFIG when it is missing, readable by others, not owned
 * by us, or not such a line; the log says which.
 */
enum status provider_file_create(const char *path, struct provider *out) MUST_USE;
enum status provider_file_open(const char *path, struct provider *out) MUST_USE;

/* Wipes. */
void provider_close(struct provider *p);

#endif /* SERVER_KEYS_PROVIDER_H */
