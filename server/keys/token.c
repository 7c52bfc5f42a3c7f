#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "server/keys/token_internal.h"
#include "server/log.h"

#include <p11-kit/p11-kit.h>

#define SLOTS_MAX 256u

/* What an answer means to us; any other is STATUS_SEAL. */
static const struct meaning {
	CK_RV rv;
	enum status rc;
	const char *why;
} meanings[] = {
	{ CKR_PIN_INCORRECT, STATUS_REFUSED, "the token refuses the PIN" },
	{ CKR_PIN_INVALID, STATUS_REFUSED, "the token refuses the PIN" },
	{ CKR_PIN_LEN_RANGE, STATUS_REFUSED, "the token refuses the PIN: its length" },
	{ CKR_PIN_EXPIRED, STATUS_REFUSED, "the PIN has expired" },
	{ CKR_PIN_LOCKED, STATUS_REFUSED, "the PIN is locked: unlock it with the token's own tool" },
	{ CKR_USER_PIN_NOT_INITIALIZED, STATUS_CONFIG, "the token has no user PIN yet" },
	{ CKR_USER_NOT_LOGGED_IN, STATUS_SEAL, "the token has lost the login" },
	{ CKR_TOKEN_WRITE_PROTECTED, STATUS_REFUSED, "the token is write-protected" },
	{ CKR_TOKEN_NOT_PRESENT, STATUS_SEAL, "the token is gone" },
	{ CKR_TOKEN_NOT_RECOGNIZED, STATUS_SEAL, "the token is not recognised" },
	{ CKR_SLOT_ID_INVALID, STATUS_SEAL, "the token is gone" },
	{ CKR_DEVICE_REMOVED, STATUS_SEAL, "the token is gone" },
	{ CKR_DEVICE_ERROR, STATUS_SEAL, "the token does not work" },
	{ CKR_SESSION_CLOSED, STATUS_SEAL, "the token has closed the session" },
	{ CKR_SESSION_HANDLE_INVALID, STATUS_SEAL, "the token has closed the session" },
	{ CKR_CRYPTOKI_NOT_INITIALIZED, STATUS_SEAL, "the token has closed the session" },
	{ CKR_DEVICE_MEMORY, STATUS_REFUSED, "the token is full" },
	{ CKR_HOST_MEMORY, STATUS_NO_MEMORY, "there is no memory for the token's module" },
	{ CKR_MECHANISM_INVALID, STATUS_CONFIG, "the token does not have the mechanism" },
	{ CKR_MECHANISM_PARAM_INVALID, STATUS_CONFIG,
	    "the token does not take the mechanism's parameters" },
	{ CKR_ENCRYPTED_DATA_INVALID, STATUS_REFUSED, "the token's key does not open it" },
	{ CKR_ENCRYPTED_DATA_LEN_RANGE, STATUS_REFUSED, "the token's key does not open it" },
};

enum status
token_say(const struct provider *p, enum status rc, const char *why)
{
	errno = 0;
	provider_complain(p, why);
	return rc;
}

enum status
token_failed(const struct provider *p, CK_RV rv)
{
	static const struct meaning other = { CKR_OK, STATUS_SEAL,
	    "the token does not do what it is asked" };
	const struct meaning *m = &other;
	size_t i;

	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].rv == rv)
			m = &meanings[i];
	log_event(LOG_SEAL, LOG_S(NAME, p->o.name), LOG_S(WHAT, p->o.kind), LOG_S(PATH, p->o.path),
	    LOG_S(WHY, m->why), LOG_S(ERRNO, p11_kit_strerror(rv)));
	return m->rc;
}

/* Labels of tokens are padded with blanks. */
static bool
has_label(const CK_TOKEN_INFO *info, const char *label)
{
	size_t len = strlen(label), i;

	if (len > sizeof(info->label) || memcmp(info->label, label, len) != 0)
		return false;
	for (i = len; i < sizeof(info->label); i++)
		if (info->label[i] != ' ')
			return false;
	return true;
}

static enum status
find_slot(struct token *t)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX, i;
	CK_TOKEN_INFO info;
	CK_SLOT_INFO slot;
	unsigned found = 0;
	CK_RV rv = t->module->C_GetSlotList(CK_TRUE, slots, &n);

	if (rv != CKR_OK)
		return token_failed(t->p, rv);
	for (i = 0; i < n; i++) {
		/* One that goes away just now is none of ours. */
		if (t->module->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
		    t->module->C_GetSlotInfo(slots[i], &slot) != CKR_OK ||
		    (info.flags & CKF_TOKEN_INITIALIZED) == 0 || !has_label(&info, t->p->o.token))
			continue;
		t->slot = slots[i];
		t->slot_flags = slot.flags;
		t->flags = info.flags;
		found++;
	}
	if (found == 0)
		return token_say(t->p, STATUS_SEAL, "no token with this label is there");
	return found == 1 ? STATUS_OK : token_say(t->p, STATUS_REFUSED, "several tokens have this label");
}

static enum status
begin(struct provider *p, struct token **out)
{
	struct token *t = calloc(1, sizeof(*t));
	enum status rc;
	CK_RV rv;

	if (t == NULL)
		return STATUS_NO_MEMORY;
	t->p = p;
	if ((t->module = p11_kit_module_load(p->o.module, 0)) == NULL) {
		rc = token_say(p, STATUS_CONFIG, "the PKCS#11 module cannot be loaded");
		goto out;
	}
	if ((rv = p11_kit_module_initialize(t->module)) != CKR_OK) {
		rc = token_failed(p, rv);
		goto out;
	}
	t->initialised = true;
	if ((rc = find_slot(t)) != STATUS_OK)
		goto out;
	*out = t;
	t = NULL;
out:
	token_close(t);
	return rc;
}

/* The last try before the token locks is left to somebody who can look at it. */
static enum status
login(struct token *t)
{
	struct bytes pin;
	CK_RV rv;
	enum status rc;

	if ((t->flags & CKF_USER_PIN_LOCKED) != 0)
		return token_failed(t->p, CKR_PIN_LOCKED);
	if ((t->flags & CKF_USER_PIN_FINAL_TRY) != 0)
		return token_say(t->p, STATUS_REFUSED, "the PIN was wrong so often that one time more locks "
		    "the token: log in with the token's own tool first");
	if ((rc = provider_secret(t->p, false, &pin)) != STATUS_OK)
		return rc;
	if (pin.len == 0)
		return token_say(t->p, STATUS_REFUSED,
		    "the token has refused this PIN before; it is not tried again");
	rv = t->module->C_Login(t->session, CKU_USER, (CK_UTF8CHAR *)t->p->secret, pin.len);
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return STATUS_OK;
	if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE) {
		sodium_memzero(t->p->secret, t->p->secret_len);
		t->p->secret_len = 0;
	}
	return token_failed(t->p, rv);
}

enum status
token_open(struct provider *p, struct token **out)
{
	struct token *t = NULL;
	size_t len = strlen(p->o.name);
	enum status rc = begin(p, &t);
	CK_RV rv;

	if (rc != STATUS_OK)
		goto out;
	must(len <= PROVIDER_NAME_MAX);
	memcpy(t->label, LABEL, LABEL_LEN);
	memcpy(t->label + LABEL_LEN, p->o.name, len);
	t->label_len = LABEL_LEN + len;
	rv = t->module->C_OpenSession(t->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
	    &t->session);
	if (rv != CKR_OK) {
		rc = token_failed(p, rv);
		goto out;
	}
	t->in_session = true;
	if ((rc = login(t)) != STATUS_OK)
		goto out;
	*out = t;
	t = NULL;
out:
	token_close(t);
	return rc;
}

void
token_close(struct token *t)
{
	if (t == NULL)
		return;
	if (t->in_session) {
		(void)t->module->C_Logout(t->session);
		(void)t->module->C_CloseSession(t->session);
	}
	if (t->initialised)
		(void)p11_kit_module_finalize(t->module);
	if (t->module != NULL)
		p11_kit_module_release(t->module);
	free(t);
}

enum status
token_is_hardware(struct provider *p, bool *out)
{
	struct token *t = NULL;
	enum status rc = begin(p, &t);

	if (rc == STATUS_OK)
		*out = (t->slot_flags & CKF_HW_SLOT) != 0;
	token_close(t);
	return rc;
}
