// SPDX-License-Identifier: Apache-2.0
/* http - one request and its answer as a value
 *
 * Role        What the transfer engine (net/engine.h) carries: a `struct http_call` says how a
 *             request is made, where its bytes come from and go to, and what an answer means. It
 *             knows nothing of any particular service.
 * Life        The owner embeds the struct, fills the request half and submits it. For every attempt
 *             the engine calls, in this order and always on one engine thread:
 *               prepare    builds the request anew: fresh date, fresh credentials, signature
 *               body.read  the bytes that are sent, in order; from 0 again if the connection broke
 *               begin      the status and header fields of the answer are known, no body byte yet
 *               sink       the bytes of a 2xx answer, in order, straight from the receive buffer
 *               evaluate   the answer is complete: what does it mean, may it be repeated?
 *             and after the last attempt `done`, exactly once. No lock of net/ is held in any of
 *             them; they must not wait for the network.
 * Ownership   The call and what it points to belong to the owner and stay until `done`; inside
 *             `done` the owner may free the call. `response` is emptied before every attempt and by
 *             http_call_clear().
 * Errors      `err` is the result; `wire` the last attempt that failed, even if a later one was
 *             answered well.
 */
#ifndef OBSM_NET_HTTP_H
#define OBSM_NET_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/base/buf.h"
#include "net/base/err.h"

enum {
    HTTP_FIELDS_MAX = 64 * 1024,     /* bytes of all header fields of a request or an answer */
    HTTP_URL_MAX = 16 * 1024,        /* bytes of a URL */
    HTTP_ERROR_BODY_MAX = 64 * 1024, /* of the body of an error; what is longer is cut */
    HTTP_REDIRECTS_MAX = 3,
};

struct http_field {
    char *name;
    char *value;
};

struct http_fields {
    struct http_field *v;
    size_t n;
    size_t bytes;
};

/* Adds a copy. -EINVAL for a name or value with control characters (nothing can be smuggled in
 * behind a line break), -EMSGSIZE beyond HTTP_FIELDS_MAX, -ENOMEM. */
int http_fields_add(struct http_fields *fields, const char *name, const char *value);

/* Adds one line "Name: value" as received, of n bytes; a line end is cut off. Lines without a colon
 * are ignored. The same errors. */
int http_fields_add_line(struct http_fields *fields, const char *line, size_t n);

/* The value of the first field of that name, compared without case, or NULL. */
const char *http_fields_get(const struct http_fields *fields, const char *name);
void http_fields_clear(struct http_fields *fields);

/* Appends n bytes of a header line, request line or URL to `out` with every secret replaced:
 * values of authorization and token fields, and of signature and token parameters in a query. */
void http_redact(const char *line, size_t n, struct buf *out);

/* Parses "bytes FIRST-LAST/TOTAL". -EINVAL for anything else, also for LAST < FIRST or
 * TOTAL <= LAST. */
int http_content_range(const char *value, uint64_t *ret_first, uint64_t *ret_last,
                       uint64_t *ret_total);

/* Which waiting line a call stands in. Each has its own limit of calls under way, so that none
 * keeps another from starting. */
enum http_lane {
    HTTP_URGENT, /* somebody waits for this small request */
    HTTP_META,   /* other small requests */
    HTTP_READ,   /* bulk download */
    HTTP_WRITE,  /* bulk upload */
    HTTP_LANES
};

/* One attempt's request, filled by prepare. */
struct http_request {
    const char *method; /* static string */
    struct buf url;     /* absolute, encoded */
    struct http_fields fields;
};

struct http_response {
    int status; /* 0: none came */
    struct http_fields fields;
    struct buf body; /* what did not go to the sink */
    bool cut;        /* the body of an error was longer than HTTP_ERROR_BODY_MAX */
    uint64_t sunk;   /* bytes that the sink took in this attempt */
    int64_t date;    /* the Date field, seconds since 1970; 0: none */
};

typedef ssize_t http_read_fn(void *arg, uint64_t off, void *p, size_t n);

struct http_body {
    bool present; /* false: no body, and no Content-Length unless the method is PUT or POST */
    uint64_t size;
    http_read_fn *read; /* up to n bytes from `off`; their number, or -errno to give up */
    void *arg;
};

struct http_call;

/* Fills *req (empty) for the next attempt. 0; or a negative errno with call->err set, which ends
 * the call; or -EAGAIN without it: not ready yet (credentials are on their way), asked again
 * shortly. */
typedef int http_prepare_fn(struct http_call *call, struct http_request *req);

/* Looks at status and fields. 0; or a negative errno with call->err set (its class counts), which
 * ends the attempt before any body byte is taken. */
typedef int http_begin_fn(struct http_call *call);

/* Takes n bytes. 0, or -errno to give up: the call then ends with it. */
typedef int http_sink_fn(struct http_call *call, const void *p, size_t n);

/* Sets call->err: eno 0 for success, or an error whose class decides about a repetition. For
 * ERR_REAUTH, ERR_CLOCK_SKEW, ERR_REDIRECT and ERR_REKEY it has already arranged what the next
 * attempt needs; the engine repeats at once, the first two once per call, a redirection
 * HTTP_REDIRECTS_MAX times, ERR_REKEY as often as it is set. May set retry_after_ms. Not called
 * when no answer came. */
typedef void http_evaluate_fn(struct http_call *call);

typedef void http_done_fn(struct http_call *call);

struct http_call {
    /* --- request: the owner's --- */
    const char *label; /* for logs, static */
    enum http_lane lane;
    struct http_body body;
    http_prepare_fn *prepare;
    http_begin_fn *begin;       /* may be NULL */
    http_sink_fn *sink;         /* NULL: the body goes to response.body */
    http_evaluate_fn *evaluate; /* NULL: 2xx is success, anything else -EIO */
    http_done_fn *done;
    void *arg;
    size_t answer_max;  /* limit of response.body for a 2xx answer; 0: HTTP_ERROR_BODY_MAX */
    int64_t connect_ms; /* per attempt; 0: the engine's */
    int64_t stall_ms;   /* an attempt that moves nothing for so long has failed; 0: the engine's */
    int64_t give_up_ms; /* no repetition later than this after the first attempt; 0: engine's */
    bool direct;        /* never through a proxy */
    bool fresh;         /* on a new connection: on a kept one that turns out dead libcurl sends a
                           request again by itself, although the server may have executed it */
    int64_t delay_ms;   /* the first attempt begins no earlier than so long after the submission */

    /* --- answer --- */
    struct http_response response;
    struct err err;
    struct err wire;
    unsigned attempts;
    unsigned sent; /* requests that were begun: libcurl repeats some by itself, see `fresh` */
    int64_t retry_after_ms; /* set by evaluate: wait at least so long before the next attempt */

    /* --- private to the engine; zero when submitted --- */
    struct {
        struct http_call *prev, *next; /* the list that it is in */
        struct engine_thread *thread;  /* under engine lock; NULL while it waits for a slot */
        struct attempt *attempt;       /* engine thread only; NULL between attempts */
        atomic_bool cancelled;
        bool has_slot;      /* under engine lock */
        bool started;       /* engine thread only, as all below */
        bool immediate;     /* wake_ms ends a pause that keeps the slot */
        int64_t wake_ms;    /* between attempts: when to go on; during one: when to check it */
        int64_t give_up_at; /* monotonic ms */
        unsigned repeats;   /* that back off; what prepare postponed does not count */
        unsigned redirects, reauths, skews;
    } priv;
};

/* Frees what the answer holds and makes the call fit for another submission. */
void http_call_clear(struct http_call *call);

#endif
