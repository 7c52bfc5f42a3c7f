#include "server/serve_internal.h"

#include "client/transport/engine.h"
#include "client/transport/tls_context.h"
#include "server/access/access.h"
#include "server/keys/seal.h"
#include "server/keys/secret.h"
#include "server/methods.h"
#include "server/store/vault.h"

#define PAGE 4096u

static const char *names[METRICS_METHODS_MAX];

_Static_assert(METRICS_METHODS_MAX >= ACCESS_METHODS_MAX, "every method and one label more");

const char *const *
serve_labels(unsigned *count)
{
	unsigned n, i;
	const struct method *table = methods_table(&n);

	must(n < METRICS_METHODS_MAX);
	for (i = 0; i < n; i++)
		names[i] = table[i].name;
	names[n] = "unknown";
	*count = n + 1;
	return names;
}

static struct provider_options
seal_options(const struct config *c, const struct config_seal *s)
{
	struct provider_options o = { .name = s->name, .kind = s->kind[0] != '\0' ? s->kind : s->name,
		.path = s->path, .secret = s->secret, .module = s->module, .token = s->token,
		.mechanism = s->mechanism, .tcti = s->tcti,
		.public = c->recovery_key.given ? c->recovery_key.key : NULL };

	if (!provider_has_file(o.kind))
		o.path = s->credential;
	return o;
}

void
serve_vault_options(const struct config *c, bool force_class_d, struct vault_options *out)
{
	*out = (struct vault_options){
		.store_path = c->vault_path, .anchor = { { c->anchor_path }, 1 },
		.number = (uint16_t)c->vault_number,
		.map_bytes = c->map_bytes, .reserve_bytes = c->reserve_bytes,
		.country_code = (uint16_t)c->country_code, .force_class_d = force_class_d,
		.has_recovery_key = c->recovery_key.given,
	};
	_Static_assert(CONFIG_PUBLIC_LEN == SEAL_RECOVERY_KEY_LEN, "one key");
	memcpy(out->recovery_key, c->recovery_key.key, sizeof(out->recovery_key));
	_Static_assert(CONFIG_SEALS_MAX == PROVIDER_MAX, "all of them");
	for (unsigned i = 0; i < c->seal_count; i++)
		out->seal[out->seal_count++] = seal_options(c, &c->seals[i]);
	_Static_assert(CONFIG_COPIES_MAX + 1 == ANCHOR_FILES_MAX, "path and copies");
	for (unsigned i = 0; i < c->anchor_copies.count; i++)
		out->anchor.path[out->anchor.count++] = c->anchor_copies.word[i];
}

static enum status
status_of(enum pdv_code code)
{
	return code == PDV_OK ? STATUS_OK
	    : code == PDV_RESOURCE_EXHAUSTED ? STATUS_NO_MEMORY : STATUS_CONFIG;
}

enum status
serve_tls(const struct config *c, struct tls_context **out)
{
	const struct tls_options o = {
		.role = TLS_SERVER,
		.files = {
			.ca = c->tls_ca, .cert = c->tls_cert, .key = c->tls_key,
			.crl = c->tls_crl[0] != '\0' ? c->tls_crl : NULL,
		},
	};
	char why[TLS_WHY_LEN];
	enum pdv_code code;

	if (engine_register() != PDV_OK) {
		log_event(LOG_FATAL, LOG_S(WHAT, "this libnng does not take our TLS engine"));
		return STATUS_REFUSED;
	}
	if ((code = tls_context_new(&o, out, why)) != PDV_OK)
		log_event(LOG_CONFIG, LOG_S(WHAT, "[tls]"), LOG_S(WHY, why));
	return status_of(code);
}

enum status
serve_access(const struct config *c, struct access **out)
{
	enum status rc = STATUS_OK;
	unsigned count, i;
	const char *const *methods = serve_labels(&count);
	struct access *a = NULL;
	char why[ACCESS_WHY_LEN] = "";

	if ((rc = access_new(methods, count - 1, &a)) != STATUS_OK)
		goto out;
	for (i = 0; i < c->principal_count; i++) {
		const struct config_principal *p = &c->principals[i];
		const struct access_entry e = {
			.name = p->name, .spiffe = p->spiffe, .methods = p->methods.word,
			.method_count = p->methods.count,
		};

		if ((rc = access_add(a, &e, why)) != STATUS_OK) {
			log_event(LOG_CONFIG, LOG_S(PRINCIPAL, p->name), LOG_N(LINE, p->line),
			    LOG_S(WHY, why), LOG_STATUS(rc));
			goto out;
		}
	}
	*out = a;
	a = NULL;
out:
	access_free(a);
	return rc;
}

enum status
serve_secrets(const struct config *c)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	enum status rc = secret_init((size_t)((c->secret_bytes + page - 1) / page * page));

	if (rc == STATUS_OK && (rc = seal_init()) != STATUS_OK)
		log_event(LOG_FATAL, LOG_S(WHAT, "the random source repeats itself"), LOG_STATUS(rc));
	return rc;
}
