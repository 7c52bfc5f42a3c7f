/*
 * What a backup is made of, signed by its vault (docs/FORMAT.md, manifest). Any thread.
 */
#ifndef CLIENT_BACKUP_MANIFEST_H
#define CLIENT_BACKUP_MANIFEST_H

#include "client/backup/fault.h"
#include "client/backup/range.h"

#define BACKUP_FORMAT 1u			/* the newest that is known */
#define BACKUP_MANIFEST_NAME "manifest"
#define BACKUP_UNSIGNED_NAME "manifest.unsigned"
#define BACKUP_MANIFEST_MAX (64u << 20)		/* bytes of the file: 400 000 ranges, about */
#define BACKUP_SIGNATURE_LEN 64u
#define BACKUP_SEALED_NAME "root.sealed"
#define BACKUP_SEALED_LEN 128u

/* The bytes that a signature is about. */
struct backup_packed {
	uint8_t *p;				/* for free() */
	size_t len;
	uint8_t digest[BACKUP_DIGEST_LEN];	/* what the vault signs */
};

/*
 * backup_manifest_head_ok(h, f):
 * The head is whole, and of a format and kind that are known; else BACKUP_BAD.
 */
enum backup_result backup_manifest_head_ok(const Pdvault__V1__BackupHead *h, struct backup_fault *f);

/*
 * backup_manifest_ok(m, f):
 * So is all of the manifest: the ranges of each table stand together, follow on each other without a gap from
 * the beginning of the table to its end; a full backup has a chunk for each. Else BACKUP_BAD.
 */
enum backup_result backup_manifest_ok(const Pdvault__V1__BackupManifest *m, struct backup_fault *f);

/* backup_manifest_pack(m, out, f): BACKUP_BAD: it breaks a rule, or is too large. */
enum backup_result backup_manifest_pack(const Pdvault__V1__BackupManifest *m, struct backup_packed *out,
    struct backup_fault *f);

/* Whether the vault of the head has signed that digest. */
bool backup_manifest_signed(const Pdvault__V1__BackupHead *h, const uint8_t digest[static BACKUP_DIGEST_LEN],
    const uint8_t signature[static BACKUP_SIGNATURE_LEN]);

/*
 * backup_manifest_prepare(folder, packed, f): all of the file but the signature, under another name; it and all
 * names of the folder are durable. A vault signs a backup of keys once, so what can fail comes before.
 */
enum backup_result backup_manifest_prepare(const char *folder, const struct backup_packed *packed,
    struct backup_fault *f);

/* backup_manifest_complete(folder, signature, f): the file that was prepared, durably. */
enum backup_result backup_manifest_complete(const char *folder,
    const uint8_t signature[static BACKUP_SIGNATURE_LEN], struct backup_fault *f);

/*
 * backup_manifest_parse(p, len, out, f):
 * A SignedManifest whose rules and signature hold; for pdvault__v1__backup_manifest__free_unpacked().
 * BACKUP_BAD: they do not.
 */
enum backup_result backup_manifest_parse(const uint8_t *p, size_t len, Pdvault__V1__BackupManifest **out,
    struct backup_fault *f);

/* The same from the file in ${folder}. BACKUP_ABSENT: there is none: the backup is not complete, or is none. */
enum backup_result backup_manifest_load(const char *folder, Pdvault__V1__BackupManifest **out,
    struct backup_fault *f);

#endif /* CLIENT_BACKUP_MANIFEST_H */
