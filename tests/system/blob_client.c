/*
 * A service that opens blobs and stays alive, for test_blob.py: one command a line, one answer a line.
 *
 *   system_blob CACHE_MS            by PDVAULT_SERVER, PDVAULT_CA, PDVAULT_CERT, PDVAULT_KEY
 *     open FILE                     a whole blob: "OK" and its length, else code and reason
 *     identity SUBJECT              a call that may tell of an erasure: code and reason
 *     erase SUBJECT                 likewise
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pdvault/blob.h"

#define LINE_MAX 4200

static int
answer(enum pdv_code code, const char *rest)
{
	return printf("%s %s\n", pdv_code_name(code), rest) < 0 || fflush(stdout) != 0;
}

/* For free(); NULL: it cannot be read. */
static uint8_t *
read_file(const char *path, size_t *len)
{
	FILE *in = fopen(path, "rb");
	uint8_t *p = NULL;
	long end;

	if (in == NULL)
		return NULL;
	if (fseek(in, 0, SEEK_END) == 0 && (end = ftell(in)) >= 0 && fseek(in, 0, SEEK_SET) == 0 &&
	    (p = malloc((size_t)end + 1)) != NULL)
		*len = fread(p, 1, (size_t)end, in);
	(void)fclose(in);
	return p;
}

static int
open_file(struct pdv_blobs *b, const char *path)
{
	struct pdv_blob_opener *o = NULL;
	struct pdv_blob_buffer out = {.data = NULL};
	enum pdv_code code = PDV_INTERNAL;
	char text[64] = "";
	uint8_t *p;
	size_t len;

	if ((p = read_file(path, &len)) == NULL)
		return answer(PDV_INTERNAL, "FILE");
	out.size = PDV_BLOB_ROOM(len) + PDV_BLOB_ROOM(0);
	if ((out.data = malloc(out.size)) != NULL && pdv_blob_opener_new(b, NULL, NULL, &o) == PDV_OK &&
	    (code = pdv_blob_opener_update(o, p, len, &out)) == PDV_OK)
		code = pdv_blob_opener_final(o, &out);
	if (code == PDV_OK)
		(void)snprintf(text, sizeof(text), "%zu", out.length);
	else if (o != NULL)
		(void)snprintf(text, sizeof(text), "%s", pdv_blob_opener_reason(o));
	pdv_blob_opener_free(o);
	free(out.data);
	free(p);
	return answer(code, text);
}

static int
call(struct pdv_client *c, const char *what, const char *subject)
{
	struct pdv_result *r = NULL;
	struct pdv_erase erase = {.category_count = 0};
	int failed;

	if (pdv_subject_id_parse(subject, &erase.subject) != PDV_OK)
		return answer(PDV_INVALID_ARGUMENT, "MALFORMED_ID");
	if (strcmp(what, "erase") == 0)
		(void)pdv_erase_subject(c, &erase, NULL, &r);
	else
		(void)pdv_get_identity(c, &erase.subject, NULL, &r);
	failed = answer(pdv_result_code(r), pdv_result_reason(r));
	pdv_result_free(r);
	return failed;
}

static int
serve(struct pdv_client *c, struct pdv_blobs *b)
{
	static char line[LINE_MAX];
	char *rest;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if ((rest = strchr(line, ' ')) == NULL)
			return 1;
		*rest++ = '\0';
		if (strcmp(line, "open") == 0 ? open_file(b, rest) : call(c, line, rest))
			return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const char *server = getenv("PDVAULT_SERVER");
	struct pdv_client_options o = {.servers = &server, .server_count = 1, .ca = getenv("PDVAULT_CA"),
	    .cert = getenv("PDVAULT_CERT"), .key = getenv("PDVAULT_KEY")};
	struct pdv_blob_options options = {.cache_ms = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0};
	struct pdv_client *c = NULL;
	struct pdv_blobs *b = NULL;
	char why[PDV_WHY_LEN] = "";
	int rc = 1;

	if (server != NULL && pdv_client_new(&o, &c, why) == PDV_OK && pdv_blobs_new(c, &options, &b) == PDV_OK)
		rc = serve(c, b);
	else
		(void)fprintf(stderr, "system_blob: %s\n", why);
	pdv_blobs_free(b);
	pdv_client_free(c);
	return rc;
}
