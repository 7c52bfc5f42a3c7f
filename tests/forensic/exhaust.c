/*
 * exhaust BOXES FILE...: which of the 32-byte windows of the files, at all alignments, open a box? No list of
 * keys is asked: each window is tried as the key of each box, by its commitment (docs/FORMAT.md). BOXES holds
 * 120 bytes for each: nonce (24), commitment (32), context (64). Each find is a line: FILE OFFSET BOX. The last
 * line is "windows N". Two threads.
 *
 * A window with four or more zero bytes among its first sixteen is passed over: a random key
 * looks so once in two million.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 32u
#define HEAD 16u
#define ZEROS_MAX 3u
#define NONCE 24u
#define COMMITMENT 32u
#define CONTEXT 64u
#define BOX (NONCE + COMMITMENT + CONTEXT)
#define THREADS 2u
#define STRETCH 4096u		/* windows that a thread takes at once */

static struct {
	const uint8_t *boxes;
	size_t box_count;
	const char *path;
	const uint8_t *data;
	size_t len, next;
	uint64_t windows;
	pthread_mutex_t lock;
} work = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const uint8_t *
map(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;

	if (fd < 0 || fstat(fd, &st) != 0 || (st.st_size > 0 && (p = mmap(NULL, (size_t)st.st_size,
	    PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)) {
		perror(path);
		exit(2);
	}
	(void)close(fd);
	*len = (size_t)st.st_size;
	return p;
}

static bool
may_be_a_key(const uint8_t *w)
{
	unsigned zeros = 0;

	for (unsigned i = 0; i < HEAD; i++)
		zeros += w[i] == 0;
	return zeros <= ZEROS_MAX;
}

static void
try_window(size_t at)
{
	uint8_t in[NONCE + CONTEXT], out[64];

	for (size_t i = 0; i < work.box_count; i++) {
		const uint8_t *box = work.boxes + i * BOX;

		memcpy(in, box, NONCE);
		memcpy(in + NONCE, box + NONCE + COMMITMENT, CONTEXT);
		if (crypto_generichash(out, sizeof(out), in, sizeof(in), work.data + at, WINDOW) != 0)
			exit(2);
		if (memcmp(out + 32, box + NONCE, COMMITMENT) != 0)
			continue;
		(void)pthread_mutex_lock(&work.lock);
		(void)printf("%s %zu %zu\n", work.path, at, i);
		(void)pthread_mutex_unlock(&work.lock);
	}
}

static void *
run(void *arg)
{
	uint64_t tried = 0;
	size_t at, end;

	(void)arg;
	for (;;) {
		(void)pthread_mutex_lock(&work.lock);
		at = work.next;
		end = at + STRETCH < work.len ? at + STRETCH : work.len;
		work.next = end;
		work.windows += tried;
		(void)pthread_mutex_unlock(&work.lock);
		if (at == end)
			return NULL;
		for (tried = 0; at < end; at++)
			if (may_be_a_key(work.data + at)) {
				try_window(at);
				tried++;
			}
	}
}

static void
search(const char *path)
{
	pthread_t thread[THREADS];
	size_t len;

	work.path = path;
	work.data = map(path, &len);
	work.len = len < WINDOW ? 0 : len - WINDOW + 1;
	work.next = 0;
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, run, NULL) != 0)
			exit(2);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(thread[i], NULL);
	if (len > 0)
		(void)munmap((void *)(uintptr_t)work.data, len);
}

int
main(int argc, char **argv)
{
	size_t len;

	if (argc < 3 || sodium_init() < 0) {
		(void)fprintf(stderr, "usage: exhaust BOXES FILE...\n");
		return 2;
	}
	work.boxes = map(argv[1], &len);
	work.box_count = len / BOX;
	for (int i = 2; i < argc; i++)
		search(argv[i]);
	(void)printf("windows %" PRIu64 "\n", work.windows);
	return 0;
}
