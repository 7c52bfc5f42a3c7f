/*
 * Bytes that travel with their length, and integers in the byte order of the
 * disk format (big-endian: a key's order in the store is its number's order).
 */
#ifndef SERVER_BYTES_H
#define SERVER_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t len;
};

static inline struct bytes
bytes_of(const void *p, size_t len)
{
	return (struct bytes){ .p = p, .len = len };
}

/* For keys of tables and other public values only: time depends on content. */
static inline int
bytes_compare(struct bytes a, struct bytes b)
{
	int d = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static inline void
bytes_put16(uint8_t p[static 2], uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint16_t
bytes_get16(const uint8_t p[static 2])
{
	return (uint16_t)((p[0] << 8) | p[1]);
}

static inline void
bytes_put32(uint8_t p[static 4], uint32_t v)
{
	bytes_put16(p, (uint16_t)(v >> 16));
	bytes_put16(p + 2, (uint16_t)v);
}

static inline uint32_t
bytes_get32(const uint8_t p[static 4])
{
	return ((uint32_t)bytes_get16(p) << 16) | bytes_get16(p + 2);
}

static inline void
bytes_put64(uint8_t p[static 8], uint64_t v)
{
	bytes_put32(p, (uint32_t)(v >> 32));
	bytes_put32(p + 4, (uint32_t)v);
}

static inline uint64_t
bytes_get64(const uint8_t p[static 8])
{
	return ((uint64_t)bytes_get32(p) << 32) | bytes_get32(p + 4);
}

#endif /* SERVER_BYTES_H */
