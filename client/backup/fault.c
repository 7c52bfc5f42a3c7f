#include "client/backup/fault.h"

#include <stdarg.h>
#include <stdio.h>

enum backup_result
backup_fault_set(struct backup_fault *f, enum backup_result r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return r;
}
