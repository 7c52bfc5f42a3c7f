#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup_call.h"
#include "client/backup/recovery.h"
#include "json_out.h"
#include "nouns.h"

/* "3/5" */
static enum pdv_code
split_of(const char *text, unsigned *k, unsigned *n, struct failure *f)
{
	char *end;

	*k = (unsigned)strtoul(text, &end, 10);
	if (*end == '/')
		*n = (unsigned)strtoul(end + 1, &end, 10);
	if (*end == '\0' && *k >= 2 && *k <= *n && *n <= RECOVERY_SHARES_MAX)
		return PDV_OK;
	return failure_usage(f, "--split: K/N, with 2 <= K <= N <= %u", RECOVERY_SHARES_MAX);
}

static enum pdv_code
print_public(const struct args *a, const struct recovery_pair *p, struct failure *f)
{
	return json_out_print(json_pack("{s:o}", "recovery_key", json_out_hex(p->public, sizeof(p->public))),
	    a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
}

/* Where nobody may look: a terminal, unless --yes. */
static enum pdv_code
print_secret(const struct args *a, const struct recovery_pair *p, struct failure *f)
{
	struct backup_fault fault;
	char *text;
	enum pdv_code rc = PDV_OK;

	if (!isatty(STDOUT_FILENO) && a->values[FLAG_YES] == NULL)
		return failure_usage(f,
		    "the secret would be printed, and this is no terminal: name a file with --out, "
		    "or say --yes");
	if ((text = sodium_malloc(RECOVERY_TEXT_MAX)) == NULL)
		return failure_memory(f);
	rc = backup_failed(recovery_text(p, text, &fault), &fault, f);
	if (rc != PDV_OK)
		goto out;
	(void)fputs(
	    "shown this once, and kept nowhere; the public half is for the vault's configuration\n",
	    stderr);
	if (write(STDOUT_FILENO, text, strlen(text)) != (ssize_t)strlen(text))
		rc = failure_set(f, PDV_INTERNAL, "FILE", "standard output cannot be written");
out:
	sodium_free(text);
	return rc;
}

enum pdv_code
noun_recovery_new(const struct args *a, struct failure *f)
{
	const char *out = a->values[FLAG_OUT], *split = a->values[FLAG_SPLIT];
	struct recovery_pair *p = sodium_malloc(sizeof(*p));
	struct backup_fault fault;
	unsigned k = 0, n = 0;
	enum pdv_code rc = PDV_OK;

	if (p == NULL)
		return failure_memory(f);
	if (split != NULL && out == NULL)
		rc = failure_usage(f, "--split writes files: name them with --out");
	if (rc != PDV_OK || (split != NULL && (rc = split_of(split, &k, &n, f)) != PDV_OK))
		goto out;
	recovery_new(p);
	if (out == NULL) {
		rc = print_secret(a, p, f);
		goto out;
	}
	rc = backup_failed(
	    split != NULL ? recovery_split(p, k, n, out, &fault) : recovery_write(p, out, &fault),
	    &fault, f);
	if (rc == PDV_OK)
		rc = print_public(a, p, f);
out:
	sodium_free(p);
	return rc;
}

enum pdv_code
noun_recovery_show(const struct args *a, struct failure *f)
{
	const char *path[ARGS_REPEAT_MAX + 1];
	struct recovery_pair *p = sodium_malloc(sizeof(*p));
	struct backup_fault fault;
	size_t n = 0;
	enum pdv_code rc;

	if (p == NULL)
		return failure_memory(f);
	path[n++] = a->operand;
	for (size_t i = 0; i < a->repeated_n; i++)
		path[n++] = a->repeated[i];
	if ((rc = backup_failed(recovery_read(path, n, p, &fault), &fault, f)) == PDV_OK)
		rc = print_public(a, p, f);
	sodium_free(p);
	return rc;
}
