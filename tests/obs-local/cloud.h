// SPDX-License-Identifier: Apache-2.0
/* cloud - the services beside the object service
 *
 * Role        DLI packages, ModelArts synchronisation, IAM projects and tokens, and the metadata
 *             service of a virtual machine, as far as a client of ours calls them.
 * States      Configuration and state are two JSON trees (README.md, "Cloud services"); the state
 *             is kept in DIR/cloud.json. What takes time on the service advances here each time its
 *             state is asked for.
 * Locking     cloud->lock for both trees, tokens and failures. Taken before store->lock.
 * Source      DLI API: package groups; ModelArts API: datasets, manual annotation; IAM API; API
 *             signing guide.
 */
#ifndef OBSLOCAL_CLOUD_H
#define OBSLOCAL_CLOUD_H

#include <jansson.h>

#include "tests/obs-local/server.h"

struct cloud {
    struct lock lock;
    struct store *store;
    struct auth *auth;
    json_t *config;   /* under lock */
    json_t *state;    /* under lock */
    json_t *tokens;   /* under lock; token -> {project, user, expires} */
    json_t *failures; /* under lock; access key -> {count, until} */
};

struct cloud *cloud_new(struct store *store, struct auth *auth);
void cloud_free(struct cloud *c);

/* Merges {"config": {..}, "reset": bool, "unlock": bool}. -EINVAL with a message. */
int cloud_set(struct cloud *c, const char *json, size_t n, struct err *err);
void cloud_json(struct cloud *c, struct buf *out);

/* True if the request is for one of these services; r->op is then set. */
bool cloud_route(struct request *r, const char *host);

/* Signature or token, and that the project of the path is the caller's. False: refused. */
bool cloud_auth(struct request *r, const char *project);
void cloud_error(struct request *r, int status, const char *code, const char *message);
/* Answers with this value, which is released. */
void cloud_answer(struct request *r, int status, json_t *value);
/* The body as an object, released by the caller; NULL: refused with this code. */
json_t *cloud_body(struct request *r, const char *code);

/* The tree state[a][b], made if it is missing, as an object. Under lock. */
json_t *cloud_state_locked(struct cloud *c, const char *a, const char *b);
/* config[a][b], or NULL. Under lock. */
json_t *cloud_config_locked(struct cloud *c, const char *a, const char *b);
int64_t cloud_config_int_locked(struct cloud *c, const char *a, const char *b, int64_t otherwise);
const char *cloud_config_text_locked(struct cloud *c, const char *a, const char *b);
void cloud_save_locked(struct cloud *c);
int64_t cloud_now_ms(const struct cloud *c);

/* 32 hex digits. */
char *cloud_random_id(struct request *r);

/* cloud_dli.c */
void dli_upload_any(struct request *r);
void dli_upload_jars(struct request *r);
void dli_upload_pyfiles(struct request *r);
void dli_upload_files(struct request *r);
void dli_list(struct request *r);
void dli_get(struct request *r);
void dli_delete(struct request *r);
void dli_set_owner(struct request *r);

/* cloud_modelarts.c */
void modelarts_v1_sync(struct request *r);
void modelarts_v1_status(struct request *r);
void modelarts_v2_sync(struct request *r);
void modelarts_v2_status(struct request *r);
void modelarts_v2_dataset(struct request *r);

/* cloud_iam.c */
void iam_create_token(struct request *r);
void iam_list_projects(struct request *r);
void iam_security_token(struct request *r);
void metadata_token(struct request *r);
void metadata_key(struct request *r);

#endif
