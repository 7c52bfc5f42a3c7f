/*
 * What a test may set in the module that it loads.
 */
#ifndef TESTS_UNIT_MODULE_FAULTY_TOKEN_H
#define TESTS_UNIT_MODULE_FAULTY_TOKEN_H

#include <p11-kit/pkcs11.h>

struct faulty {
	unsigned fail_at;	/* the n-th call from now on is answered so, and not made; 0: none */
	CK_RV answer;
	unsigned seen;		/* calls that may fail */
	unsigned logins;
	int hardware;		/* the slot says that it is */
	CK_FLAGS token_flags;	/* besides what SoftHSM says */
};

struct faulty *faulty(void);

#endif /* TESTS_UNIT_MODULE_FAULTY_TOKEN_H */
