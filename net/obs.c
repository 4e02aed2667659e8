// SPDX-License-Identifier: Apache-2.0
// Life of the client, submission, waiting, counters; see obs.h.
#include "net/obs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/engine.h"
#include "net/obs_impl.h"
#include "net/xml.h"

enum {
    RETRY_MS = 10 * 60 * 1000,
    STALL_MS = 30 * 1000,
    NO_MEMORY_US = 10 * 1000,
    FIELDS_MAX = 64 << 10
};

static const char *const op_names[OBS_OP_COUNT] = {
    [OBS_HEAD_BUCKET] = "HeadBucket",
    [OBS_LIST] = "LIST",
    [OBS_HEAD] = "HEAD",
    [OBS_GET] = "GET",
    [OBS_PUT] = "PUT",
    [OBS_DELETE] = "DELETE",
    [OBS_DELETE_BATCH] = "DeleteBatch",
    [OBS_COPY] = "COPY",
    [OBS_SET_META] = "SetMetadata",
    [OBS_GET_ACL] = "GetAcl",
    [OBS_GET_BUCKET_ACL] = "GetBucketAcl",
    [OBS_SET_ACL] = "SetAcl",
    [OBS_MP_INITIATE] = "Initiate",
    [OBS_MP_PART] = "UploadPart",
    [OBS_MP_COPY_PART] = "CopyPart",
    [OBS_MP_LIST_PARTS] = "ListParts",
    [OBS_MP_COMPLETE] = "Complete",
    [OBS_MP_ABORT] = "Abort",
    [OBS_MP_LIST_UPLOADS] = "ListUploads",
};

const char *obs_op_name(enum obs_op op)
{
    return (unsigned)op < OBS_OP_COUNT ? op_names[op] : "?";
}

enum obs_dialect obs_dialect_of(const struct obs *obs)
{
    return obs->dialect;
}

/* The label of the host name that stands for the region: the second of names such as
 * obs.REGION.myhuaweicloud.com and s3.REGION.amazonaws.com. */
static char *region_of(const struct obs_config *config, const struct url_endpoint *ep)
{
    if (config->region && config->region[0])
        return strdup(config->region);
    const char *dot = ep->ip ? NULL : strchr(ep->host, '.');
    bool known = strncmp(ep->host, "obs.", 4) == 0 || strncmp(ep->host, "s3.", 3) == 0;
    size_t n = dot ? strcspn(dot + 1, ".") : 0;
    if (known && n && dot[1 + n] == '.' && strchr(dot + 2 + n, '.'))
        return strndup(dot + 1, n);
    return strdup("us-east-1");
}

static int take_extra(struct obs *obs, const char *const *lines, struct err *err)
{
    for (size_t i = 0; lines && lines[i]; i++) {
        size_t before = obs->extra.n;
        int rc = http_fields_add_line(&obs->extra, lines[i], strlen(lines[i]));
        if (rc == 0 && obs->extra.n == before)
            rc = -EINVAL;
        if (rc < 0)
            return err_set(err, rc, "'%s' is not a header line of the form NAME: VALUE", lines[i]);
        const char *name = obs->extra.v[before].name;
        obs->has_callback = obs->has_callback || strcasecmp(name, "x-obs-callback") == 0;
    }
    return 0;
}

int obs_new(const struct obs_config *config, struct engine *engine, struct cred_source *cred,
            struct log *log, struct obs **ret_obs, struct err *err)
{
    struct obs *obs = calloc(1, sizeof(*obs));
    if (!obs)
        return err_set(err, -ENOMEM, "out of memory");

    obs->engine = engine;
    obs->cred = cred;
    obs->log = log;
    obs->dialect = config->dialect;
    obs->connect_ms = config->connect_ms;
    obs->stall_ms = config->stall_ms > 0 ? config->stall_ms : STALL_MS;
    obs->retry_ms = config->retry_ms > 0 ? config->retry_ms : RETRY_MS;
    obs->sse_keys = config->sse_keys;
    obs->crc64 = config->crc64;
    atomic_init(&obs->sse_first, config->sse_keys ? config->sse_first : -1);
    int rc = url_endpoint_parse(config->endpoint, &obs->endpoint, err);
    if (rc == 0)
        rc = url_bucket_check(config->bucket, err);
    if (rc == 0)
        rc = take_extra(obs, config->extra_headers, err);
    if (rc < 0)
        goto fail;
    obs->path_style = config->path_style || obs->endpoint.ip;
    obs->bucket = strdup(config->bucket);
    obs->region = region_of(config, &obs->endpoint);
    if (!obs->bucket || !obs->region) {
        rc = err_set(err, -ENOMEM, "out of memory");
        goto fail;
    }
    *ret_obs = obs;
    return 0;

fail:
    obs_free(obs);
    return rc;
}

void obs_free(struct obs *obs)
{
    if (!obs)
        return;
    http_fields_clear(&obs->extra);
    free(obs->bucket);
    free(obs->region);
    free(obs);
}

static void state_free(struct obs_state *st)
{
    http_call_clear(&st->http);
    digest_free(st->digest);
    buf_done(&st->text);
    cred_wipe(&st->cred);
    free(st);
}

static void count(struct obs_state *st)
{
    struct obs *obs = st->obs;
    const struct obs_call *call = st->call;
    int64_t us = (clock_ns() - st->start_ns) / 1000;

    atomic_fetch_add(&obs->calls[call->op], 1);
    if (call->err.eno)
        atomic_fetch_add(&obs->failures[call->op], 1);
    atomic_fetch_add(&obs->latency_us[call->op], (uint64_t)us);
    atomic_fetch_add(&obs->attempts, call->attempts);
    if (call->attempts > 1)
        atomic_fetch_add(&obs->retries, call->attempts - 1);
    if (!call->err.eno && st->http.body.present)
        atomic_fetch_add(&obs->bytes_sent, st->http.body.size);
    atomic_fetch_add(&obs->bytes_received, st->received);
}

/* The fields as lines; without memory they are not told. */
static char *list_fields(const struct http_fields *fields)
{
    CLEANUP_BUF struct buf out = BUF_INIT(FIELDS_MAX);
    for (size_t i = 0; i < fields->n; i++) {
        if (buf_addf(&out, "%s: %s\n", fields->v[i].name, fields->v[i].value) < 0)
            return NULL;
    }
    return out.n ? buf_steal(&out) : NULL;
}

static void on_done(struct http_call *http)
{
    struct obs_state *st = http->arg;
    struct obs_call *call = st->call;

    call->err = http->err;
    call->wire = http->wire;
    call->attempts = http->attempts;
    call->sent = http->sent;
    call->status = http->response.status;
    call->server_time = http->response.date;
    if (call->want_fields) {
        free(call->fields);
        call->fields = list_fields(&http->response.fields);
    }
    count(st);
    /* The state outlives done(): somebody may cancel until the owner has noted that it came. */
    call->done(call);
    state_free(st);
}

void obs_submit(struct obs *obs, struct obs_call *call)
{
    struct obs_state *st;
    /* There is no other way to answer than through the state. */
    while (!(st = calloc(1, sizeof(*st))))
        usleep(NO_MEMORY_US);

    st->obs = obs;
    st->call = call;
    st->start_ns = clock_ns();
    st->endpoint = obs->endpoint;
    st->path_style = obs->path_style;
    st->http.label = obs_op_name(call->op);
    st->http.prepare = obs_prepare;
    st->http.begin = obs_begin;
    st->http.evaluate = obs_evaluate;
    st->http.done = on_done;
    st->http.arg = st;
    st->http.connect_ms = obs->connect_ms;
    st->http.stall_ms = obs->stall_ms;
    st->http.give_up_ms = call->give_up_ms > 0 ? call->give_up_ms : obs->retry_ms;
    obs_describe(st);
    call->state = st;
    engine_submit(obs->engine, &st->http);
}

void obs_cancel(struct obs *obs, struct obs_call *call)
{
    struct obs_state *st = call->state;
    engine_cancel(obs->engine, &st->http);
}

/* --- waiting --- */

struct run {
    struct lock lock;
    struct intr *intr;
    bool finished; /* under lock */
};

static void run_done(struct obs_call *call)
{
    struct run *run = call->arg;
    lock_take(&run->lock);
    run->finished = true;
    intr_finish(run->intr);
    lock_drop(&run->lock);
}

int obs_run(struct obs *obs, struct obs_call *call, struct intr *intr)
{
    struct intr own;
    struct run run = {.intr = intr ? intr : &own};
    bool interrupted = false;

    lock_init(&run.lock);
    if (intr)
        intr_rearm(intr);
    else
        intr_init(&own);
    call->done = run_done;
    call->arg = &run;
    obs_submit(obs, call);

    if (intr_wait(run.intr, -1, false) == -EINTR) {
        interrupted = true;
        lock_take(&run.lock);
        if (!run.finished)
            obs_cancel(obs, call);
        lock_drop(&run.lock);
        intr_wait(run.intr, -1, true);
    }
    lock_take(&run.lock); /* run_done() has left it */
    lock_drop(&run.lock);
    lock_done(&run.lock);
    if (!intr)
        intr_done(&own);
    if (interrupted && call->err.eno == -ECANCELED)
        err_set(&call->err, -EINTR, "interrupted");
    return call->err.eno;
}

void obs_call_clear(struct obs_call *call)
{
    obs_object_clear(&call->object);
    obs_list_clear(&call->list);
    obs_parts_clear(&call->parts);
    err_clear(&call->err);
    err_clear(&call->wire);
    call->status = 0;
    call->attempts = call->sent = 0;
    call->server_time = 0;
    call->upload_id_out[0] = 0;
    obs_acl_clear(&call->acl);
    call->host_id[0] = call->resource[0] = 0;
    free(call->fields);
    call->fields = NULL;
    memset(call->md5, 0, sizeof(call->md5));
    call->crc64 = 0;
    call->crc64_differs = false;
    call->state = NULL;
}

char *obs_url(const struct obs *obs, const char *key)
{
    struct url_endpoint public = obs->endpoint;
    char host[URL_HOST_MAX + 80];
    CLEANUP_BUF struct buf out = BUF_INIT(URL_TARGET_MAX);

    if (!public.tls && public.port == 80)
    public.port = 443;
    public.tls = true;
    if (url_host(&public, obs->path_style ? NULL : obs->bucket, host, sizeof(host)) < 0)
        return NULL;
    buf_addf(&out, "https://%s", host);
    (void)url_path(&out, obs->bucket, key, obs->path_style);
    return out.eno ? NULL : buf_steal(&out);
}

void obs_stats(const struct obs *obs, struct obs_stats *ret_stats)
{
    for (int op = 0; op < OBS_OP_COUNT; op++) {
        ret_stats->calls[op] = atomic_load(&obs->calls[op]);
        ret_stats->failures[op] = atomic_load(&obs->failures[op]);
        ret_stats->latency_us[op] = atomic_load(&obs->latency_us[op]);
    }
    ret_stats->attempts = atomic_load(&obs->attempts);
    ret_stats->retries = atomic_load(&obs->retries);
    ret_stats->bytes_sent = atomic_load(&obs->bytes_sent);
    ret_stats->bytes_received = atomic_load(&obs->bytes_received);
}
