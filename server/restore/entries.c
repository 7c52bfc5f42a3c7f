#include "server/restore/entries.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/arena.h"
#include "server/store/lookup_list.h"
#include "server/store/subject.h"

#define FIRST_ROOM 1024u	/* a power of two */

struct entries {
	const struct root *root;
	uint16_t country;
	struct arena *arena;		/* of one identity */
	struct bucket_entry *entry;
	size_t count, room;
	size_t *place;			/* 2 * room: number of an entry, from 1; by tag */
	uint64_t taken;
};

enum status
entries_new(const struct root *root, uint16_t country, struct entries **out)
{
	struct entries *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return STATUS_NO_MEMORY;
	e->root = root;
	e->country = country;
	if ((e->arena = arena_new()) == NULL) {
		entries_free(e);
		return STATUS_NO_MEMORY;
	}
	*out = e;
	return STATUS_OK;
}

void
entries_free(struct entries *e)
{
	if (e == NULL)
		return;
	if (e->entry != NULL)
		sodium_memzero(e->entry, e->room * sizeof(*e->entry));
	free(e->entry);
	free(e->place);
	arena_free(e->arena);
	free(e);
}

/* Where a tag is, or would be. Tags are pseudo-random. */
static size_t *
find(struct entries *e, const uint8_t tag[static SEAL_TAG16_LEN])
{
	size_t mask = 2 * e->room - 1, at = (size_t)bytes_get64(tag + 8) & mask;

	while (e->place[at] != 0 && memcmp(e->entry[e->place[at] - 1].tag, tag, SEAL_TAG16_LEN) != 0)
		at = (at + 1) & mask;
	return &e->place[at];
}

/* Room for twice as many. realloc() would leave the old ones unwiped. */
static enum status
grow(struct entries *e)
{
	size_t room = e->room > 0 ? 2 * e->room : FIRST_ROOM;
	struct bucket_entry *entry = calloc(room, sizeof(*entry));
	size_t *place = calloc(2 * room, sizeof(*place));

	if (entry == NULL || place == NULL) {
		free(entry);
		free(place);
		return STATUS_NO_MEMORY;
	}
	if (e->entry != NULL) {
		memcpy(entry, e->entry, e->count * sizeof(*entry));
		sodium_memzero(e->entry, e->room * sizeof(*entry));
	}
	free(e->entry);
	free(e->place);
	e->entry = entry;
	e->place = place;
	e->room = room;
	for (size_t i = 0; i < e->count; i++)
		*find(e, e->entry[i].tag) = i + 1;
	return STATUS_OK;
}

/* At the first number that nobody has. */
static enum status
add(struct entries *e, const uint8_t *subject, const struct lookup *l)
{
	unsigned most = lookup_is_shared(l->kind) ? LOOKUP_SHARED_MAX : 1;
	struct bucket_entry new = { .category = SUBJECT_IDENTITY };
	enum status rc;

	if (e->count == e->room && (rc = grow(e)) != STATUS_OK)
		return rc;
	for (unsigned n = 0; n < most; n++) {
		size_t *place;

		lookup_entry(e->root, LOOKUP_NOW, l, n, &new);
		place = find(e, new.tag);
		if (*place != 0)
			continue;
		memcpy(new.subject, subject, sizeof(new.subject));
		e->entry[e->count++] = new;
		*place = e->count;
		return STATUS_OK;
	}
	e->taken++;
	return STATUS_OK;
}

enum status
entries_add(struct entries *e, const uint8_t subject[static SUBJECT_ID_LEN], struct bytes message)
{
	const Pdvault__V1__Identity *id = (const void *)protobuf_c_message_unpack(
	    &pdvault__v1__identity__descriptor, arena_allocator(e->arena), message.len, message.p);
	struct lookup_fault bad;
	struct lookup *item;
	unsigned count = 0;
	enum status rc = STATUS_CORRUPT;

	if (id == NULL)
		goto out;
	rc = STATUS_NO_MEMORY;
	if ((item = arena_alloc(e->arena, (lookup_list_max(id) + 1) * sizeof(*item))) == NULL)
		goto out;
	/* It was taken once, so it has none that cannot be one. */
	if ((rc = lookup_list(id, e->country, item, &count, &bad)) == STATUS_INVALID)
		rc = STATUS_CORRUPT;
	for (unsigned i = 0; i < count && rc == STATUS_OK; i++)
		rc = add(e, subject, &item[i]);
out:
	arena_reset(e->arena);
	return rc;
}

uint64_t
entries_taken(const struct entries *e)
{
	return e->taken;
}

struct bucket_entry *
entries_all(struct entries *e, size_t *count)
{
	*count = e->count;
	return e->entry;
}
