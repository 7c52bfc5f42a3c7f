/*
 * A PKCS#11 module that hands all to SoftHSM, but for what a test wants to fail, and that says what a test
 * wants of its slots and tokens. Loaded by p11-kit; the test finds faulty() in it with dlsym().
 */
#include "faulty_token.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
#define SEEN __attribute__((visibility("default")))

static CK_FUNCTION_LIST *real, list;
static struct faulty state;

/* Whether this call is to fail, and is then not made. */
static int
fails(void)
{
	return ++state.seen == state.fail_at;
}

#define CALL(name, args)                     \
	do {                                 \
		if (fails())                 \
			return state.answer; \
		return real->name args;      \
	} while (0)

static CK_RV
get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *n)
{
	CALL(C_GetSlotList, (present, slots, n));
}

static CK_RV
get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
	CK_RV rv = real->C_GetSlotInfo(slot, info);

	if (state.hardware)
		info->flags |= CKF_HW_SLOT;
	return rv;
}

static CK_RV
get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = real->C_GetTokenInfo(slot, info);

	info->flags |= state.token_flags;
	return rv;
}

static CK_RV
open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *out)
{
	CALL(C_OpenSession, (slot, flags, app, notify, out));
}

static CK_RV
login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	state.logins++;
	CALL(C_Login, (s, user, pin, len));
}

static CK_RV
generate_key(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
	CALL(C_GenerateKey, (s, m, a, n, out));
}

static CK_RV
find_objects_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CALL(C_FindObjectsInit, (s, a, n));
}

static CK_RV
find_objects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n)
{
	CALL(C_FindObjects, (s, out, max, n));
}

static CK_RV
encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CALL(C_EncryptInit, (s, m, key));
}

static CK_RV
encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	CALL(C_Encrypt, (s, in, len, out, out_len));
}

static CK_RV
decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CALL(C_DecryptInit, (s, m, key));
}

static CK_RV
decrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	CALL(C_Decrypt, (s, in, len, out, out_len));
}

static CK_RV
destroy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o)
{
	CALL(C_DestroyObject, (s, o));
}

SEEN CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	void *module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList get;

	if (module == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&get = dlsym(module, "C_GetFunctionList");
	if (get == NULL || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	list = *real;
	list.C_GetFunctionList = C_GetFunctionList;
	list.C_GetSlotList = get_slot_list;
	list.C_GetSlotInfo = get_slot_info;
	list.C_GetTokenInfo = get_token_info;
	list.C_OpenSession = open_session;
	list.C_Login = login;
	list.C_GenerateKey = generate_key;
	list.C_FindObjectsInit = find_objects_init;
	list.C_FindObjects = find_objects;
	list.C_EncryptInit = encrypt_init;
	list.C_Encrypt = encrypt;
	list.C_DecryptInit = decrypt_init;
	list.C_Decrypt = decrypt;
	list.C_DestroyObject = destroy_object;
	*out = &list;
	return CKR_OK;
}

SEEN struct faulty *
faulty(void)
{
	return &state;
}
