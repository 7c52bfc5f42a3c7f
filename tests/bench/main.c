/*
 * pdvault-bench: measures a running vault, and the raw echo beside it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { ECHO_SERVE = 256 };

static const struct option long_options[] = {
	{ "server", required_argument, NULL, 's' },
	{ "ca", required_argument, NULL, 'a' },
	{ "cert", required_argument, NULL, 'c' },
	{ "key", required_argument, NULL, 'k' },
	{ "mix", required_argument, NULL, 'm' },
	{ "subjects", required_argument, NULL, 'n' },
	{ "record", required_argument, NULL, 'b' },
	{ "in-flight", required_argument, NULL, 'f' },
	{ "connections", required_argument, NULL, 'C' },
	{ "keys", required_argument, NULL, 'K' },
	{ "blob", required_argument, NULL, 'o' },
	{ "rate", required_argument, NULL, 'r' },
	{ "seconds", required_argument, NULL, 't' },
	{ "warm-up", required_argument, NULL, 'w' },
	{ "rounds", required_argument, NULL, 'R' },
	{ "echo-cert", required_argument, NULL, 'e' },
	{ "echo-key", required_argument, NULL, 'E' },
	{ "echo-bytes", required_argument, NULL, 'B' },
	{ "state", required_argument, NULL, 'S' },
	{ "pid", required_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "echo-serve", no_argument, NULL, ECHO_SERVE },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
"usage: pdvault-bench --server URL --ca FILE --cert FILE --key FILE [options]\n"
"\n"
"  (server, ca, cert, key also from PDVAULT_SERVER, PDVAULT_CA, PDVAULT_CERT, PDVAULT_KEY)\n"
"  --mix KIND=N,...     get, find, update, create, erase, keys (data keys made), open (data keys\n"
"                       opened) and their shares; default get=1\n"
"  --keys N             data keys in one request of keys or open, to 256; default 64\n"
"  --subjects N         subjects to have before the load begins; default 1000\n"
"  --state FILE         keeps their ids from run to run, so that they are made once\n"
"  --record BYTES       size of an identity, about; default 300\n"
"  --in-flight N        requests at once; default 64\n"
"  --connections N      default 4\n"
"  --blob MIB           instead of a load: a blob sealed and opened, beside libsodium's stream alone\n"
"  --rate N             open loop: N requests a second at their intended times\n"
"  --seconds S          of each measurement; default 5     --warm-up S   default 1\n"
"  --rounds N           measurements; the median counts; default 3\n"
"  --echo-cert FILE --echo-key FILE   a server's certificate: measures the raw echo by turns\n"
"  --echo-bytes N       default: half of a request and its answer together\n"
"  --pid PID            the server's, to report its memory\n"
"  --json\n";

static bool
parse_mix(const char *text, unsigned *share)
{
	char name[16];
	unsigned n;
	int used;

	memset(share, 0, KIND_COUNT * sizeof(*share));
	while (sscanf(text, "%15[a-z]=%u%n", name, &n, &used) == 2) {
		int k = 0;

		while (k < KIND_ECHO && strcmp(name, kinds_name((enum kind)k)) != 0)
			k++;
		if (k == KIND_ECHO)
			return false;
		share[k] = n;
		text += used;
		if (*text == '\0')
			return true;
		text++;
	}
	return false;
}

static bool
number(const char *text, unsigned least, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < least || n > 100000000u)
		return false;
	*out = (unsigned)n;
	return true;
}

static bool
set(struct options *o, int key, const char *arg)
{
	unsigned n = 0;

	switch (key) {
	case 's': o->server = arg; return true;
	case 'a': o->ca = arg; return true;
	case 'c': o->cert = arg; return true;
	case 'k': o->key = arg; return true;
	case 'm': return parse_mix(arg, o->share);
	case 'n': return number(arg, 1, &o->subjects);
	case 'b': return number(arg, 1, &o->record);
	case 'f': return number(arg, 1, &o->in_flight);
	case 'C': return number(arg, 1, &o->connections);
	case 'K': return number(arg, 1, &o->keys) && o->keys <= PDV_DATA_KEYS_MAX;
	case 'o': return number(arg, 1, &o->blob) && o->blob <= 1024;
	case 'r': return number(arg, 1, &o->rate);
	case 't': o->seconds = strtod(arg, NULL); return o->seconds > 0;
	case 'w': o->warm_up = strtod(arg, NULL); return o->warm_up >= 0;
	case 'R': return number(arg, 1, &o->rounds) && o->rounds <= 64;
	case 'e': o->echo_cert = arg; return true;
	case 'E': o->echo_key = arg; return true;
	case 'B': return number(arg, 1, &o->echo_bytes) && o->echo_bytes <= 65536;
	case 'S': o->state = arg; return true;
	case 'p':
		if (!number(arg, 1, &n))
			return false;
		o->pid = (int)n;
		return true;
	case 'j': o->json = true; return true;
	default: return false;
	}
}

/* A GetIdentity request is about 100 bytes with its envelope, its answer the record and 90 more. */
static unsigned
default_echo_bytes(const struct options *o)
{
	return o->echo_bytes > 0 ? o->echo_bytes : (100 + o->record + 90) / 2;
}

static int
measure(struct bench *b)
{
	static const unsigned echo_only[KIND_COUNT] = { [KIND_ECHO] = 1 };
	struct figures load[64], echoed[64];
	struct report r = { load, echoed, b->o.rounds };
	struct pdv_client *echo_client = NULL;
	struct echo e = { 0 };
	bool ok = true;

	b->echo_bytes = default_echo_bytes(&b->o);
	if (b->o.echo_cert != NULL)
		ok = echo_start(&b->o, &e) && prepare_client(b, e.url, &echo_client);
	for (unsigned i = 0; ok && i < b->o.rounds; i++) {
		if (echo_client != NULL)
			ok = load_run(b, echo_client, echo_only, b->o.seconds, &echoed[i]);
		ok = ok && load_run(b, b->client, b->o.share, b->o.seconds, &load[i]);
	}
	if (ok)
		report_print(b, &r);
	pdv_client_free(echo_client);
	echo_stop(&e);
	return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct bench b = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.idle = PTHREAD_COND_INITIALIZER };
	int key, rc = 1;

	b.o = (struct options){ .server = getenv("PDVAULT_SERVER"), .ca = getenv("PDVAULT_CA"),
		.cert = getenv("PDVAULT_CERT"), .key = getenv("PDVAULT_KEY"),
		.share = { [KIND_GET] = 1 }, .subjects = 1000, .record = 300, .in_flight = 64,
		.connections = 4, .keys = 64, .seconds = 5, .warm_up = 1, .rounds = 3 };
	while ((key = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (key == 'h') {
			(void)fputs(help, stdout);
			return 0;
		}
		if (key == ECHO_SERVE)
			continue;
		if (!set(&b.o, key, optarg)) {
			(void)fprintf(stderr, "pdvault-bench: see pdvault-bench --help\n");
			return 2;
		}
	}
	if (argc > 1 && strcmp(argv[1], "--echo-serve") == 0)
		return echo_serve(&b.o);
	if (b.o.server == NULL || b.o.ca == NULL || b.o.cert == NULL || b.o.key == NULL) {
		(void)fputs(help, stderr);
		return 2;
	}
	if (prepare_client(&b, b.o.server, &b.client) && prepare_subjects(&b) &&
	    prepare_keys(&b))
		rc = b.o.blob > 0 ? !blob_run(&b) : measure(&b);
	pdv_result_free(b.wrapped);
	pdv_client_free(b.client);
	free(b.subject);
	return rc;
}
