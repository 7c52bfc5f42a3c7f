/* Blobs by the library's functions, with a vault behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "data_key_vault.h"
#include "plan.h"

#define LARGEST (2 * PDV_BLOB_CHUNK + 100)

static struct fake *fake;
static struct pdv_client *client;
static struct pdv_blobs *blobs;
static uint8_t plain[LARGEST], room[PDV_BLOB_ROOM(LARGEST)], back[PDV_BLOB_ROOM(PDV_BLOB_ROOM(LARGEST))];
static struct pdv_blob_place place;

static int
setup(void **state)
{
	const struct pdv_blob_options o = {.no_cache = *state != NULL};

	data_key_vault_empty();
	place = (struct pdv_blob_place){.subject = {"the subject's id"}, .category = PDV_CATEGORY_CONTENT,
	    .context = (const uint8_t *)"chat 1", .context_length = 6};
	fake = fake_new(plan_pki, 0, data_key_vault_serve, NULL);
	client = plan_client_of(fake);
	return pdv_blobs_new(client, &o, &blobs) == PDV_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	pdv_blobs_free(blobs);
	pdv_client_free(client);
	fake_free(fake);
	return 0;
}

static size_t
seal(size_t len)
{
	struct pdv_blob_buffer b = {.data = room, .size = sizeof(room)};

	assert_int_equal(pdv_blob_seal(blobs, &place, plain, len, &b), PDV_OK);
	return b.length;
}

/* Opens the first ${len} bytes of what is sealed; why not, or "". */
static const char *
open_sealed(const struct pdv_blob_place *expected, size_t len, size_t *got, enum pdv_code want)
{
	static char why[64];
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back)};
	struct pdv_blob_opener *o;
	enum pdv_code code;

	assert_int_equal(pdv_blob_opener_new(blobs, expected, NULL, &o), PDV_OK);
	if ((code = pdv_blob_opener_update(o, room, len, &b)) == PDV_OK) {
		b.size = b.length + PDV_BLOB_ROOM(0);
		b.data = realloc(memcpy(malloc(b.size), back, b.length), b.size);
		code = pdv_blob_opener_final(o, &b);
		memcpy(back, b.data, b.length);
		free(b.data);
	}
	assert_int_equal(code, want);
	(void)snprintf(why, sizeof(why), "%s", pdv_blob_opener_reason(o));
	*got = b.length;
	pdv_blob_opener_free(o);
	return why;
}

static void
there_and_back(void **state)
{
	static const size_t sizes[] = {0, 1, PDV_BLOB_CHUNK, PDV_BLOB_CHUNK + 1, LARGEST};
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back)};
	size_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = seal(sizes[i]);

		assert_string_equal(open_sealed(&place, len, &got, PDV_OK), "");
		assert_int_equal(got, sizes[i]);
		assert_memory_equal(back, plain, got);
		assert_string_equal(open_sealed(NULL, len, &got, PDV_OK), "");
		b.length = 0;
		assert_int_equal(pdv_blob_open(blobs, NULL, room, len, &b), PDV_OK);
		assert_int_equal(b.length, sizes[i]);
	}
	/* One key for each blob, asked for once. */
	assert_int_equal(data_key_vault.generated, 5);
	assert_int_equal(data_key_vault.opened, 5);
}

/* Bytes that come one by one, and a header in pieces. */
static void
in_pieces(void **state)
{
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back)};
	struct pdv_blob_sealer *s;
	struct pdv_blob_opener *o;
	size_t len;

	(void)state;
	assert_int_equal(pdv_blob_sealer_new(blobs, &place, NULL, &s), PDV_OK);
	b.data = room;
	for (size_t i = 0; i < 700; i++)
		assert_int_equal(pdv_blob_sealer_update(s, plain + i, 1, &b), PDV_OK);
	assert_int_equal(pdv_blob_sealer_final(s, &b), PDV_OK);
	len = b.length;
	assert_int_equal(pdv_blob_sealer_update(s, plain, 1, &b), PDV_FAILED_PRECONDITION);
	assert_string_equal(pdv_blob_sealer_reason(s), PDV_REASON_BLOB_ENDED);
	assert_int_equal(pdv_blob_sealer_final(s, &b), PDV_FAILED_PRECONDITION);
	pdv_blob_sealer_free(s);
	assert_int_equal(pdv_blob_opener_new(blobs, NULL, NULL, &o), PDV_OK);
	b = (struct pdv_blob_buffer){.data = back, .size = sizeof(back)};
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(pdv_blob_opener_update(o, room + i, 1, &b), PDV_OK);
		assert_true((pdv_blob_opener_place(o) != NULL) == (i + 1 >= len - 717));
	}
	assert_int_equal(pdv_blob_opener_final(o, &b), PDV_OK);
	assert_int_equal(b.length, 700);
	assert_memory_equal(back, plain, 700);
	assert_memory_equal(pdv_blob_opener_place(o)->subject.bytes, place.subject.bytes, PDV_ID_LEN);
	assert_int_equal(pdv_blob_opener_place(o)->category, PDV_CATEGORY_CONTENT);
	assert_int_equal(pdv_blob_opener_place(o)->context_length, 6);
	assert_memory_equal(pdv_blob_opener_place(o)->context, "chat 1", 6);
	assert_null(pdv_blob_opener_rewrapped(o));
	assert_int_equal(pdv_blob_opener_final(o, &b), PDV_FAILED_PRECONDITION);
	assert_string_equal(pdv_blob_opener_reason(o), PDV_REASON_BLOB_ENDED);
	pdv_blob_opener_free(o);
}

static void
cut_and_damaged(void **state)
{
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back), .length = 3};
	size_t whole = seal(200), got, head = whole - 217;

	(void)state;
	for (size_t cut = 0; cut < whole; cut++)
		assert_string_equal(open_sealed(NULL, cut, &got, PDV_DATA_LOSS),
		    cut < head + PDV_BLOB_CHUNK_EXTRA ? PDV_REASON_BLOB_TRUNCATED : PDV_REASON_BLOB_DAMAGED);
	for (size_t i = 0; i < whole; i++) {
		room[i] ^= 1;
		memset(back, 7, 300);
		assert_int_not_equal(pdv_blob_open(blobs, NULL, room, whole, &b), PDV_OK);
		assert_int_equal(b.length, 3);
		room[i] ^= 1;
	}
	assert_int_equal(pdv_blob_open(blobs, NULL, room, whole, &b), PDV_OK);
	assert_int_equal(b.length, 203);
	/* What came before the damage is taken back by the whole form. */
	whole = seal(LARGEST);
	room[whole - 1] ^= 1;
	b.length = 0;
	assert_int_equal(pdv_blob_open(blobs, NULL, room, whole, &b), PDV_DATA_LOSS);
	assert_int_equal(b.length, 0);
	assert_true(sodium_is_zero(back, LARGEST - 100));
	assert_string_equal(open_sealed(NULL, 0, &got, PDV_DATA_LOSS), PDV_REASON_BLOB_TRUNCATED);
	memcpy(room, "pdvblob2", 8);
	assert_string_equal(open_sealed(NULL, whole, &got, PDV_INVALID_ARGUMENT), PDV_REASON_BLOB_NOT_ONE);
}

static void
of_another(void **state)
{
	struct pdv_blob_place as = place;
	size_t len = seal(10), got;
	uint8_t keep[32];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		as = place;
		as.subject.bytes[3] ^= i == 0;
		as.category = i == 1 ? PDV_CATEGORY_USAGE : PDV_CATEGORY_CONTENT;
		as.context_length -= i == 2;
		as.context = (const uint8_t *)(i == 3 ? "chat 2" : "chat 1");
		assert_string_equal(open_sealed(&as, len, &got, PDV_FAILED_PRECONDITION),
		    PDV_REASON_BLOB_OF_ANOTHER);
	}
	/* The header changed to what is expected: the vault does not open the key for that. */
	memcpy(keep, room, sizeof(keep));
	room[24] = PDV_CATEGORY_USAGE;
	assert_string_equal(open_sealed(NULL, len, &got, PDV_INVALID_ARGUMENT), "DATA_KEY_INVALID");
	memcpy(room, keep, sizeof(keep));
	/* The whole key of another blob of the same place: it opens, but not this. */
	memcpy(back, room, len);
	(void)seal(10);
	memcpy(back + 67, room + 67, DATA_KEY_VAULT_WRAPPED);
	memcpy(room, back, len);
	assert_string_equal(open_sealed(NULL, len, &got, PDV_DATA_LOSS), PDV_REASON_BLOB_DAMAGED);
}

static void
room_and_limits(void **state)
{
	static uint8_t context[PDV_CONTEXT_MAX + 1];
	struct pdv_blob_buffer b = {.data = room, .size = PDV_BLOB_ROOM(10) - 1};
	struct pdv_call_options o = {.purpose = (const char *)plain};
	struct pdv_blob_place p = place;
	struct pdv_blob_sealer *s;
	struct pdv_blob_opener *op;

	(void)state;
	assert_int_equal(pdv_blob_sealer_new(blobs, &place, NULL, &s), PDV_OK);
	assert_int_equal(pdv_blob_sealer_update(s, plain, 10, &b), PDV_INVALID_ARGUMENT);
	assert_string_equal(pdv_blob_sealer_reason(s), PDV_REASON_BLOB_ROOM);
	assert_int_equal(b.length, 0);
	b.size++;
	assert_int_equal(pdv_blob_sealer_update(s, plain, 10, &b), PDV_OK);
	b.size = b.length + PDV_BLOB_ROOM(0) - 1;
	assert_int_equal(pdv_blob_sealer_final(s, &b), PDV_INVALID_ARGUMENT);
	b.size++;
	assert_int_equal(pdv_blob_sealer_final(s, &b), PDV_OK);
	pdv_blob_sealer_free(s);
	b.size = PDV_BLOB_ROOM(10) - 1;
	b.length = 0;
	assert_int_equal(pdv_blob_seal(blobs, &place, plain, 10, &b), PDV_INVALID_ARGUMENT);
	p.context = context;
	for (p.context_length = 255; p.context_length <= 257; p.context_length++)
		if (pdv_blob_sealer_new(blobs, &p, NULL, &s) == PDV_OK) {
			pdv_blob_sealer_free(s);
			assert_true(p.context_length <= 256);
		} else {
			assert_int_equal(p.context_length, 257);
		}
	p = place;
	p.category = PDV_CATEGORY_IDENTITY;
	assert_int_equal(pdv_blob_sealer_new(blobs, &p, NULL, &s), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_blob_sealer_new(blobs, NULL, NULL, &s), PDV_INVALID_ARGUMENT);
	memset(plain, 'p', PDV_PURPOSE_MAX + 1);
	assert_int_equal(pdv_blob_opener_new(blobs, NULL, &o, &op), PDV_INVALID_ARGUMENT);
	pdv_blob_sealer_free(NULL);
	pdv_blob_opener_free(NULL);
	pdv_blobs_free(NULL);
}

/* What the vault refuses reaches the caller, and ends the blob. */
static void
refused(void **state)
{
	struct pdv_blob_buffer b = {.data = room, .size = sizeof(room)};
	struct pdv_blob_sealer *s;
	size_t len = seal(5), got;

	(void)state;
	data_key_vault.code = PDV_PERMISSION_DENIED;
	data_key_vault.reason = "METHOD_NOT_ALLOWED";
	assert_string_equal(open_sealed(NULL, len, &got, PDV_PERMISSION_DENIED), "METHOD_NOT_ALLOWED");
	assert_int_equal(pdv_blob_sealer_new(blobs, &place, NULL, &s), PDV_OK);
	assert_int_equal(pdv_blob_sealer_update(s, plain, 1, &b), PDV_PERMISSION_DENIED);
	data_key_vault.code = 0;
	assert_int_equal(pdv_blob_sealer_update(s, plain, 1, &b), PDV_PERMISSION_DENIED);
	assert_int_equal(pdv_blob_sealer_final(s, &b), PDV_PERMISSION_DENIED);
	assert_string_equal(pdv_blob_sealer_reason(s), "METHOD_NOT_ALLOWED");
	assert_int_equal(b.length, 0);
	pdv_blob_sealer_free(s);
	data_key_vault.erased = true;
	assert_string_equal(open_sealed(NULL, len, &got, PDV_FAILED_PRECONDITION), "SUBJECT_ERASED");
}

static void
rewrapped(void **state)
{
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back)};
	struct pdv_blob_opener *o;
	size_t len = seal(5);

	(void)state;
	data_key_vault.rewraps = true;
	assert_int_equal(pdv_blob_opener_new(blobs, NULL, NULL, &o), PDV_OK);
	assert_int_equal(pdv_blob_opener_update(o, room, len, &b), PDV_OK);
	assert_non_null(pdv_blob_opener_rewrapped(o));
	assert_int_equal(pdv_blob_opener_rewrapped(o)->length, DATA_KEY_VAULT_WRAPPED);
	assert_memory_equal(pdv_blob_opener_rewrapped(o)->bytes, room + 61 + 6, DATA_KEY_VAULT_WRAPPED);
	pdv_blob_opener_free(o);
}

static void
not_kept(void **state)
{
	size_t len = seal(5), got;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		assert_string_equal(open_sealed(NULL, len, &got, PDV_OK), "");
		assert_int_equal(data_key_vault.opened, i);
	}
	pdv_blobs_forget(blobs, NULL);
}

static void
options(void **state)
{
	struct pdv_blob_options o = {.cache_keys = PDV_BLOB_CACHE_KEYS_MAX, .cache_ms = PDV_BLOB_CACHE_MAX_MS};
	struct pdv_blobs *b;

	(void)state;
	assert_int_equal(pdv_blobs_new(client, &o, &b), PDV_OK);
	pdv_blobs_free(b);
	o.cache_keys++;
	assert_int_equal(pdv_blobs_new(client, &o, &b), PDV_INVALID_ARGUMENT);
	o.cache_keys--;
	o.cache_ms++;
	assert_int_equal(pdv_blobs_new(client, &o, &b), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_blobs_new(client, NULL, &b), PDV_OK);
	pdv_blobs_free(b);
}

/* In a child nothing opens, though the parent has the key. */
static void
forked(void **state)
{
	size_t len = seal(5), got;
	struct pdv_blobs *b;
	int status;
	pid_t pid;

	(void)state;
	assert_string_equal(open_sealed(NULL, len, &got, PDV_OK), "");
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct pdv_blob_buffer out = {.data = back, .size = sizeof(back)};
		bool good = pdv_blob_open(blobs, NULL, room, len, &out) == PDV_FAILED_PRECONDITION &&
		    pdv_blob_seal(blobs, &place, plain, 1, &out) == PDV_FAILED_PRECONDITION &&
		    pdv_blobs_new(client, NULL, &b) == PDV_FAILED_PRECONDITION && out.length == 0;

		pdv_blobs_forget(blobs, NULL);
		pdv_blobs_free(blobs);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_string_equal(open_sealed(NULL, len, &got, PDV_OK), "");
}

struct in_callback {
	size_t len;
	enum pdv_code open, seal;
	atomic_bool done;
};

static void
called_back(struct pdv_result *r, void *arg)
{
	struct pdv_blob_buffer b = {.data = back, .size = sizeof(back)};
	struct in_callback *w = arg;

	pdv_result_free(r);
	w->open = pdv_blob_open(blobs, NULL, room, w->len, &b);
	w->seal = pdv_blob_seal(blobs, &place, plain, 1, &b);
	atomic_store(&w->done, true);
}

static void
in_callback(void **state)
{
	struct in_callback w = {.len = seal(5)};
	struct pdv_subject_id id = place.subject;
	size_t got;

	(void)state;
	assert_string_equal(open_sealed(NULL, w.len, &got, PDV_OK), "");	/* it is kept, and yet */
	assert_int_equal(pdv_get_identity_async(client, &id, NULL, called_back, &w), PDV_OK);
	while (!atomic_load(&w.done))
		(void)usleep(1000);
	assert_int_equal(w.open, PDV_FAILED_PRECONDITION);
	assert_int_equal(w.seal, PDV_FAILED_PRECONDITION);
}

int
main(void)
{
	static char no_cache[] = "no cache";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_and_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(of_another, setup, teardown),
		cmocka_unit_test_setup_teardown(room_and_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(rewrapped, setup, teardown),
		cmocka_unit_test_prestate_setup_teardown(not_kept, setup, teardown, no_cache),
		cmocka_unit_test_setup_teardown(options, setup, teardown),
		cmocka_unit_test_setup_teardown(forked, setup, teardown),
		cmocka_unit_test_setup_teardown(in_callback, setup, teardown),
	};

	if (sodium_init() < 0)
		return 1;
	randombytes_buf(plain, sizeof(plain));
	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
