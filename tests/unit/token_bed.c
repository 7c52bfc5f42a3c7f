#include "token_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "server/keys/secret.h"

struct faulty *token_fault;

static char faulty_path[512];

static void
write_configuration(const char *tokens)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "directories.tokendir = %s\nobjectstore.backend = file\n"
					     "log.level = ERROR\nslots.removable = false\n", tokens);

	provider_write("softhsm2.conf", text, (size_t)n);
}

void
token_make(const char *label)
{
	const char *const argv[] = { "softhsm2-util", "--init-token", "--free", "--label", label,
	    "--so-pin",
		"31415926", "--pin", TOKEN_PIN, NULL };

	assert_int_equal(programs_run(argv), 0);
}

/* Lies beside this program. */
static void
find_faulty(void)
{
	ssize_t n = readlink("/proc/self/exe", faulty_path, sizeof(faulty_path) - 64);
	struct faulty *(*get)(void);
	void *module;

	assert_true(n > 0);
	faulty_path[n] = '\0';
	(void)snprintf(strrchr(faulty_path, '/'), 64, "/faulty_token.so");
	assert_non_null(module = dlopen(faulty_path, RTLD_NOW | RTLD_LOCAL));
	*(void **)&get = dlsym(module, "faulty");
	token_fault = get();
}

/* What the token keeps: a file for each object. */
unsigned
token_objects(void)
{
	DIR *tokens = opendir(scratch_path(provider_folder, "tokens")), *token;
	struct dirent *at, *file;
	char path[1024];
	unsigned n = 0;

	assert_non_null(tokens);
	while ((at = readdir(tokens)) != NULL) {
		if (at->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/tokens/%s", provider_folder, at->d_name);
		assert_non_null(token = opendir(path));
		while ((file = readdir(token)) != NULL)
			n += strstr(file->d_name, ".object") != NULL && strcmp(file->d_name,
			    "token.object") != 0;
		(void)closedir(token);
	}
	(void)closedir(tokens);
	return n;
}

int
token_begin(void **state)
{
	if (provider_begin(state) != 0)
		return -1;
	assert_int_equal(mkdir(scratch_path(provider_folder, "tokens"), 0700), 0);
	write_configuration(scratch_path(provider_folder, "tokens"));
	assert_int_equal(setenv("SOFTHSM2_CONF", scratch_path(provider_folder, "softhsm2.conf"), 1), 0);
	token_make(TOKEN_LABEL);
	provider_write("pin", TOKEN_PIN "\n", strlen(TOKEN_PIN) + 1);
	find_faulty();
	return 0;
}

int
token_end(void **state)
{
	return provider_end(state);
}

int
token_before_each(void **state)
{
	(void)state;
	memset(token_fault, 0, sizeof(*token_fault));
	return 0;
}

int
token_after_each(void **state)
{
	(void)state;
	assert_int_equal(secret_used(), 0);
	return 0;
}

struct provider *
token_provider(const char *file, const char *mechanism, const char *module, const char *label)
{
	char secret[600], path[600];
	const struct provider_options o = { .name = "hsm", .kind = "pkcs11", .path = path,
		.secret = secret, .module = module != NULL ? module : faulty_path, .token = label,
		.mechanism = mechanism };

	(void)snprintf(path, sizeof(path), "%s/%s", provider_folder, file);
	(void)snprintf(secret, sizeof(secret), "file:%s/pin", provider_folder);
	return provider_made(&o);
}

struct provider *
token_usual(const char *file)
{
	return token_provider(file, "", NULL, TOKEN_LABEL);
}

void
token_closed(struct provider *p, enum status want, const char *why)
{
	provider_closed(p, want, why, TOKEN_PIN);
}
