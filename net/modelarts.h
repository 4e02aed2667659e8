// SPDX-License-Identifier: Apache-2.0
/* modelarts - synchronising ModelArts with the bucket
 *
 * Role        Tells ModelArts to look at the objects of a bucket: a manual annotation job (v1, what
 *             its SDK calls sync_obs) or a data set (v2; ModelArts API: synchronizing a dataset),
 *             and follows the task that this starts to its end.
 * States      BASE (with `wait`: what the state is before) -> STARTING (POST) -> POLLING -> done.
 *             The POST names no task, and the state just after it may still be that of an older
 *             one: an end counts when the task is another than before, when it was seen running, or
 *             when ten seconds have passed.
 * Errors      job->err. -EINVAL: an id that cannot be one. -EBUSY: the service is synchronising it
 *             already. is_success false in an answer of status 200 is a failure: the errno of its
 *             error_code, else -EIO; so is a task that failed. -ETIMEDOUT: not at an end within
 *             wait_ms, or the answer to the POST got lost and no task is to be seen.
 * Ownership   The request half of a job belongs to the caller and stays until `done`. The answer
 *             half belongs to the job and may be read in `accepted` and from `done` on;
 *             modelarts_job_clear() frees it.
 * Threads     As net/cloud.h.
 */
#ifndef OBSM_NET_MODELARTS_H
#define OBSM_NET_MODELARTS_H

#include "net/cloud.h"

enum { MODELARTS_ID_MAX = 64 };

enum modelarts_api {
    MODELARTS_ANNOTATION, /* /v1/{project_id}/data-annotations/ID/obs/sync */
    MODELARTS_DATASET,    /* /v2/{project_id}/datasets/ID/sync-data */
};

/* 0, or -EINVAL: 1 to MODELARTS_ID_MAX letters, digits, '-', '_'. */
int modelarts_check_id(const char *id, struct err *err);

struct modelarts_job;
typedef void modelarts_done_fn(struct modelarts_job *job);

struct modelarts_job {
    /* --- request: the caller's --- */
    enum modelarts_api api;
    const char *id;
    bool wait;                   /* `done` comes at the end of the synchronisation, else when the
                                    service has accepted it */
    int64_t give_up_ms;          /* of each request; 0: cloud_config.retry_ms */
    int64_t wait_ms;             /* longest synchronisation; 0: 2 hours */
    modelarts_done_fn *accepted; /* may be NULL; with `wait`: called once before `done` when the
                                    service has accepted it; the answer half is filled */
    modelarts_done_fn *done;
    void *arg;

    /* --- answer --- */
    struct err err;
    int status; /* of the POST; 0: no answer came */
    unsigned attempts;
    struct svc_error fault; /* of the POST, or of the task that failed */
    char request_id[64];
    bool started;              /* the service has accepted it */
    struct sync_answer answer; /* the last state; state SYNC_UNKNOWN before the first */
    char *text; /* the last answer (of the POST or of its state) as it came, or NULL */
    size_t n_text;
    unsigned polls;

    /* --- private to net/ --- */
    void *priv;
};

/* Starts a job. The result always comes by job->done. */
void modelarts_submit(struct cloud *cloud, struct modelarts_job *job);
/* As cloud_cancel(). The service goes on with what it has accepted. */
void modelarts_cancel(struct cloud *cloud, struct modelarts_job *job);
/* As cloud_run(). */
int modelarts_run(struct cloud *cloud, struct modelarts_job *job, struct intr *intr);
void modelarts_job_clear(struct modelarts_job *job);

/* Fills the request half of a call that asks for the state (json_parse_sync). -EINVAL. */
int modelarts_status_call(struct cloud_call *call, enum modelarts_api api, const char *id,
                          struct err *err);

#endif
