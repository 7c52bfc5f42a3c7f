#include <string.h>

#include <nng/nng.h>

#include <nng/protocol/reqrep0/req.h>

#include "client/transport/guard.h"
#include "client/transport/sp.h"

static const char scheme[] = "tls+tcp://";
#define SCHEME_LEN (sizeof(scheme) - 1)
#define PORT_DIGITS 5
#define PORT_MAX 65535

static bool
bound_messages(nng_socket s)
{
	size_t max = 0;

	if (!guard_on(GUARD_MESSAGE_MAX))
		return true;
	return nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, SP_MESSAGE_MAX) == 0 &&
	    nng_socket_get_size(s, NNG_OPT_RECVMAXSZ, &max) == 0 && max == SP_MESSAGE_MAX;
}

static bool
send_once(nng_socket s)
{
	nng_duration again = 0;

	if (!guard_on(GUARD_NO_RESEND))
		return true;
	return nng_socket_set_ms(s, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE) == 0 &&
	    nng_socket_get_ms(s, NNG_OPT_REQ_RESENDTIME, &again) == 0 &&
	    again == NNG_DURATION_INFINITE;
}

enum pdv_code
sp_settle(nng_socket s, enum sp_role role)
{
	if (!bound_messages(s) ||
	    nng_socket_set_bool(s, NNG_OPT_TCP_NODELAY, true) != 0 ||
	    nng_socket_set_bool(s, NNG_OPT_TCP_KEEPALIVE, true) != 0)
		return PDV_FAILED_PRECONDITION;
	if (role == SP_CLIENT && !send_once(s))
		return PDV_FAILED_PRECONDITION;
	return PDV_OK;
}

static bool
among(char c, const char *extra)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr(extra, c) != NULL);
}

static bool
port_ok(const char *port)
{
	size_t len = strlen(port);
	unsigned value = 0;
	size_t i;

	if (len == 0 || len > PORT_DIGITS)
		return false;
	for (i = 0; i < len; i++) {
		if (port[i] < '0' || port[i] > '9')
			return false;
		value = value * 10 + (unsigned)(port[i] - '0');
	}
	return value <= PORT_MAX;
}

/* The end of the host that begins at ${host}, or NULL. */
static const char *
host_end(const char *host)
{
	const char *p = host;

	if (*p == '[') {
		for (p++; among(*p, ":."); p++)
			continue;
		return *p == ']' && p > host + 1 ? p + 1 : NULL;
	}
	while (among(*p, ".-_"))
		p++;
	return p > host ? p : NULL;
}

bool
sp_url_ok(const char *url)
{
	const char *end;

	if (strnlen(url, SP_URL_MAX + 1) > SP_URL_MAX ||
	    strncmp(url, scheme, SCHEME_LEN) != 0)
		return false;
	end = host_end(url + SCHEME_LEN);
	return end != NULL && *end == ':' && port_ok(end + 1);
}
