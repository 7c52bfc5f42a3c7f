#include "server/status.h"

struct status_row {
	enum pdv_code code;
	const char *reason, *text;
};

#define STATUS_ROW(name, code, reason, text) { PDV_##code, reason, text },
static const struct status_row rows[STATUS_COUNT] = { STATUS_LIST(STATUS_ROW) };
#undef STATUS_ROW

static const struct status_row *
row(enum status s)
{
	must((unsigned)s < STATUS_COUNT);
	return &rows[s];
}

enum pdv_code
status_code(enum status s)
{
	return row(s)->code;
}

const char *
status_reason(enum status s)
{
	return row(s)->reason;
}

const char *
status_text(enum status s)
{
	return row(s)->text;
}
