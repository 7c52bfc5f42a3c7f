/*
 * What is wrong with a backup, for who reads one: the tool as well as the server.
 */
#ifndef CLIENT_BACKUP_FAULT_H
#define CLIENT_BACKUP_FAULT_H

enum backup_result {
	BACKUP_OK,
	BACKUP_BAD,			/* damaged, incomplete, of another vault, of another format */
	BACKUP_ABSENT,			/* there is no such file or folder */
	BACKUP_EXISTS,			/* what was to be made is there already, and stays as it is */
	BACKUP_IO,
	BACKUP_NO_MEMORY,
};

/* One line for people, with the path that it is about; no data of persons. */
struct backup_fault {
	char text[320];
};

/* Writes the line and returns ${r}. */
enum backup_result backup_fault_set(struct backup_fault *f, enum backup_result r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* CLIENT_BACKUP_FAULT_H */
