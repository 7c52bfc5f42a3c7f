/*
 * Any bytes as a file of the recovery key: what is taken is exactly what would be written. Then with a last
 * line that fits what is before it, so that what lies behind the check is reached.
 */
#include <sodium.h>
#include <string.h>

#include "client/backup/recovery_internal.h"
#include "server/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK "check 0123456789abcdef\n"
#define CHECK_LEN (sizeof(CHECK) - 1)

static void
look(const struct recovery_file *in)
{
	struct recovery_content c;
	struct recovery_file again, scratch;

	if (recovery_text_get(in, &scratch, &c) != NULL)
		return;
	must(!c.share || (c.k >= 2 && c.k <= c.n && c.n <= RECOVERY_SHARES_MAX));
	must(!c.share || (c.number >= 1 && c.number <= c.n));
	recovery_text_put(&c, &again);
	must(again.len == in->len && memcmp(again.text, in->text, in->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct recovery_file in = {.len = len};
	uint8_t digest[32];
	char hex[17];

	if (len > RECOVERY_TEXT_MAX)
		return 0;
	memcpy(in.text, data, len);
	look(&in);
	if (len < CHECK_LEN)
		return 0;
	(void)crypto_generichash(digest, sizeof(digest), data, len - CHECK_LEN, NULL, 0);
	(void)sodium_bin2hex(hex, sizeof(hex), digest, 8);
	memcpy(in.text + len - CHECK_LEN, CHECK, CHECK_LEN);
	memcpy(in.text + len - 17, hex, 16);
	look(&in);
	return 0;
}
