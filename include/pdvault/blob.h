/*
 * Blobs: data that are kept elsewhere (files, messages, logs), each sealed under a data key of its own, which
 * opens only as long as the vault has the key of the subject's category. The format is in docs/FORMAT.md.
 *
 *     struct pdv_blob_options o = {0};
 *     struct pdv_blob_place place = {.subject = id, .category = PDV_CATEGORY_CONTENT,
 *         .context = (const uint8_t *)"chat 17", .context_length = 7};
 *     struct pdv_blob_buffer sealed = {.data = room, .size = sizeof(room)};
 *
 *     if (pdv_blobs_new(client, &o, &blobs) != PDV_OK)
 *             return 1;
 *     if (pdv_blob_seal(blobs, &place, text, length, &sealed) != PDV_OK)
 *             return 1;
 *     write(fd, sealed.data, sealed.length);
 *
 * What has no room in memory goes in pieces of any size:
 *
 *     while ((n = read(in, piece, sizeof(piece))) > 0) {
 *             b.length = 0;
 *             if (pdv_blob_opener_update(opener, piece, n, &b) != PDV_OK)
 *                     return pdv_blob_opener_reason(opener);
 *             write(out, b.data, b.length);
 *     }
 *     b.length = 0;
 *     if (pdv_blob_opener_final(opener, &b) != PDV_OK)
 *             return "and what was written is not the whole of it";
 *
 * Data keys that were opened are kept in locked memory for a time that is promised, and then wiped: by
 * default 30 seconds (cache_ms). So who reads the same blobs again does not ask the vault each time. Since
 * the time is counted from before the vault was asked, it is also how long a blob may still open here after
 * an erasure was answered. All keys of a subject go at once when the vault answers a call of the same client
 * handle that the subject, or a category of it, is erased, and when an erasure is asked for (not: by
 * pdv_call_raw). Who may not wait that long sets no_cache. An opener that has its key goes on to its end.
 *
 * Threads: a struct pdv_blobs may be used by any number of threads at once; those that ask for the same key at
 * the same time make one call. A sealer or opener is one thread's at a time. Functions that wait must not be
 * called in a callback (PDV_FAILED_PRECONDITION, reason CALLED_IN_CALLBACK).
 *
 * Fork: as the client handle. The memory of opened keys is not the child's.
 */
#ifndef PDVAULT_BLOB_H
#define PDVAULT_BLOB_H

#include "pdvault/pdvault.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PDV_BLOB_CHUNK 65536u    /* bytes of the data in each chunk but the last */
#define PDV_BLOB_CHUNK_EXTRA 17u /* further bytes of each chunk */
#define PDV_BLOB_HEADER_MAX 597u

/* Room that sealing or opening ${length} bytes in one go may need; PDV_BLOB_ROOM(0) for a final. */
#define PDV_BLOB_ROOM(length)                                                                          \
	((length) + PDV_BLOB_HEADER_MAX + PDV_BLOB_CHUNK +                                              \
	    PDV_BLOB_CHUNK_EXTRA * ((length) / PDV_BLOB_CHUNK + 2))

#define PDV_BLOB_CACHE_DEFAULT_MS 30000u
#define PDV_BLOB_CACHE_MAX_MS 3600000u
#define PDV_BLOB_CACHE_KEYS_DEFAULT 256u
#define PDV_BLOB_CACHE_KEYS_MAX 1024u

/*
 * Reasons, besides the vault's and the library's:
 *
 * BLOB_NOT_ONE: it does not begin as a blob (code INVALID_ARGUMENT).
 * BLOB_OF_ANOTHER: it says that it is of another subject, category or context than was expected
 *   (FAILED_PRECONDITION).
 * BLOB_DAMAGED: its header or a chunk was changed, or is not the one that belongs there (DATA_LOSS).
 * BLOB_TRUNCATED: it ends before its last chunk (DATA_LOSS). Cut off inside a chunk it is BLOB_DAMAGED.
 * BLOB_TRAILING: there is something behind its last chunk (DATA_LOSS).
 * BLOB_ROOM: the buffer has less room than PDV_BLOB_ROOM says; nothing was taken (INVALID_ARGUMENT).
 * BLOB_ENDED: it is over, well or not (FAILED_PRECONDITION).
 */
#define PDV_REASON_BLOB_NOT_ONE "BLOB_NOT_ONE"
#define PDV_REASON_BLOB_OF_ANOTHER "BLOB_OF_ANOTHER"
#define PDV_REASON_BLOB_DAMAGED "BLOB_DAMAGED"
#define PDV_REASON_BLOB_TRUNCATED "BLOB_TRUNCATED"
#define PDV_REASON_BLOB_TRAILING "BLOB_TRAILING"
#define PDV_REASON_BLOB_ROOM "BLOB_ROOM"
#define PDV_REASON_BLOB_ENDED "BLOB_ENDED"

struct pdv_blobs;
struct pdv_blob_sealer;
struct pdv_blob_opener;

/* Zero is the default of every field. */
struct pdv_blob_options {
	uint32_t cache_ms;   /* how long an opened key is kept; to PDV_BLOB_CACHE_MAX_MS */
	unsigned cache_keys; /* how many; to PDV_BLOB_CACHE_KEYS_MAX */
	int no_cache;        /* not 0: none is kept */
};

/* Whose data, and what for: all of it is bound to the blob, and stands in it readably. */
struct pdv_blob_place {
	struct pdv_subject_id subject;
	enum pdv_category category; /* PDV_CATEGORY_CONTENT or PDV_CATEGORY_USAGE */
	const uint8_t *context;
	size_t context_length; /* up to PDV_CONTEXT_MAX */
};

/* The caller's memory, ${size} bytes, of which ${length} are in use: what is written is put behind them. */
struct pdv_blob_buffer {
	uint8_t *data;
	size_t size;
	size_t length;
};

/*
 * pdv_blobs_new(client, options, out):
 * ${options} may be NULL. ${client} must outlive ${out}, which is for pdv_blobs_free. PDV_INVALID_ARGUMENT (a
 * limit above), PDV_RESOURCE_EXHAUSTED (memory, or it cannot be locked: RLIMIT_MEMLOCK; or no thread),
 * PDV_FAILED_PRECONDITION (in a child process).
 */
PDV_API enum pdv_code pdv_blobs_new(struct pdv_client *client, const struct pdv_blob_options *options,
    struct pdv_blobs **out) PDV_MUST_USE;

/* pdv_blobs_free(b): after its sealers and openers. Wipes. NULL is allowed. In a child it does nothing. */
PDV_API void pdv_blobs_free(struct pdv_blobs *b);

/*
 * pdv_blobs_forget(b, subject):
 * Wipe the kept keys of a subject (NULL: of all), for who learns otherwise that it was erased. Any thread.
 */
PDV_API void pdv_blobs_forget(struct pdv_blobs *b, const struct pdv_subject_id *subject);

/*
 * pdv_blob_sealer_new(b, place, options, out):
 * A sealer, for pdv_blob_sealer_free. ${options} are for the call to the vault, which comes with the first
 * update, or the final; they may be NULL. All is copied. PDV_INVALID_ARGUMENT (a length above),
 * PDV_RESOURCE_EXHAUSTED.
 */
PDV_API enum pdv_code pdv_blob_sealer_new(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options, struct pdv_blob_sealer **out) PDV_MUST_USE;

/*
 * pdv_blob_sealer_update(s, data, length, out), pdv_blob_sealer_final(s, out):
 * Seal ${length} more bytes; seal the rest, with which the blob is whole. Chunks that are ready are put into
 * ${out}. On any code but PDV_OK pdv_blob_sealer_reason says why, and unless it is BLOB_ROOM the
 * blob cannot be gone on with: codes as pdv_generate_data_keys, and those of the reasons above. The same code
 * then comes again.
 */
PDV_API enum pdv_code pdv_blob_sealer_update(struct pdv_blob_sealer *s, const void *data, size_t length,
    struct pdv_blob_buffer *out) PDV_MUST_USE;
PDV_API enum pdv_code pdv_blob_sealer_final(
    struct pdv_blob_sealer *s, struct pdv_blob_buffer *out) PDV_MUST_USE;

/* pdv_blob_sealer_reason(s): of the last failure; "" when there was none. Lives as long as ${s}. */
PDV_API const char *pdv_blob_sealer_reason(const struct pdv_blob_sealer *s);

/* pdv_blob_sealer_free(s): wipes. NULL is allowed. */
PDV_API void pdv_blob_sealer_free(struct pdv_blob_sealer *s);

/*
 * pdv_blob_opener_new(b, place, options, out):
 * As pdv_blob_sealer_new. ${place}, unless NULL, is what the blob must be of: BLOB_OF_ANOTHER.
 */
PDV_API enum pdv_code pdv_blob_opener_new(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options, struct pdv_blob_opener **out) PDV_MUST_USE;

/*
 * pdv_blob_opener_update(o, data, length, out), pdv_blob_opener_final(o, out):
 * Open ${length} more bytes of a blob; say that those were all. What is put into ${out} is as it was sealed, in
 * its order from the beginning. Whether it is the whole only the final says: without its PDV_OK what came
 * before may be the beginning of something longer. Codes as pdv_open_data_keys (FAILED_PRECONDITION with
 * SUBJECT_ERASED or CATEGORY_ERASED: it never opens again), and those of the reasons above.
 */
PDV_API enum pdv_code pdv_blob_opener_update(struct pdv_blob_opener *o, const void *data, size_t length,
    struct pdv_blob_buffer *out) PDV_MUST_USE;
PDV_API enum pdv_code pdv_blob_opener_final(
    struct pdv_blob_opener *o, struct pdv_blob_buffer *out) PDV_MUST_USE;

/*
 * pdv_blob_opener_place(o):
 * Whose the blob is and what for, as it says itself; NULL until its header was read. It is true after a
 * PDV_OK that came with it. Lives as long as ${o}.
 */
PDV_API const struct pdv_blob_place *pdv_blob_opener_place(const struct pdv_blob_opener *o);

/*
 * pdv_blob_opener_rewrapped(o):
 * What the vault wants the blob's wrapped key to be replaced by, after a rotation of keys; NULL: nothing.
 * It has the length of the present one, which begins at byte 61 + context_length of the blob. A key that was
 * kept comes without it. Lives as long as ${o}.
 */
PDV_API const struct pdv_wrapped_key *pdv_blob_opener_rewrapped(const struct pdv_blob_opener *o);

/* pdv_blob_opener_reason(o), pdv_blob_opener_free(o): as of a sealer. */
PDV_API const char *pdv_blob_opener_reason(const struct pdv_blob_opener *o);
PDV_API void pdv_blob_opener_free(struct pdv_blob_opener *o);

/*
 * pdv_blob_seal(b, place, data, length, out), pdv_blob_open(b, place, data, length, out):
 * A whole blob at once, with the default options of a call. ${out} must have PDV_BLOB_ROOM(length).
 * When opening fails, nothing is in ${out}.
 */
PDV_API enum pdv_code pdv_blob_seal(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const void *data, size_t length, struct pdv_blob_buffer *out) PDV_MUST_USE;
PDV_API enum pdv_code pdv_blob_open(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const void *data, size_t length, struct pdv_blob_buffer *out) PDV_MUST_USE;

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_BLOB_H */
