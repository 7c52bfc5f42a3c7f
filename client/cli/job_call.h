/*
 * Jobs of the vault, as the tool asks for them, follows and shows them.
 */
#ifndef CLI_JOB_CALL_H
#define CLI_JOB_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "pdvault/v1/keys.pb-c.h"
#include "raw_call.h"

/* One call whose answer is a job, for pdvault__v1__job__free_unpacked(). */
enum pdv_code job_call(struct session *s, const char *method, const ProtobufCMessage *request,
    Pdvault__V1__Job **out, struct failure *f);

/*
 * job_follow(s, job, f): Wait until it has ended, with a bar on a terminal; *job becomes its last
 * state. One that failed, was cancelled or paused is a failure.
 */
enum pdv_code job_follow(struct session *s, Pdvault__V1__Job **job, struct failure *f);

/* ${whole}: with its signed statement. NULL: no memory. */
json_t *job_json(const Pdvault__V1__Job *j, bool whole);

/* A time; NULL gives null. */
json_t *job_json_time(const Pdvault__V1__Timestamp *t);

/* An id of 16 bytes in hexadecimal. */
enum pdv_code job_id(const char *text, uint8_t out[16], struct failure *f);

/*
 * job_run(a, method, request, f):
 * A command that asks for one job: waits for it unless --detach was given, and prints it.
 */
enum pdv_code job_run(const struct args *a, const char *method, const ProtobufCMessage *request,
    struct failure *f);

#endif /* CLI_JOB_CALL_H */
