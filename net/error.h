// SPDX-License-Identifier: Apache-2.0
/* error - what a failed request means
 *
 * Role        One table from (error code of the service, HTTP status, failure of the transport) to
 *             class, errno and a sentence that tells the user what to do. Pure; net/error.c holds
 *             the table, the manual prints it.
 * Order       The service's code decides if it is known, else the status, else the transport.
 */
#ifndef OBSM_NET_ERROR_H
#define OBSM_NET_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "net/base/err.h"
#include "net/obs.h"

/* How the transport failed; the engine translates its library's codes into these. */
enum net_failure {
    NET_OK = 0,   /* an answer came: look at the status */
    NET_DNS,      /* the host name has no address */
    NET_CONNECT,  /* no connection: refused, unreachable */
    NET_TIMEOUT,  /* connecting, or the whole request, took too long */
    NET_STALL,    /* no byte moved for too long */
    NET_RESET,    /* the connection ended before the answer was complete */
    NET_TLS,      /* handshake failed */
    NET_CERT,     /* the server's certificate is not trusted: never repeated */
    NET_PROTOCOL, /* what came is not HTTP, or longer than allowed */
    NET_LOCAL,    /* the library failed: out of memory, bad option */
    NET_FAILURE_COUNT
};

struct error_answer {
    enum net_failure failure;
    const char *detail;     /* the transport's own words, or NULL */
    int status;             /* HTTP status; 0 if failure */
    const char *code;       /* of the Error body or x-obs-error-code; NULL or "" if none */
    const char *message;    /* the same */
    const char *request_id; /* the same */
    int op;                 /* enum obs_op; -1: not a request to a bucket */
    enum obs_dialect dialect;
    const char *right; /* op == -1: the right that a refusal would miss, or NULL */
};

/* Fills *ret and returns ret->eno. A status of 200 to 299 without a code and a failure is 0. */
int error_from_answer(const struct error_answer *a, struct err *ret);

/* The right that the operation needs: "obs:object:PutObject" or "s3:PutObject". */
const char *error_right(enum obs_op op, enum obs_dialect dialect);

/* True if the same request may be sent again after a failure of this class. */
bool error_may_repeat(enum err_class cls);

/* How long to wait before attempt `attempt` + 1, in ms: exponential with full range of jitter above
 * one half (`random` is any 64 bits). `server_ms` is what the server asked for, 0 if nothing: never
 * less than that. */
int64_t error_backoff_ms(unsigned attempt, enum err_class cls, uint64_t random, int64_t server_ms);

/* Retry-After: seconds or an HTTP date; in ms, at most five minutes; 0 for anything else. */
int64_t error_retry_after_ms(const char *value, time_t now);

/* One row of the table, for the manual and the tests; false at the end. */
struct error_row {
    const char *code; /* NULL: by status */
    int status;       /* 0: any */
    enum err_class cls;
    int eno;
    const char *advice;
};
bool error_row(size_t i, struct error_row *ret);

#endif
