// SPDX-License-Identifier: Apache-2.0
/* ModelArts synchronisation, see cloud.h. Source: ModelArts API, synchronising a dataset (v2); SDK
 * reference of manual annotation, sync_obs (v1). */
#include "tests/obs-local/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* state.v1.ID or state.v2.ID: {"task", "polls_left", "status", "fails", "created", "keys": {..},
 * "added", "deleted"}. `status` is that of v2. */

static const char *text_of(const json_t *v, const char *name)
{
    const char *text = json_string_value(json_object_get(v, name));
    return text ? text : "";
}

static bool is_running(const json_t *task)
{
    const char *status = text_of(task, "status");
    return strcmp(status, "QUEUING") == 0 || strcmp(status, "RUNNING") == 0;
}

/* The keys below the configured path ("/bucket/dir/"), as an object of key -> ETag. */
static json_t *current_keys_locked(struct request *r, const char *id)
{
    struct cloud *c = r->srv->cloud;
    json_t *keys = json_object();
    const char *path =
        json_string_value(json_object_get(cloud_config_locked(c, "modelarts", "paths"), id));
    if (!path)
        return keys;
    path += *path == '/';
    size_t n = strcspn(path, "/");
    const char *bucket = arena_dupn(&r->mem, path, n);
    const char *prefix = path[n] ? path + n + 1 : "";
    lock_take(&c->store->lock);
    struct bucket *b = store_bucket_locked(c->store, bucket);
    struct index_node *node = b ? index_seek(b->objects, prefix, strlen(prefix), false) : NULL;
    for (; node && text_starts(index_key(node, NULL), prefix); node = index_next(node)) {
        const struct object *o = index_value(node);
        const char *key = index_key(node, NULL);
        if (key[strlen(key) - 1] != '/')
            json_object_set_new(keys, key, json_string(o->etag));
    }
    lock_drop(&c->store->lock);
    return keys;
}

static json_int_t missing_in(json_t *a, const json_t *b)
{
    const char *key;
    json_t *v;
    json_int_t n = 0;
    json_object_foreach(a, key, v)
    {
        n += json_object_get(b, key) == NULL;
    }
    return n;
}

/* Begins a task, unless one is running (false). What is in the bucket now is what it sees. */
static bool start_locked(struct request *r, const char *version, const char *id)
{
    struct cloud *c = r->srv->cloud;
    json_t *tasks = cloud_state_locked(c, "modelarts", version);
    json_t *old = json_object_get(tasks, id);
    if (is_running(old))
        return false;
    const char *fail = cloud_config_text_locked(c, "modelarts", "fail");
    json_t *keys = current_keys_locked(r, id);
    json_t *before = json_object_get(old, "keys"), *none = json_object();
    json_int_t added = missing_in(keys, before ? before : none);
    json_int_t deleted = before ? missing_in(before, keys) : 0;
    json_t *task = json_pack(
        "{s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:o}", "task", cloud_random_id(r), "status", "QUEUING",
        "polls_left", (json_int_t)cloud_config_int_locked(c, "modelarts", "polls", 2), "fails",
        fail[0] && text_glob(fail, id), "created", (json_int_t)cloud_now_ms(c), "added", added,
        "deleted", deleted, "keys", keys);
    json_object_set_new(tasks, id, task);
    json_decref(none);
    cloud_save_locked(c);
    return true;
}

/* The task, one step further; NULL: there was none. */
static json_t *advance_locked(struct request *r, const char *version, const char *id)
{
    struct cloud *c = r->srv->cloud;
    json_t *task = json_object_get(cloud_state_locked(c, "modelarts", version), id);
    if (!is_running(task))
        return task;
    json_int_t left = json_integer_value(json_object_get(task, "polls_left"));
    bool fails = json_is_true(json_object_get(task, "fails"));
    if (left > 0) {
        json_object_set_new(task, "polls_left", json_integer(left - 1));
        if (json_is_true(json_object_get(task, "seen")) || left == 1)
            json_object_set_new(task, "status", json_string("RUNNING"));
        json_object_set_new(task, "seen", json_true());
    } else {
        json_object_set_new(task, "status", json_string(fails ? "FAILED" : "COMPLETED"));
    }
    cloud_save_locked(c);
    return task;
}

static bool known_locked(struct request *r, const char *id)
{
    return text_glob(cloud_config_text_locked(r->srv->cloud, "modelarts", "known"), id);
}

static bool v1_allowed(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!cloud_auth(r, r->args[0]))
        return false;
    lock_take(&c->lock);
    bool known = known_locked(r, r->args[1]);
    lock_drop(&c->lock);
    if (!known)
        cloud_error(r, 404, "ModelArts.4338", "The annotation job does not exist");
    return known;
}

void modelarts_v1_sync(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!v1_allowed(r))
        return;
    lock_take(&c->lock);
    bool started = start_locked(r, "v1", r->args[1]);
    lock_drop(&c->lock);
    if (started)
        cloud_answer(r, 200, json_pack("{s:b}", "is_success", 1));
    else
        cloud_error(r, 400, "ModelArts.4355", "The data set is being synchronised");
}

void modelarts_v1_status(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!v1_allowed(r))
        return;
    lock_take(&c->lock);
    const json_t *task = advance_locked(r, "v1", r->args[1]);
    const char *status = text_of(task, "status");
    int number = !task ? 0 : is_running(task) ? 3 : strcmp(status, "COMPLETED") == 0 ? 1 : 2;
    lock_drop(&c->lock);
    json_t *answer = json_pack("{s:b, s:i}", "is_success", 1, "sync_status", number);
    if (number == 2) {
        json_object_set_new(answer, "error_code", json_string("ModelArts.4104"));
        json_object_set_new(answer, "error_msg",
                            json_string("The folder has files that are neither image nor label"));
    }
    cloud_answer(r, 200, answer);
}

static bool v2_allowed(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!cloud_auth(r, r->args[0]))
        return false;
    lock_take(&c->lock);
    bool known = known_locked(r, r->args[1]);
    lock_drop(&c->lock);
    if (!known)
        cloud_error(r, 400, "ModelArts.4352", "The dataset does not exist");
    return known;
}

void modelarts_v2_sync(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!v2_allowed(r))
        return;
    lock_take(&c->lock);
    bool started = start_locked(r, "v2", r->args[1]);
    lock_drop(&c->lock);
    if (started)
        ans_status(r, 200); /* no body */
    else
        cloud_error(r, 400, "ModelArts.4355", "The dataset is being synchronised");
}

void modelarts_v2_status(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!v2_allowed(r))
        return;
    lock_take(&c->lock);
    json_t *task = advance_locked(r, "v2", r->args[1]);
    const char *status = task ? text_of(task, "status") : "NOT_EXIST";
    json_t *answer = json_pack("{s:s, s:s}", "status", status, "dataset_id", r->args[1]);
    if (task && !json_is_true(cloud_config_locked(c, "modelarts", "minimal"))) {
        json_int_t created = json_integer_value(json_object_get(task, "created"));
        json_int_t total = (json_int_t)json_object_size(json_object_get(task, "keys"));
        json_t *more =
            json_pack("{s:s, s:O, s:O, s:I, s:I, s:I}", "task_id", text_of(task, "task"),
                      "add_sample_count", json_object_get(task, "added"), "deleted_sample_count",
                      json_object_get(task, "deleted"), "total_sample_count", total, "create_time",
                      created, "duration_time", (json_int_t)(cloud_now_ms(c) - created));
        json_object_update(answer, more);
        json_decref(more);
    }
    if (strcmp(status, "FAILED") == 0) {
        json_object_set_new(answer, "error_code", json_string("ModelArts.4360"));
        json_object_set_new(answer, "error_msg",
                            json_string("Failed to synchronise the data source"));
    }
    lock_drop(&c->lock);
    cloud_answer(r, 200, answer);
}

void modelarts_v2_dataset(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!v2_allowed(r))
        return;
    lock_take(&c->lock);
    const json_t *task = json_object_get(cloud_state_locked(c, "modelarts", "v2"), r->args[1]);
    int status = is_running(task) ? 5 : 1;
    lock_drop(&c->lock);
    cloud_answer(r, 200,
                 json_pack("{s:s, s:s, s:i, s:i}", "dataset_id", r->args[1], "dataset_name",
                           r->args[1], "dataset_type", 0, "status", status));
}
