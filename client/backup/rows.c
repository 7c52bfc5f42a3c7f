#include "client/backup/rows.h"

#include <string.h>

#define GONE UINT32_MAX

size_t
backup_row_len(const struct backup_row *r)
{
	return BACKUP_ROW_HEAD + r->key_len + (r->gone ? 0 : r->value_len);
}

static uint8_t *
put(uint8_t *out, const uint8_t *p, size_t len)
{
	if (len > 0)
		memcpy(out, p, len);
	return out + len;
}

void
backup_row_put_head(const struct backup_row *r, uint8_t *out)
{
	uint32_t len = r->gone ? GONE : (uint32_t)r->value_len;

	*out++ = (uint8_t)r->key_len;
	*out++ = (uint8_t)(len >> 24);
	*out++ = (uint8_t)(len >> 16);
	*out++ = (uint8_t)(len >> 8);
	*out++ = (uint8_t)len;
	(void)put(out, r->key, r->key_len);
}

uint8_t *
backup_row_put(const struct backup_row *r, uint8_t *out)
{
	backup_row_put_head(r, out);
	out += BACKUP_ROW_HEAD + r->key_len;
	return r->gone ? out : put(out, r->value, r->value_len);
}

enum backup_step
backup_row_next(const uint8_t **at, const uint8_t *end, struct backup_row *out)
{
	const uint8_t *p = *at;
	size_t left = (size_t)(end - p);
	uint32_t len;

	if (left == 0)
		return BACKUP_END;
	if (left < BACKUP_ROW_HEAD || p[0] == 0)
		return BACKUP_BROKEN;
	len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	*out = (struct backup_row){ .key = p + BACKUP_ROW_HEAD, .key_len = p[0], .gone = len == GONE };
	left -= BACKUP_ROW_HEAD;
	if (left < out->key_len)
		return BACKUP_BROKEN;
	if (!out->gone) {
		if (left - out->key_len < len)
			return BACKUP_BROKEN;
		out->value = out->key + out->key_len;
		out->value_len = len;
	}
	*at = out->key + out->key_len + out->value_len;
	return BACKUP_ROW;
}

int
backup_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int d = n > 0 ? memcmp(a, b, n) : 0;	/* an empty key may be NULL */

	return d != 0 ? d : (a_len > b_len) - (a_len < b_len);
}
