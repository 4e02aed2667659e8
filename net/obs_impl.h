// SPDX-License-Identifier: Apache-2.0
/* obs_impl - what the files of the OBS client share; nobody else includes it
 *
 *   obs.c          life of the client, submission, waiting, counters
 *   obs_request.c  from a call to one attempt: URL, header fields, body, signature
 *   obs_sse.c      encryption: its fields, and which key fits
 *   obs_rights.c   grants in dialect s3, and who owns the bucket
 *   obs_answer.c   what an answer means: errors, repetitions, redirects
 *   obs_parse.c    the answer half of a call out of fields and bodies, by operation; verification
 */
#ifndef OBSM_NET_OBS_IMPL_H
#define OBSM_NET_OBS_IMPL_H

#include "net/cred.h"
#include "net/digest.h"
#include "net/http.h"
#include "net/obs.h"
#include "net/url.h"

enum { SPOILED_MAX = 2 }; /* repetitions after an answer that does not fit what was sent */

struct obs {
    /* constant after obs_new() */
    struct engine *engine;
    struct cred_source *cred; /* NULL: requests are not signed */
    struct log *log;
    enum obs_dialect dialect;
    struct url_endpoint endpoint;
    bool path_style;
    char *bucket;
    char *region;
    int64_t connect_ms, stall_ms, retry_ms;
    struct http_fields extra;
    bool has_callback; /* one of them is the service's callback header */
    const struct sse_keys *sse_keys;
    bool crc64;
    /* atomic */
    _Atomic int64_t clock_offset; /* seconds: the server's time less ours */
    atomic_int sse_first;         /* the customer's key that was right the last time; -1: none */
    atomic_bool opaque;           /* the bucket encrypts unasked: ETags are no checksums */
    atomic_int owner_state;       /* of obs_rights.c: what is below is written before it is KNOWN */
    char owner[OBS_OWNER_MAX];    /* of the bucket */
    struct obs_call owner_call;   /* asks for it */
    atomic_uint_fast64_t calls[OBS_OP_COUNT], failures[OBS_OP_COUNT], latency_us[OBS_OP_COUNT];
    atomic_uint_fast64_t attempts, retries, bytes_sent, bytes_received;
};

/* One call under way. Engine thread only, after submission. */
struct obs_state {
    struct http_call http;
    struct obs *obs;
    struct obs_call *call;
    int64_t start_ns;

    /* where it goes; changed by a redirect */
    struct url_endpoint endpoint;
    bool path_style;
    struct cred cred; /* of this attempt; wiped after it */

    /* what it sends */
    struct buf text;       /* a body that is made here */
    struct digest *digest; /* of the caller's body */
    uint64_t hashed;       /* bytes in it; UINT64_MAX: not in order, it says nothing */
    bool md5_known;        /* call->md5 was computed before sending */
    bool crc64_known;      /* and call->crc64 */

    /* what a GET has received, over all attempts */
    uint64_t received;
    uint64_t expected; /* of this attempt, with what came before; UINT64_MAX: to the end */
    char pinned[OBS_ETAG_MAX];

    unsigned spoiled; /* answers that did not fit */

    /* SSE-C: the keys of what is read, one after the other */
    int key_first, key_at; /* -1: without; key_at: of this attempt */
    int key_step;          /* how many were refused */
    bool key_chosen;
};

/* --- obs_request.c --- */
int obs_prepare(struct http_call *http, struct http_request *req);
/* Sets the parts of st->http that do not change from attempt to attempt. */
void obs_describe(struct obs_state *st);

int obs_add_prefixed(struct obs_state *st, struct http_request *req, const char *name,
                     const char *value);

/* --- obs_sse.c --- */
/* Adds what this attempt says about encryption. 0, or -errno with http.err. */
int obs_sse_add(struct obs_state *st, struct http_request *req);
/* The answer is a refusal, http.err: the next key is tried (ERR_REKEY), or the reason is said. */
void obs_sse_refused(struct obs_state *st);
/* The answer is a success. -ENOMEM. */
int obs_sse_accepted(struct obs_state *st);
/* Whether this request has asked for encryption. */
bool obs_sse_asked(const struct obs_state *st);

/* --- obs_rights.c --- */
/* Dialect s3 takes either a canned list (acl) or grants, and grants are the whole list: without one for
 * the owner Ceph refuses the owner's own reads. So what `acl` says goes along as a grantee, and the
 * bucket's owner, who is asked for once, with everything. */
/* Does this request have grants, and is it in this dialect? */
bool obs_has_grants(const struct obs_state *st);
/* False: the owner is being asked for, look again shortly. True for all that has no grants. */
bool obs_rights_ready(struct obs_state *st);
/* The headers in place of the properties that obs_rights_own() is true for. */
int obs_rights_add(struct obs_state *st, struct http_request *req);
bool obs_rights_own(const struct obs_prop *prop);

/* --- obs_answer.c --- */
int obs_begin(struct http_call *http);
void obs_evaluate(struct http_call *http);
/* May keys go to `to` after a redirect from `from`? Only to the same host, within one domain of a
 * provider, or from loopback to loopback; never from https to http. Pure. */
bool obs_redirect_allowed(const struct url_endpoint *from, const struct url_endpoint *to);

/* --- obs_parse.c --- */
int obs_get_begin(struct obs_state *st);
int obs_get_sink(struct http_call *http, const void *p, size_t n);
/* Fills the answer half of the call and verifies it. 0, or -errno with http.err. */
int obs_parse(struct obs_state *st);
/* The answer does not fit: repeated at most SPOILED_MAX times, then -EIO stands. Sets http.err. */
int obs_spoiled(struct obs_state *st, const char *what);
/* "x-obs-NAME" or "x-amz-NAME" of the answer, or NULL. */
const char *obs_field(const struct obs_state *st, const char *name);
/* The service states a CRC-64 that is not `crc`. */
bool obs_crc64_differs(const struct obs_state *st, uint64_t crc);
/* Sets http.err from an error document or fields. */
struct xml_fault;
int obs_fault(struct obs_state *st, const struct xml_fault *fault);

#endif
