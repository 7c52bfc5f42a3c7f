/*
 * The plain structs of the client library: what a caller fills in and what an
 * answer holds. They mirror proto/pdvault/v1, without its generated types.
 *
 * Presence: a string is absent when it is NULL (an empty string counts as
 * absent too, and is never handed out); a nested struct when its pointer is NULL;
 * a list when its count is 0. Zero-initialise (`= {0}`) and set what is there.
 *
 * Strings are UTF-8, end with NUL and hold no other NUL. Their limits are the
 * server's (docs/PROTOCOL.md); the library sends what it is given.
 *
 * Ownership: in a request everything stays the caller's and is only read until
 * the function returns. In an answer everything belongs to the pdv_result and
 * dies with it.
 */
#ifndef PDVAULT_TYPES_H
#define PDVAULT_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PDV_ID_LEN 16      /* bytes of a subject id, an erasure id, a vault id */
#define PDV_ID_TEXT_LEN 30 /* characters of an id's text, without the NUL */
#define PDV_KEY_LEN 16     /* bytes of an idempotency key */
#define PDV_BATCH_MAX 64   /* subjects in one pdv_batch_get_identity */
#define PDV_APPEND_MAX 100 /* transactions in one pdv_append_transactions */
#define PDV_DATA_KEYS_MAX 256 /* in one pdv_generate_data_keys, pdv_open_data_keys */
#define PDV_PAGE_MAX 200   /* transactions in one answer of pdv_list_transactions */

/* A subject id is personal data: keep it out of logs, metrics and errors. */
struct pdv_subject_id {
	uint8_t bytes[PDV_ID_LEN];
};

struct pdv_erasure_id {
	uint8_t bytes[PDV_ID_LEN];
};

/* A moment in UTC: seconds since 1970-01-01T00:00:00Z, nanos 0 to 999 999 999. */
struct pdv_time {
	int64_t seconds;
	int32_t nanos;
};

#define PDV_CATEGORIES(X) \
	X(UNSPECIFIED, 0) \
	X(IDENTITY, 1)    \
	X(CREDENTIAL, 2)  \
	X(BILLING, 3)     \
	X(CONTENT, 4)     \
	X(USAGE, 5)       \
	X(DEVICE, 6)      \
	X(PREFERENCES, 7) \
	X(CONSENT, 8)

#define PDV_STATES(X)         \
	X(UNSPECIFIED, 0)     \
	X(ACTIVE, 1)          \
	X(RESTRICTED, 2)      \
	X(PENDING_ERASURE, 3) \
	X(ERASED, 4)

#define PDV_ERASURE_STATES(X) \
	X(UNSPECIFIED, 0)     \
	X(PENDING, 1) /* decided, the old keys are not yet gone */ \
	X(SHREDDED, 2) /* no living key opens the categories, but a key backup may */ \
	X(FINAL, 3)   /* nor does any key backup that is outstanding */

#define PDV_SERVING_STATES(X) \
	X(UNSPECIFIED, 0)     \
	X(SERVING, 1)         \
	X(READ_ONLY, 2)

#define PDV_KEY_BACKUP_STATES(X)                                          \
	X(UNSPECIFIED, 0)                                                 \
	X(OUTSTANDING, 1) /* opens whom it has, to who has the recovery secret */ \
	X(EXPIRED, 2)                                                     \
	X(DESTROYED, 3)

/*
 * A server newer than this library may answer with a number that is in none of these
 * lists: such an answer is refused (PDV_REASON_TOO_NEW in result.h).
 */
#define PDV_ENUM_CATEGORY(name, number) PDV_CATEGORY_##name = number,
#define PDV_ENUM_STATE(name, number) PDV_STATE_##name = number,
#define PDV_ENUM_ERASURE(name, number) PDV_ERASURE_##name = number,
#define PDV_ENUM_SERVING(name, number) PDV_SERVING_##name = number,
#define PDV_ENUM_KEY_BACKUP(name, number) PDV_KEY_BACKUP_##name = number,
enum pdv_category { PDV_CATEGORIES(PDV_ENUM_CATEGORY) };
enum pdv_state { PDV_STATES(PDV_ENUM_STATE) };
enum pdv_erasure_state { PDV_ERASURE_STATES(PDV_ENUM_ERASURE) };
enum pdv_serving_state { PDV_SERVING_STATES(PDV_ENUM_SERVING) };
enum pdv_key_backup_state { PDV_KEY_BACKUP_STATES(PDV_ENUM_KEY_BACKUP) };
#undef PDV_ENUM_CATEGORY
#undef PDV_ENUM_STATE
#undef PDV_ENUM_ERASURE
#undef PDV_ENUM_SERVING
#undef PDV_ENUM_KEY_BACKUP

struct pdv_name {
	const char *full;
	const char *given;
	const char *family;
};

struct pdv_postal_address {
	const char *label; /* "home", "work" */
	const char *recipient;
	const char *organization;
	const char *const *lines;
	size_t line_count;
	const char *locality;
	const char *region;
	const char *postal_code;
	const char *country;
};

struct pdv_attribute {
	const char *key;
	const char *value;
};

struct pdv_identity {
	const struct pdv_name *name;
	const char *const *emails;
	size_t email_count;
	const char *const *phones;
	size_t phone_count;
	const char *locale;        /* BCP 47 */
	const char *date_of_birth; /* YYYY-MM-DD */
	const struct pdv_postal_address *postal_addresses;
	size_t postal_address_count;
	const char *const *account_ids;
	size_t account_id_count;
	const struct pdv_attribute *attributes;
	size_t attribute_count;
};

/* A way to pay, as far as it may be known: there is no field for a card number. */
struct pdv_payment_method {
	const char *brand;
	const char *last_four;
	uint32_t expiry_month; /* 1 to 12; 0: absent */
	uint32_t expiry_year;  /* four digits; 0: absent */
	const char *token;     /* the processor's */
};

struct pdv_billing {
	const char *legal_name;
	const struct pdv_postal_address *billing_address;
	const char *tax_id;
	const char *processor;
	const char *customer_reference;
	const struct pdv_payment_method *payment_methods;
	size_t payment_method_count;
};

struct pdv_transaction {
	const char *id; /* the caller's, unique for the subject */
	const struct pdv_time *time;
	int64_t amount_minor; /* in the currency's minor unit */
	const char *currency; /* ISO 4217 */
	const char *status;
	const char *description;
	const char *invoice_reference;
};

/* --- requests that are more than an id --- */

struct pdv_new_subject {
	const struct pdv_identity *identity; /* or NULL */
	const struct pdv_billing *billing;   /* or NULL */
};

enum pdv_lookup_by { PDV_BY_EMAIL = 1, PDV_BY_PHONE = 2, PDV_BY_ACCOUNT_ID = 3 };

struct pdv_lookup {
	enum pdv_lookup_by by;
	const char *value; /* in any case, spacing, punctuation: the server normalises */
};

struct pdv_subject_list {
	const struct pdv_subject_id *subjects;
	size_t count; /* 1 to PDV_BATCH_MAX */
};

/*
 * The mask names top-level fields ("emails", "name"): those are replaced, and
 * cleared where ${identity} lacks them. Without one, the fields that are set are
 * replaced. A stale etag is answered PDV_ABORTED.
 */
struct pdv_identity_update {
	struct pdv_subject_id subject;
	const struct pdv_identity *identity;
	const char *const *mask;
	size_t mask_count;
	const char *etag; /* from an earlier answer; NULL: whatever is there */
};

/* As pdv_identity_update. */
struct pdv_billing_update {
	struct pdv_subject_id subject;
	const struct pdv_billing *billing;
	const char *const *mask;
	size_t mask_count;
	const char *etag;
};

struct pdv_transaction_append {
	struct pdv_subject_id subject;
	const struct pdv_transaction *transactions; /* ids distinct */
	size_t count;                               /* 1 to PDV_APPEND_MAX */
};

struct pdv_transaction_page {
	struct pdv_subject_id subject;
	uint32_t page_size;     /* 0: the server's choice; at most PDV_PAGE_MAX */
	const char *page_token; /* NULL: from the first; else from pdv_result_next_page */
};

#define PDV_DATA_KEY_LEN 32
#define PDV_CONTEXT_MAX 256     /* bytes */
#define PDV_WRAPPED_KEY_MAX 256 /* bytes of a wrapped key, in this version of the vault or a later one */

/*
 * Keys for data that are kept elsewhere; they die with the category of the subject. ${context} says what they
 * are for (a conversation, a file): to open one, the same is needed. It may be any bytes, which the vault
 * does not keep.
 */
struct pdv_data_key_request {
	struct pdv_subject_id subject;
	enum pdv_category category; /* PDV_CATEGORY_CONTENT or PDV_CATEGORY_USAGE */
	const uint8_t *context;
	size_t context_length; /* up to PDV_CONTEXT_MAX */
	uint32_t count;        /* 1 to PDV_DATA_KEYS_MAX */
};

/* What a data key is kept as; no secret. */
struct pdv_wrapped_key {
	const uint8_t *bytes;
	size_t length; /* up to PDV_WRAPPED_KEY_MAX */
};

struct pdv_data_key_opening {
	struct pdv_subject_id subject;
	enum pdv_category category;
	const uint8_t *context;
	size_t context_length;
	const struct pdv_wrapped_key *wrapped;
	size_t count; /* 1 to PDV_DATA_KEYS_MAX */
};

struct pdv_erase {
	struct pdv_subject_id subject;
	const enum pdv_category *categories;
	size_t category_count; /* 0: all */
};

#define PDV_BACKUP_KEY_MAX 255         /* bytes of a row's key */
#define PDV_BACKUP_DIGEST_LEN 32       /* BLAKE2b-256 */
#define PDV_BACKUP_SEALED_LEN 128      /* of a sealed root key */
#define PDV_BACKUP_ROWS_MAX 1000000    /* bytes of rows in one answer */

/* What kind of backup. */
struct pdv_backup_begin {
	const uint8_t *key_backup; /* PDV_ID_LEN bytes, of pdv_create_key_backup; NULL: a backup of data */
};

/*
 * Rows of one table, in the order of their keys, from the key ${from} on (0 bytes: from the beginning) up to
 * and without ${to} (0 bytes: to the end). With a digest nothing is sent: it is compared.
 */
struct pdv_backup_range {
	uint8_t session[PDV_ID_LEN];
	const char *table;
	const uint8_t *from;
	size_t from_length;
	const uint8_t *to;
	size_t to_length;
	const uint8_t *digest; /* PDV_BACKUP_DIGEST_LEN bytes, of all rows of the range; or NULL */
};

struct pdv_backup_finish {
	uint8_t session[PDV_ID_LEN];
	uint8_t digest[PDV_BACKUP_DIGEST_LEN]; /* of the manifest */
};

struct pdv_key_backup_new {
	uint32_t lifetime_seconds; /* 0: seven days */
};

struct pdv_key_backup_filter {
	int outstanding; /* not 0: these only */
};

struct pdv_key_backup_id {
	uint8_t bytes[PDV_ID_LEN];
};

/* --- answers --- */

struct pdv_violation {
	const char *field; /* path in the request, as "identity.emails[1]" */
	const char *rule;  /* UPPER_SNAKE, stable */
};

struct pdv_category_status {
	enum pdv_category category;
	enum pdv_state state;
};

/* The state of a subject and what is held of it; no data. */
struct pdv_subject_status {
	struct pdv_subject_id subject;
	enum pdv_state state;
	const struct pdv_category_status *categories;
	size_t category_count;
	const struct pdv_time *create_time; /* or NULL */
};

/* One outcome of a batch; ${identity} and ${etag} are NULL unless ${code} is OK. */
struct pdv_identity_outcome {
	struct pdv_subject_id subject;
	int code;           /* enum pdv_code */
	const char *reason; /* or NULL */
	const struct pdv_identity *identity;
	const char *etag;
};

struct pdv_append_outcome {
	uint32_t appended;
	uint32_t unchanged; /* were there already, with the same content */
};

struct pdv_data_key {
	uint8_t key[PDV_DATA_KEY_LEN];
	struct pdv_wrapped_key wrapped;
};

/* ${key} is NULL unless ${code} is OK. */
struct pdv_data_key_outcome {
	int code;           /* enum pdv_code */
	const char *reason; /* or NULL */
	const uint8_t *key; /* PDV_DATA_KEY_LEN bytes */
	struct pdv_wrapped_key rewrapped; /* of length above 0: keep this one from now on */
};

#define PDV_LEDGER_ENTRY_LEN 99
#define PDV_SIGNATURE_LEN 64
#define PDV_SIGNING_KEY_LEN 32
#define PDV_LEDGER_HASH_LEN 32

/* An erasure as the vault's ledger has it, and the vault's signature: docs/FORMAT.md, ledger. */
struct pdv_ledger_proof {
	uint8_t entry[PDV_LEDGER_ENTRY_LEN];
	uint8_t signature[PDV_SIGNATURE_LEN];
};

enum pdv_ledger_kind {
	PDV_LEDGER_PART = 0,      /* an erasure; the subject has something left */
	PDV_LEDGER_WHOLE = 1,     /* nothing of the subject is left */
	PDV_LEDGER_KEYS = 2,      /* a key backup; erasure is its id, slot its expiry in ms */
	PDV_LEDGER_KEYS_READ = 3, /* it is complete; slot: who has this one or a later is not in it */
	PDV_LEDGER_KEYS_GONE = 4, /* it was destroyed */
	PDV_LEDGER_SIGNER = 5,        /* a new signing key; signed with the one before */
	PDV_LEDGER_SIGNER_BEFORE = 6, /* that one; the entry behind each PDV_LEDGER_SIGNER */
};

/* What stands in such an entry. Of a key backup subject and categories are zero, of a signing key both ids. */
struct pdv_ledger_entry {
	uint64_t sequence; /* 1 is the first of the vault */
	uint64_t epoch;    /* that the keys died with */
	struct pdv_time time;
	uint64_t slot;
	struct pdv_subject_id subject;
	struct pdv_erasure_id erasure;
	uint16_t categories; /* bit c - 1 for enum pdv_category c */
	enum pdv_ledger_kind kind;
	int last;            /* 1: kind is PDV_LEDGER_WHOLE */
	uint8_t signing_key[PDV_SIGNING_KEY_LEN]; /* that the last two kinds name; else zero */
	uint8_t before[PDV_LEDGER_HASH_LEN]; /* hash of the entry before */
	uint8_t hash[PDV_LEDGER_HASH_LEN];   /* of this one */
};

/* Entries behind sequence ${after}; 0: from the first one on. */
struct pdv_ledger_page {
	uint64_t after;
	uint32_t page_size; /* up to PDV_PAGE_MAX; 0: the vault's default */
};

/* ${subject}, ${time} and ${categories} come from pdv_get_erasure only. */
struct pdv_erasure {
	struct pdv_erasure_id erasure;
	enum pdv_erasure_state state;
	uint64_t epoch;
	const struct pdv_subject_id *subject;
	const struct pdv_time *time;
	const enum pdv_category *categories;
	size_t category_count;
	const struct pdv_ledger_proof *ledger; /* NULL while it is pending */
	size_t key_backup_count; /* SHREDDED: outstanding key backups that may still open it */
	const struct pdv_time *final_time; /* when it became FINAL, or will; NULL while it is pending */
	const char *class_; /* GetErasure: "A" to "D", how surely the old root keys are gone; "": not known */
};

struct pdv_backup_table {
	const char *name;
	uint64_t rows;
};

/* A session of a backup: it ends a minute after its last call. */
struct pdv_backup {
	uint8_t session[PDV_ID_LEN];
	const uint8_t *head; /* a BackupHead of proto/pdvault/v1/backup.proto, encoded: of the manifest */
	size_t head_length;
	const struct pdv_backup_table *tables; /* in the order to be read */
	size_t table_count;
	const uint8_t *sealed_root; /* PDV_BACKUP_SEALED_LEN bytes; NULL in a backup of data */
};

/* Rows as docs/FORMAT.md says, rows of a backup. */
struct pdv_backup_rows {
	const uint8_t *rows;
	size_t length;
	const uint8_t *next; /* the key to go on from; ${next_length} 0: the range is at its end */
	size_t next_length;
	int same; /* the digest is that of the range */
};

struct pdv_key_backup {
	uint8_t backup[PDV_ID_LEN];
	enum pdv_key_backup_state state;
	const struct pdv_time *create_time;
	const struct pdv_time *expire_time;
	uint8_t recovery_key[32]; /* X25519, public: that it is sealed for */
	uint64_t epoch;           /* it has nobody who was erased in this epoch or before */
	int complete;             /* it was read to its end */
	const struct pdv_time *destroy_time; /* or NULL */
	const char *destroyed_by;            /* or NULL */
};

/* A restore that took a ledger which was not the newest: who was erased may be back. */
struct pdv_resurrection {
	const struct pdv_time *time;
	uint64_t entries; /* of the ledger that was taken, and the hash of its newest */
	uint8_t head[PDV_LEDGER_HASH_LEN];
	uint64_t wanted_entries; /* of the newest that was known of; 0: not known */
	uint8_t wanted_head[PDV_LEDGER_HASH_LEN];
};

struct pdv_status {
	const char *version;
	uint8_t vault[PDV_ID_LEN];
	uint32_t vault_number;
	uint64_t epoch;
	uint64_t settled_epoch;
	uint64_t subjects; /* not erased */
	uint64_t erased;
	const char *anchor_class; /* "A" to "D" */
	const char *anchor_class_reason;
	const char *class_; /* of the vault: the anchor's, or a better one of all seals */
	const char *class_reason;
	unsigned seals_failing; /* that did not give their key when they were tested last */
	unsigned open_jobs;
	const struct pdv_time *job_update_time; /* of the one that runs, when it got on last; NULL: none runs */
	uint64_t uptime_seconds;
	int read_only; /* 0 or 1 */
	const char *read_only_reason;
	uint64_t store_bytes;
	uint64_t store_limit_bytes;
	uint64_t requests_in_flight;
	uint64_t connections;
	const char *const *seals; /* names of the seal providers */
	size_t seal_count;
	const char *secret_memory; /* "memfd_secret" or "locked" */
	uint8_t signing_key[PDV_SIGNING_KEY_LEN]; /* Ed25519, public: of ledger proofs */
	uint64_t ledger_entries;
	uint64_t incarnation; /* grows with each restore */
	uint32_t key_backups; /* outstanding */
	/* Of the last that is complete; NULL: never. */
	const struct pdv_time *data_backup_time, *key_backup_time;
	const struct pdv_time *backup_verify_time, *backup_drill_time;
	const char *const *warnings; /* UPPER_SNAKE: docs/PROTOCOL.md, GetStatus */
	size_t warning_count;
	const struct pdv_resurrection *resurrections; /* for ever */
	size_t resurrection_count;
};

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_TYPES_H */
