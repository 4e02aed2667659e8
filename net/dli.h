// SPDX-License-Identifier: Apache-2.0
/* dli - packages of the Data Lake Insight service
 *
 * Role        Registers objects of a bucket as packages of a group (DLI API: package group-related
 *             APIs) and asks for them. Registering is a job: POST, and where the service copies in
 *             the background, the question for each package's state until it is READY or FAILED.
 * Parts       `struct dli_upload` is what is to be registered, a value made by dli_upload_set() out
 *             of names or by dli_upload_parse() out of a user's own JSON; pure. The caller may then
 *             replace its paths by URLs (dli_upload_set_path) and hands it to a `struct dli_job`.
 * Endpoint    resources/jars, /pyfiles, /files as `kind` says; the generic /resources if one of
 *             is_async, kind or tags was given: only that one knows them.
 * Job         SENDING -> POLLING -> done. A POST whose answer got lost is not sent again: the
 *             packages are asked for, and one that is there and newer than the POST proves that it
 *             was executed; otherwise the job ends with -ETIMEDOUT.
 * Errors      -EINVAL: a name, URL or request that cannot be right, with the rule; job->err: see
 *             net/cloud.h; a package that FAILED is -EIO and named; UPLOADING for longer than
 *             wait_ms is -ETIMEDOUT.
 * Ownership   The request half of a job belongs to the caller and stays until `done`. The answer
 *             half belongs to the job and may be read in `accepted` and from `done` on;
 *             dli_job_clear() frees it.
 * Threads     As net/cloud.h.
 */
#ifndef OBSM_NET_DLI_H
#define OBSM_NET_DLI_H

#include "net/cloud.h"

enum {
    DLI_GROUP_MAX = 64,    /* characters of a group's name */
    DLI_PACKAGE_MAX = 128, /* of a package's, with its suffix */
    DLI_PATHS_MAX = 10000, /* of one request */
    DLI_URL_MAX = 2048,
    DLI_BODY_MAX = CLOUD_BODY_MAX,
};

enum dli_kind { DLI_JAR, DLI_PYFILE, DLI_FILE, DLI_MODELFILE, DLI_KINDS };

/* "jar", "pyFile", "file", "modelFile" */
const char *dli_kind_name(enum dli_kind kind);
/* The same without regard to case. -EINVAL. */
int dli_kind_parse(const char *word, enum dli_kind *ret);

/* 0, or -EINVAL and the rule that is broken: letters, digits, "._-", at most DLI_GROUP_MAX. */
int dli_check_group(const char *name, struct err *err);
/* Letters, digits, "_!-.", no leading dot, at most DLI_PACKAGE_MAX. */
int dli_check_package(const char *name, struct err *err);
/* http[s]://HOST/KEY whose last segment is a package's name; names the URL. */
int dli_check_url(const char *url, struct err *err);
/* The package that the service makes of a URL: its last segment, a part of `url`. */
const char *dli_package_of(const char *url);

/* What is to be registered. A value; dli_upload_clear() frees it. */
struct dli_upload {
    enum dli_kind kind;
    char group[DLI_GROUP_MAX + 1]; /* "": without a group, the key is left out */
    bool generic;                  /* POST /resources with `kind` */
    bool is_async;                 /* generic only */
    bool has_async;
    char *tags;   /* generic only: a JSON array as text, or NULL */
    char **paths; /* in order, none twice */
    size_t n_paths;
};

/* An upload of that kind and group (NULL or "": none) without paths. -EINVAL. */
int dli_upload_set(struct dli_upload *ret, enum dli_kind kind, const char *group, struct err *err);
/* Adds a copy of a path unless it is there. -EINVAL (empty, too long), -E2BIG, -ENOMEM. */
int dli_upload_add(struct dli_upload *u, const char *path, struct err *err);
/* Replaces path number i by a copy. -ENOMEM, -EINVAL. */
int dli_upload_set_path(struct dli_upload *u, size_t i, const char *path, struct err *err);
void dli_upload_clear(struct dli_upload *u);

/* Reads a user's own request: {"paths": [..], "group": "..", "is_async": .., "kind": "..",
 * "tags": [{"key":..,"value":..}]}. Blanks around the group are cut off; it may be absent, else it
 * must be `group` ("" or NULL: none, then it must be absent). Paths come as they stand, not
 * checked: the caller resolves those that are not URLs. -EINVAL names what is wrong, also a field
 * that the service does not know; -ENOMEM. */
int dli_upload_parse(const char *text, size_t n, enum dli_kind kind, const char *group,
                     struct dli_upload *ret, struct err *err);

/* Checks every path as a URL and the whole, and writes the body of the POST. -EINVAL, also for two
 * URLs whose packages have the same name; -EMSGSIZE, -ENOMEM. */
int dli_upload_body(const struct dli_upload *u, struct buf *out, struct err *err);
/* The path of the POST, with {project_id}. */
const char *dli_upload_path(const struct dli_upload *u);

struct dli_job;
typedef void dli_done_fn(struct dli_job *job);

struct dli_job {
    /* --- request: the caller's --- */
    const struct dli_upload *upload;
    int64_t give_up_ms;    /* of each request; 0: cloud_config.retry_ms */
    int64_t wait_ms;       /* longest time from the POST's answer to READY; 0: 30 minutes */
    dli_done_fn *accepted; /* may be NULL: called once before `done` when the POST was answered well
                              and packages are still UPLOADING; the answer half is filled */
    dli_done_fn *done;
    void *arg;

    /* --- answer --- */
    struct err err;
    int status; /* of the POST; 0: no answer came */
    unsigned attempts;
    struct svc_error fault;
    char request_id[64];
    struct dli_answer answer; /* states are kept up to date by the polling */
    enum dli_state state;     /* of all packages together; READY if the service says nothing else */
    char *text;               /* the POST's answer as it came (if that got lost: the one that shows
                                 that it was executed), or NULL */
    size_t n_text;
    unsigned polls; /* questions for a state so far */

    /* --- private to net/ --- */
    void *priv;
};

/* Starts a job. The result always comes by job->done, also what cannot be sent. */
void dli_submit(struct cloud *cloud, struct dli_job *job);
/* As cloud_cancel(). What the service has accepted stays. */
void dli_cancel(struct cloud *cloud, struct dli_job *job);
/* As cloud_run(): returns when the job is done. */
int dli_run(struct cloud *cloud, struct dli_job *job, struct intr *intr);
void dli_job_clear(struct dli_job *job);

/* Fill the request half of a call; -EINVAL for bad names. The answers: a list with `resources`,
 * `modules`, `groups`; one package (json_parse_dli); none. `group` NULL or "": none. `name` and
 * `group` stay the caller's. */
int dli_list_call(struct cloud_call *call, const char *kind, struct err *err);
int dli_get_call(struct cloud_call *call, const char *name, const char *group, struct err *err);
int dli_delete_call(struct cloud_call *call, const char *name, const char *group, struct err *err);

#endif
