/*
 * Framing: follows the bytes that nng sends on one connection and joins the pieces of
 * each SP message, so that one message can be written as one TLS record.
 *
 * The bytes are SP over a byte stream: a header of 8 bytes (00 'S' 'P' 00, protocol as
 * two bytes, 00 00), then messages, each a length of 8 bytes, big-endian, and that many
 * bytes. nng hands over length, SP message header and body one by one. A stream that
 * does not begin like that is passed on piece by piece.
 *
 * Nobody calls again to flush, so the last piece of a message is only accepted once
 * all of it was written; until then the same piece is offered again:
 *
 *	framing_offer(f, piece, len);
 *	while ((n = framing_pending(f, &bytes)) > 0)
 *		write some of the bytes, framing_wrote(f, those), or stop: "try again"
 *	accepted = framing_accept(f);
 *
 * A message longer than FRAMING_MAX goes out in blocks of that size. Pure; one thread at
 * a time for each struct.
 */
#ifndef TRANSPORT_FRAMING_H
#define TRANSPORT_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMING_MAX 16384		/* plaintext of one TLS record: RFC 8446, 5.1 */
#define FRAMING_HEAD 8			/* the SP header, and each length */

enum framing_state {
	FRAMING_START,			/* in the SP header */
	FRAMING_LENGTH,			/* in the length of a message */
	FRAMING_BODY,			/* in its bytes */
	FRAMING_RAW			/* not SP: every piece for itself */
};

/*
 * I1: sent <= have <= FRAMING_MAX.
 * I2: the bytes of buf before sent and from have on are zero.
 * I3: due while buf waits to be written; then the piece that made it so is held, and
 *     buf is not empty.
 * I4: got < FRAMING_HEAD, and 0 but in START and LENGTH; left > 0 in BODY.
 */
struct framing {
	enum framing_state state;
	bool due;			/* buf is to be written */
	size_t got;			/* bytes of the header or length so far */
	uint64_t left;			/* bytes of the message still to come */
	size_t have;			/* bytes in buf */
	size_t sent;			/* of those, written */
	size_t held;			/* bytes taken of the piece not yet accepted */
	uint8_t head[FRAMING_HEAD];
	uint8_t buf[FRAMING_MAX];
};

/* framing_init(f): a stream that has not begun. All bytes zero is the same. */
void framing_init(struct framing *f);

/*
 * framing_offer(f, piece, len):
 * Take what belongs to one record from the ${len} > 0 bytes at ${piece}; the rest is to be
 * offered again. While bytes are pending this does nothing, since they include what
 * was taken of this piece.
 */
void framing_offer(struct framing *f, const uint8_t *piece, size_t len);

/* framing_pending(f, bytes): how many bytes must be written now; ${bytes} points to them. */
size_t framing_pending(const struct framing *f, const uint8_t **bytes);

/* framing_wrote(f, n): the first ${n} of those were written; they are wiped. */
void framing_wrote(struct framing *f, size_t n);

/*
 * framing_accept(f):
 * How many bytes of the offered piece are done with. Only while nothing is pending.
 */
size_t framing_accept(struct framing *f);

/* framing_wipe(f): end: wipe all of it. */
void framing_wipe(struct framing *f);

/* framing_check(f): do the invariants hold? For tests. */
bool framing_check(const struct framing *f);

#endif /* TRANSPORT_FRAMING_H */
