/*
 * What the files of the token share.
 */
#ifndef SERVER_KEYS_TOKEN_INTERNAL_H
#define SERVER_KEYS_TOKEN_INTERNAL_H

#include "server/keys/token.h"

#include <p11-kit/pkcs11.h>

#define LABEL "pdvault "
#define LABEL_LEN (sizeof(LABEL) - 1)

struct token {
	struct provider *p;
	CK_FUNCTION_LIST *module;
	bool initialised, in_session;
	CK_SLOT_ID slot;
	CK_FLAGS slot_flags, flags;
	CK_SESSION_HANDLE session;
	CK_BYTE label[LABEL_LEN + PROVIDER_NAME_MAX];
	CK_ULONG label_len;
};

/* Logs what the module answered, and gives what it means to us. */
enum status token_failed(const struct provider *p, CK_RV rv) MUST_USE;

/* Logs, and gives ${rc}. */
enum status token_say(const struct provider *p, enum status rc, const char *why);

#endif /* SERVER_KEYS_TOKEN_INTERNAL_H */
