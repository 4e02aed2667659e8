// SPDX-License-Identifier: Apache-2.0
/* fault - errors on demand
 *
 * Role        A list of rules, replaced as a whole by POST /-/faults or --faults FILE. The first
 *             rule that matches a request, and whose turn it is, fires.
 * Form        See README.md, "Faults".
 * Locking     Its own lock.
 */
#ifndef OBSLOCAL_FAULT_H
#define OBSLOCAL_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/base/err.h"
#include "tests/obs-local/text.h"

struct faults;
struct request;

enum fault_reset {
    FAULT_NO_RESET,
    FAULT_RESET_EARLY, /* before the request's body was read */
    FAULT_RESET,       /* without an answer, the request not executed */
    FAULT_RESET_AFTER, /* without an answer, the request executed: a lost reply */
};

/* What the rule that fired does; all zero: nothing. Strings live in the request's arena. */
struct fault_hit {
    bool fired;
    int64_t delay_ms;
    int64_t stall_ms; /* no answer for so long, or (-1) until the rules change */
    enum fault_reset reset;
    int64_t reset_in;   /* reset after so many bytes of the request's body; -1: not */
    int64_t cut_at;     /* end the connection after so many bytes of the answer's body; -1: not */
    int64_t stall_at;   /* stop sending after so many bytes of the answer's body; -1: not */
    int64_t body_delta; /* the answer's body is so much longer or shorter than it should be */
    bool wrong_etag;
    bool wrong_crc64;
    int status; /* 0: no error is made */
    const char *code;
    const char *message;
    bool after;    /* the request is executed, then answered with the error */
    bool in_200;   /* the error's body inside a 200 */
    bool raw_body; /* `body` is sent as it is */
    const char *body;
    bool drop_upload;     /* the upload is removed first */
    uint64_t rate;        /* instead of --rate */
    struct pairs headers; /* more headers of the answer */
    uint64_t gen;         /* of the rules, for stalls */
};

struct faults *faults_new(void);
void faults_free(struct faults *f);

/* Replaces the rules by this JSON array. -EINVAL with a message; the old ones then stay. */
int faults_set(struct faults *f, const char *json, size_t n, struct err *err);
/* Decides for this request (op, bucket, key are known). */
void faults_match(struct faults *f, const struct request *r, struct arena *mem,
                  struct fault_hit *ret);
uint64_t faults_generation(const struct faults *f);
/* JSON: how often each rule matched and fired. */
void faults_json(struct faults *f, struct buf *out);

#endif
