#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics.h"

static const char *const names[] = { "/pdvault.v1.Vault/GetIdentity", "/pdvault.v1.Admin/GetStatus" };

/*
 * A strict reader of the text format 0.0.4 as far as it is used here: every sample stands
 * under the HELP and TYPE of its family, families come once, histograms are cumulative,
 * have le in growing order, end in +Inf, and _count is that last bucket.
 */
struct reader {
	char family[128], kind[16];
	char families[64][128];
	unsigned family_count;
	double last_le;			/* of the present series of buckets */
	uint64_t last_bucket;
	bool saw_inf;
};

static void
head(struct reader *r, const char *line)
{
	char word[16], rest[256];
	unsigned i;

	if (strncmp(line, "# HELP ", 7) == 0) {
		assert_int_equal(sscanf(line, "# HELP %127s %255[^\n]", r->family, rest), 2);
		assert_int_equal(strncmp(r->family, "pdvault_", 8), 0);
		for (i = 0; i < r->family_count; i++)
			assert_string_not_equal(r->families[i], r->family);
		assert_true(r->family_count < 64);
		memcpy(r->families[r->family_count++], r->family, sizeof(r->family));
		r->kind[0] = '\0';
		return;
	}
	assert_int_equal(sscanf(line, "# TYPE %255s %15s", rest, word), 2);
	assert_string_equal(rest, r->family);
	assert_string_equal(r->kind, "");
	assert_true(strcmp(word, "gauge") == 0 || strcmp(word, "counter") == 0
	    || strcmp(word, "histogram") == 0);
	(void)snprintf(r->kind, sizeof(r->kind), "%s", word);
}

static void
bucket(struct reader *r, const char *labels, uint64_t value)
{
	const char *le = strstr(labels, "le=\"");
	double bound;

	assert_non_null(le);
	if (r->saw_inf) {		/* a new series */
		r->last_le = -1;
		r->last_bucket = 0;
		r->saw_inf = false;
	}
	bound = strncmp(le + 4, "+Inf", 4) == 0 ? 1e300 : strtod(le + 4, NULL);
	assert_true(bound > r->last_le);
	assert_true(value >= r->last_bucket);
	r->last_le = bound;
	r->last_bucket = value;
	r->saw_inf = bound > 1e299;
}

static void
sample(struct reader *r, const char *line)
{
	char name[128], labels[256] = "", value[64], *end;
	size_t n = strcspn(line, "{ "), family = strlen(r->family);
	const char *rest = line + n;

	assert_true(n < sizeof(name));
	(void)snprintf(name, sizeof(name), "%.*s", (int)n, line);
	if (*rest == '{') {
		assert_int_equal(sscanf(rest, "{%255[^}]} %63s", labels, value), 2);
	} else {
		assert_int_equal(sscanf(rest, " %63s", value), 1);
	}
	(void)strtod(value, &end);
	assert_string_equal(end, "");
	assert_int_equal(strncmp(name, r->family, family), 0);
	if (strcmp(r->kind, "histogram") != 0) {
		assert_string_equal(name, r->family);
		assert_true(strcmp(r->kind, "counter") != 0
		    || strcmp(name + n - 6, "_total") == 0);
		return;
	}
	if (strcmp(name + family, "_bucket") == 0) {
		bucket(r, labels, strtoull(value, NULL, 10));
	} else if (strcmp(name + family, "_count") == 0) {
		assert_true(r->saw_inf);
		assert_true(strtoull(value, NULL, 10) == r->last_bucket);
	} else {
		assert_string_equal(name + family, "_sum");
	}
}

static void
read_text(const char *text)
{
	struct reader r = { .saw_inf = true };
	const char *line, *end;
	char copy[512];

	for (line = text; *line != '\0'; line = end + 1) {
		assert_non_null(end = strchr(line, '\n'));
		assert_true(end > line && (size_t)(end - line) < sizeof(copy));
		(void)snprintf(copy, sizeof(copy), "%.*s", (int)(end - line), line);
		if (copy[0] == '#')
			head(&r, copy);
		else
			sample(&r, copy);
	}
	assert_true(r.family_count == METRIC_COUNT + METRIC_TIME_COUNT + 2);
}

static char *
print(void)
{
	size_t len = metrics_print(NULL, 0, names, 2);
	char *text = malloc(len + 1);

	assert_non_null(text);
	assert_int_equal(metrics_print(text, len + 1, names, 2), len);
	assert_int_equal(strlen(text), len);
	return text;
}

static void
has(const char *line)
{
	char *text = print();

	if (strstr(text, line) == NULL)
		fail_msg("lacks %s", line);
	free(text);
}

static void
is_the_text_format(void **state)
{
	char *text = print();

	(void)state;
	read_text(text);
	free(text);
	has("# TYPE pdvault_epoch gauge\npdvault_epoch 0\n");
	has("# TYPE pdvault_commits_total counter\npdvault_commits_total 0\n");
	has("pdvault_requests_total{method=\"/pdvault.v1.Admin/GetStatus\",code=\"OK\"} 0\n");
}

static void
counts(void **state)
{
	char *text;

	(void)state;
	metrics_set(METRIC_EPOCH, UINT64_MAX);
	metrics_add(METRIC_COMMITS, 2);
	metrics_add(METRIC_COMMITS, 3);
	assert_int_equal(metrics_get(METRIC_COMMITS), 5);
	has("\npdvault_epoch 18446744073709551615\n");
	has("\npdvault_commits_total 5\n");
	text = print();
	read_text(text);
	free(text);
}

static void
sorts_into_buckets(void **state)
{
	(void)state;
	metrics_time(METRIC_TIME_COMMIT, 10000);	/* le is inclusive */
	metrics_time(METRIC_TIME_COMMIT, 10001);
	metrics_time(METRIC_TIME_COMMIT, 1500000000);
	metrics_time(METRIC_TIME_COMMIT, 20000000000);
	has("\npdvault_commit_duration_seconds_bucket{le=\"1e-05\"} 1\n");
	has("\npdvault_commit_duration_seconds_bucket{le=\"2.5e-05\"} 2\n");
	has("\npdvault_commit_duration_seconds_bucket{le=\"1\"} 2\n");
	has("\npdvault_commit_duration_seconds_bucket{le=\"2.5\"} 3\n");
	has("\npdvault_commit_duration_seconds_bucket{le=\"10\"} 3\n");
	has("\npdvault_commit_duration_seconds_bucket{le=\"+Inf\"} 4\n");
	has("\npdvault_commit_duration_seconds_sum 21.500020001\n");
	has("\npdvault_commit_duration_seconds_count 4\n");
}

static void
counts_requests(void **state)
{
	char *text;

	(void)state;
	metrics_request(0, PDV_OK, 4000);
	metrics_request(0, PDV_NOT_FOUND, 4000);
	metrics_request(0, PDV_NOT_FOUND, 3000000);
	metrics_request(METRICS_METHODS_MAX - 1, PDV_UNAUTHENTICATED, 0);
	has("\npdvault_requests_total{method=\"/pdvault.v1.Vault/GetIdentity\",code=\"OK\"} 1\n");
	has("\npdvault_requests_total{method=\"/pdvault.v1.Vault/GetIdentity\",code=\"NOT_FOUND\"} 2\n");
	has("\npdvault_request_duration_seconds_bucket{method=\"/pdvault.v1.Vault/GetIdentity\","
	    "le=\"1e-05\"} 2\n");
	has("\npdvault_request_duration_seconds_sum{method=\"/pdvault.v1.Vault/GetIdentity\"} "
	    "0.003008000\n");
	text = print();
	read_text(text);
	free(text);
}

static void
says_how_much_it_needs(void **state)
{
	char small[100];
	size_t len = metrics_print(NULL, 0, names, 2);

	(void)state;
	memset(small, 'x', sizeof(small));
	assert_int_equal(metrics_print(small, 50, names, 2), len);
	assert_int_equal(small[50], 'x');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_the_text_format), cmocka_unit_test(counts),
		cmocka_unit_test(sorts_into_buckets), cmocka_unit_test(counts_requests),
		cmocka_unit_test(says_how_much_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
