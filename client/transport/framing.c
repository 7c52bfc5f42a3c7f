#include <string.h>

#include <sodium.h>

#include "client/transport/framing.h"
#include "client/transport/must.h"

void
framing_init(struct framing *f)
{
	memset(f, 0, sizeof(*f));
}

static size_t
smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

/* Eight bytes of header or length are in. */
static void
head_done(struct framing *f)
{
	static const uint8_t sp[4] = { 0x00, 'S', 'P', 0x00 };
	size_t i;

	f->got = 0;
	if (f->state == FRAMING_START) {
		f->state = memcmp(f->head, sp, sizeof(sp)) == 0 ? FRAMING_LENGTH : FRAMING_RAW;
		f->due = true;
		return;
	}
	f->left = 0;
	for (i = 0; i < FRAMING_HEAD; i++)
		f->left = f->left << 8 | f->head[i];
	if (f->left > 0)
		f->state = FRAMING_BODY;
	else
		f->due = true;		/* an empty message is whole already */
}

/* How many of the next ${len} bytes belong to the present state. */
static size_t
run(const struct framing *f, size_t len)
{
	switch (f->state) {
	case FRAMING_START:
	case FRAMING_LENGTH:
		return smaller(len, FRAMING_HEAD - f->got);
	case FRAMING_BODY:
		return smaller(len, f->left);
	case FRAMING_RAW:
		break;
	}
	return len;
}

/* ${n} bytes, no more than run() allowed, are in the buffer: what now? */
static void
advance(struct framing *f, const uint8_t *bytes, size_t n)
{
	switch (f->state) {
	case FRAMING_START:
	case FRAMING_LENGTH:
		memcpy(f->head + f->got, bytes, n);
		f->got += n;
		if (f->got == FRAMING_HEAD)
			head_done(f);
		break;
	case FRAMING_BODY:
		f->left -= n;
		if (f->left == 0) {
			f->state = FRAMING_LENGTH;
			f->due = true;
		}
		break;
	case FRAMING_RAW:
		f->due = true;
		break;
	}
}

void
framing_offer(struct framing *f, const uint8_t *piece, size_t len)
{
	size_t n;

	must(len > 0);
	if (f->due)
		return;
	f->held = 0;
	while (!f->due && f->held < len) {
		n = smaller(run(f, len - f->held), FRAMING_MAX - f->have);
		memcpy(f->buf + f->have, piece + f->held, n);
		f->have += n;
		advance(f, piece + f->held, n);
		f->held += n;
		if (f->have == FRAMING_MAX)
			f->due = true;
	}
}

size_t
framing_pending(const struct framing *f, const uint8_t **bytes)
{
	*bytes = f->buf + f->sent;
	return f->due ? f->have - f->sent : 0;
}

void
framing_wrote(struct framing *f, size_t n)
{
	must(f->due && n <= f->have - f->sent);
	sodium_memzero(f->buf + f->sent, n);
	f->sent += n;
	if (f->sent == f->have) {
		f->sent = f->have = 0;
		f->due = false;
	}
}

size_t
framing_accept(struct framing *f)
{
	size_t n = f->held;

	must(!f->due);
	f->held = 0;
	return n;
}

void
framing_wipe(struct framing *f)
{
	sodium_memzero(f, sizeof(*f));
}

bool
framing_check(const struct framing *f)
{
	bool counting = f->state == FRAMING_START || f->state == FRAMING_LENGTH;
	size_t i;

	if (f->sent > f->have || f->have > FRAMING_MAX)		/* I1 */
		return false;
	for (i = 0; i < FRAMING_MAX; i++) {			/* I2 */
		if ((i < f->sent || i >= f->have) && f->buf[i] != 0)
			return false;
	}
	if (f->due && (f->held == 0 || f->have == 0))		/* I3 */
		return false;
	if (f->got >= FRAMING_HEAD || (!counting && f->got > 0))	/* I4 */
		return false;
	return f->state != FRAMING_BODY || f->left > 0;
}
