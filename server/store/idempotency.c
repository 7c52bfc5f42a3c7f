#include "server/store/idempotency.h"

#include <sodium.h>

#include "server/clock.h"
#include "server/store/overlay.h"
#include "server/store/writeset_internal.h"

/* A vault does not live to see the epoch 2^48; there are many of these rows. */
enum { OFF_TIME = 0, OFF_METHOD = 4, OFF_EPOCH = 6, OFF_FINGERPRINT = 12, OFF_VERSIONS = 20,
	OFF_RESPONSE = 22,
	METHOD_LEN = OFF_EPOCH - OFF_METHOD, RESPONSE_MAX = 256 };

struct row_key {
	uint8_t b[IDEMPOTENCY_KEY_LEN + IDEMPOTENCY_PRINCIPAL_MAX];
	size_t len;
};

static struct row_key
row_key(const struct idempotency_request *q)
{
	size_t n = strlen(q->principal);
	struct row_key k = { .len = IDEMPOTENCY_KEY_LEN + n };

	must(n <= IDEMPOTENCY_PRINCIPAL_MAX);
	memcpy(k.b, q->key, IDEMPOTENCY_KEY_LEN);
	memcpy(k.b + IDEMPOTENCY_KEY_LEN, q->principal, n);
	return k;
}

static void
method_tag(const char *method, uint8_t out[static METHOD_LEN])
{
	uint8_t digest[SEAL_DIGEST_LEN];

	seal_digest(bytes_of(method, strlen(method)), digest);
	memcpy(out, digest, METHOD_LEN);
}

static uint64_t
get48(const uint8_t *p)
{
	return (uint64_t)bytes_get16(p) << 32 | bytes_get32(p + 2);
}

static void
put48(uint8_t *p, uint64_t n)
{
	must(n >> 48 == 0);
	bytes_put16(p, (uint16_t)(n >> 32));
	bytes_put32(p + 2, (uint32_t)n);
}

static uint32_t
now_seconds(void)
{
	return (uint32_t)(clock_wall_ms() / 1000);
}

static bool
is_old(struct bytes value)
{
	/* A clock that was set back makes rows younger, never older. */
	uint32_t now = now_seconds(), then = bytes_get32(value.p + OFF_TIME);

	return now > then && now - then > IDEMPOTENCY_SECONDS;
}

enum status
idempotency_find(struct writeset *ws, const struct idempotency_request *q,
    struct idempotency_row *out)
{
	struct row_key k = row_key(q);
	uint8_t tag[METHOD_LEN];
	struct bytes v;
	enum status rc;

	rc = writeset_get(ws, STORE_IDEMPOTENCY, bytes_of(k.b, k.len), &v);
	if (rc != STATUS_OK)
		return rc;
	if (v.len < OFF_RESPONSE)
		return STATUS_CORRUPT;
	if (is_old(v))
		return STATUS_ABSENT;
	method_tag(q->method, tag);
	if (memcmp(v.p + OFF_METHOD, tag, sizeof(tag)) != 0)
		return STATUS_KEY_REUSED;
	out->epoch = get48(v.p + OFF_EPOCH);
	memcpy(out->fingerprint, v.p + OFF_FINGERPRINT, IDEMPOTENCY_FINGERPRINT_LEN);
	memcpy(out->versions, v.p + OFF_VERSIONS, sizeof(out->versions));
	out->response = bytes_of(v.p + OFF_RESPONSE, v.len - OFF_RESPONSE);
	return STATUS_OK;
}

void
idempotency_fingerprint(const struct key *category, const struct key *also,
    const struct idempotency_request *q, uint8_t out[static IDEMPOTENCY_FINGERPRINT_LEN])
{
	struct bytes method = bytes_of(q->method, strlen(q->method));
	uint8_t tag[SEAL_TAG16_LEN], inner[SEAL_TAG16_LEN];

	seal_tag(category, "idempotency", method, q->message, tag);
	if (also != NULL) {
		memcpy(inner, tag, sizeof(inner));
		seal_tag(also, "idempotency", method, bytes_of(inner, sizeof(inner)), tag);
		sodium_memzero(inner, sizeof(inner));
	}
	memcpy(out, tag, IDEMPOTENCY_FINGERPRINT_LEN);
	sodium_memzero(tag, sizeof(tag));
}

enum status
idempotency_put(struct writeset *ws, const struct idempotency_request *q,
    const struct idempotency_row *row)
{
	struct row_key k = row_key(q);
	uint8_t v[OFF_RESPONSE + RESPONSE_MAX];

	must(row->response.len <= RESPONSE_MAX);
	bytes_put32(v + OFF_TIME, now_seconds());
	method_tag(q->method, v + OFF_METHOD);
	put48(v + OFF_EPOCH, row->epoch);
	memcpy(v + OFF_FINGERPRINT, row->fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
	memcpy(v + OFF_VERSIONS, row->versions, sizeof(row->versions));
	if (row->response.len > 0)
		memcpy(v + OFF_RESPONSE, row->response.p, row->response.len);
	return writeset_put(ws, STORE_IDEMPOTENCY, bytes_of(k.b, k.len),
	    bytes_of(v, OFF_RESPONSE + row->response.len));
}

enum status
idempotency_sweep(struct writeset *ws, struct idempotency_sweep *s, unsigned limit)
{
	struct bytes key, value;
	enum status rc;

	s->deleted = 0;
	for (unsigned i = 0; i < limit; i++) {
		rc = store_seek(overlay_snapshot(ws->overlay), STORE_IDEMPOTENCY,
		    bytes_of(s->at, s->at_len), &key, &value);
		if (rc == STATUS_ABSENT) {
			s->at_len = 0;
			return STATUS_OK;
		}
		if (rc != STATUS_OK)
			return rc;
		if (key.len + 1 > sizeof(s->at))
			return STATUS_CORRUPT;
		memcpy(s->at, key.p, key.len);
		s->at[key.len] = 0;
		s->at_len = key.len + 1;
		/* The batch may have put it anew; one that is damaged is of no use to anybody. */
		if (overlay_get(ws->overlay, STORE_IDEMPOTENCY, key, &value) != STATUS_OK ||
		    (value.len >= OFF_RESPONSE && !is_old(value)))
			continue;
		if ((rc = writeset_delete(ws, STORE_IDEMPOTENCY, key)) != STATUS_OK)
			return rc;
		s->deleted++;
	}
	return STATUS_OK;
}
