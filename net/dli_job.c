// SPDX-License-Identifier: Apache-2.0
// Registering packages and following them until they are ready; see dli.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/base/clock.h"
#include "net/cloud_impl.h"
#include "net/dli.h"

enum {
    WAIT_MS = 30 * 60 * 1000,
    PROOF_ROUNDS = 12,     /* questions for a POST whose answer got lost: two minutes, normally */
    PROOF_SLACK_MS = 2000, /* by which the service's clock is known no better */
    NO_MEMORY_US = 10 * 1000,
};

/* How a package of this job is doing. */
struct package {
    const char *name; /* a part of the upload's path */
    enum dli_state state;
    bool proven; /* the POST was executed for it */
};

struct dli_priv {
    struct cloud_chain chain;
    struct dli_job *job;
    struct buf body;
    struct package *v;
    size_t n;
    size_t next;       /* the one that is asked for */
    unsigned round;    /* of questions for all that are not settled */
    bool proving;      /* the POST's answer got lost */
    int64_t posted_ms; /* real time */
    int64_t until;     /* monotonic ms */
};

static void on_state(struct cloud_call *call);

/* --- the end --- */

/* The verdict is in job->err. */
static void finish(struct dli_priv *d)
{
    struct dli_job *job = d->job;
    /* It outlives done(): somebody may cancel until the owner has noted that it came. */
    job->done(job);
    chain_done(&d->chain);
    buf_done(&d->body);
    free(d->v);
    free(d);
}

/* --- states --- */

static const struct dli_resource *find(const struct dli_answer *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i].name, name) == 0)
            return &a->v[i];
    }
    return NULL;
}

/* All packages of the job together: the least advanced one counts. */
static enum dli_state sum_up(const struct dli_priv *d)
{
    bool failed = false;
    for (size_t i = 0; i < d->n; i++) {
        if (d->v[i].state == DLI_STATE_UPLOADING || d->v[i].state == DLI_STATE_UNKNOWN)
            return DLI_STATE_UPLOADING;
        failed = failed || d->v[i].state == DLI_STATE_FAILED;
    }
    return failed ? DLI_STATE_FAILED : DLI_STATE_READY;
}

/* Notes a state in the job's answer, where its reader looks for it. */
static void note(struct dli_priv *d, struct package *p, enum dli_state state, int64_t update_ms)
{
    struct dli_answer *a = &d->job->answer;
    p->state = state;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->v[i].name, p->name) == 0) {
            a->v[i].state = state;
            a->v[i].update_ms = update_ms ? update_ms : a->v[i].update_ms;
        }
    }
    d->job->state = sum_up(d);
}

static void conclude(struct dli_priv *d)
{
    struct dli_job *job = d->job;
    for (size_t i = 0; i < d->n; i++) {
        if (d->v[i].state != DLI_STATE_FAILED)
            continue;
        err_set(&job->err, -EIO, "DLI could not take the package '%s': its state is FAILED",
                d->v[i].name);
        (void)snprintf(job->err.request_id, sizeof(job->err.request_id), "%s", job->request_id);
    }
    finish(d);
}

/* --- questions --- */

static bool settled(const struct package *p)
{
    return p->proven && (p->state == DLI_STATE_READY || p->state == DLI_STATE_FAILED);
}

static void too_late(struct dli_priv *d)
{
    struct dli_job *job = d->job;
    if (d->proving) { /* job->err has the reason */
        err_prefix(&job->err, "the answer got lost and package '%s' has not been registered",
                   d->v[d->next].name);
        finish(d);
        return;
    }
    err_set(&job->err, -ETIMEDOUT, "DLI is still copying the package '%s'", d->v[d->next].name);
    (void)snprintf(job->err.request_id, sizeof(job->err.request_id), "%s", job->request_id);
    finish(d);
}

static void ask(struct dli_priv *d, int64_t delay_ms)
{
    struct dli_job *job = d->job;
    struct cloud_call *call = &d->chain.call;
    struct err err;

    cloud_call_clear(call);
    if (dli_get_call(call, d->v[d->next].name, job->upload->group, &err) < 0) {
        job->err = err;
        finish(d);
        return;
    }
    call->done = on_state;
    call->arg = d;
    call->give_up_ms = job->give_up_ms;
    call->delay_ms = delay_ms;
    job->polls++;
    chain_submit(&d->chain);
}

static size_t next_open(const struct dli_priv *d, size_t i)
{
    while (i < d->n && settled(&d->v[i]))
        i++;
    return i;
}

/* Asks for the next package that is not settled; behind the last the round is over. */
static void ask_next(struct dli_priv *d)
{
    bool first = d->next == 0;

    d->next = next_open(d, d->next);
    if (d->next == d->n) {
        d->next = next_open(d, 0);
        if (d->next == d->n) {
            conclude(d);
            return;
        }
        first = true;
    }
    if (first) {
        d->round++;
        if (clock_ms() >= d->until || (d->proving && d->round > PROOF_ROUNDS)) {
            too_late(d);
            return;
        }
    }
    ask(d, first ? cloud_poll_ms(d->chain.cloud, d->round + 1) : 0);
}

/* Is it ours, or what an older POST left behind? Compared by the service's clock. */
static bool is_new(const struct dli_priv *d, const struct dli_resource *r)
{
    const struct cloud_call *call = &d->chain.call;
    if (r->state == DLI_STATE_UPLOADING)
        return true;
    int64_t offset_ms = 0;
    if (call->server_time)
        offset_ms = (call->server_time - clock_real().tv_sec) * 1000;
    return r->update_ms >= d->posted_ms + offset_ms - PROOF_SLACK_MS;
}

static void take_text(struct dli_job *job, struct cloud_call *call)
{
    free(job->text);
    job->text = call->text;
    job->n_text = call->n_text;
    call->text = NULL;
    call->n_text = 0;
}

/* The POST was executed, this package says so. */
static void prove(struct dli_priv *d, struct package *p)
{
    struct dli_job *job = d->job;
    p->proven = true;
    for (size_t i = 0; i < d->n; i++) {
        if (!d->v[i].proven)
            return;
    }
    err_clear(&job->err);
    job->fault = (struct svc_error){0};
    job->status = d->chain.call.status;
    take_text(job, &d->chain.call);
    d->proving = false;
}

static void on_state(struct cloud_call *call)
{
    struct dli_priv *d = call->arg;
    struct package *p = &d->v[d->next];
    struct dli_answer one = {0};
    struct err err = call->err;

    chain_arrived(&d->chain);
    bool absent = err.cls == ERR_GONE;
    if (err.eno == 0)
        (void)json_parse_dli(call->text ? call->text : "", call->n_text, &one, &err);
    if (err.eno == 0 && one.n) {
        const struct dli_resource *r = find(&one, p->name) ? find(&one, p->name) : &one.v[0];
        if (!p->proven && is_new(d, r))
            prove(d, p);
        if (p->proven)
            note(d, p, r->state, r->update_ms);
    }
    dli_answer_clear(&one);
    if (err.eno && !(absent && d->proving)) {
        err_prefix(&err, "asking for the package '%s'", p->name);
        if (d->proving && err.eno != -ECANCELED)
            err_prefix(&d->job->err, "the answer got lost, and the question for it, too");
        else
            d->job->err = err;
        finish(d);
        return;
    }
    d->next++;
    ask_next(d);
}

/* --- the POST --- */

/* What the answer says about each package: of its own, of the group, else that all is done unless
 * it was asked to be done later. */
static void read_answer(struct dli_priv *d)
{
    struct dli_job *job = d->job;
    const struct dli_answer *a = &job->answer;
    bool later = job->upload->is_async || a->is_async;

    for (size_t i = 0; i < d->n; i++) {
        const struct dli_resource *r = find(a, d->v[i].name);
        enum dli_state state = r ? r->state : DLI_STATE_UNKNOWN;
        if (state == DLI_STATE_UNKNOWN)
            state = a->state;
        if (state == DLI_STATE_UNKNOWN && !later)
            state = DLI_STATE_READY;
        d->v[i].proven = true;
        note(d, &d->v[i], state, 0);
    }
}

/* Without an answer: what was sent, of unknown state. */
static void assume_answer(struct dli_priv *d)
{
    struct dli_answer *a = &d->job->answer;
    (void)snprintf(a->group, sizeof(a->group), "%s", d->job->upload->group);
    a->v = calloc(d->n, sizeof(*a->v));
    for (; a->v && a->n < d->n; a->n++)
        (void)snprintf(a->v[a->n].name, sizeof(a->v->name), "%s", d->v[a->n].name);
}

static void start_questions(struct dli_priv *d)
{
    int64_t wait = d->job->wait_ms > 0 ? d->job->wait_ms : WAIT_MS;
    d->until = clock_ms() + wait;
    d->next = 0;
    ask_next(d);
}

static void on_post(struct cloud_call *call)
{
    struct dli_priv *d = call->arg;
    struct dli_job *job = d->job;
    bool uncertain = call->uncertain && call->err.eno != -ECANCELED;

    chain_arrived(&d->chain);
    job->err = call->err;
    job->status = call->status;
    job->attempts = call->attempts;
    job->fault = call->fault;
    memcpy(job->request_id, call->request_id, sizeof(job->request_id));
    take_text(job, call);
    if (job->err.eno && uncertain) {
        d->proving = true;
        job->err.eno = -ETIMEDOUT;
        assume_answer(d);
        start_questions(d);
        return;
    }
    if (job->err.eno == 0 && job->n_text &&
        json_parse_dli(job->text, job->n_text, &job->answer, &job->err) < 0)
        job->err.eno = job->err.eno == -ENOMEM ? -ENOMEM : -EIO;
    if (job->err.eno) {
        finish(d);
        return;
    }
    read_answer(d);
    if (job->state != DLI_STATE_UPLOADING) {
        conclude(d);
        return;
    }
    if (job->accepted)
        job->accepted(job);
    start_questions(d);
}

/* --- starting --- */

static int prepare(struct dli_priv *d, struct err *err)
{
    const struct dli_upload *u = d->job->upload;

    d->body = BUF_INIT(DLI_BODY_MAX);
    int rc = dli_upload_body(u, &d->body, err);
    if (rc < 0)
        return rc;
    d->v = calloc(u->n_paths, sizeof(*d->v));
    if (!d->v)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < u->n_paths; i++)
        d->v[i].name = dli_package_of(u->paths[i]);
    d->n = u->n_paths;
    return 0;
}

void dli_submit(struct cloud *cloud, struct dli_job *job)
{
    struct dli_priv *d;
    struct err err;
    /* There is no other way to answer than through it. */
    while (!(d = calloc(1, sizeof(*d))))
        usleep(NO_MEMORY_US);

    d->job = job;
    job->priv = d;
    chain_init(&d->chain, cloud, on_post, d);
    if (prepare(d, &err) < 0) {
        chain_submit_failed(&d->chain, &err);
        return;
    }
    struct timespec now = clock_real();
    d->posted_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    struct cloud_call *call = &d->chain.call;
    call->service = CLOUD_DLI;
    call->method = "POST";
    (void)snprintf(call->path, sizeof(call->path), "%s", dli_upload_path(job->upload));
    call->body = d->body.p;
    call->n_body = d->body.n;
    call->give_up_ms = job->give_up_ms;
    chain_submit(&d->chain);
}

void dli_cancel(struct cloud *cloud, struct dli_job *job)
{
    struct dli_priv *d = job->priv;
    (void)cloud;
    chain_cancel(&d->chain);
}

void dli_job_clear(struct dli_job *job)
{
    dli_answer_clear(&job->answer);
    free(job->text);
    job->text = NULL;
    job->n_text = 0;
    err_clear(&job->err);
    job->fault = (struct svc_error){0};
    job->request_id[0] = 0;
    job->status = 0;
    job->attempts = 0;
    job->state = DLI_STATE_UNKNOWN;
    job->polls = 0;
    job->priv = NULL;
}

struct run {
    struct cloud_wait wait;
    struct dli_job *job;
};

static void run_done(struct dli_job *job)
{
    struct run *run = job->arg;
    wait_finish(&run->wait);
}

static void run_cancel(void *arg)
{
    struct run *run = arg;
    dli_cancel(NULL, run->job);
}

int dli_run(struct cloud *cloud, struct dli_job *job, struct intr *intr)
{
    struct run run = {.job = job};
    wait_begin(&run.wait, intr);
    job->done = run_done;
    job->arg = &run;
    dli_submit(cloud, job);
    if (wait_end(&run.wait, run_cancel, &run) && job->err.eno == -ECANCELED)
        err_set(&job->err, -EINTR, "interrupted");
    return job->err.eno;
}
