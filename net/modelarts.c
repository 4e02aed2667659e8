// SPDX-License-Identifier: Apache-2.0
// Starting a synchronisation and following it to its end; see modelarts.h.
#include "net/modelarts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/base/clock.h"
#include "net/cloud_impl.h"

enum {
    WAIT_MS = 2 * 60 * 60 * 1000,
    GRACE_MS = 10 * 1000, /* in which the state may still be that of an older task */
    GRACE_POLLS = 5,      /* or in so many pauses, where those are short */
    NO_MEMORY_US = 10 * 1000,
};

enum step { STEP_BASE, STEP_START, STEP_POLL };

struct modelarts_priv {
    struct cloud_chain chain;
    struct modelarts_job *job;
    enum step step;
    struct sync_answer base; /* the state before; SYNC_UNKNOWN: not known */
    bool seen_running;       /* since the POST */
    bool lost;               /* the POST's answer */
    int64_t grace_until;     /* monotonic ms */
    int64_t until;
};

static const struct {
    const char *start, *status;
    const char *right, *status_right;
} apis[] = {
    [MODELARTS_ANNOTATION] = {"/v1/{project_id}/data-annotations/%s/obs/sync",
                              "/v1/{project_id}/data-annotations/%s/obs/sync-status", NULL, NULL},
    [MODELARTS_DATASET] = {"/v2/{project_id}/datasets/%s/sync-data",
                           "/v2/{project_id}/datasets/%s/sync-data/status",
                           "modelarts:dataset:updateDataset", "modelarts:dataset:getDataset"},
};

int modelarts_check_id(const char *id, struct err *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = strlen(id);
    if (n == 0 || n > MODELARTS_ID_MAX || strspn(id, allowed) != n)
        return err_set(err, -EINVAL, "'%.80s' cannot be an id: 1 to %d letters, digits, '-', '_'",
                       id, MODELARTS_ID_MAX);
    return 0;
}

/* Puts the id (checked) into a pattern with one "%s". */
static void make_path(char out[CLOUD_PATH_MAX], const char *pattern, const char *id)
{
    const char *mark = strchr(pattern, '%');
    (void)snprintf(out, CLOUD_PATH_MAX, "%.*s%s%s", (int)(mark - pattern), pattern, id, mark + 2);
}

int modelarts_status_call(struct cloud_call *call, enum modelarts_api api, const char *id,
                          struct err *err)
{
    *call = (struct cloud_call){
        .service = CLOUD_MODELARTS, .method = "GET", .right = apis[api].status_right};
    int rc = modelarts_check_id(id, err);
    if (rc == 0)
        make_path(call->path, apis[api].status, id);
    return rc;
}

/* --- the end --- */

static void finish(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    /* It outlives done(): somebody may cancel until the owner has noted that it came. */
    job->done(job);
    chain_done(&m->chain);
    free(m);
}

/* What is known of the answer to the last call. */
static void take_answer(struct modelarts_job *job, struct cloud_call *call)
{
    free(job->text);
    job->text = call->text;
    job->n_text = call->n_text;
    call->text = NULL;
    call->n_text = 0;
    if (call->request_id[0])
        memcpy(job->request_id, call->request_id, sizeof(job->request_id));
}

static void conclude(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    struct svc_error fault = job->answer.error;

    if (job->answer.state != SYNC_FAILED) {
        finish(m);
        return;
    }
    job->fault = fault;
    if (cloud_error(200, &fault, NULL, &job->err) == 0)
        err_set(&job->err, -EIO, "the synchronisation of '%s' failed%s%.120s", job->id,
                fault.msg[0] ? ": " : "", fault.msg);
    job->err.cls = ERR_FATAL;
    (void)snprintf(job->err.request_id, sizeof(job->err.request_id), "%s", job->request_id);
    finish(m);
}

static void too_late(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    if (m->lost) /* job->err has the reason */
        err_prefix(&job->err, "the answer got lost and no synchronisation is to be seen");
    else if (job->answer.state == SYNC_NOT_STARTED)
        err_set(&job->err, -EIO, "ModelArts does not know the synchronisation of '%s' it accepted",
                job->id);
    else
        err_set(&job->err, -ETIMEDOUT, "the synchronisation of '%s' has not ended yet", job->id);
    finish(m);
}

/* --- the state --- */

static void on_answer(struct cloud_call *call);

static void ask(struct modelarts_priv *m, int64_t delay_ms)
{
    struct modelarts_job *job = m->job;
    struct cloud_call *call = &m->chain.call;

    cloud_call_clear(call);
    (void)modelarts_status_call(call, job->api, job->id, NULL); /* the id was checked */
    call->done = on_answer;
    call->arg = m;
    call->give_up_ms = job->give_up_ms;
    call->delay_ms = delay_ms;
    if (m->step == STEP_POLL)
        job->polls++;
    chain_submit(&m->chain);
}

/* The service has a task that was not there before the POST. */
static bool is_new(const struct modelarts_priv *m)
{
    const struct sync_answer *now = &m->job->answer;
    const struct sync_answer *base = &m->base;
    if (m->seen_running || base->state == SYNC_UNKNOWN)
        return m->seen_running;
    if (now->task_id[0] && strcmp(now->task_id, base->task_id) != 0)
        return true;
    if (now->create_time && now->create_time != base->create_time)
        return true;
    return now->state != base->state && now->state != SYNC_NOT_STARTED;
}

/* The POST was executed although its answer got lost. */
static void found_lost(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    m->lost = false;
    err_clear(&job->err);
    job->fault = (struct svc_error){0};
    job->started = true;
    if (job->wait && job->accepted)
        job->accepted(job);
}

/* One more state is known: what now? */
static void advance(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    enum sync_state state = job->answer.state;
    bool ended = state == SYNC_DONE || state == SYNC_FAILED;
    int64_t now = clock_ms();

    m->seen_running = m->seen_running || state == SYNC_RUNNING;
    bool certain = is_new(m);
    bool grace = now < m->grace_until && job->polls < GRACE_POLLS;
    if (m->lost && certain)
        found_lost(m);
    if (m->lost ? !grace : (state == SYNC_NOT_STARTED && !grace)) {
        too_late(m);
        return;
    }
    if (!m->lost && !job->wait) {
        finish(m);
        return;
    }
    if (!m->lost && ended && (certain || !grace)) {
        conclude(m);
        return;
    }
    if (now >= m->until) {
        too_late(m);
        return;
    }
    ask(m, cloud_poll_ms(m->chain.cloud, job->polls + 1));
}

static void on_state(struct modelarts_priv *m, struct cloud_call *call)
{
    struct modelarts_job *job = m->job;
    struct err err = call->err;

    take_answer(job, call);
    if (err.eno == 0)
        (void)json_parse_sync(job->text ? job->text : "", job->n_text, &job->answer, &err);
    if (err.eno == 0) {
        advance(m);
        return;
    }
    if (m->lost && err.eno != -ECANCELED) {
        err_prefix(&job->err, "the answer got lost, and the question for it, too");
    } else {
        job->err = err;
        job->fault = call->fault;
        err_prefix(&job->err, "asking for the state of '%s'", job->id);
        if (err.eno == -EBADMSG)
            job->err.eno = -EIO;
    }
    finish(m);
}

/* --- starting --- */

static void post(struct modelarts_priv *m)
{
    struct modelarts_job *job = m->job;
    struct cloud_call *call = &m->chain.call;

    m->step = STEP_START;
    cloud_call_clear(call);
    *call = (struct cloud_call){
        .service = CLOUD_MODELARTS,
        .method = "POST",
        .right = apis[job->api].right,
        .give_up_ms = job->give_up_ms,
        .done = on_answer,
        .arg = m,
    };
    make_path(call->path, apis[job->api].start, job->id);
    chain_submit(&m->chain);
}

static void on_start(struct modelarts_priv *m, struct cloud_call *call)
{
    struct modelarts_job *job = m->job;
    int64_t now = clock_ms();

    job->err = call->err;
    job->status = call->status;
    job->attempts = call->attempts;
    job->fault = call->fault;
    m->lost = call->uncertain && call->err.eno != -ECANCELED;
    take_answer(job, call);
    if (m->lost)
        job->err.eno = -ETIMEDOUT;
    job->started = job->err.eno == 0;
    if (!m->lost && (job->err.eno || !job->wait)) {
        finish(m);
        return;
    }
    m->step = STEP_POLL;
    m->grace_until = now + GRACE_MS;
    m->until = now + (job->wait_ms > 0 ? job->wait_ms : WAIT_MS);
    if (!m->lost && job->accepted)
        job->accepted(job);
    ask(m, 0);
}

static void on_base(struct modelarts_priv *m, struct cloud_call *call)
{
    /* Without it the end is only less certain: whoever may not ask may still start. But what was
     * never answered, or not for these keys, will not be answered now. */
    int http = call->err.http;
    if (call->err.eno && (http == 0 || http == 401 || http == 429)) {
        m->job->err = call->err;
        m->job->status = call->status;
        m->job->attempts = call->attempts;
        m->job->fault = call->fault;
        take_answer(m->job, call);
        finish(m);
        return;
    }
    if (call->err.eno ||
        json_parse_sync(call->text ? call->text : "", call->n_text, &m->base, NULL) < 0)
        m->base = (struct sync_answer){0};
    post(m);
}

static void on_answer(struct cloud_call *call)
{
    struct modelarts_priv *m = call->arg;

    chain_arrived(&m->chain);
    switch (m->step) {
    case STEP_BASE:
        on_base(m, call);
        return;
    case STEP_START:
        on_start(m, call);
        return;
    case STEP_POLL:
        on_state(m, call);
        return;
    }
}

static void on_bad_id(struct cloud_call *call)
{
    struct modelarts_priv *m = call->arg;
    chain_arrived(&m->chain);
    m->job->err = call->err;
    finish(m);
}

void modelarts_submit(struct cloud *cloud, struct modelarts_job *job)
{
    struct modelarts_priv *m;
    struct err err;
    /* There is no other way to answer than through it. */
    while (!(m = calloc(1, sizeof(*m))))
        usleep(NO_MEMORY_US);

    m->job = job;
    job->priv = m;
    if (modelarts_check_id(job->id, &err) < 0) {
        chain_init(&m->chain, cloud, on_bad_id, m);
        chain_submit_failed(&m->chain, &err);
        return;
    }
    chain_init(&m->chain, cloud, on_answer, m);
    if (job->wait) {
        m->step = STEP_BASE;
        ask(m, 0);
    } else {
        post(m);
    }
}

void modelarts_cancel(struct cloud *cloud, struct modelarts_job *job)
{
    struct modelarts_priv *m = job->priv;
    (void)cloud;
    chain_cancel(&m->chain);
}

void modelarts_job_clear(struct modelarts_job *job)
{
    free(job->text);
    job->text = NULL;
    job->n_text = 0;
    err_clear(&job->err);
    job->fault = (struct svc_error){0};
    job->answer = (struct sync_answer){0};
    job->request_id[0] = 0;
    job->status = 0;
    job->attempts = 0;
    job->started = false;
    job->polls = 0;
    job->priv = NULL;
}

struct run {
    struct cloud_wait wait;
    struct modelarts_job *job;
};

static void run_done(struct modelarts_job *job)
{
    struct run *run = job->arg;
    wait_finish(&run->wait);
}

static void run_cancel(void *arg)
{
    struct run *run = arg;
    modelarts_cancel(NULL, run->job);
}

int modelarts_run(struct cloud *cloud, struct modelarts_job *job, struct intr *intr)
{
    struct run run = {.job = job};
    wait_begin(&run.wait, intr);
    job->done = run_done;
    job->arg = &run;
    modelarts_submit(cloud, job);
    if (wait_end(&run.wait, run_cancel, &run) && job->err.eno == -ECANCELED)
        err_set(&job->err, -EINTR, "interrupted");
    return job->err.eno;
}
