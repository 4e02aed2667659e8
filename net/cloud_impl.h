// SPDX-License-Identifier: Apache-2.0
/* cloud_impl - what the files of the cloud clients share; nobody else includes it
 *
 *   cloud.c          life of the client, submission, waiting, jobs of several calls
 *   cloud_request.c  from a call to one attempt: URL, header fields, body, signature
 *   cloud_answer.c   what an answer means, what is repeated
 *   cloud_auth.c     keys, tokens, the project, and keys that were refused
 *   cloud_error.c    the table of failures
 */
#ifndef OBSM_NET_CLOUD_IMPL_H
#define OBSM_NET_CLOUD_IMPL_H

#include <stdatomic.h>

#include "net/base/lock.h"
#include "net/cloud.h"
#include "net/cred.h"
#include "net/digest.h"
#include "net/http.h"
#include "net/iam.h"

enum { CLOUD_TOKEN_MAX = 32768 };

/* Who asks: the owner of the client, or the client itself for what a call needs first. */
enum cloud_role { CLOUD_CALL, CLOUD_LOGIN, CLOUD_PROJECT, CLOUD_OWN_PROJECTS };

/* Refused keys (or a password). Under cloud->lock. */
struct cloud_guard {
    unsigned char print[DIGEST_SHA256_SIZE]; /* hash of the keys that this is about */
    bool proven;                             /* the service has accepted them */
    unsigned refused;                        /* in a row */
    unsigned trying;                         /* attempts under way with any keys */
    int64_t locked_until;                    /* monotonic ms: not sent before */
    struct err last;                         /* the last refusal */
};

/* Something that calls wait for: the token, the project. Under cloud->lock. */
struct cloud_lookup {
    bool running;
    int64_t failed_ns; /* when it last failed; 0: never */
    struct err failure;
    struct cloud_call call; /* belongs to the one that runs */
};

struct cloud {
    /* constant after cloud_new() */
    struct engine *engine;
    struct cred_source *cred;
    struct log *log;
    char *region;
    char *user, *domain, *password_file; /* user NULL: keys sign */
    struct url_endpoint endpoint[CLOUD_SERVICES];
    bool reachable[CLOUD_SERVICES]; /* the endpoint is known */
    int64_t connect_ms, stall_ms, retry_ms, poll_ms;
    /* atomic */
    _Atomic int64_t clock_offset; /* seconds: the services' time less ours */

    struct lock lock; /* below: under lock */
    char project_id[IAM_PROJECT_ID_MAX + 1];
    char *token; /* CLOUD_TOKEN_MAX bytes, "" if there is none */
    unsigned token_no;
    int64_t token_renew; /* seconds since 1970: a new one is asked for from then on */
    struct cloud_lookup login, project;
    struct cloud_guard keys_guard, login_guard;
};

/* One call under way. Engine thread only, after submission. */
struct cloud_state {
    struct http_call http;
    struct cloud *cloud;
    struct cloud_call *call;
    enum cloud_role role;
    int64_t start_ns; /* when it was prepared first */
    struct err early; /* eno set: the call fails with it, nothing is sent */

    /* of this attempt; wiped after it */
    struct cred cred;
    char *token; /* a copy, or NULL */
    unsigned token_no;
    struct buf login_body;
    char project_id[IAM_PROJECT_ID_MAX + 1];
    unsigned char print[DIGEST_SHA256_SIZE]; /* of what authorises it */
    int64_t clock_offset;                    /* that it was signed with */

    struct cloud_guard *entered; /* it counts as trying there */
    bool refused;                /* keys with the following hash were refused to this call */
    unsigned char refused_print[DIGEST_SHA256_SIZE];
    struct err refusal;
    int64_t renew_until; /* monotonic ms: until then it waits for other keys */
    bool lost;           /* an attempt's answer got lost: it may have been executed */
    unsigned internal;   /* failures that are repeated once */
};

/* --- cloud.c --- */
void cloud_submit_as(struct cloud *cloud, struct cloud_call *call, enum cloud_role role);
/* As cloud_submit(), but the call only fails with this. */
void cloud_submit_failed(struct cloud *cloud, struct cloud_call *call, const struct err *err);

/* --- cloud_request.c --- */
int cloud_prepare(struct http_call *http, struct http_request *req);

/* --- cloud_answer.c --- */
void cloud_evaluate(struct http_call *http);
/* True if this failure of an attempt leaves open whether the service has executed the request. */
bool cloud_answer_lost(const struct err *err);

/* --- cloud_auth.c --- */
/* Puts what authorises the attempt, and the project, into the state. 0; -EAGAIN: on its way; or a
 * negative errno with http.err set. */
int cloud_authorise(struct cloud_state *st);
/* The answer shows that what authorised the attempt is good, or (false) says nothing about it. */
void cloud_auth_leave(struct cloud_state *st, bool accepted);
/* It was refused with http.err: true if other keys may be there now or soon, for one repetition. */
bool cloud_auth_refused(struct cloud_state *st);
/* Wipes what the attempt used. */
void cloud_auth_wipe(struct cloud_state *st);

/* --- calls one after another, for jobs; cloud.c --- */

struct cloud_chain {
    struct cloud *cloud;
    struct cloud_call call; /* `done` and `arg` are the job's */
    struct lock lock;
    bool under_way; /* under lock */
    bool cancelled; /* under lock */
};

void chain_init(struct cloud_chain *chain, struct cloud *cloud, cloud_done_fn *done, void *arg);
void chain_done(struct cloud_chain *chain);
/* Starts the call; its done() comes always, with -ECANCELED after chain_cancel(). */
void chain_submit(struct cloud_chain *chain);
void chain_submit_failed(struct cloud_chain *chain, const struct err *err);
/* First thing in the call's done(). */
void chain_arrived(struct cloud_chain *chain);
void chain_cancel(struct cloud_chain *chain);

/* --- waiting; cloud.c --- */

struct cloud_wait {
    struct lock lock;
    struct intr own;
    struct intr *intr;
    bool finished; /* under lock */
};

typedef void cloud_cancel_fn(void *arg);

void wait_begin(struct cloud_wait *w, struct intr *intr);
/* From done(). */
void wait_finish(struct cloud_wait *w);
/* Returns after wait_finish(); calls cancel(arg) if it was interrupted before. True if so. */
bool wait_end(struct cloud_wait *w, cloud_cancel_fn *cancel, void *arg);

#endif
