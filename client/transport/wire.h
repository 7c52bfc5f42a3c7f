/*
 * The wire: the bytes below TLS, nng's functions for them as an OpenSSL BIO.
 */
#ifndef TRANSPORT_WIRE_H
#define TRANSPORT_WIRE_H

#include <stdbool.h>

#include <openssl/bio.h>

struct wire {
	void *below;	/* nng's handle of the connection */
	int error;	/* nng's, once its bytes stopped for another reason than "later" */
	bool wrote;	/* some bytes were written; whoever wants to know clears it before */
};

/*
 * wire_prepare():
 * Once before the first wire_bio; not by two threads at a time. False: no memory.
 */
bool wire_prepare(void);

/*
 * wire_bio(w):
 * A BIO over ${w}, which must outlive it; the caller frees it. NULL: no memory. The BIO
 * belongs to whoever nng has called for that connection.
 */
BIO *wire_bio(struct wire *w);

#endif /* TRANSPORT_WIRE_H */
