/*
 * What was measured, as a table or as JSON.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static int
by_rate(const void *a, const void *b)
{
	double x = ((const struct figures *)a)->per_second, y = ((const struct figures *)b)->per_second;

	return (x > y) - (x < y);
}

/* The middle round by throughput. */
static struct figures
median(const struct figures *f, unsigned n)
{
	struct figures sorted[64];

	memcpy(sorted, f, n * sizeof(*f));
	qsort(sorted, n, sizeof(*sorted), by_rate);
	return sorted[n / 2];
}

/* RssAnon + RssShmem of the server, in bytes; 0: not known. */
static uint64_t
memory_of(int pid)
{
	char path[64], line[256];
	uint64_t kb, total = 0;
	FILE *in;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (pid == 0 || (in = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "RssAnon: %" SCNu64, &kb) == 1 ||
		    sscanf(line, "RssShmem: %" SCNu64, &kb) == 1)
			total += kb * 1024;
	(void)fclose(in);
	return total;
}

static void
line(const char *what, const struct figures *f)
{
	(void)printf("%-6s %9.0f /s   p50 %7.0f us   p99 %7.0f us   p99.9 %7.0f us   errors %" PRIu64
	    "   gone %" PRIu64 "\n", what, f->per_second, (double)f->p50 / 1e3, (double)f->p99 / 1e3,
	    (double)f->p999 / 1e3, f->errors, f->gone);
}

static json_t *
object(const struct figures *f)
{
	return json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:f}", "per_second", f->per_second, "count",
	    (json_int_t)f->count, "errors", (json_int_t)f->errors, "gone", (json_int_t)f->gone,
	    "p50_us", (double)f->p50 / 1e3, "p99_us", (double)f->p99 / 1e3, "p999_us",
	    (double)f->p999 / 1e3);
}

static void
print_json(const struct bench *b, const struct report *r)
{
	struct figures load = median(r->load, r->rounds), echo;
	json_t *top = json_object(), *kinds = json_object();

	for (int k = 0; k < KIND_ECHO; k++)
		if (b->o.share[k] > 0)
			(void)json_object_set_new(kinds, kinds_name((enum kind)k), json_integer(b->o.share[k]));
	(void)json_object_set_new(top, "mix", kinds);
	(void)json_object_set_new(top, "in_flight", json_integer(b->o.in_flight));
	(void)json_object_set_new(top, "connections", json_integer(b->o.connections));
	(void)json_object_set_new(top, "rate", json_integer(b->o.rate));
	(void)json_object_set_new(top, "load", object(&load));
	if (b->o.share[KIND_KEYS] + b->o.share[KIND_OPEN] > 0)
		(void)json_object_set_new(top, "keys_per_request", json_integer(b->o.keys));
	if (b->o.echo_cert != NULL) {
		echo = median(r->echo, r->rounds);
		(void)json_object_set_new(top, "echo", object(&echo));
		(void)json_object_set_new(top, "ratio", json_real(load.per_second / echo.per_second));
		(void)json_object_set_new(top, "echo_bytes", json_integer(b->echo_bytes));
	}
	if (b->o.pid != 0)
		(void)json_object_set_new(top, "server_memory_bytes",
		    json_integer((json_int_t)memory_of(b->o.pid)));
	(void)json_dumpf(top, stdout, JSON_INDENT(2));
	(void)printf("\n");
	json_decref(top);
}

void
report_print(const struct bench *b, const struct report *r)
{
	struct figures load = median(r->load, r->rounds), echo;

	if (b->errors > 0)
		(void)fprintf(stderr, "pdvault-bench: the first error was %s\n", b->first_error);
	if (b->o.json) {
		print_json(b, r);
		return;
	}
	for (unsigned i = 0; i < r->rounds; i++) {
		if (b->o.echo_cert != NULL)
			line("echo", &r->echo[i]);
		line("load", &r->load[i]);
	}
	if (b->o.echo_cert != NULL) {
		echo = median(r->echo, r->rounds);
		(void)printf("ratio  %9.2f      (medians of %u rounds; echo of %u bytes)\n",
		    load.per_second / echo.per_second, r->rounds, b->echo_bytes);
	}
	if (b->o.share[KIND_KEYS] + b->o.share[KIND_OPEN] > 0)
		(void)printf("keys   %9.0f /s   if all were of them, %u in each\n", load.per_second * b->o.keys,
		    b->o.keys);
	if (b->o.pid != 0)
		(void)printf("memory %9.1f MB of the server (RssAnon + RssShmem)\n",
		    (double)memory_of(b->o.pid) / 1e6);
}
