#include "backup_diff.h"

#include <stdlib.h>
#include <string.h>

bool
backup_buffer_room(struct backup_buffer *b, size_t more)
{
	size_t need = b->len + more;
	uint8_t *p;

	if (need <= b->room)
		return true;
	if ((p = realloc(b->p, need * 2)) == NULL)
		return false;
	b->p = p;
	b->room = need * 2;
	return true;
}

static bool
put(struct backup_buffer *b, const struct backup_row *r)
{
	if (!backup_buffer_room(b, backup_row_len(r)))
		return false;
	b->len = (size_t)(backup_row_put(r, b->p + b->len) - b->p);
	return true;
}

static bool
same_value(const struct backup_row *a, const struct backup_row *b)
{
	return a->value_len == b->value_len &&
	    (a->value_len == 0 || memcmp(a->value, b->value, a->value_len) == 0);
}

/* The base's rows, and the vault's, side by side. */
struct pair {
	struct backup_cursor *cursor;	/* NULL: it has none any more */
	ProtobufCBinaryData until;
	const uint8_t *p, *end;		/* of the vault's */
	struct backup_row old, new;
	bool has_old, has_new;
};

/* Where one side is used up, its next row. */
static enum backup_result
load(struct pair *c, struct backup_fault *fault)
{
	bool ended;
	enum backup_result r;

	if (!c->has_new)
		c->has_new = backup_row_next(&c->p, c->end, &c->new) == BACKUP_ROW;
	if (c->has_old || c->cursor == NULL)
		return BACKUP_OK;
	if ((r = backup_cursor_next(c->cursor, &c->old, &ended, fault)) != BACKUP_OK)
		return r;
	c->has_old = !ended && (c->until.len == 0 ||
	    backup_key_compare(c->old.key, c->old.key_len, c->until.data, c->until.len) < 0);
	if (!c->has_old) {
		backup_cursor_free(c->cursor);
		c->cursor = NULL;
	}
	return BACKUP_OK;
}

/* The lesser of the two, if it makes a difference. */
static bool
put_lesser(struct backup_buffer *out, struct pair *c)
{
	const struct backup_row gone = {.key = c->old.key, .key_len = c->old.key_len, .gone = true};
	int order = !c->has_new ? 1 : !c->has_old ? -1 :
	    backup_key_compare(c->new.key, c->new.key_len, c->old.key, c->old.key_len);
	bool differs = order != 0 || !same_value(&c->old, &c->new);

	if (order <= 0)
		c->has_new = false;
	if (order >= 0)
		c->has_old = false;
	return !differs || put(out, order > 0 ? &gone : &c->new);
}

enum backup_result
backup_diff(struct backup_chain *base, const struct backup_span *span, struct backup_buffer *out,
    struct backup_fault *fault)
{
	struct pair c = {.until = span->to, .p = span->rows};
	enum backup_result r;
	bool fits = true;

	c.end = span->len > 0 ? span->rows + span->len : span->rows;
	out->len = 0;
	if ((r = backup_cursor_new(base, span->table, &c.cursor, fault)) == BACKUP_OK)
		r = backup_cursor_seek(c.cursor, span->from.data, span->from.len, fault);
	while (r == BACKUP_OK && fits && (r = load(&c, fault)) == BACKUP_OK && (c.has_old || c.has_new))
		fits = put_lesser(out, &c);
	backup_cursor_free(c.cursor);
	return fits ? r : BACKUP_NO_MEMORY;
}
