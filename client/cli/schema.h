/*
 * What identity, billing and transactions are made of: one table for each message, from
 * which JSON is read and written and the fields of a column map are looked up. Names are
 * those of proto/pdvault/v1/subject.proto, structs those of pdvault/types.h.
 */
#ifndef CLI_SCHEMA_H
#define CLI_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

enum schema_kind {
	SCHEMA_TEXT,
	SCHEMA_DATE,			/* a text YYYY-MM-DD */
	SCHEMA_UINT32,			/* 0 is absent */
	SCHEMA_INT64,			/* always there */
	SCHEMA_TIME,			/* struct pdv_time *, RFC 3339 in JSON */
	SCHEMA_MESSAGE,			/* a pointer to one, or with a count to several */
	SCHEMA_ATTRIBUTES		/* struct pdv_attribute list, an object in JSON */
};

struct schema;

struct schema_field {
	const char *name;
	enum schema_kind kind;
	bool list;
	size_t offset;			/* in the struct; of a list: of its pointer */
	size_t count_offset;		/* of a list: of its size_t */
	const struct schema *message;	/* of SCHEMA_MESSAGE */
};

struct schema {
	const char *name;		/* "identity": the first word of its paths */
	size_t size;			/* of the struct */
	size_t fields_n;
	const struct schema_field *fields;
};

extern const struct schema schema_identity;	/* struct pdv_identity */
extern const struct schema schema_billing;	/* struct pdv_billing */
extern const struct schema schema_transaction;	/* struct pdv_transaction */

/*
 * schema_find(s, name, len):
 * The field of that name, of ${len} bytes, or NULL.
 */
const struct schema_field *schema_find(const struct schema *s, const char *name, size_t len);

#endif /* CLI_SCHEMA_H */
