#include "data_key_vault.h"

#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <sodium.h>

#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

#define MOST PDV_DATA_KEYS_MAX

struct data_key_vault data_key_vault;

void
data_key_vault_empty(void)
{
	memset(&data_key_vault, 0, sizeof(data_key_vault));
}

static void
refuse(struct fake_reply *out, uint32_t code, const char *reason)
{
	out->response.code = code;
	out->response.reason = (char *)(uintptr_t)reason;
}

/* True: the call is answered so. */
static bool
refused(struct fake_reply *out, Pdvault__V1__Category category)
{
	if (data_key_vault.code != 0)
		refuse(out, data_key_vault.code, data_key_vault.reason);
	else if (data_key_vault.erased)
		refuse(out, PDV_FAILED_PRECONDITION, "SUBJECT_ERASED");
	else if (data_key_vault.erased_in_part && category == PDVAULT__V1__CATEGORY__CONTENT)
		refuse(out, PDV_FAILED_PRECONDITION, "CATEGORY_ERASED");
	else
		return false;
	return true;
}

/* What a wrapped key is for. */
static void
digest(ProtobufCBinaryData subject, Pdvault__V1__Category category, ProtobufCBinaryData context,
    uint8_t out[static 32])
{
	crypto_generichash_state s;
	uint8_t c = (uint8_t)category;

	crypto_generichash_init(&s, NULL, 0, 32);
	crypto_generichash_update(&s, subject.data, subject.len);
	crypto_generichash_update(&s, &c, 1);
	crypto_generichash_update(&s, context.data, context.len);
	crypto_generichash_final(&s, out, 32);
}

static void
generate(const Pdvault__Rpc__V1__Request *e, struct fake_reply *out)
{
	Pdvault__V1__GenerateDataKeysRequest *q = pdvault__v1__generate_data_keys_request__unpack(
	    NULL, e->message.len, e->message.data);
	Pdvault__V1__GenerateDataKeysResponse m = PDVAULT__V1__GENERATE_DATA_KEYS_RESPONSE__INIT;
	Pdvault__V1__DataKey k[MOST], *list[MOST];
	uint8_t wrapped[MOST][DATA_KEY_VAULT_WRAPPED];

	atomic_fetch_add(&data_key_vault.generated, 1);
	if (!refused(out, q->category)) {
		for (; m.n_keys < q->count; m.n_keys++) {
			uint8_t *w = wrapped[m.n_keys];

			randombytes_buf(w, 32);
			digest(q->subject, q->category, q->context, w + 32);
			pdvault__v1__data_key__init(&k[m.n_keys]);
			k[m.n_keys].key = (ProtobufCBinaryData){32, w};
			k[m.n_keys].wrapped = (ProtobufCBinaryData){DATA_KEY_VAULT_WRAPPED, w};
			list[m.n_keys] = &k[m.n_keys];
		}
		m.keys = list;
		fake_message(out, &m.base);
	}
	pdvault__v1__generate_data_keys_request__free_unpacked(q, NULL);
}

static void
open_keys(const Pdvault__Rpc__V1__Request *e, struct fake_reply *out)
{
	Pdvault__V1__OpenDataKeysRequest *q =
	    pdvault__v1__open_data_keys_request__unpack(NULL, e->message.len, e->message.data);
	Pdvault__V1__OpenDataKeysResponse m = PDVAULT__V1__OPEN_DATA_KEYS_RESPONSE__INIT;
	Pdvault__V1__DataKeyOutcome o[MOST], *list[MOST];
	uint8_t want[32];

	atomic_fetch_add(&data_key_vault.opened, 1);
	if (data_key_vault.delay_ms > 0)
		nng_msleep((nng_duration)data_key_vault.delay_ms);
	if (!refused(out, q->category)) {
		digest(q->subject, q->category, q->context, want);
		for (; m.n_outcomes < q->n_wrapped; m.n_outcomes++) {
			ProtobufCBinaryData w = q->wrapped[m.n_outcomes];
			Pdvault__V1__DataKeyOutcome *at = list[m.n_outcomes] = &o[m.n_outcomes];

			pdvault__v1__data_key_outcome__init(at);
			if (w.len == DATA_KEY_VAULT_WRAPPED && memcmp(w.data + 32, want, 32) == 0) {
				at->key = (ProtobufCBinaryData){32, w.data};
				if (data_key_vault.rewraps)
					at->rewrapped = w;
			} else {
				at->code = PDV_INVALID_ARGUMENT;
				at->reason = (char *)(uintptr_t)"DATA_KEY_INVALID";
			}
		}
		m.outcomes = list;
		fake_message(out, &m.base);
	}
	pdvault__v1__open_data_keys_request__free_unpacked(q, NULL);
}

static void
erase(struct fake_reply *out)
{
	static uint8_t id[16] = "an erasure's id";
	Pdvault__V1__EraseSubjectResponse m = PDVAULT__V1__ERASE_SUBJECT_RESPONSE__INIT;

	data_key_vault.erased = true;
	m.erasure = (ProtobufCBinaryData){16, id};
	m.state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	fake_message(out, &m.base);
}

/* One outcome each: erased, or an empty identity. */
static void
batch(const Pdvault__Rpc__V1__Request *e, struct fake_reply *out)
{
	Pdvault__V1__BatchGetIdentityRequest *q = pdvault__v1__batch_get_identity_request__unpack(
	    NULL, e->message.len, e->message.data);
	Pdvault__V1__BatchGetIdentityResponse m = PDVAULT__V1__BATCH_GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__GetIdentityResponse result = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__IdentityOutcome o[PDV_BATCH_MAX], *list[PDV_BATCH_MAX];

	for (; m.n_outcomes < q->n_subjects; m.n_outcomes++) {
		Pdvault__V1__IdentityOutcome *at = list[m.n_outcomes] = &o[m.n_outcomes];

		pdvault__v1__identity_outcome__init(at);
		at->subject = q->subjects[m.n_outcomes];
		if (data_key_vault.erased) {
			at->code = PDV_FAILED_PRECONDITION;
			at->reason = (char *)(uintptr_t)"SUBJECT_ERASED";
		} else {
			at->result = &result;
		}
	}
	m.outcomes = list;
	fake_message(out, &m.base);
	pdvault__v1__batch_get_identity_request__free_unpacked(q, NULL);
}

/* A subject with its content erased, or not. */
static void
subject(const Pdvault__Rpc__V1__Request *e, struct fake_reply *out)
{
	Pdvault__V1__GetSubjectRequest *q =
	    pdvault__v1__get_subject_request__unpack(NULL, e->message.len, e->message.data);
	Pdvault__V1__GetSubjectResponse m = PDVAULT__V1__GET_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CategoryStatus s = PDVAULT__V1__CATEGORY_STATUS__INIT, *list = &s;

	m.subject = q->subject;
	m.state = PDVAULT__V1__SUBJECT_STATE__ACTIVE;
	s.category = PDVAULT__V1__CATEGORY__CONTENT;
	s.state = data_key_vault.erased_in_part ? PDVAULT__V1__SUBJECT_STATE__ERASED :
	    PDVAULT__V1__SUBJECT_STATE__ACTIVE;
	m.n_categories = 1;
	m.categories = &list;
	if (!refused(out, PDVAULT__V1__CATEGORY__IDENTITY))
		fake_message(out, &m.base);
	pdvault__v1__get_subject_request__free_unpacked(q, NULL);
}

/* The erasure of the subject whose id is asked for as the erasure's. */
static void
erasure(const Pdvault__Rpc__V1__Request *e, struct fake_reply *out)
{
	Pdvault__V1__GetErasureRequest *q =
	    pdvault__v1__get_erasure_request__unpack(NULL, e->message.len, e->message.data);
	Pdvault__V1__GetErasureResponse m = PDVAULT__V1__GET_ERASURE_RESPONSE__INIT;

	m.erasure = m.subject = q->erasure;
	m.state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	fake_message(out, &m.base);
	pdvault__v1__get_erasure_request__free_unpacked(q, NULL);
}

void
data_key_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__GetIdentityResponse identity = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	const char *method = strrchr(q->method, '/') + 1;

	(void)arg;
	if (strcmp(method, "GenerateDataKeys") == 0)
		generate(q, out);
	else if (strcmp(method, "OpenDataKeys") == 0)
		open_keys(q, out);
	else if (strcmp(method, "EraseSubject") == 0)
		erase(out);
	else if (strcmp(method, "BatchGetIdentity") == 0)
		batch(q, out);
	else if (strcmp(method, "GetSubject") == 0)
		subject(q, out);
	else if (strcmp(method, "GetErasure") == 0)
		erasure(q, out);
	else if (!refused(out, PDVAULT__V1__CATEGORY__IDENTITY))
		fake_message(out, &identity.base);
}
