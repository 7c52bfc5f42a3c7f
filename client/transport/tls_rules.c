#include <string.h>

#include "client/transport/tls_internal.h"

#define FAULT_ROW(name, error, text) { error, text },
static const struct {
	int error;
	const char *text;
} faults[] = { TLS_FAULTS(FAULT_ROW) };

const char *
tls_rules_text(enum tls_fault f)
{
	return faults[f].text;
}

/* OpenSSL lets a certificate without extended key usage do everything. We do not. */
static enum tls_fault
check_usage(X509 *leaf, enum tls_role role)
{
	const uint32_t serves = XKU_SSL_SERVER | XKU_SGC | XKU_ANYEKU;
	uint32_t flags = X509_get_extension_flags(leaf);
	uint32_t usage = X509_get_extended_key_usage(leaf);

	if ((flags & EXFLAG_INVALID) != 0)
		return TLS_FAULT_INVALID;
	if ((flags & EXFLAG_CA) != 0)
		return TLS_FAULT_CA;
	if ((flags & EXFLAG_XKUSAGE) == 0)
		return TLS_FAULT_NO_USAGE;
	if (role == TLS_SERVER)
		return (usage & XKU_SSL_SERVER) != 0 ? TLS_FAULT_NONE : TLS_FAULT_NOT_SERVER;
	if ((usage & XKU_SSL_CLIENT) == 0)
		return TLS_FAULT_NOT_CLIENT;
	return (usage & serves) == 0 ? TLS_FAULT_NONE : TLS_FAULT_SERVES;
}

/* The one URI among ${names}, or NULL if there is none or another one. */
static const ASN1_IA5STRING *
only_uri(const GENERAL_NAMES *names)
{
	const ASN1_IA5STRING *uri = NULL;
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_URI)
			continue;
		if (uri != NULL)
			return NULL;
		uri = name->d.uniformResourceIdentifier;
	}
	return uri;
}

/* X509-SVID, section 2: exactly one URI, which is the SPIFFE id. */
static bool
read_spiffe(X509 *leaf, char out[static SPIFFE_MAX + 1])
{
	GENERAL_NAMES *names = NULL;
	const ASN1_IA5STRING *uri;
	const char *text;
	size_t len;
	bool found = false;

	if ((names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL)) == NULL)
		goto out;
	if ((uri = only_uri(names)) == NULL)
		goto out;
	text = (const char *)ASN1_STRING_get0_data(uri);
	len = (size_t)ASN1_STRING_length(uri);
	if (!spiffe_ok(text, len))
		goto out;
	memcpy(out, text, len);
	out[len] = '\0';
	found = true;
out:
	GENERAL_NAMES_free(names);
	return found;
}

enum tls_fault
tls_rules_leaf(X509 *leaf, struct tls_identity *id)
{
	char spiffe[SPIFFE_MAX + 1] = "";
	enum tls_fault fault = check_usage(leaf, id->role);

	if (fault != TLS_FAULT_NONE)
		return fault;
	if (!read_spiffe(leaf, spiffe) && (id->role == TLS_CLIENT || id->expected != NULL))
		return TLS_FAULT_NO_ID;
	if (id->expected != NULL && strcmp(spiffe, id->expected) != 0)
		return TLS_FAULT_OTHER_ID;
	memcpy(id->spiffe, spiffe, sizeof(spiffe));
	return TLS_FAULT_NONE;
}

int
tls_rules_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	enum tls_fault fault;

	if (ok != 1 || X509_STORE_CTX_get_error_depth(store) != 0)
		return ok;
	fault = tls_rules_leaf(X509_STORE_CTX_get_current_cert(store), SSL_get_app_data(ssl));
	if (fault == TLS_FAULT_NONE)
		return 1;
	X509_STORE_CTX_set_error(store, faults[fault].error);
	return 0;
}
