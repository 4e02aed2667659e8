// SPDX-License-Identifier: Apache-2.0
// What an answer means and what is repeated; see cloud_impl.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/cloud_impl.h"
#include "net/error.h"

enum { SKEW_SECONDS = 15 * 60 }; /* that the gateway bears, API signing guide */

bool cloud_answer_lost(const struct err *err)
{
    if (err->http == 504)
        return true;
    /* No answer: what never left this machine has failed with another errno. */
    return err->http == 0 && (err->eno == -ETIMEDOUT || err->eno == -EIO);
}

/* What the body of a failure says, of whatever shape; else its beginning, and the status as code.
 */
static void read_fault(struct cloud_state *st, struct svc_error *fault)
{
    const struct http_response *r = &st->http.response;
    if (json_parse_error(r->body.p ? r->body.p : "", r->body.n, fault) == 0)
        return;
    fault->code[0] = 0;
    (void)snprintf(fault->msg, sizeof(fault->msg), "%s", buf_str(&r->body));
    for (char *p = fault->msg; *p; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = ' ';
    }
}

/* The difference between the clocks, if this explains a refusal: what it was signed with was wrong.
 */
static bool take_clock(struct cloud_state *st)
{
    int64_t date = st->http.response.date;
    if (!date || !st->cred.ak[0])
        return false;
    int64_t off = date - (int64_t)time(NULL);
    if (llabs(off - st->clock_offset) < SKEW_SECONDS / 2)
        return false;
    atomic_store(&st->cloud->clock_offset, off);
    return true;
}

/* A failure of the service itself: another attempt may do, but there is no sign that it will. */
static bool repeat_once(const struct err *err)
{
    return err->cls == ERR_RETRY && err->http != 408 && err->http != 502 && err->http != 504;
}

static void put_right(struct cloud_state *st)
{
    struct http_call *http = &st->http;
    struct err *err = &http->err;

    if (err->cls == ERR_REAUTH && take_clock(st))
        err->cls = ERR_CLOCK_SKEW;
    else if (err->cls == ERR_REAUTH && !cloud_auth_refused(st))
        err->cls = ERR_DENIED;
    else if (repeat_once(err) && ++st->internal > 1)
        err->cls = ERR_FATAL;
    else if (err->http == 504 && strcmp(st->call->method, "POST") == 0)
        err->cls = ERR_FATAL;
    const char *after = http_fields_get(&http->response.fields, "Retry-After");
    http->retry_after_ms = error_retry_after_ms(after, time(NULL));
}

/* An answer that says no: fills err. 0 if it is none. */
static int judge(struct cloud_state *st)
{
    struct http_call *http = &st->http;
    struct cloud_call *call = st->call;
    struct svc_error fault = {0};
    int status = http->response.status;

    if (status / 100 != 2)
        read_fault(st, &fault);
    else if (!json_parse_refusal(http->response.body.p ? http->response.body.p : "",
                                 http->response.body.n, &fault))
        return 0;
    if (!fault.request_id[0])
        (void)snprintf(fault.request_id, sizeof(fault.request_id), "%s", call->request_id);
    if (cloud_error(status, &fault, call->right, &http->err) == 0) {
        fault.code[0] = 0;
        err_set(&http->err, -EIO, "the service reports a failure%s%.120s", fault.msg[0] ? ": " : "",
                fault.msg);
        http->err.http = status;
        (void)snprintf(http->err.request_id, sizeof(http->err.request_id), "%s", fault.request_id);
    }
    if (status / 100 == 2)
        http->err.cls = ERR_FATAL; /* the service has decided */
    else if (!fault.code[0])
        (void)snprintf(fault.code, sizeof(fault.code), "%d", status);
    call->fault = fault;
    return http->err.eno;
}

void cloud_evaluate(struct http_call *http)
{
    struct cloud_state *st = http->arg;
    struct cloud_call *call = st->call;
    const char *id = http_fields_get(&http->response.fields, "X-Request-Id");

    (void)snprintf(call->request_id, sizeof(call->request_id), "%s", id ? id : "");
    call->fault = (struct svc_error){0};
    int rc = judge(st);
    if (call->fault.request_id[0])
        memcpy(call->request_id, call->fault.request_id, sizeof(call->request_id));
    if (rc < 0 && http->err.http == 404 && st->lost && strcmp(call->method, "DELETE") == 0)
        err_clear(&http->err); /* the deletion whose answer got lost was executed */
    else if (rc < 0)
        put_right(st);
    /* These come from behind the check of the keys; others a gateway may give before it. */
    int status = http->response.status;
    cloud_auth_leave(st, status / 100 == 2 || status == 400 || status == 403);
    cloud_auth_wipe(st);
}
