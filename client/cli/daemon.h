/*
 * Running pdvaultd, for what is done on the server's host.
 */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include "args.h"

enum { DAEMON_WORDS_MAX = 2 * ARGS_REPEAT_MAX + 2 * 16 + 16 };

/* The command line; start with {.n = 1}, since the program comes first. Words are borrowed. */
struct daemon_words {
	char *list[DAEMON_WORDS_MAX];
	size_t n;
};

/* daemon_word(w, word), daemon_pair(w, flag, value): one or two more; what has no room is left out. */
void daemon_word(struct daemon_words *w, const char *word);
void daemon_pair(struct daemon_words *w, const char *flag, const char *value);

/*
 * daemon_run(w, out, status, f):
 * Run pdvaultd of this installation, else that of PATH, to its end; its standard output is the descriptor
 * ${out}, its standard error ours. ${status} becomes its exit status, 128 and the signal if it was killed.
 * Not PDV_OK, NO_SERVER_PROGRAM: it could not be run.
 */
enum pdv_code daemon_run(struct daemon_words *w, int out, int *status, struct failure *f);

#endif /* CLI_DAEMON_H */
