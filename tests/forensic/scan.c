/*
 * scan IDS FILE...: which of the 32-byte windows of the files, at all alignments, are keys?
 * IDS holds 16 bytes for each key that is looked for, BLAKE2b-128 of it. Each find is a line:
 * FILE OFFSET ID. The last line is "windows N".
 *
 * A window with four or more zero bytes among its first sixteen is passed over: a random key
 * looks so once in two million.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_LEN 16u
#define WINDOW 32u
#define HEAD 16u
#define ZEROS_MAX 3u

/* Open addressing; ids are random bytes, so their own beginning is the hash. */
struct set {
	uint8_t (*slot)[ID_LEN];
	bool *taken;
	size_t size;
};

static size_t
place(const struct set *s, const uint8_t *id)
{
	uint64_t h;

	memcpy(&h, id, sizeof(h));
	for (h &= s->size - 1; s->taken[h] && memcmp(s->slot[h], id, ID_LEN) != 0;)
		h = (h + 1) & (s->size - 1);
	return (size_t)h;
}

static void
set_read(struct set *s, const uint8_t *ids, size_t count)
{
	for (s->size = 1024; s->size < count * 4;)
		s->size *= 2;
	s->slot = calloc(s->size, ID_LEN);
	s->taken = calloc(s->size, sizeof(*s->taken));
	if (s->slot == NULL || s->taken == NULL)
		exit(2);
	for (size_t i = 0; i < count; i++) {
		size_t at = place(s, ids + i * ID_LEN);

		memcpy(s->slot[at], ids + i * ID_LEN, ID_LEN);
		s->taken[at] = true;
	}
}

static const uint8_t *
map_file(const char *path, size_t *len)
{
	struct stat sb;
	void *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &sb) != 0) {
		perror(path);
		exit(2);
	}
	*len = (size_t)sb.st_size;
	p = *len > 0 ? mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	if (p == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	(void)close(fd);
	return p;
}

static uint64_t
scan(const struct set *s, const char *path)
{
	size_t len, at;
	const uint8_t *p = map_file(path, &len);
	char text[ID_LEN * 2 + 1];
	uint8_t id[ID_LEN];
	unsigned zeros = 0;
	uint64_t hashed = 0;

	for (at = 0; at < HEAD && at < len; at++)
		zeros += p[at] == 0;
	for (at = 0; at + WINDOW <= len; at++) {
		if (zeros <= ZEROS_MAX) {
			(void)crypto_generichash(id, sizeof(id), p + at, WINDOW, NULL, 0);
			hashed++;
			if (s->taken[place(s, id)])
				(void)printf("%s %zu %s\n", path, at, sodium_bin2hex(text, sizeof(text), id,
				    sizeof(id)));
		}
		zeros -= p[at] == 0;
		zeros += p[at + HEAD] == 0;
	}
	return hashed;
}

int
main(int argc, char **argv)
{
	struct set s = { NULL, NULL, 0 };
	uint64_t windows = 0;
	const uint8_t *ids;
	size_t len;

	if (argc < 3 || sodium_init() < 0)
		return 2;
	ids = map_file(argv[1], &len);
	set_read(&s, ids, len / ID_LEN);
	for (int i = 2; i < argc; i++)
		windows += scan(&s, argv[i]);
	(void)printf("windows %" PRIu64 "\n", windows);
	free(s.slot);
	free(s.taken);
	return 0;
}
