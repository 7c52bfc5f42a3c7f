#include "server/rpc/call.h"

#include <stdarg.h>
#include <stdio.h>

enum status
call_violates(struct call *c, const char *rule, const char *field, ...)
{
	struct call_violation *v = &c->violations[c->violation_count];
	va_list args;

	if (c->violation_count == CALL_VIOLATIONS_MAX)
		return STATUS_INVALID;
	va_start(args, field);
	(void)vsnprintf(v->field, sizeof(v->field), field, args);
	va_end(args);
	v->rule = rule;
	c->violation_count++;
	return STATUS_INVALID;
}
