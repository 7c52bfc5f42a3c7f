#include "server/init.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/tls_context.h"
#include "server/access/access.h"
#include "server/harden.h"
#include "server/keys/secret.h"
#include "server/serve.h"
#include "server/store/vault.h"

enum status
init_vault(const struct config *c, bool force_class_d)
{
	struct vault_options o;
	enum status rc = harden_limits(0);

	serve_vault_options(c, force_class_d, &o);
	if (rc == STATUS_OK)
		rc = serve_secrets(c);
	if (rc == STATUS_OK && (rc = vault_init(&o)) == STATUS_OK)
		log_event(LOG_INIT, LOG_S(PATH, c->vault_path));
	secret_end();
	return rc;
}

/* What must be true of a file or folder of ours. */
static bool
check_place(const char *what, const char *path, mode_t type)
{
	struct stat st;
	const char *fault = NULL;

	if (lstat(path, &st) != 0)
		fault = strerror(errno);
	else if ((st.st_mode & S_IFMT) != type)
		fault = type == S_IFDIR ? "not a folder" : "not a regular file";
	else if (st.st_uid != geteuid())
		fault = "belongs to another user";
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		fault = "open to others (chmod go=)";
	(void)printf("%s: %s: %s\n", what, path, fault != NULL ? fault : "ok");
	return fault == NULL;
}

static bool
check_class(const struct config *c, bool force_class_d)
{
	const char *why = "";
	enum anchor_class class = anchor_class_of(c->anchor_path, &why);
	bool ok = class != ANCHOR_CLASS_D || force_class_d;

	(void)printf("anchor: class %c (%s)%s\n", (int)class, why,
	    ok ? "" : ": refused without --force-class-d");
	return ok;
}

static bool
check_tls(const struct config *c)
{
	struct tls_context *tls = NULL;
	char text[32] = "?";
	struct tm when;
	time_t expiry;
	bool ok = serve_tls(c, &tls) == STATUS_OK;

	if (ok) {
		expiry = (time_t)tls_context_expiry(tls);
		if (gmtime_r(&expiry, &when) != NULL)
			(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &when);
		(void)printf("tls: ok, the certificate ends %s\n", text);
	} else {
		(void)printf("tls: not usable, see above\n");
	}
	tls_context_free(tls);
	return ok;
}

static bool
check_principals(const struct config *c)
{
	struct access *access = NULL;
	bool ok = serve_access(c, &access) == STATUS_OK;

	(void)printf("principals: %u%s\n", c->principal_count, ok ? "" : ", not usable, see above");
	access_free(access);
	return ok;
}

enum status
init_check(const struct config *c, bool force_class_d)
{
	bool ok = check_principals(c);

	ok &= check_tls(c);
	ok &= check_place("store", c->vault_path, S_IFDIR);
	ok &= check_place("anchor", c->anchor_path, S_IFREG);
	ok &= check_place("key file", c->seal_file_path, S_IFREG);
	ok &= check_class(c, force_class_d);
	return ok ? STATUS_OK : STATUS_CONFIG;
}
