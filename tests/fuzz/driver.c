/*
 * What runs a fuzz target where libFuzzer is not: every file of a corpus, then random
 * mutations of them for some seconds. Usage: fuzz_NAME FOLDER [SECONDS]. The seed is
 * printed, and PDV_FUZZ_SEED sets it, so that what was found is found again.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/must.h"

#define INPUTS_MAX 1024u
#define INPUT_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

struct input {
	uint8_t *p;
	size_t len;
};

static struct input inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t state;

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
draw(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t
below(size_t n)
{
	return n == 0 ? 0 : (size_t)(draw() % n);
}

/* In memory of exactly its size, so that a read past the end is seen. */
static void
run(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	must(copy != NULL);
	memcpy(copy, p, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void
load(const char *path)
{
	FILE *from = fopen(path, "rb");
	struct input *in = &inputs[input_count];

	if (from == NULL || input_count == INPUTS_MAX)
		return;
	must((in->p = malloc(INPUT_MAX)) != NULL);
	in->len = fread(in->p, 1, INPUT_MAX, from);
	must(fclose(from) == 0);
	input_count++;
}

static void
load_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	char path[4096];

	if (d == NULL) {
		(void)fprintf(stderr, "no folder %s\n", folder);
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		load(path);
	}
	must(closedir(d) == 0);
}

/* One small change; a piece of another input now and then. */
static size_t
mutate(uint8_t *p, size_t len)
{
	const struct input *other = &inputs[below(input_count)];
	size_t at = below(len), n;

	switch (below(6)) {
	case 0:
		if (len > 0)
			p[at] ^= (uint8_t)(1u << below(8));
		return len;
	case 1:
		if (len > 0)
			p[at] = (uint8_t)draw();
		return len;
	case 2:
		return at;
	case 3:
		if (len == INPUT_MAX)
			return len;
		memmove(p + at + 1, p + at, len - at);
		p[at] = (uint8_t)draw();
		return len + 1;
	case 4:
		if (len == 0)
			return len;
		memmove(p + at, p + at + 1, len - at - 1);
		return len - 1;
	default:
		n = below(other->len);
		if (n > INPUT_MAX - at)
			n = INPUT_MAX - at;
		memcpy(p + at, other->p + below(other->len - n), n);
		return at + n > len ? at + n : len;
	}
}

static uint64_t
fuzz(double seconds)
{
	static uint8_t buf[INPUT_MAX];
	struct timespec t;
	double end;
	uint64_t runs = 0;
	size_t len, changes;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	end = (double)t.tv_sec + (double)t.tv_nsec / 1e9 + seconds;
	do {
		const struct input *in = &inputs[below(input_count)];

		len = in->len;
		memcpy(buf, in->p, len);
		for (changes = 1 + below(8); changes > 0; changes--)
			len = mutate(buf, len);
		run(buf, len);
		runs++;
		must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	} while ((double)t.tv_sec + (double)t.tv_nsec / 1e9 < end);
	return runs;
}

int
main(int argc, char **argv)
{
	const char *seed = getenv("PDV_FUZZ_SEED");
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
	size_t i;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s FOLDER [SECONDS]\n", argv[0]);
		return 2;
	}
	if (LLVMFuzzerInitialize != NULL)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	(void)fprintf(stderr, "PDV_FUZZ_SEED=%" PRIu64 "\n", state);
	load_folder(argv[1]);
	if (input_count == 0) {
		(void)fprintf(stderr, "the corpus is empty\n");
		return 1;
	}
	for (i = 0; i < input_count; i++)
		run(inputs[i].p, inputs[i].len);
	(void)fprintf(stderr, "%zu inputs, %" PRIu64 " mutations\n", input_count, fuzz(seconds));
	for (i = 0; i < input_count; i++)
		free(inputs[i].p);
	return 0;
}
