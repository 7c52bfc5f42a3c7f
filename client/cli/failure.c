#include "failure.h"

#include <stdarg.h>
#include <string.h>

#include "pdvault/pdvault.h"

/* Names of fields and files come from outside: control characters are shown as '?'. */
static void
show(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void __attribute__((format(printf, 4, 0)))
fill(struct failure *f, enum pdv_code code, const char *reason, const char *format, va_list ap)
{
	memset(f, 0, sizeof(*f));
	f->code = code;
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason);
	(void)vsnprintf(f->detail, sizeof(f->detail), format, ap);
	show(f->detail);
}

enum pdv_code
failure_set(struct failure *f, enum pdv_code code, const char *reason, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fill(f, code, reason, format, ap);
	va_end(ap);
	return code;
}

enum pdv_code
failure_usage(struct failure *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fill(f, PDV_INVALID_ARGUMENT, FAILURE_USAGE, format, ap);
	va_end(ap);
	f->usage = true;
	return f->code;
}

enum pdv_code
failure_settings(struct failure *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fill(f, PDV_INVALID_ARGUMENT, FAILURE_SETTINGS, format, ap);
	va_end(ap);
	f->usage = true;
	return f->code;
}

enum pdv_code
failure_memory(struct failure *f)
{
	return failure_set(f, PDV_INTERNAL, "OUT_OF_MEMORY", "not enough memory");
}

void
failure_violation(struct failure *f, const char *field, const char *rule)
{
	struct failure_violation *v;

	if (f->violations_n == FAILURE_VIOLATIONS)
		return;
	v = &f->violations[f->violations_n++];
	(void)snprintf(v->field, sizeof(v->field), "%s", field);
	(void)snprintf(v->rule, sizeof(v->rule), "%s", rule);
	show(v->field);
	show(v->rule);
}

enum pdv_code
failure_invalid(struct failure *f, const char *field, const char *rule)
{
	(void)failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FIELD", "a field was refused");
	failure_violation(f, field, rule);
	return f->code;
}

json_t *
failure_json(const struct failure *f)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < f->violations_n; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:s}",
		    "field", f->violations[i].field, "rule", f->violations[i].rule));
	return json_pack("{s:s, s:s, s:s, s:o}", "code", pdv_code_name(f->code),
	    "reason", f->reason, "detail", f->detail, "violations", list);
}

void
failure_print(const struct failure *f, FILE *to)
{
	size_t i;

	(void)fprintf(to, "pdvault: %s", f->detail[0] != '\0' ? f->detail : "failed");
	if (!f->usage)
		(void)fprintf(to, " (%s%s%s)", pdv_code_name(f->code),
		    f->reason[0] != '\0' ? ", " : "", f->reason);
	(void)fputc('\n', to);
	for (i = 0; i < f->violations_n; i++)
		(void)fprintf(to, "  %s: %s\n", f->violations[i].field, f->violations[i].rule);
}
