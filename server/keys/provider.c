#include "server/keys/provider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"
#include "server/log.h"

static const struct provider_kind *const kinds[] = { &provider_file, &provider_credential,
	&provider_passphrase, &provider_recovery, &provider_pkcs11, &provider_tpm };

const struct provider_kind *
provider_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

bool
provider_has_file(const char *kind)
{
	return strcmp(kind, "credential") != 0 && strcmp(kind, "recovery") != 0;
}

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* What a kind cannot do without, in the order in which it is asked for. */
static const char *
lacks(const struct provider_options *o)
{
	bool pkcs11 = strcmp(o->kind, "pkcs11") == 0, passphrase = strcmp(o->kind, "passphrase") == 0;
	const char *why;

	if (strcmp(o->kind, "recovery") == 0)
		return o->public == NULL ? "a seal of kind recovery needs [backup] recovery_key" : NULL;
	if (!provider_has_file(o->kind))
		return NULL;
	if (!is_given(o->path))
		return "it lacks the key path";
	if ((pkcs11 || passphrase) && !is_given(o->secret))
		return "it lacks the key secret";
	if ((pkcs11 || passphrase) && (why = provider_secret_fault(o->secret)) != NULL)
		return why;
	if (pkcs11 && (!is_given(o->module) || !is_given(o->token)))
		return "it lacks the key module or token";
	if (pkcs11 && is_given(o->mechanism) && strcmp(o->mechanism, "aes-gcm") != 0 &&
	    strcmp(o->mechanism, "rsa-oaep") != 0)
		return "its mechanism is neither aes-gcm nor rsa-oaep";
	return NULL;
}

#define TEXTS 8u

/* The strings of the options, in the order of the struct. */
static void
texts_of(struct provider_options *o, const char **out[static TEXTS])
{
	const char **const all[TEXTS] = { &o->name, &o->kind, &o->path, &o->secret, &o->module, &o->token,
		&o->mechanism, &o->tcti };

	memcpy(out, all, sizeof(all));
}

enum status
provider_new(const struct provider_options *o, struct provider **out, const char **why)
{
	struct provider *p;
	const char **text[TEXTS];
	size_t len = 0;
	char *at;

	*why = "its kind is none of file, credential, passphrase, pkcs11, tpm, recovery";
	if (provider_kind(o->kind) == NULL || (*why = lacks(o)) != NULL)
		return STATUS_CONFIG;
	must(strlen(o->name) <= PROVIDER_NAME_MAX);
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return STATUS_NO_MEMORY;
	p->kind = provider_kind(o->kind);
	p->o = *o;
	texts_of(&p->o, text);
	for (size_t i = 0; i < TEXTS; i++)
		len += *text[i] != NULL ? strlen(*text[i]) + 1 : 1;
	if ((p->text = at = malloc(len)) == NULL) {
		free(p);
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < TEXTS; i++) {
		const char *from = *text[i] != NULL ? *text[i] : "";

		*text[i] = at;
		at = stpcpy(at, from) + 1;
	}
	if (o->public != NULL)
		memcpy(p->own_public, o->public, sizeof(p->own_public));
	p->o.public = p->own_public;
	*out = p;
	return STATUS_OK;
}

void
provider_free(struct provider *p)
{
	if (p == NULL)
		return;
	secret_free(p->secret, PROVIDER_SECRET_ROOM);
	free(p->text);
	free(p);
}

bool
provider_has_versions(const struct provider *p)
{
	return provider_has_file(p->o.kind) &&
	    (versions_stands(p->o.path, VERSION_NOW) || versions_stands(p->o.path, VERSION_NEXT));
}

const char *
provider_name(const struct provider *p)
{
	return p->o.name;
}

const struct provider_kind *
provider_kind_of(const struct provider *p)
{
	return p->kind;
}

enum status
provider_create(struct provider *p, struct provider_kek *out)
{
	return p->kind->create(p, out);
}

enum status
provider_renew(struct provider *p, struct provider_kek *out)
{
	return p->kind->renew(p, out);
}

enum status
provider_open(struct provider *p, struct provider_kek out[static PROVIDER_VERSIONS_MAX], unsigned *count)
{
	return p->kind->open(p, out, count);
}

enum status
provider_keep(struct provider *p, const uint8_t *id)
{
	return p->kind->keep(p, id);
}

char
provider_class(struct provider *p, const char **why)
{
	return p->kind->class(p, why);
}

void
provider_complain_of(const struct provider *p, const char *path, const char *why)
{
	if (errno != 0)
		log_event(LOG_SEAL, LOG_S(NAME, p->o.name), LOG_S(WHAT, p->o.kind), LOG_S(PATH, path),
		    LOG_S(WHY, why), LOG_S(ERRNO, strerrorname_np(errno)));
	else
		log_event(LOG_SEAL, LOG_S(NAME, p->o.name), LOG_S(WHAT, p->o.kind), LOG_S(PATH, path),
		    LOG_S(WHY, why));
}

void
provider_complain(const struct provider *p, const char *why)
{
	provider_complain_of(p, p->o.path, why);
}

void
provider_derive(struct bytes secret, struct provider_kek *out)
{
	seal_key_of(secret, "pdvault seal", &out->key);
	seal_tag(&out->key, "seal id", bytes_of(NULL, 0), bytes_of(NULL, 0), out->id);
}

enum status
provider_vacant(const struct provider *p, enum version_place at)
{
	if (!versions_stands(p->o.path, at))
		return STATUS_OK;
	errno = 0;
	provider_complain(p,
	    at == VERSION_NOW ? "it exists already" : "a new version is on the way already");
	return STATUS_REFUSED;
}

enum status
provider_add_version(struct provider *p, enum version_place at, struct bytes content)
{
	const char *why = NULL;
	enum status rc = versions_add(p->o.path, at, content, &why);

	if (rc != STATUS_OK)
		provider_complain(p, why);
	return rc;
}

enum status
provider_open_versions(struct provider *p, provider_load *load, struct provider_kek *out, unsigned *count)
{
	const char *why = NULL, *other = NULL;
	enum status now, next = STATUS_ABSENT;
	unsigned n = 0;

	errno = 0;
	now = load(p, VERSION_NOW, &out[0], &why);
	n += now == STATUS_OK;
	if (now != STATUS_OK && now != STATUS_ABSENT && why != NULL)
		provider_complain(p, why);
	/* Where PATH was overwritten and not removed yet, this one alone counts. */
	if (versions_stands(p->o.path, VERSION_NEXT)) {
		errno = 0;
		next = load(p, VERSION_NEXT, &out[n], &other);
		n += next == STATUS_OK;
		if (next != STATUS_OK && other != NULL)
			provider_complain(p, other);
	}
	*count = n;
	if (n > 0)
		return STATUS_OK;
	errno = 0;
	if (now == STATUS_ABSENT && next == STATUS_ABSENT)
		provider_complain(p, "is not there");
	now = now == STATUS_ABSENT ? next : now;
	return now == STATUS_ABSENT ? STATUS_CONFIG : now;
}

/* Where the version with that id lies (NULL: nowhere); found without a load where there is one file only. */
static enum status
find_version(struct provider *p, provider_load *load, const uint8_t *id, enum version_place *out)
{
	struct provider_kek *found;
	const char *why = NULL;
	bool there = false;

	*out = VERSION_NONE;
	if (id == NULL)
		return STATUS_OK;
	*out = VERSION_NOW;
	if (!versions_stands(p->o.path, VERSION_NEXT) && versions_stands(p->o.path, VERSION_NOW))
		return STATUS_OK;
	if ((found = secret_alloc(sizeof(*found))) == NULL)
		return STATUS_NO_MEMORY;
	for (enum version_place at = VERSION_NOW; at <= VERSION_NEXT; at++) {
		if (load(p, at, found, &why) != STATUS_OK || memcmp(found->id, id, PROVIDER_ID_LEN) != 0)
			continue;
		*out = at;
		there = true;
	}
	secret_free(found, sizeof(*found));
	errno = 0;
	/* What would be destroyed may be the only one that opens. */
	if (!there)
		provider_complain(p, "the version that is to be kept is not there");
	return there ? STATUS_OK : STATUS_CONFIG;
}

enum status
provider_keep_version(struct provider *p, enum version_place at)
{
	const char *why = NULL;
	enum status rc;

	/* Most often there is nothing to destroy. */
	if (at == VERSION_NOW && !versions_stands(p->o.path, VERSION_NEXT))
		return STATUS_OK;
	if ((rc = versions_keep(p->o.path, at, &why)) != STATUS_OK)
		provider_complain(p, why);
	return rc;
}

enum status
provider_keep_versions(struct provider *p, provider_load *load, const uint8_t *id)
{
	enum version_place at;
	enum status rc = find_version(p, load, id, &at);

	return rc == STATUS_OK ? provider_keep_version(p, at) : rc;
}
