// SPDX-License-Identifier: Apache-2.0
// Life of the client, submission, waiting, jobs of several calls; see cloud.h and cloud_impl.h.
#include "net/cloud.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/base/cleanup.h"
#include "net/cloud_impl.h"
#include "net/engine.h"

enum {
    RETRY_MS = 60 * 1000,
    STALL_MS = 30 * 1000,
    POLL_MS = 2000,
    POLL_GROWTH = 10,
    SERVER_WORK = 4, /* stall times granted where the service works before it answers */
    NO_MEMORY_US = 10 * 1000,
};

const char *cloud_service_name(enum cloud_service service)
{
    static const char *const names[CLOUD_SERVICES] = {"dli", "modelarts", "iam"};
    return (unsigned)service < CLOUD_SERVICES ? names[service] : "?";
}

static bool given(const char *s)
{
    return s && s[0];
}

/* Copies a string; nothing for an empty one. */
static int take(char **to, const char *from)
{
    if (!given(from))
        return 0;
    *to = strdup(from);
    return *to ? 0 : -ENOMEM;
}

static int take_endpoint(struct cloud *cloud, enum cloud_service service, const char *text,
                         struct err *err)
{
    char host[URL_HOST_MAX];
    if (!given(text)) {
        if (!cloud->region)
            return 0;
        int n = snprintf(host, sizeof(host), "%s.%s.myhuaweicloud.com", cloud_service_name(service),
                         cloud->region);
        if (n < 0 || (size_t)n >= sizeof(host))
            return err_set(err, -EINVAL, "the region's name is too long");
        text = host;
    }
    int rc = url_endpoint_parse(text, &cloud->endpoint[service], err);
    if (rc < 0)
        return rc;
    cloud->reachable[service] = true;
    return 0;
}

static int take_config(struct cloud *cloud, const struct cloud_config *config, struct err *err)
{
    int rc = take(&cloud->region, config->region);
    if (rc == 0)
        rc = take(&cloud->user, config->iam_user);
    if (rc == 0)
        rc = take(&cloud->domain, config->iam_domain);
    if (rc == 0)
        rc = take(&cloud->password_file, config->iam_password_file);
    cloud->token = calloc(1, CLOUD_TOKEN_MAX);
    if (rc < 0 || !cloud->token)
        return err_set(err, -ENOMEM, "out of memory");
    if (cloud->user && !cloud->password_file)
        return err_set(err, -EINVAL, "iam_user needs a file with its password");
    if (given(config->project_id)) {
        rc = iam_check_project_id(config->project_id, err);
        if (rc < 0)
            return rc;
        (void)snprintf(cloud->project_id, sizeof(cloud->project_id), "%s", config->project_id);
    }
    for (int i = 0; i < CLOUD_SERVICES; i++) {
        rc = take_endpoint(cloud, (enum cloud_service)i, config->endpoint[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int cloud_new(const struct cloud_config *config, struct engine *engine, struct cred_source *cred,
              struct log *log, struct cloud **ret_cloud, struct err *err)
{
    struct cloud *cloud = calloc(1, sizeof(*cloud));
    if (!cloud)
        return err_set(err, -ENOMEM, "out of memory");

    lock_init(&cloud->lock);
    cloud->engine = engine;
    cloud->cred = cred;
    cloud->log = log;
    cloud->connect_ms = config->connect_ms;
    cloud->stall_ms = config->stall_ms > 0 ? config->stall_ms : STALL_MS;
    cloud->retry_ms = config->retry_ms > 0 ? config->retry_ms : RETRY_MS;
    cloud->poll_ms = config->poll_ms > 0 ? config->poll_ms : POLL_MS;
    int rc = take_config(cloud, config, err);
    if (rc == 0 && !cloud->user && !cred)
        rc = err_set(err, -EINVAL, "neither access keys nor an IAM user are given");
    if (rc < 0) {
        cloud_free(cloud);
        return rc;
    }
    *ret_cloud = cloud;
    return 0;
}

void cloud_free(struct cloud *cloud)
{
    if (!cloud)
        return;
    if (cloud->token)
        explicit_bzero(cloud->token, CLOUD_TOKEN_MAX);
    free(cloud->token);
    free(cloud->region);
    free(cloud->user);
    free(cloud->domain);
    free(cloud->password_file);
    lock_done(&cloud->lock);
    free(cloud);
}

int64_t cloud_poll_ms(const struct cloud *cloud, unsigned n)
{
    if (n <= 1)
        return 0;
    int64_t factor = n < 2 * POLL_GROWTH ? n : 2 * POLL_GROWTH;
    return cloud->poll_ms * factor / 2;
}

/* --- submission --- */

static void state_free(struct cloud_state *st)
{
    cloud_auth_wipe(st);
    for (size_t i = 0; i < st->http.response.fields.n; i++) {
        char *value = st->http.response.fields.v[i].value;
        explicit_bzero(value, strlen(value)); /* one of them may be a token */
    }
    http_call_clear(&st->http);
    free(st);
}

static void on_done(struct http_call *http)
{
    struct cloud_state *st = http->arg;
    struct cloud_call *call = st->call;
    bool changes = strcmp(call->method, "POST") == 0;

    cloud_auth_leave(st, false);
    call->err = http->err;
    if (call->err.eno == -EAGAIN && !call->err.http)
        call->err.eno = -EACCES; /* it waited for keys in vain */
    call->status = http->response.status;
    call->attempts = http->attempts;
    call->server_time = http->response.date;
    bool cut_short = http->err.eno == -ECANCELED && http->attempts > 0;
    call->uncertain = changes && http->err.eno && (cut_short || cloud_answer_lost(&http->err));
    call->n_text = http->response.body.n;
    call->text = call->n_text ? buf_steal(&http->response.body) : NULL;
    if (!call->text)
        call->n_text = 0;
    /* The state outlives done(): somebody may cancel until the owner has noted that it came. */
    call->done(call);
    state_free(st);
}

static ssize_t read_body(void *arg, uint64_t off, void *p, size_t n)
{
    const struct cloud_state *st = arg;
    const char *body = st->role == CLOUD_LOGIN ? st->login_body.p : st->call->body;
    memcpy(p, body + off, n);
    return (ssize_t)n;
}

static struct cloud_state *state_new(struct cloud *cloud, struct cloud_call *call,
                                     enum cloud_role role)
{
    struct cloud_state *st;
    bool post = strcmp(call->method, "POST") == 0;
    /* There is no other way to answer than through the state. */
    while (!(st = calloc(1, sizeof(*st))))
        usleep(NO_MEMORY_US);

    st->cloud = cloud;
    st->call = call;
    st->role = role;
    st->http.label = cloud_service_name(call->service);
    st->http.lane = role == CLOUD_CALL ? HTTP_META : HTTP_URGENT;
    st->http.prepare = cloud_prepare;
    st->http.evaluate = cloud_evaluate;
    st->http.done = on_done;
    st->http.arg = st;
    st->http.connect_ms = cloud->connect_ms;
    st->http.stall_ms = post ? cloud->stall_ms * SERVER_WORK : cloud->stall_ms;
    st->http.give_up_ms = call->give_up_ms > 0 ? call->give_up_ms : cloud->retry_ms;
    st->http.delay_ms = call->delay_ms;
    st->http.answer_max = JSON_BODY_MAX;
    st->http.fresh = strcmp(call->method, "GET") != 0;
    if (call->body || role == CLOUD_LOGIN)
        st->http.body =
            (struct http_body){.present = true, .size = call->n_body, .read = read_body, .arg = st};
    call->state = st;
    return st;
}

void cloud_submit_as(struct cloud *cloud, struct cloud_call *call, enum cloud_role role)
{
    engine_submit(cloud->engine, &state_new(cloud, call, role)->http);
}

void cloud_submit(struct cloud *cloud, struct cloud_call *call)
{
    cloud_submit_as(cloud, call, CLOUD_CALL);
}

void cloud_submit_failed(struct cloud *cloud, struct cloud_call *call, const struct err *err)
{
    struct cloud_state *st = state_new(cloud, call, CLOUD_CALL);
    st->early = *err;
    engine_submit(cloud->engine, &st->http);
}

void cloud_cancel(struct cloud *cloud, struct cloud_call *call)
{
    struct cloud_state *st = call->state;
    engine_cancel(cloud->engine, &st->http);
}

void cloud_call_clear(struct cloud_call *call)
{
    free(call->text);
    call->text = NULL;
    call->n_text = 0;
    err_clear(&call->err);
    call->status = 0;
    call->attempts = 0;
    call->uncertain = false;
    call->fault = (struct svc_error){0};
    call->request_id[0] = 0;
    call->server_time = 0;
    call->state = NULL;
}

/* --- calls one after another --- */

void chain_init(struct cloud_chain *chain, struct cloud *cloud, cloud_done_fn *done, void *arg)
{
    *chain = (struct cloud_chain){.cloud = cloud, .call = {.done = done, .arg = arg}};
    lock_init(&chain->lock);
}

void chain_done(struct cloud_chain *chain)
{
    cloud_call_clear(&chain->call);
    lock_done(&chain->lock);
}

void chain_submit(struct cloud_chain *chain)
{
    lock_take(&chain->lock);
    chain->under_way = true;
    cloud_submit(chain->cloud, &chain->call);
    if (chain->cancelled)
        cloud_cancel(chain->cloud, &chain->call);
    lock_drop(&chain->lock);
}

void chain_submit_failed(struct cloud_chain *chain, const struct err *err)
{
    lock_take(&chain->lock);
    chain->under_way = true;
    chain->call.method = "GET";
    cloud_submit_failed(chain->cloud, &chain->call, err);
    lock_drop(&chain->lock);
}

void chain_arrived(struct cloud_chain *chain)
{
    lock_take(&chain->lock);
    chain->under_way = false;
    lock_drop(&chain->lock);
}

void chain_cancel(struct cloud_chain *chain)
{
    lock_take(&chain->lock);
    chain->cancelled = true;
    if (chain->under_way)
        cloud_cancel(chain->cloud, &chain->call);
    lock_drop(&chain->lock);
}

/* --- waiting --- */

void wait_begin(struct cloud_wait *w, struct intr *intr)
{
    *w = (struct cloud_wait){.intr = intr ? intr : &w->own};
    lock_init(&w->lock);
    if (intr)
        intr_rearm(intr);
    else
        intr_init(&w->own);
}

void wait_finish(struct cloud_wait *w)
{
    lock_take(&w->lock);
    w->finished = true;
    intr_finish(w->intr);
    lock_drop(&w->lock);
}

bool wait_end(struct cloud_wait *w, cloud_cancel_fn *cancel, void *arg)
{
    bool interrupted = intr_wait(w->intr, -1, false) == -EINTR;
    if (interrupted) {
        lock_take(&w->lock);
        if (!w->finished)
            cancel(arg);
        lock_drop(&w->lock);
        intr_wait(w->intr, -1, true);
    }
    lock_take(&w->lock); /* wait_finish() has left it */
    lock_drop(&w->lock);
    lock_done(&w->lock);
    if (w->intr == &w->own)
        intr_done(&w->own);
    return interrupted;
}

struct run {
    struct cloud_wait wait;
    struct cloud *cloud;
    struct cloud_call *call;
};

static void run_done(struct cloud_call *call)
{
    struct run *run = call->arg;
    wait_finish(&run->wait);
}

static void run_cancel(void *arg)
{
    struct run *run = arg;
    cloud_cancel(run->cloud, run->call);
}

int cloud_run(struct cloud *cloud, struct cloud_call *call, struct intr *intr)
{
    struct run run = {.cloud = cloud, .call = call};
    wait_begin(&run.wait, intr);
    call->done = run_done;
    call->arg = &run;
    cloud_submit(cloud, call);
    if (wait_end(&run.wait, run_cancel, &run) && call->err.eno == -ECANCELED)
        err_set(&call->err, -EINTR, "interrupted");
    return call->err.eno;
}
