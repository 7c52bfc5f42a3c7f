/*
 * client SERVER CA CERT KEY ID: a service that uses the library, step by step, so that its memory can be
 * looked at in between. Each line of standard input is a letter and a text, and is answered by a line, the
 * code's name:
 *   g         read the identity of subject ID, and keep the result
 *   fEMAIL    find a subject, and keep the result
 *   uNAME     give ID that name, and keep the result
 *   x         free the results
 *   e         free the handle
 * It leaves no copy of a line itself.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pdvault/pdvault.h"

#define LINE_LEN 512u
#define RESULTS_MAX 64u

static struct pdv_client *vault;
static struct pdv_subject_id id;
static struct pdv_result *result[RESULTS_MAX];
static size_t results;

static bool
read_line(char line[static LINE_LEN])
{
	size_t n = 0;

	while (n + 1 < LINE_LEN && read(STDIN_FILENO, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
		n++;
	}
	return false;
}

static enum pdv_code
call(char letter, const char *text)
{
	const struct pdv_lookup email = { .by = PDV_BY_EMAIL, .value = text };
	const struct pdv_name name = { .full = text };
	const struct pdv_identity identity = { .name = &name };
	const struct pdv_identity_update update = { .subject = id, .identity = &identity };
	struct pdv_result **out = &result[results];

	if (results == RESULTS_MAX)
		return PDV_RESOURCE_EXHAUSTED;
	results++;
	switch (letter) {
	case 'g':
		return pdv_get_identity(vault, &id, NULL, out);
	case 'f':
		return pdv_find_subject(vault, &email, NULL, out);
	case 'u':
		return pdv_update_identity(vault, &update, NULL, out);
	default:
		results--;
		return PDV_UNIMPLEMENTED;
	}
}

static enum pdv_code
step(char letter, const char *text)
{
	switch (letter) {
	case 'x':
		while (results > 0)
			pdv_result_free(result[--results]);
		return PDV_OK;
	case 'e':
		pdv_client_free(vault);
		vault = NULL;
		return PDV_OK;
	default:
		return call(letter, text);
	}
}

int
main(int argc, char **argv)
{
	struct pdv_client_options options = { .server_count = 1 };
	const char *server = argc == 6 ? argv[1] : NULL;
	char line[LINE_LEN], answer[64];

	if (server == NULL || pdv_subject_id_parse(argv[5], &id) != PDV_OK)
		return 2;
	options.servers = &server;
	options.ca = argv[2];
	options.cert = argv[3];
	options.key = argv[4];
	if (pdv_client_new(&options, &vault, NULL) != PDV_OK)
		return 1;
	while (read_line(line)) {
		int n = snprintf(answer, sizeof(answer), "%s\n", pdv_code_name(step(line[0], line + 1)));

		explicit_bzero(line, sizeof(line));
		if (write(STDOUT_FILENO, answer, (size_t)n) != n)
			return 1;
	}
	pdv_client_free(vault);
	return 0;
}
