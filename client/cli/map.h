/*
 * A column map: which columns of an input become which fields, with what constants,
 * formats and zone. The file is INI; docs/PDVAULT.md describes it.
 */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include <stdbool.h>
#include <stdio.h>

#include "failure.h"
#include "instant.h"
#include "money.h"
#include "rows.h"
#include "schema.h"

enum {
	MAP_FIELDS_MAX = 256,
	MAP_JOIN_MAX = 16,		/* columns joined into one field */
	MAP_STEPS_MAX = 6,		/* words and indexes of a path */
	MAP_PATH_LEN = 128,
	MAP_INDEX_MAX = 31
};

enum map_kind { MAP_SUBJECTS, MAP_TRANSACTIONS };

enum map_value {
	MAP_PLAIN,			/* as it is */
	MAP_KEY,			/* the account id of a transaction */
	MAP_LINES,			/* a line of the cell for each item */
	MAP_DATE,
	MAP_TIME,
	MAP_UINT32,
	MAP_INT64,
	MAP_AMOUNT			/* decimal, to amount_minor */
};

/* One step into a document: a member, or an item of a list. */
struct map_step {
	char name[48];			/* "" is an item */
	size_t index;
};

struct map_field {
	char path[MAP_PATH_LEN];	/* "identity.emails[0]" */
	struct map_step steps[MAP_STEPS_MAX];
	size_t steps_n;
	enum map_value value;
	size_t columns[MAP_JOIN_MAX];	/* indexes into the map's columns */
	size_t columns_n;		/* 0: a constant */
	char *separator;		/* between columns joined; one blank if NULL */
	char *constant;
	unsigned line;			/* in the map's file */
};

struct map {
	enum map_kind kind;
	bool kind_given;		/* always, once map_read() is done */
	enum rows_format format;
	bool format_given;
	char delimiter;			/* of CSV; 0: not said */
	struct instant_zone zone;
	char *time_format;		/* or NULL */
	char *date_format;		/* or NULL */
	struct money_style money;
	struct map_field fields[MAP_FIELDS_MAX];	/* those with columns first */
	size_t fields_n;
	char *columns[ROWS_COLUMNS_MAX];		/* each once */
	size_t columns_n;
};

/*
 * map_read(in, name, out, f):
 * Read and check a map; on PDV_OK ${out} is the caller's, for map_free(). Otherwise
 * INVALID_ARGUMENT with "NAME:LINE: what". A zone with a name becomes the process's
 * (instant.h), so this is called while there is one thread.
 */
enum pdv_code map_read(FILE *in, const char *name, struct map **out, struct failure *f);

/*
 * map_free(m):
 * NULL is allowed.
 */
void map_free(struct map *m);

#endif /* CLI_MAP_H */
