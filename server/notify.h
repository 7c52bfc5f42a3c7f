/*
 * What the service manager is told: sd_notify(3)'s protocol, one datagram of VARIABLE=VALUE
 * lines to the socket named by NOTIFY_SOCKET. Written by hand, since libsystemd would be a
 * package more for thirty lines. Without NOTIFY_SOCKET all of it does nothing. The main
 * thread.
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Sends the lines of ${state}, as "READY=1\nSTATUS=serving". False: there is nobody to tell, or
 * it could not be sent, which is nobody's harm.
 */
bool notify_send(const char *state);

/* RELOADING=1 with the time that systemd asks for; READY=1 is to follow. */
bool notify_reloading(void);

/* Nanoseconds between two WATCHDOG=1 that this process owes; 0: none. */
uint64_t notify_watchdog_ns(void);

#endif /* SERVER_NOTIFY_H */
