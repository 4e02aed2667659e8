// SPDX-License-Identifier: Apache-2.0
// What an answer means: errors, repetitions, redirects; see obs_impl.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "net/base/clock.h"
#include "net/error.h"
#include "net/obs_impl.h"
#include "net/props.h"
#include "net/xml.h"

enum { SKEW_SECONDS = 15 * 60 }; /* that the service bears, OBS API: error codes */

const char *obs_field(const struct obs_state *st, const char *name)
{
    static const char *const prefixes[] = {"x-obs-", "x-amz-"};
    char full[64];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(full, sizeof(full), "%s%s", prefixes[i], name);
        const char *value = http_fields_get(&st->http.response.fields, full);
        if (value)
            return value;
    }
    return NULL;
}

static int fault_with(struct obs_state *st, const char *code, const char *message,
                      const char *request_id)
{
    if (!code[0])
        code = obs_field(st, "error-code"); /* the answer to a HEAD has no body */
    if (!message[0])
        message = obs_field(st, "error-message");
    if (!request_id[0])
        request_id = obs_field(st, "request-id");
    int status = st->http.response.status;
    if (st->call->op == OBS_HEAD_BUCKET && status == 404 && !code)
        code = "NoSuchBucket";
    struct error_answer answer = {
        .status = status,
        .code = code,
        .message = message,
        .request_id = request_id,
        .op = (int)st->call->op,
        .dialect = st->obs->dialect,
    };
    return error_from_answer(&answer, &st->http.err);
}

int obs_fault(struct obs_state *st, const struct xml_fault *fault)
{
    return fault_with(st, fault->code, fault->message, fault->request_id);
}

int obs_spoiled(struct obs_state *st, const char *what)
{
    struct err *err = &st->http.err;
    const char *id = obs_field(st, "request-id");
    err_set(err, -EIO, "%s", what);
    err->http = st->http.response.status;
    (void)snprintf(err->request_id, sizeof(err->request_id), "%s", id ? id : "");
    err->cls = ++st->spoiled <= SPOILED_MAX ? ERR_RETRY : ERR_FATAL;
    return err->eno;
}

/* --- redirects --- */

static bool loopback(const struct url_endpoint *ep)
{
    size_t n = strlen(ep->host);
    if (ep->ip)
        return strncmp(ep->host, "127.", 4) == 0 || strcmp(ep->host, "::1") == 0;
    return n >= 9 && strcmp(ep->host + n - 9, "localhost") == 0 &&
           (n == 9 || ep->host[n - 10] == '.');
}

/* The last labels of a host name that one owner has: two, or three below registries such as
 * "com.cn". NULL if the name has no more labels than that. */
static const char *owner_domain(const char *host)
{
    const char *labels[3] = {NULL, NULL, NULL}; /* the beginnings of the last three */
    for (const char *p = host + strlen(host); p >= host; p--) {
        if (p != host && p[-1] != '.')
            continue;
        for (int i = 0; i < 3; i++) {
            if (!labels[i]) {
                labels[i] = p;
                break;
            }
        }
    }
    if (!labels[2])
        return NULL;
    bool registry = strlen(labels[0]) == 2 && labels[0] - 1 - labels[1] <= 3;
    return registry ? labels[2] : labels[1];
}

bool obs_redirect_allowed(const struct url_endpoint *from, const struct url_endpoint *to)
{
    if (from->tls && !to->tls)
        return false;
    if (loopback(from) || loopback(to))
        return loopback(from) && loopback(to);
    if (strcmp(from->host, to->host) == 0)
        return true;
    if (from->ip || to->ip)
        return false;

    const char *domain = owner_domain(from->host);
    const char *other = owner_domain(to->host);
    return domain && other && strcmp(domain, other) == 0;
}

/* The next attempt goes to the host that the answer names. */
static void take_redirect(struct obs_state *st, const struct xml_fault *fault)
{
    struct err *err = &st->http.err;
    const char *location = http_fields_get(&st->http.response.fields, "Location");
    struct url_endpoint to;
    const char *target;
    char text[sizeof(fault->endpoint) + 16];
    size_t n = strlen(st->obs->bucket);

    if (!location && fault->endpoint[0]) { /* the document names it too */
        (void)snprintf(text, sizeof(text), "%s://%s", url_scheme(&st->endpoint), fault->endpoint);
        location = text;
    }
    if (!location || url_parse(location, &to, &target, NULL) < 0) {
        err->cls = ERR_FATAL;
        return;
    }
    bool virtual_host = strncmp(to.host, st->obs->bucket, n) == 0 && to.host[n] == '.';
    if (virtual_host)
        memmove(to.host, to.host + n + 1, strlen(to.host + n + 1) + 1);
    if (!obs_redirect_allowed(&st->endpoint, &to)) {
        err_set(err, err->eno, "the service redirects to the foreign host '%.100s', not followed",
                to.host);
        err->http = st->http.response.status;
        return;
    }
    st->endpoint = to;
    st->path_style = !virtual_host;
}

/* --- what can be put right --- */

/* The difference between the clocks, and whether this explains a refusal. */
static bool take_clock(struct obs_state *st)
{
    int64_t date = st->http.response.date;
    if (!date)
        return false;
    int64_t off = date - (int64_t)time(NULL);
    int64_t used = atomic_load(&st->obs->clock_offset);
    if (llabs(off - used) < SKEW_SECONDS / 2)
        return false;
    atomic_store(&st->obs->clock_offset, off);
    return true;
}

static void take_keys(struct obs_state *st)
{
    struct err *err = &st->http.err;
    struct err why;

    int rc = st->obs->cred ? cred_reload(st->obs->cred, &st->cred, &why) : 0;
    if (rc == -EAGAIN)
        err->cls = ERR_RETRY; /* new ones are on their way */
    else if (rc != 1)
        err->cls = ERR_DENIED;
}

static void put_right(struct obs_state *st, const struct xml_fault *fault)
{
    struct http_call *http = &st->http;
    struct err *err = &http->err;

    /* The refusal of a HEAD does not say that the clock is the reason. */
    if (err->cls == ERR_DENIED && !err->code[0] && take_clock(st))
        err->cls = ERR_CLOCK_SKEW;
    else if (err->cls == ERR_CLOCK_SKEW && !take_clock(st))
        err->cls = ERR_DENIED;
    else if (err->cls == ERR_REAUTH)
        take_keys(st);
    else if (err->cls == ERR_REDIRECT)
        take_redirect(st, fault);
    else if (strcmp(err->code, "BadDigest") == 0 && ++st->spoiled > SPOILED_MAX)
        err->cls = ERR_FATAL;
    http->retry_after_ms =
        error_retry_after_ms(http_fields_get(&http->response.fields, "Retry-After"), time(NULL));
    obs_sse_refused(st);
}

/* What is no failure for this operation. */
static bool good_enough(const struct obs_state *st)
{
    const struct err *err = &st->http.err;
    const char *code = err->code;

    switch (st->call->op) {
    case OBS_DELETE: /* gone is gone */
        return err->http == 404 && (!code[0] || strcmp(code, "NoSuchKey") == 0);
    case OBS_MP_ABORT:
        return err->http == 404 && (!code[0] || strcmp(code, "NoSuchUpload") == 0);
    default:
        return false;
    }
}

/* Success, or the way to it: 303 answers a PUT that named an address to go on with (OBS API:
 * uploading an object, success-action-redirect). */
static bool success_status(const struct obs_state *st)
{
    int status = st->http.response.status;
    return status / 100 == 2 || (status == 303 && st->call->op == OBS_PUT);
}

int obs_begin(struct http_call *http)
{
    struct obs_state *st = http->arg;
    if (st->call->op != OBS_GET || http->response.status / 100 != 2)
        return 0;
    return obs_get_begin(st);
}

void obs_evaluate(struct http_call *http)
{
    struct obs_state *st = http->arg;
    struct xml_fault fault = {0};

    if (success_status(st)) {
        if (obs_parse(st) < 0 && http->err.code[0])
            put_right(st, &fault);
    } else {
        (void)xml_parse_error(http->response.body.p, http->response.body.n, &fault);
        (void)snprintf(st->call->host_id, sizeof(st->call->host_id), "%s", fault.host_id);
        (void)snprintf(st->call->resource, sizeof(st->call->resource), "%s", fault.resource);
        obs_fault(st, &fault);
        if (good_enough(st))
            err_clear(&http->err);
        else
            put_right(st, &fault);
    }
    cred_wipe(&st->cred);
}
