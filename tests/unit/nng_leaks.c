/*
 * What nng 1.5.2 loses, and nobody mends: a connection that a TLS dialer was just making when its socket is
 * closed (tls_dialer_dial). LeakSanitizer is told of this and of nothing else.
 *
 * Linked into every unit test (tests/CMakeLists.txt). test_nng_leaks sees that it is heard.
 */
#define VISIBLE __attribute__((visibility("default")))	/* the sanitizer's library looks for it by name */

VISIBLE const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:tls_dialer_dial\n";
}
