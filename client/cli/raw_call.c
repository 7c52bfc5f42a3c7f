#include "raw_call.h"

#include <sodium.h>
#include <stdlib.h>

#include "client/backup/message.h"

enum pdv_code
raw_call(struct session *s, const struct raw_method *m, const ProtobufCMessage *request, void *out,
    struct failure *f)
{
	size_t len = protobuf_c_message_get_packed_size(request), got;
	struct pdv_raw_request q = {.method = m->name, .length = len, .mutates = m->mutates};
	uint8_t *packed = malloc(len + 1);
	struct pdv_result *r = NULL;
	const uint8_t *raw;
	ProtobufCMessage *answer;
	enum pdv_code rc;

	if (packed == NULL)
		return failure_memory(f);
	(void)protobuf_c_message_pack(request, packed);
	q.message = packed;
	(void)pdv_call_raw(s->client, &q, &s->options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	raw = pdv_result_raw(r, &got);
	switch (backup_message_unpack(m->answer, raw, got, &answer)) {
	case BACKUP_OK:
		*(ProtobufCMessage **)out = answer;
		break;
	case BACKUP_NO_MEMORY:
		rc = failure_memory(f);
		break;
	default:
		rc = failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED,
		    "the server's answer is not what the contract says");
	}
out:
	sodium_memzero(packed, len + 1);	/* it may hold a secret: of a seal */
	free(packed);
	pdv_result_free(r);
	return rc;
}
