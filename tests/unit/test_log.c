#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "server/log.h"

/* The one line that was logged, as JSON; it must be valid, UTF-8 included. */
static json_t *
end_one(void)
{
	size_t len = 0;
	char *text = scratch_log_end(&len);
	json_error_t error;
	json_t *line = NULL;

	assert_true(len > 0);
	assert_int_equal(text[len - 1], '\n');
	assert_ptr_equal(memchr(text, '\n', len), text + len - 1);
	line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (line == NULL)
		fail_msg("%s: %s", error.text, text);
	free(text);
	return line;
}

static const char *
text_of(json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));

	assert_non_null(s);
	return s;
}

/* One text through the log and back. */
static char *
through(const char *text)
{
	json_t *line;
	char *back;

	scratch_log_begin();
	log_event(LOG_READY, LOG_S(WHY, text), LOG_N(EPOCH, 7));
	line = end_one();
	back = strdup(text_of(line, "why"));
	assert_int_equal(json_integer_value(json_object_get(line, "epoch")), 7);
	json_decref(line);
	return back;
}

static void
a_line_has_time_level_event_and_fields(void **state)
{
	struct timespec before, after;
	struct tm tm = { 0 };
	const char *at, *end;
	json_t *line;
	time_t t;

	(void)state;
	scratch_log_begin();
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &before), 0);
	log_event(LOG_STORE_FULL, LOG_S(PATH, "/srv/vault"), LOG_N(BYTES, INT64_MAX),
	    LOG_STATUS(STATUS_FULL), LOG_N(COUNT, 0));
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &after), 0);
	line = end_one();
	assert_string_equal(text_of(line, "level"), "warn");
	assert_string_equal(text_of(line, "event"), "store_full");
	assert_string_equal(text_of(line, "path"), "/srv/vault");
	assert_string_equal(text_of(line, "status"), "STORE_FULL");
	assert_true(json_integer_value(json_object_get(line, "bytes")) == INT64_MAX);
	assert_int_equal(json_integer_value(json_object_get(line, "count")), 0);
	assert_int_equal(json_object_size(line), 7);
	at = text_of(line, "time");
	assert_int_equal(strlen(at), strlen("2000-01-01T00:00:00.000Z"));
	end = strptime(at, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(end);
	assert_int_equal(*end, '.');
	assert_string_equal(end + 4, "Z");
	t = timegm(&tm);
	assert_true(t >= before.tv_sec && t <= after.tv_sec);
	json_decref(line);
}

static void
every_event_and_key_has_a_name_of_its_own(void **state)
{
	const char *names[LOG_EVENT_COUNT];
	json_t *lines[LOG_EVENT_COUNT], *line;
	int i, j;

	(void)state;
	log_set_level(LOG_DEBUG);
	for (i = 0; i < (int)LOG_EVENT_COUNT; i++) {
		scratch_log_begin();
		log_write((enum log_event)i, &(struct log_field){ LOG_KEY_NONE, NULL, 0 });
		lines[i] = end_one();
		names[i] = text_of(lines[i], "event");
		assert_int_equal(json_object_size(lines[i]), 3);
		for (j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
	}
	for (i = 0; i < (int)LOG_EVENT_COUNT; i++)
		json_decref(lines[i]);
	log_set_level(LOG_INFO);
	for (i = 1; i < (int)LOG_KEYS_END; i++) {
		scratch_log_begin();
		log_event(LOG_READY, ((struct log_field){ (enum log_key)i, NULL, 5 }));
		line = end_one();
		assert_int_equal(json_object_size(line), 4);
		json_decref(line);
	}
}

static void
hostile_bytes_stay_inside_their_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\",\"event\":\"x", "\",\"event\":\"x" },
		{ "a\\\"b\\", "a\\\"b\\" },
		{ "line\nfeed\r\t\x01\x1f\x7f", "line\nfeed\r\t\x01\x1f\x7f" },
		{ "\x1b[2J\xc2\x9b", "\x1b[2J\xc2\x9b" },
		{ "\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91" },
		{ "\xe2\x80\xa8", "\xe2\x80\xa8" },
		/* Not UTF-8: alone, cut short, overlong, surrogate, too high, not a first byte. */
		{ "\x80", "\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },
		{ "a\xe2\x82", "a\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xff", "\xef\xbf\xbd" },
	};
	char all[256], *back;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		back = through(rows[i].in);
		assert_string_equal(back, rows[i].out);
		free(back);
	}
	for (i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	back = through(all);
	assert_memory_equal(back, all, 127);
	free(back);
}

static void
nothing_raw_that_moves_a_terminal(void **state)
{
	char *text;
	size_t len, i;

	(void)state;
	scratch_log_begin();
	log_event(LOG_READY, LOG_S(WHY, "\x1b[2J \x7f \xc2\x9b \xe2\x80\xa8 \r"));
	text = scratch_log_end(&len);
	for (i = 0; i + 1 < len; i++)
		assert_true(text[i] >= 0x20 && text[i] < 0x7f);
	free(text);
}

static void
long_texts_are_cut_between_characters(void **state)
{
	char text[600], *back;
	size_t n, i;

	(void)state;
	for (n = 255; n <= 257; n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		back = through(text);
		assert_int_equal(strlen(back), n < 256 ? n : 256);
		free(back);
	}
	/* Three-byte characters: 85 of them fit, the next would end at 258. */
	for (i = 0; i < 100; i++)
		memcpy(text + 3 * i, "\xe2\x82\xac", 4);
	back = through(text);
	assert_int_equal(strlen(back), 255);
	free(back);
}

static void
a_line_never_breaks_however_many_fields(void **state)
{
	char text[300];
	json_t *line;

	(void)state;
	memset(text, '\x01', 256);
	text[256] = '\0';
	scratch_log_begin();
	log_event(LOG_READY, LOG_S(WHAT, text), LOG_S(PATH, text), LOG_S(WHY, text),
	    LOG_S(CLASS, text), LOG_N(EPOCH, 9));
	line = end_one();
	/* Two texts of 1 536 bytes fit into 4 096; the short field after them still does. */
	assert_int_equal(strlen(text_of(line, "path")), 256);
	assert_null(json_object_get(line, "why"));
	assert_int_equal(json_integer_value(json_object_get(line, "epoch")), 9);
	json_decref(line);
}

static void
levels_drop_what_is_below(void **state)
{
	size_t len = 0;

	(void)state;
	log_set_level(LOG_ERROR);
	scratch_log_begin();
	log_event(LOG_READY, LOG_N(EPOCH, 1));
	log_event(LOG_READ_ONLY, LOG_N(EPOCH, 1));
	log_set_level(LOG_INFO);
	json_decref(end_one());
	scratch_log_begin();
	log_event(LOG_READY, LOG_N(EPOCH, 1));
	free(scratch_log_end(&len));
	assert_true(len > 0);
}

/* A datagram socket as standard error: every write is a message. */
static void
one_write_and_errno_kept(void **state)
{
	int pair[2], saved;
	char line[5000];
	ssize_t n, more;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	errno = ENOTTY;
	log_event(LOG_READY, LOG_S(WHY, "one"), LOG_S(PATH, "two"), LOG_N(EPOCH, 3));
	n = errno;
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(n, ENOTTY);
	n = recv(pair[0], line, sizeof(line), MSG_DONTWAIT);
	more = recv(pair[0], line + n, 1, MSG_DONTWAIT);
	assert_true(n > 2 && line[n - 1] == '\n' && line[n - 2] == '}');
	assert_int_equal(more, -1);
	(void)close(saved);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
a_closed_log_is_no_error(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(close(STDERR_FILENO), 0);
	errno = ENOTTY;
	log_event(LOG_READY, LOG_N(EPOCH, 1));
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
}

#define THREADS 4
#define LINES 200

static void *
chatter(void *arg)
{
	int i;

	for (i = 0; i < LINES; i++)
		log_event(LOG_READY, LOG_N(COUNT, i), LOG_S(WHY, arg));
	return NULL;
}

static void
threads_do_not_mix_lines(void **state)
{
	static char text[THREADS][200];
	pthread_t threads[THREADS];
	char *all, *line, *rest;
	json_t *j;
	int i, n = 0;

	(void)state;
	scratch_log_begin();
	for (i = 0; i < THREADS; i++) {
		memset(text[i], 'a' + i, sizeof(text[i]) - 1);
		assert_int_equal(pthread_create(&threads[i], NULL, chatter, text[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	all = scratch_log_end(NULL);
	for (line = all; *line != '\0'; line = rest + 1, n++) {
		rest = strchr(line, '\n');
		*rest = '\0';
		j = json_loads(line, 0, NULL);
		assert_non_null(j);
		assert_int_equal(strlen(text_of(j, "why")), 199);
		json_decref(j);
	}
	assert_int_equal(n, THREADS * LINES);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_event_and_fields),
		cmocka_unit_test(every_event_and_key_has_a_name_of_its_own),
		cmocka_unit_test(hostile_bytes_stay_inside_their_text),
		cmocka_unit_test(nothing_raw_that_moves_a_terminal),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(a_line_never_breaks_however_many_fields),
		cmocka_unit_test(levels_drop_what_is_below),
		cmocka_unit_test(one_write_and_errno_kept),
		cmocka_unit_test(a_closed_log_is_no_error),
		cmocka_unit_test(threads_do_not_mix_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
