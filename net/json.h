// SPDX-License-Identifier: Apache-2.0
/* json - answers of DLI, ModelArts, IAM and the metadata service
 *
 * Role        Bounded, lenient readers: unknown fields are ignored, booleans may be strings, words
 *             of state may have any case, numbers may be strings. Pure.
 * Errors      -EBADMSG with a reason: not JSON, or not of the expected shape; -ENOMEM.
 */
#ifndef OBSM_NET_JSON_H
#define OBSM_NET_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"
#include "net/base/err.h"
#include "net/cred.h"

enum { JSON_BODY_MAX = 4 << 20, JSON_ITEMS_MAX = 10000 };

/* What an error body says, whatever its shape: error_code + error_msg, errorCode + errorMsg, code +
 * message, or one of these one level further in. */
struct svc_error {
    char code[64];
    char msg[256];
    char request_id[64];
};

/* 0; -ENOENT if the body is JSON without any of these fields; -EBADMSG. */
int json_parse_error(const void *p, size_t n, struct svc_error *ret);

/* 1 if the body says that the request failed although its status does not: is_success or success
 * is false; *ret is then what it says about the failure, empty if nothing. Otherwise 0. */
int json_parse_refusal(const void *p, size_t n, struct svc_error *ret);

/* Appends a string in quotes, escaped. The errors of buf_add(). */
int json_quote(struct buf *out, const char *s);

enum dli_state { DLI_STATE_UNKNOWN, DLI_STATE_UPLOADING, DLI_STATE_READY, DLI_STATE_FAILED };

struct dli_resource {
    char name[160];
    char type[32];
    enum dli_state state;
    int64_t update_ms;
};

/* Answer to an upload of packages, grouped or not, or to a query for one package. */
struct dli_answer {
    char group[96];       /* "" if ungrouped */
    enum dli_state state; /* of the group; UNKNOWN if the answer does not say */
    bool is_async;
    struct dli_resource *v; /* `details`, else the names of `resources` / `resource_names` */
    size_t n;
};

int json_parse_dli(const void *p, size_t n, struct dli_answer *ret, struct err *err);
void dli_answer_clear(struct dli_answer *a);

enum sync_state {
    SYNC_UNKNOWN,
    SYNC_NOT_STARTED, /* also NOT_EXIST */
    SYNC_RUNNING,     /* QUEUING, STARTING, RUNNING */
    SYNC_DONE,
    SYNC_FAILED,
};

/* State of a synchronisation, of the data set API or of the older annotation API. */
struct sync_answer {
    enum sync_state state;
    char task_id[64];
    int64_t create_time;
    int64_t added, deleted, total; /* -1: not said */
    struct svc_error error;        /* of a failed one */
};

int json_parse_sync(const void *p, size_t n, struct sync_answer *ret, struct err *err);

struct project {
    char id[64];
    char name[96];
};

/* The projects of an IAM listing; the caller frees *ret. */
int json_parse_projects(const void *p, size_t n, struct project **ret, size_t *ret_n,
                        struct err *err);

/* What IAM says about a token (which itself comes in a header field). */
struct token_answer {
    int64_t issued, expires; /* seconds since 1970; issued 0: not said */
    struct project project;  /* of its scope; id "" if it has none */
};

int json_parse_token(const void *p, size_t n, struct token_answer *ret, struct err *err);

/* Temporary keys: `credential` of the metadata service or of IAM. */
int json_parse_securitykey(const void *p, size_t n, struct cred *ret, struct err *err);

#endif
