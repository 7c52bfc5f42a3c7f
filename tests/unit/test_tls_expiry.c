/* When certificates and revocation lists end, and files that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/tls_expiry.h"
#include "pki.h"
#include "scratch.h"

static void
append(const char *to, const char *from)
{
	char text[16384];
	FILE *in = fopen(from, "re"), *out = fopen(to, "ae");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	n = fread(text, 1, sizeof(text), in);
	assert_int_equal(fwrite(text, 1, n, out), n);
	assert_int_equal(fclose(in) + fclose(out), 0);
}

static void
expiries(void **state)
{
	const struct pki_spec near = { .from = -7200, .to = 600 }, over = { .from = -7200, .to = -60 };
	struct pki *p = pki_new();
	struct tls_expiry e = { 0 };
	char why[TLS_WHY_LEN] = "", both[256];
	const int64_t now = (int64_t)time(NULL);

	(void)state;
	pki_issue(p, "near", &near);
	pki_issue(p, "over", &over);
	assert_true(tls_expiry_read(pki_path(p, "near.pem"), TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_int_equal(e.count, 1);
	assert_in_range(e.first - now, 590, 610);
	assert_int_equal(e.first, e.last);
	/* A certificate that has ended can be read all the same; the earliest and the latest of several. */
	(void)snprintf(both, sizeof(both), "%s", pki_path(p, "both.pem"));
	append(both, pki_path(p, "near.pem"));
	append(both, pki_path(p, "server.pem"));
	append(both, pki_path(p, "over.pem"));
	assert_true(tls_expiry_read(both, TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_int_equal(e.count, 3);
	assert_in_range(now - e.first, 50, 70);
	assert_in_range(e.last - now, 3590, 3610);
	assert_in_range(now - e.from, 3590, 3610);	/* the server's */
	pki_crl(p, NULL, 300);
	assert_true(tls_expiry_read(pki_path(p, "crl.pem"), TLS_EXPIRY_CRLS, &e, why));
	assert_in_range(e.first - now, 290, 310);
	pki_free(p);
}

static void
no_expiries(void **state)
{
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	struct pki *p = pki_new();
	struct tls_expiry e = { .count = 77 };
	char why[TLS_WHY_LEN], path[256];

	(void)state;
	assert_false(tls_expiry_read(pki_path(p, "nowhere"), TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_string_equal(why, "No such file or directory");
	assert_false(tls_expiry_read(pki_path(p, ""), TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_false(tls_expiry_read(pki_path(p, "ca.pem"), TLS_EXPIRY_CRLS, &e, why));
	assert_string_equal(why, "holds no revocation list");
	assert_false(tls_expiry_read(pki_path(p, "server.key"), TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_string_equal(why, "holds no certificate");
	(void)snprintf(path, sizeof(path), "%s", pki_path(p, "bad.pem"));
	scratch_write(path, bad, sizeof(bad) - 1);
	assert_false(tls_expiry_read(path, TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_string_equal(why, "cannot be parsed");
	scratch_write(path, "", 0);
	assert_false(tls_expiry_read(path, TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_int_equal(truncate(path, TLS_FILE_MAX + 1), 0);
	assert_false(tls_expiry_read(path, TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_string_equal(why, "not a regular file, empty, or too large");
	assert_int_equal(truncate(path, TLS_FILE_MAX), 0);
	assert_false(tls_expiry_read(path, TLS_EXPIRY_CERTIFICATES, &e, why));
	assert_string_equal(why, "holds no certificate");
	assert_int_equal(e.count, 77);
	pki_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expiries),
		cmocka_unit_test(no_expiries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
