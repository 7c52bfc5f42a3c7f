/*
 * What nng 1.5.2 loses when a connection closes in the middle of something. LeakSanitizer is told of these and
 * of nothing else:
 *
 * - a request that it was about to send: it hands the message to an aio that was closed a moment before, which
 *   drops it without freeing it (call_message: the client's; begin_question: a test's);
 * - an answer that was queued, in the same way (fake_vault.c);
 * - a connection that a TLS dialer was just making when its socket is closed (tls_dialer_dial).
 *
 * Linked into every unit test (tests/CMakeLists.txt). test_nng_leaks sees that it is heard.
 */
#define VISIBLE __attribute__((visibility("default")))	/* the sanitizer's library looks for it by name */

VISIBLE const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:call_message\nleak:begin_question\nleak:fake_vault.c\nleak:tls_dialer_dial\n";
}
