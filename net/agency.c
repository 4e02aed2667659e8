// SPDX-License-Identifier: Apache-2.0
// Access keys from the metadata service; see agency.h.
#include "net/agency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/base/lock.h"
#include "net/base/log.h"
#include "net/cred.h"
#include "net/engine.h"
#include "net/error.h"
#include "net/json.h"
#include "net/url.h"

static const char default_endpoint[] = "http://169.254.169.254";
static const char token_path[] = "/meta-data/latest/api/token";
static const char key_path[] = "/openstack/latest/securitykey";
static const char token_life_s[] = "21600";

enum {
    CONNECT_MS = 3000, /* the service is on the same machine or nowhere */
    STALL_MS = 3000,
    GIVE_UP_MS = 6000,
    SESSION_MAX = 4096, /* of the session token */
    ANSWER_MAX = 64 * 1024,
    PAUSE_MS = 1000, /* after keys have come: the source may ask at once for better ones */
};

enum step { STEP_TOKEN, STEP_KEYS };

struct agency {
    struct log *log;
    struct url_endpoint endpoint;
    struct engine *engine; /* below: set by agency_start(), under lock */
    struct cred_source *source;

    struct lock lock; /* below: under lock */
    pthread_cond_t answered;
    bool running; /* the call is under way */
    bool asked;   /* one has ended */
    struct err failure;
    int64_t pause_until; /* monotonic ms: asked again no earlier */

    /* below: of the question that runs */
    struct http_call call;
    enum step step;
    char session[SESSION_MAX]; /* "": without */
    bool renewed;
};

int agency_new(const char *endpoint, struct log *log, struct agency **ret, struct err *err)
{
    struct agency *agency = calloc(1, sizeof(*agency));
    if (!agency)
        return err_set(err, -ENOMEM, "out of memory");
    lock_init(&agency->lock);
    lock_cond_init(&agency->answered);
    agency->log = log;
    int rc = url_endpoint_parse(endpoint && endpoint[0] ? endpoint : default_endpoint,
                                &agency->endpoint, err);
    if (rc < 0) {
        agency_free(agency);
        return rc;
    }
    *ret = agency;
    return 0;
}

void agency_free(struct agency *agency)
{
    if (!agency)
        return;
    explicit_bzero(agency->session, sizeof(agency->session));
    pthread_cond_destroy(&agency->answered);
    lock_done(&agency->lock);
    free(agency);
}

/* --- one question --- */

static int prepare(struct http_call *call, struct http_request *req)
{
    struct agency *agency = call->arg;
    bool token = agency->step == STEP_TOKEN;
    char host[URL_HOST_MAX + 16];

    req->method = token ? "PUT" : "GET";
    int rc = url_host(&agency->endpoint, NULL, host, sizeof(host));
    if (rc == 0)
        rc = buf_addf(&req->url, "%s://%s%s", url_scheme(&agency->endpoint), host,
                      token ? token_path : key_path);
    if (rc == 0 && token)
        rc = http_fields_add(&req->fields, "X-Metadata-Token-Ttl-Seconds", token_life_s);
    else if (rc == 0 && agency->session[0])
        rc = http_fields_add(&req->fields, "X-Metadata-Token", agency->session);
    return rc < 0 ? err_set(&call->err, rc, "the question cannot be built: %s", err_text(rc)) : 0;
}

static void evaluate(struct http_call *call)
{
    struct agency *agency = call->arg;
    int status = call->response.status;
    struct error_answer answer = {.op = -1, .status = status};

    (void)error_from_answer(&answer, &call->err);
    if (!call->err.eno)
        return;
    /* What these mean is decided in done(). */
    bool known = status == 401 || (agency->step == STEP_TOKEN && status == 503);
    if (known)
        call->err.cls = ERR_FATAL;
    if (agency->step == STEP_KEYS && status == 404) {
        err_set(&call->err, -ENOENT, "no agency is given to this server");
        call->err.http = status;
    }
}

static void done(struct http_call *call);

static void ask(struct agency *agency, enum step step, int64_t delay_ms)
{
    agency->step = step;
    http_call_clear(&agency->call);
    agency->call = (struct http_call){
        .label = "metadata",
        .lane = HTTP_URGENT,
        .prepare = prepare,
        .evaluate = evaluate,
        .done = done,
        .arg = agency,
        .answer_max = ANSWER_MAX,
        .connect_ms = CONNECT_MS,
        .stall_ms = STALL_MS,
        .give_up_ms = GIVE_UP_MS,
        .delay_ms = delay_ms,
        .direct = true,
    };
    engine_submit(agency->engine, &agency->call);
}

static void finish(struct agency *agency, const struct err *err)
{
    explicit_bzero(agency->session, sizeof(agency->session));
    if (err->eno)
        log_err(agency->log, LOG_LEVEL_DEBUG, "net", err, "metadata service: no access keys");
    lock_take(&agency->lock);
    agency->failure = *err;
    agency->running = false;
    agency->asked = true;
    agency->pause_until = err->eno ? 0 : clock_ms() + PAUSE_MS;
    pthread_cond_broadcast(&agency->answered);
    lock_drop(&agency->lock);
}

/* Keeps the session token if it is one. */
static int take_session(struct agency *agency, struct err *err)
{
    const struct buf *body = &agency->call.response.body;
    size_t n = body->n;
    while (n && (body->p[n - 1] == '\n' || body->p[n - 1] == '\r' || body->p[n - 1] == ' '))
        n--;
    if (n == 0 || n >= sizeof(agency->session))
        return err_set(err, -EBADMSG, "the metadata service's answer is not a session token");
    memcpy(agency->session, body->p, n);
    agency->session[n] = 0;
    return 0;
}

static void take_keys(struct agency *agency, struct err *err)
{
    const struct buf *body = &agency->call.response.body;
    CLEANUP_CRED struct cred cred;
    if (json_parse_securitykey(buf_str(body), body->n, &cred, err) == 0)
        cred_put(agency->source, &cred);
}

static void wipe_answer(struct http_call *call)
{
    if (call->response.body.p)
        explicit_bzero(call->response.body.p, call->response.body.n);
    http_call_clear(call);
}

/* True if another question follows. */
static bool go_on(struct agency *agency, struct err *err)
{
    struct http_call *call = &agency->call;
    int status = call->response.status;

    if (agency->step == STEP_TOKEN) {
        /* An older service: ask without. */
        bool unknown = status == 404 || status == 405 || status == 503;
        return (unknown && err->eno) || (!err->eno && take_session(agency, err) == 0);
    }
    if (!err->eno)
        take_keys(agency, err);
    bool missing = strstr(buf_str(&call->response.body), "configure Cloud Service Agency") != NULL;
    if (status != 401)
        return false;
    if (missing)
        err_set(err, -ENOENT, "no agency is given to this server");
    bool again = !missing && !agency->renewed;
    agency->renewed = true;
    return again;
}

static void done(struct http_call *call)
{
    struct agency *agency = call->arg;
    enum step step = agency->step;
    struct err err = call->err;
    int status = call->response.status;

    bool more = go_on(agency, &err);
    wipe_answer(call);
    if (more && step == STEP_KEYS && status == 401) {
        agency->session[0] = 0;
        ask(agency, STEP_TOKEN, 0);
    } else if (more) {
        ask(agency, STEP_KEYS, 0);
    } else {
        finish(agency, &err);
    }
}

/* --- what is called from outside --- */

void agency_refresh(void *arg)
{
    struct agency *agency = arg;

    lock_take(&agency->lock);
    bool start = agency->engine && !agency->running;
    agency->running = agency->running || start;
    int64_t pause_ms = agency->pause_until - clock_ms();
    lock_drop(&agency->lock);
    if (!start)
        return;
    agency->renewed = false;
    agency->session[0] = 0;
    ask(agency, STEP_TOKEN, pause_ms > 0 ? pause_ms : 0);
}

void agency_start(struct agency *agency, struct engine *engine, struct cred_source *source)
{
    lock_take(&agency->lock);
    agency->engine = engine;
    agency->source = source;
    lock_drop(&agency->lock);
    agency_refresh(agency);
}

bool agency_failure(struct agency *agency, struct err *ret)
{
    lock_take(&agency->lock);
    *ret = agency->failure;
    lock_drop(&agency->lock);
    return ret->eno != 0;
}

int agency_wait(struct agency *agency, struct err *err)
{
    lock_take(&agency->lock);
    while (!agency->asked)
        (void)lock_wait(&agency->lock, &agency->answered, NULL);
    *err = agency->failure;
    lock_drop(&agency->lock);
    return err->eno;
}
