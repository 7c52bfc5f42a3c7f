/*
 * For the shared library only. The code in libnng.a is not made for a shared object: it reaches
 * for libc's stdout and stderr in a way that cannot be relocated there. So the linker
 * (ld --wrap) gives it two variables of ours instead; all else in it is fit to share.
 */
#include <stdio.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
extern FILE *__real_stdout;
extern FILE *__real_stderr;
FILE *__wrap_stdout;
FILE *__wrap_stderr;

/* Before anything of the library can be called. */
__attribute__((constructor)) static void
take_streams(void)
{
	__wrap_stdout = __real_stdout;
	__wrap_stderr = __real_stderr;
}
#pragma GCC diagnostic pop
