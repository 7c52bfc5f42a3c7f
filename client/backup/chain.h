/*
 * A backup to be read: a full one and, in their order, any that have the changes since; as one set of tables. A
 * chunk is verified when it is read. One thread at a time.
 */
#ifndef CLIENT_BACKUP_CHAIN_H
#define CLIENT_BACKUP_CHAIN_H

#include "client/backup/fault.h"
#include "client/backup/rows.h"
#include "pdvault/v1/backup.pb-c.h"

#define BACKUP_CHAIN_MAX 64u

struct backup_chain;
struct backup_cursor;

/*
 * backup_chain_open(path, count, out, f):
 * Load and verify the manifests in the folders ${path}. BACKUP_BAD: one is damaged, not complete, not signed by
 * the vault that it names, of a newer format, or is not since the one before it; or the vaults differ.
 */
enum backup_result backup_chain_open(const char *const *path, size_t count, struct backup_chain **out,
    struct backup_fault *f);

/* NULL: nothing. Cursors must be freed before. */
void backup_chain_close(struct backup_chain *c);

/* Of the newest; lives as long as the chain. */
const Pdvault__V1__BackupHead *backup_chain_head(const struct backup_chain *c);

/* Rows of a table, as the newest manifest says. */
uint64_t backup_chain_rows(const struct backup_chain *c, const char *table);

/*
 * backup_chain_verify(c, see, arg, f):
 * Read every chunk, and compare the rows of every range with what its manifest says. ${see}, unless NULL, is
 * told how many bytes of how many are done. BACKUP_BAD: ${f} names the file.
 */
enum backup_result backup_chain_verify(struct backup_chain *c,
    void (*see)(void *arg, uint64_t done, uint64_t of), void *arg, struct backup_fault *f);

/* A cursor at the beginning of a table; a table that the backup has not is empty. */
enum backup_result backup_cursor_new(struct backup_chain *c, const char *table, struct backup_cursor **out,
    struct backup_fault *f);

/* The next row is the first whose key is not below that one. Going forward a little is cheap. */
enum backup_result backup_cursor_seek(struct backup_cursor *k, const uint8_t *key, size_t key_len,
    struct backup_fault *f);

/* *end: there is none left; else the row, which is never one that is gone, lives until the next call. */
enum backup_result backup_cursor_next(struct backup_cursor *k, struct backup_row *out, bool *end,
    struct backup_fault *f);

/* NULL: nothing. */
void backup_cursor_free(struct backup_cursor *k);

#endif /* CLIENT_BACKUP_CHAIN_H */
