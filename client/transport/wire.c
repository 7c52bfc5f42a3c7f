#include <stdint.h>

#include <nng/nng.h>

#include <nng/supplemental/tls/engine.h>

#include "client/transport/must.h"
#include "client/transport/wire.h"

static BIO_METHOD *method;	/* for good, once made */

static int
result(BIO *b, int rv, void (*again)(BIO *))
{
	struct wire *w = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (rv == 0)
		return 1;
	if (rv == NNG_EAGAIN)
		again(b);
	else
		w->error = rv;
	return 0;
}

static void
again_read(BIO *b)
{
	BIO_set_retry_read(b);
}

static void
again_write(BIO *b)
{
	BIO_set_retry_write(b);
}

static int
write_some(BIO *b, const char *bytes, size_t len, size_t *done)
{
	struct wire *w = BIO_get_data(b);
	int rv;

	*done = len;
	if ((rv = nng_tls_engine_send(w->below, (const uint8_t *)bytes, done)) == 0)
		w->wrote = true;
	return result(b, rv, again_write);
}

static int
read_some(BIO *b, char *bytes, size_t len, size_t *done)
{
	struct wire *w = BIO_get_data(b);

	*done = len;
	return result(b, nng_tls_engine_recv(w->below, (uint8_t *)bytes, done), again_read);
}

static long
control(BIO *b, int command, long number, void *pointer)
{
	(void)b;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;	/* nng sends at once by itself */
}

static int
create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

bool
wire_prepare(void)
{
	BIO_METHOD *m = NULL;

	if (method != NULL)
		return true;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "nng");
	if (m == NULL || BIO_meth_set_write_ex(m, write_some) != 1 ||
	    BIO_meth_set_read_ex(m, read_some) != 1 || BIO_meth_set_ctrl(m, control) != 1 ||
	    BIO_meth_set_create(m, create) != 1) {
		BIO_meth_free(m);
		return false;
	}
	method = m;
	return true;
}

BIO *
wire_bio(struct wire *w)
{
	BIO *b;

	must(method != NULL);
	b = BIO_new(method);
	if (b != NULL)
		BIO_set_data(b, w);
	return b;
}
