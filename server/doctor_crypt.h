/*
 * Whether a block device is dm-crypt's, or all that it lies on is: LVM or RAID on encrypted disks. Any thread.
 */
#ifndef SERVER_DOCTOR_CRYPT_H
#define SERVER_DOCTOR_CRYPT_H

#include <stdbool.h>

#define DOCTOR_CRYPT_LAYERS 4u		/* of devices on devices that are looked through */

/* doctor_crypt(folder): of the device that this folder, as /sys/dev/block/254:0, describes. */
bool doctor_crypt(const char *folder);

#endif /* SERVER_DOCTOR_CRYPT_H */
