#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "import_internal.h"

enum { LINE_LEN = FAILURE_FIELD_LEN + FAILURE_RULE_LEN + 32 };

/* One more line at the end of a text; without memory it is left out. */
static char *
add_line(char *text, uint64_t line, const char *field, const char *rule)
{
	size_t len = text == NULL ? 0 : strlen(text);
	char *more = realloc(text, len + LINE_LEN);

	if (more == NULL)
		return text;
	(void)snprintf(more + len, LINE_LEN, "%" PRIu64 ": %s: %s\n", line, field, rule);
	return more;
}

void
import_report(struct import *im, uint64_t number, uint64_t line, const struct failure *f)
{
	char *text = NULL;
	size_t i;

	for (i = 0; i < f->violations_n; i++)
		text = add_line(text, line, f->violations[i].field, f->violations[i].rule);
	if (f->violations_n == 0)
		text = add_line(text, line, "row", f->reason[0] != '\0' ? f->reason
		    : pdv_code_name(f->code));
	free(im->reports[number % TALLY_WINDOW]);
	im->reports[number % TALLY_WINDOW] = text;
}

static void
print(struct import *im, const char *text)
{
	size_t len;

	progress_clear(&im->progress);
	for (; *text != '\0'; text += len + 1) {
		len = strcspn(text, "\n");
		(void)fprintf(stderr, "%s:%.*s\n", im->name, (int)len, text);
	}
}

void
import_tell(struct import *im, uint64_t end)
{
	char **at;

	for (; im->told < end; im->told++) {
		at = &im->reports[im->told % TALLY_WINDOW];
		if (*at != NULL)
			print(im, *at);
		free(*at);
		*at = NULL;
	}
}
