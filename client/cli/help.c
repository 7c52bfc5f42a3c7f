#include "help.h"

#include <string.h>

#include "exitcode.h"

enum { COLUMN = 28 };

static void
verb_line(const struct args_verb *v, FILE *to)
{
	size_t i;

	(void)fprintf(to, "  pdvault %s%s%s%s%s", v->noun, v->name != NULL ? " " : "",
	    v->name != NULL ? v->name : "", v->operand != NULL ? " " : "",
	    v->operand != NULL ? v->operand : "");
	for (i = 0; i < ARGS_VERB_FLAGS && v->flags[i] != FLAG_NONE; i++)
		(void)fprintf(to, " [%s%s%s]", args_flags[v->flags[i]].name,
		    args_flags[v->flags[i]].value != NULL ? " " : "",
		    args_flags[v->flags[i]].value != NULL ? args_flags[v->flags[i]].value : "");
	(void)fputc('\n', to);
}

void
help_usage(const struct args *a, FILE *to)
{
	const struct args_verb *v;
	size_t i;

	if (a->noun != NULL)
		(void)fputs("Usage:\n", to);
	for (i = 0; a->noun != NULL && i < a->table->n; i++) {
		v = &a->table->verbs[i];
		if ((a->verb == NULL || a->verb == v) && strcmp(a->noun, v->noun) == 0)
			verb_line(v, to);
	}
	(void)fputs("Try pdvault --help.\n", to);
}

static void
two_columns(const char *left, const char *middle, const char *right, FILE *to)
{
	int width = (int)strlen(left) + (middle != NULL ? 1 + (int)strlen(middle) : 0);

	(void)fprintf(to, "  %s%s%s%*s  %s\n", left, middle != NULL ? " " : "",
	    middle != NULL ? middle : "", width < COLUMN ? COLUMN - width : 0, "", right);
}

static void
flag_lines(const struct args_verb *v, FILE *to)
{
	enum flag i;

	if (v != NULL && v->flags[0] != FLAG_NONE)
		(void)fputs("\nFlags:\n", to);
	for (i = FLAG_NONE + 1; i < FLAGS; i++) {
		if (i == FLAG_JSON)
			(void)fputs("\nFlags of every command:\n", to);
		if (i >= FLAG_JSON || (v != NULL && args_takes(v, i)))
			two_columns(args_flags[i].name, args_flags[i].value, args_flags[i].summary, to);
	}
}

static void
settings_lines(FILE *to)
{
	(void)fputs("\nThe server and your certificate come from flags, else from PDVAULT_SERVER,\n"
	    "PDVAULT_CA, PDVAULT_CERT and PDVAULT_KEY, else from ~/.config/pdvault/client.conf.\n\n",
	    to);
}

void
help_print(const struct args *a, FILE *to)
{
	const struct args_verb *v;
	char words[64];
	size_t i;

	(void)fputs("pdvault: the operators' tool of the personal-data vault.\n\nCommands:\n", to);
	for (i = 0; i < a->table->n; i++) {
		v = &a->table->verbs[i];
		if ((a->verb != NULL && a->verb != v) ||
		    (a->noun != NULL && strcmp(a->noun, v->noun) != 0))
			continue;
		(void)snprintf(words, sizeof(words), "%s%s%s", v->noun,
		    v->name != NULL ? " " : "", v->name != NULL ? v->name : "");
		two_columns(words, v->operand, v->summary, to);
	}
	flag_lines(a->verb, to);
	settings_lines(to);
	exitcode_help(to);
}

static void
completion_flags(const struct args_verb *v, FILE *to)
{
	enum flag i;

	for (i = FLAG_NONE + 1; i < FLAGS; i++)
		if (args_takes(v, i))
			(void)fprintf(to, " %s", args_flags[i].name);
}

/* Each noun once; a noun's verbs stand together in the table. */
static void
completion_nouns(const struct args_table *t, FILE *to)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (i == 0 || strcmp(t->verbs[i].noun, t->verbs[i - 1].noun) != 0)
			(void)fprintf(to, " %s", t->verbs[i].noun);
}

void
help_completion(const struct args_table *t, FILE *to)
{
	const struct args_verb *v;
	size_t i, k;

	(void)fputs("# bash completion for pdvault: source it\n_pdvault()\n{\n"
	    "\tlocal words=\"\" at=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	    "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", to);
	for (i = 0; i < t->n; i++) {
		v = &t->verbs[i];
		(void)fprintf(to, "\t\"%s %s\"*) words=\"", v->noun, v->name != NULL ? v->name : "");
		completion_flags(v, to);
		(void)fputs("\" ;;\n", to);
	}
	(void)fputs("\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then words=\"", to);
	completion_nouns(t, to);
	(void)fputs("\"; fi\n\tif [ \"$COMP_CWORD\" = 2 ]; then case \"${COMP_WORDS[1]}\" in\n", to);
	for (i = 0; i < t->n; i = k) {
		(void)fprintf(to, "\t%s) words=\"", t->verbs[i].noun);
		for (k = i; k < t->n && strcmp(t->verbs[k].noun, t->verbs[i].noun) == 0; k++)
			if (t->verbs[k].name != NULL)
				(void)fprintf(to, " %s", t->verbs[k].name);
			else
				completion_flags(&t->verbs[k], to);
		(void)fputs("\" ;;\n", to);
	}
	(void)fputs("\tesac; fi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$at\"))\n\t"
	    "[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$at\"))\n}\n"
	    "complete -o filenames -F _pdvault pdvault\n", to);
}
