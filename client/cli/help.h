/*
 * Help, usage and the shell's completion, made from the tables of args.h.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "args.h"

/*
 * help_print(a, to):
 * Of the verb in ${a}; without one of its noun; without that of all.
 */
void help_print(const struct args *a, FILE *to);

/*
 * help_usage(a, to):
 * One line (of a verb), or one for each verb of the noun; without that a hint only.
 */
void help_usage(const struct args *a, FILE *to);

/*
 * help_completion(table, to):
 * A script for bash, to be sourced.
 */
void help_completion(const struct args_table *table, FILE *to);

#endif /* CLI_HELP_H */
