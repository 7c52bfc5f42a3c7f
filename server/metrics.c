#include "server/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "server/must.h"

enum kind { GAUGE, COUNTER };

#define CODES 17u

/* Upper bounds of the buckets: nanoseconds, and seconds as Prometheus wants them. */
#define BUCKETS(X)                                                                    \
	X(10000, "1e-05") X(25000, "2.5e-05") X(50000, "5e-05")                       \
	X(100000, "0.0001") X(250000, "0.00025") X(500000, "0.0005")                  \
	X(1000000, "0.001") X(2500000, "0.0025") X(5000000, "0.005")                  \
	X(10000000, "0.01") X(25000000, "0.025") X(50000000, "0.05")                  \
	X(100000000, "0.1") X(250000000, "0.25") X(500000000, "0.5")                  \
	X(1000000000, "1") X(2500000000, "2.5") X(5000000000, "5") X(10000000000, "10")

#define BOUND(ns, text) ns##u,
static const uint64_t bounds[] = { BUCKETS(BOUND) };
#undef BOUND
#define BOUND_TEXT(ns, text) text,
static const char *const bound_texts[] = { BUCKETS(BOUND_TEXT) };
#undef BOUND_TEXT

#define BOUND_COUNT (sizeof(bounds) / sizeof(bounds[0]))

struct histogram {
	atomic_uint_fast64_t bucket[BOUND_COUNT + 1];	/* not cumulative; the last is +Inf */
	atomic_uint_fast64_t sum_ns;
};

struct requests {
	struct histogram time;
	atomic_uint_fast64_t codes[CODES];
};

static const struct {
	enum kind kind;
	const char *name, *help;
} rows[METRIC_COUNT] = {
#define ROW(name, kind, text, help) { kind, text, help },
	METRICS(ROW)
#undef ROW
};

static const struct {
	const char *name, *help;
} time_rows[METRIC_TIME_COUNT] = {
#define ROW(name, text, help) { text, help },
	METRIC_HISTOGRAMS(ROW)
#undef ROW
};

static const char *const code_names[CODES] = {
#define CODE_NAME(name, number) [number] = #name,
	PDV_CODES(CODE_NAME)
#undef CODE_NAME
};

static atomic_uint_fast64_t values[METRIC_COUNT];
static struct histogram times[METRIC_TIME_COUNT];
static struct requests requests[METRICS_METHODS_MAX];

/* Numbers that no other memory depends on: order does not matter. */
static void
add(atomic_uint_fast64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t
value_of(atomic_uint_fast64_t *of)
{
	return atomic_load_explicit(of, memory_order_relaxed);
}

void
metrics_add(enum metric m, uint64_t n)
{
	must((unsigned)m < METRIC_COUNT);
	add(&values[m], n);
}

void
metrics_set(enum metric m, uint64_t value)
{
	must((unsigned)m < METRIC_COUNT);
	atomic_store_explicit(&values[m], value, memory_order_relaxed);
}

uint64_t
metrics_get(enum metric m)
{
	must((unsigned)m < METRIC_COUNT);
	return value_of(&values[m]);
}

static void
observe(struct histogram *h, uint64_t ns)
{
	size_t i = 0;

	while (i < BOUND_COUNT && ns > bounds[i])
		i++;
	add(&h->bucket[i], 1);
	add(&h->sum_ns, ns);
}

void
metrics_time(enum metric_time t, uint64_t ns)
{
	must((unsigned)t < METRIC_TIME_COUNT);
	observe(&times[t], ns);
}

void
metrics_request(unsigned method, enum pdv_code code, uint64_t ns)
{
	must(method < METRICS_METHODS_MAX && (unsigned)code < CODES);
	observe(&requests[method].time, ns);
	add(&requests[method].codes[code], 1);
}

/* Text that is counted beyond the end of the buffer, as snprintf counts. */
struct out {
	char *buf;
	size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void
put(struct out *o, const char *format, ...)
{
	size_t left = o->len < o->cap ? o->cap - o->len : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(left > 0 ? o->buf + o->len : NULL, left, format, args);
	va_end(args);
	must(n >= 0);
	o->len += (size_t)n;
}

static void
put_head(struct out *o, const char *name, const char *kind, const char *help)
{
	put(o, "# HELP pdvault_%s %s\n# TYPE pdvault_%s %s\n", name, help, name, kind);
}

static void
put_values(struct out *o)
{
	unsigned m;

	for (m = 0; m < METRIC_COUNT; m++) {
		put_head(o, rows[m].name, rows[m].kind == GAUGE ? "gauge" : "counter", rows[m].help);
		put(o, "pdvault_%s %" PRIu64 "\n", rows[m].name, value_of(&values[m]));
	}
}

/* label is NULL, or the value of the label method. */
static void
put_histogram(struct out *o, const char *name, const char *label, struct histogram *h)
{
	const char *open = label != NULL ? "method=\"" : "", *close = label != NULL ? "\"" : "";
	const char *text = label != NULL ? label : "", *comma = label != NULL ? "," : "";
	uint64_t count = 0, sum = value_of(&h->sum_ns);
	size_t i;

	/* The count is made of the buckets as they were read, so that it never contradicts them. */
	for (i = 0; i <= BOUND_COUNT; i++) {
		count += value_of(&h->bucket[i]);
		put(o, "pdvault_%s_bucket{%s%s%s%sle=\"%s\"} %" PRIu64 "\n", name, open, text,
		    close, comma, i < BOUND_COUNT ? bound_texts[i] : "+Inf", count);
	}
	if (label != NULL) {
		put(o, "pdvault_%s_sum{method=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", name, label,
		    sum / 1000000000u, sum % 1000000000u);
		put(o, "pdvault_%s_count{method=\"%s\"} %" PRIu64 "\n", name, label, count);
	} else {
		put(o, "pdvault_%s_sum %" PRIu64 ".%09" PRIu64 "\n", name, sum / 1000000000u,
		    sum % 1000000000u);
		put(o, "pdvault_%s_count %" PRIu64 "\n", name, count);
	}
}

static void
put_requests(struct out *o, const char *const *names, unsigned count)
{
	unsigned m, code;
	uint64_t n;

	put_head(o, "requests_total", "counter", "Answered requests by method and code.");
	for (m = 0; m < count; m++)
		for (code = 0; code < CODES; code++)
			/* OK from the start, so that rates have a first value; others when seen. */
			if ((n = value_of(&requests[m].codes[code])) != 0 || code == PDV_OK)
				put(o, "pdvault_requests_total{method=\"%s\",code=\"%s\"} %" PRIu64
				    "\n", names[m], code_names[code], n);
	put_head(o, "request_duration_seconds", "histogram",
	    "From a request's arrival to its answer being handed to the network.");
	for (m = 0; m < count; m++)
		put_histogram(o, "request_duration_seconds", names[m], &requests[m].time);
}

size_t
metrics_print(char *buf, size_t cap, const char *const *names, unsigned count)
{
	struct out o = { .buf = buf, .cap = cap };
	unsigned t;

	must(count <= METRICS_METHODS_MAX);
	put_values(&o);
	for (t = 0; t < METRIC_TIME_COUNT; t++) {
		put_head(&o, time_rows[t].name, "histogram", time_rows[t].help);
		put_histogram(&o, time_rows[t].name, NULL, &times[t]);
	}
	put_requests(&o, names, count);
	return o.len;
}
