#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/transport/framing.h"

#define STREAM_MAX (256 * 1024)
#define RECORDS_MAX 4096

static const uint8_t start[FRAMING_HEAD] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

/* A stream as nng would hand it over, and what came out of the framing. */
struct run {
	struct framing f;
	uint8_t in[STREAM_MAX], out[STREAM_MAX];
	size_t in_len, out_len;
	size_t records[RECORDS_MAX];	/* lengths */
	size_t count;
	unsigned seed;
};

static unsigned
draw(struct run *r, unsigned below)
{
	r->seed = r->seed * 1103515245u + 12345u;
	return (r->seed >> 16) % below;
}

static void
put(struct run *r, const void *bytes, size_t len)
{
	assert_true(r->in_len + len <= STREAM_MAX);
	memcpy(r->in + r->in_len, bytes, len);
	r->in_len += len;
}

static void
put_message(struct run *r, size_t len)
{
	uint8_t head[FRAMING_HEAD];
	size_t i;

	for (i = 0; i < FRAMING_HEAD; i++)
		head[i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	put(r, head, sizeof(head));
	assert_true(r->in_len + len <= STREAM_MAX);
	for (i = 0; i < len; i++)
		r->in[r->in_len + i] = (uint8_t)(1 + (i * 7 + len) % 255);
	r->in_len += len;
}

/*
 * Offer one piece as the engine does, through a wire that takes at most ${room} bytes each
 * time and says "try again" whenever a draw says so.
 */
static void
offer(struct run *r, const uint8_t *piece, size_t len, size_t room, unsigned busy)
{
	const uint8_t *bytes;
	size_t n, done = 0, took;
	bool fresh = true;

	while (done < len) {
		framing_offer(&r->f, piece + done, len - done);
		assert_true(framing_check(&r->f));
		while ((n = framing_pending(&r->f, &bytes)) > 0) {
			if (busy > 0 && draw(r, busy) != 0)
				break;	/* and the same piece is offered again */
			if (fresh)
				r->records[r->count++] = n;
			n = n < room ? n : room;
			memcpy(r->out + r->out_len, bytes, n);
			r->out_len += n;
			framing_wrote(&r->f, n);
			assert_true(framing_check(&r->f));
			fresh = framing_pending(&r->f, &bytes) == 0;
		}
		if (n > 0)
			continue;
		took = framing_accept(&r->f);
		assert_true(took > 0 && took <= len - done);
		done += took;
	}
}

static struct run *
begin(void)
{
	struct run *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	framing_init(&r->f);
	return r;
}

/* All of it came out, and nothing stays behind. */
static void
end(struct run *r)
{
	const uint8_t *bytes;

	assert_int_equal(r->out_len, r->in_len);
	assert_memory_equal(r->out, r->in, r->in_len);
	assert_int_equal(framing_pending(&r->f, &bytes), 0);
	assert_int_equal(r->f.have, 0);
	free(r);
}

/* Header, then messages in the three pieces of nng: each message is one record. */
static void
test_one_record(void **state)
{
	static const size_t sizes[] = { 4, 5, 260, 1, 0, 4096, FRAMING_MAX - FRAMING_HEAD };
	struct run *r = begin();
	size_t i, at = FRAMING_HEAD, head;

	(void)state;
	put(r, start, sizeof(start));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		put_message(r, sizes[i]);
	offer(r, r->in, FRAMING_HEAD, SIZE_MAX, 0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		head = sizes[i] < 4 ? sizes[i] : 4;
		offer(r, r->in + at, FRAMING_HEAD, SIZE_MAX, 0);
		if (head > 0)
			offer(r, r->in + at + FRAMING_HEAD, head, SIZE_MAX, 0);
		if (sizes[i] > head)
			offer(r, r->in + at + FRAMING_HEAD + head, sizes[i] - head, SIZE_MAX, 0);
		at += FRAMING_HEAD + sizes[i];
		assert_int_equal(r->count, i + 2);
		assert_int_equal(r->records[i + 1], FRAMING_HEAD + sizes[i]);
	}
	end(r);
}

/* One byte more than a record holds makes two. */
static void
test_record_limit(void **state)
{
	static const struct {
		size_t len, records;
	} rows[] = {
		{ FRAMING_MAX - FRAMING_HEAD - 1, 1 },
		{ FRAMING_MAX - FRAMING_HEAD, 1 },
		{ FRAMING_MAX - FRAMING_HEAD + 1, 2 },
		{ 2 * FRAMING_MAX - FRAMING_HEAD, 2 },
		{ 100000, 7 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct run *r = begin();

		put(r, start, sizeof(start));
		put_message(r, rows[i].len);
		offer(r, r->in, FRAMING_HEAD, SIZE_MAX, 0);
		offer(r, r->in + FRAMING_HEAD, FRAMING_HEAD, SIZE_MAX, 0);
		offer(r, r->in + 2 * FRAMING_HEAD, rows[i].len, SIZE_MAX, 0);
		assert_int_equal(r->count, rows[i].records + 1);
		end(r);
	}
}

/* Any cut of the stream, a wire that is slow and busy: the same bytes come out. */
static void
test_any_chunks(void **state)
{
	unsigned seed;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		struct run *r = begin();
		unsigned widest = seed % 3 == 0 ? 40000 : seed % 3 == 1 ? 3 : 300;
		size_t at, n;

		r->seed = seed;
		put(r, start, sizeof(start));
		while (r->in_len < 40000)
			put_message(r, draw(r, 4) == 0 ? draw(r, 30000) : draw(r, 200));
		for (at = 0; at < r->in_len; at += n) {
			n = 1 + draw(r, widest);
			n = n < r->in_len - at ? n : r->in_len - at;
			offer(r, r->in + at, n, 1 + draw(r, 20000), 3);
		}
		end(r);
	}
}

/* The last piece is not accepted while the wire takes nothing, and is not taken twice. */
static void
test_hold_last_piece(void **state)
{
	struct run *r = begin();
	const uint8_t *bytes;

	(void)state;
	put(r, start, sizeof(start));
	put_message(r, 10);
	offer(r, r->in, FRAMING_HEAD, SIZE_MAX, 0);
	framing_offer(&r->f, r->in + 8, 8);
	assert_int_equal(framing_pending(&r->f, &bytes), 0);
	assert_int_equal(framing_accept(&r->f), 8);
	framing_offer(&r->f, r->in + 16, 10);
	assert_int_equal(framing_pending(&r->f, &bytes), 18);
	framing_offer(&r->f, r->in + 16, 10);
	assert_int_equal(framing_pending(&r->f, &bytes), 18);
	framing_wrote(&r->f, 17);
	framing_offer(&r->f, r->in + 16, 10);
	assert_int_equal(framing_pending(&r->f, &bytes), 1);
	framing_wrote(&r->f, 1);
	assert_int_equal(framing_accept(&r->f), 10);
	free(r);
}

/* What is not SP is not held back. */
static void
test_not_sp(void **state)
{
	struct run *r = begin();

	(void)state;
	put(r, "GET / HTTP/1.1\r\n\r\n", 18);
	offer(r, r->in, 18, SIZE_MAX, 0);
	put(r, "x", 1);
	offer(r, r->in + 18, 1, SIZE_MAX, 0);
	end(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_record),
		cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_any_chunks),
		cmocka_unit_test(test_hold_last_piece),
		cmocka_unit_test(test_not_sp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
