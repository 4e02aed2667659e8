// SPDX-License-Identifier: Apache-2.0
/* cloud - JSON requests to the cloud services beside the object service
 *
 * Role        One client for DLI, ModelArts and IAM: they share the account's keys, its project and
 *             what is known about refused keys. A request is a `struct cloud_call`; net/dli.h and
 *             net/modelarts.h make them. Signing, logging in, finding the project and repetitions
 *             happen in between.
 * Authority   With iam_user: a token of that user, asked for at the first call, kept until shortly
 *             before its end, asked for anew once after a 401. Otherwise SDK-HMAC-SHA256 with the
 *             keys of the credential source, X-Project-Id and X-Security-Token.
 * Project     config.project_id, else that of the token, else IAM is asked for the project that has
 *             the region's name; the answer is kept.
 * Refusals    Five wrong signatures in a row lock a key for everybody who uses it (API signing
 *             guide: FAQ). So a 401 is repeated only after the keys have really changed, and once;
 *             keys that have not been accepted yet are tried by few calls at a time; after three
 *             refusals the same keys (the same password) are not sent again for five minutes, later
 *             for longer: calls fail with -EACCES and say so.
 * Repetition  429, 502, 503 and failures to connect, with growing pauses until give_up_ms; 500
 *             once. A request that changes something and whose answer got lost (504, silence, a
 *             connection that broke) is not sent again: it fails with `uncertain` set, and whoever
 *             knows the service asks it what became of it.
 * Errors      call->err: errno by the table in net/cloud_error.c, code and request id of the
 *             service; call->fault has the service's own words.
 * Ownership   The request half (strings, body) belongs to the caller and stays until `done`. The
 *             answer half belongs to the call; cloud_call_clear() frees it.
 * Threads     cloud_submit() and cloud_cancel() from any thread, never blocking. `done` runs on an
 *             engine thread with no lock of net/ held and must not block; it is always
 *             asynchronous.
 * Locking     cloud->lock guards token, project and refusals; nothing is called under it.
 */
#ifndef OBSM_NET_CLOUD_H
#define OBSM_NET_CLOUD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/err.h"
#include "net/base/intr.h"
#include "net/json.h"
#include "net/url.h"

enum cloud_service { CLOUD_DLI, CLOUD_MODELARTS, CLOUD_IAM, CLOUD_SERVICES };

enum { CLOUD_PATH_MAX = 512, CLOUD_QUERY_MAX = 4, CLOUD_BODY_MAX = 4 << 20 };

struct cloud_call;
typedef void cloud_done_fn(struct cloud_call *call);

struct cloud_call {
    /* --- request: the caller's --- */
    enum cloud_service service;
    const char *method;        /* "GET", "POST", "DELETE"; static */
    char path[CLOUD_PATH_MAX]; /* raw, from the '/'; "{project_id}" in it is replaced */
    struct url_param query[CLOUD_QUERY_MAX]; /* raw */
    size_t n_query;
    const char *body; /* JSON, or NULL */
    size_t n_body;
    const char *right;  /* that it needs, such as "dli:resource:getResource", or NULL */
    int64_t delay_ms;   /* sent no earlier than so long after cloud_submit() */
    int64_t give_up_ms; /* stop repeating after this time; 0: cloud_config.retry_ms */
    cloud_done_fn *done;
    void *arg;

    /* --- answer: filled before done(), freed by cloud_call_clear() --- */
    struct err err; /* err.eno 0: success */
    int status;     /* HTTP; 0: no answer came */
    unsigned attempts;
    bool uncertain;         /* a failed POST may have been executed */
    struct svc_error fault; /* code and msg are "" unless the service gave them */
    char request_id[64];
    int64_t server_time; /* the answer's Date, seconds since 1970; 0 if none */
    char *text; /* the last answer's body, NUL-terminated, at most JSON_BODY_MAX bytes; or NULL */
    size_t n_text;

    /* --- private to net/ --- */
    void *state;
};

struct cloud;
struct engine;
struct cred_source;
struct log;

struct cloud_config {
    const char *region; /* "" or NULL: then every endpoint and project_id are needed */
    const char *endpoint[CLOUD_SERVICES]; /* [http[s]://]host[:port]; NULL or "":
                                             SERVICE.REGION.myhuaweicloud.com */
    const char *project_id;               /* NULL or "": it is looked up */
    const char *iam_user;                 /* NULL or "": the source's keys sign */
    const char *iam_domain;               /* the account that the user belongs to */
    const char *iam_password_file;        /* one line; mode 0600, read at each login */
    int64_t connect_ms;                   /* 0: 10 s */
    int64_t stall_ms;                     /* 0: 30 s; four times as long for the answer to a POST */
    int64_t retry_ms;                     /* 0: 60 s */
    int64_t poll_ms; /* first pause between two questions for a state; grows tenfold; 0: 2 s */
};

/* A client. Strings are copied; engine and cred outlive it. Makes no request and opens no file.
 * `cred` may be NULL if iam_user is given. -EINVAL with a message for what cannot be: a bad
 * endpoint or project id. A service without endpoint and region is refused only when it is called.
 */
int cloud_new(const struct cloud_config *config, struct engine *engine, struct cred_source *cred,
              struct log *log, struct cloud **ret_cloud, struct err *err);

/* Only after engine_stop(): it may have requests of its own under way. NULL is allowed. */
void cloud_free(struct cloud *cloud);

/* Starts a call. The result always comes by call->done. */
void cloud_submit(struct cloud *cloud, struct cloud_call *call);

/* Asks for an early end of a submitted call whose done() has not run yet. The caller makes sure
 * that the call is still under way. */
void cloud_cancel(struct cloud *cloud, struct cloud_call *call);

/* Submits and waits. `intr` (already initialised, may be NULL) lets another thread end the wait:
 * the call is then cancelled and -EINTR returned. Returns call->err.eno. call->done and arg are
 * overwritten. */
int cloud_run(struct cloud *cloud, struct cloud_call *call, struct intr *intr);

/* Frees the answer half and zeroes it, so that the call may be used again. */
void cloud_call_clear(struct cloud_call *call);

/* How long to wait before question number `n` (1, 2, ..) for a state: 0 before the first. */
int64_t cloud_poll_ms(const struct cloud *cloud, unsigned n);

/* "dli", "modelarts", "iam" */
const char *cloud_service_name(enum cloud_service service);

/* --- what a failure means (net/cloud_error.c; pure) --- */

/* Fills *ret from the status of an answer and what its body says, and returns ret->eno: 0 for 200
 * to 299 without a code in `fault`. `right` may be NULL. */
int cloud_error(int status, const struct svc_error *fault, const char *right, struct err *ret);

/* One row of the table, for the manual and the tests; false at the end. */
struct cloud_error_row {
    const char *code; /* NULL: by status */
    int status;       /* 0: any */
    enum err_class cls;
    int eno;
    const char *advice;
};
bool cloud_error_row(size_t i, struct cloud_error_row *ret);

#endif
