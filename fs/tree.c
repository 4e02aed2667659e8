// SPDX-License-Identifier: Apache-2.0
// The objects below a prefix; see tree.h.
#include "fs/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/access.h"
#include "fs/copy.h"
#include "fs/crashpoint.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "net/base/log.h"
#include "net/sse.h"

enum { BATCH = 1000 };

void tree_done(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].key);
        free(t->v[i].etag);
        free(t->v[i].copy_etag);
        obs_props_clear(&t->v[i].sse);
    }
    free(t->v);
    t->v = NULL;
    t->n = t->cap = 0;
}

static int add_object(struct tree *t, const struct obs_entry *e)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct tree_object *v = realloc(t->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        t->v = v;
        t->cap = cap;
    }
    if (strncmp(e->key, t->prefix, strlen(t->prefix)) != 0)
        return -EIO; /* a listing of something else */
    struct tree_object *o = &t->v[t->n++];
    *o = (struct tree_object){
        .key = strdup(e->key), .etag = strdup(e->etag), .size = e->size, .mtime_ms = e->mtime_ms};
    return o->key && o->etag ? 0 : -ENOMEM;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct tree_object *)a)->key, ((const struct tree_object *)b)->key);
}

int tree_list_locked(struct fs *fs, struct tree *t, size_t max, struct intr *intr)
{
    char *marker = NULL;
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        struct obs_call call = {.op = OBS_LIST, .prefix = t->prefix, .marker = marker};
        rc = request_run_locked(fs, &call, intr, "rename");
        for (size_t i = 0; rc == 0 && i < call.list.n; i++)
            rc = add_object(t, &call.list.v[i]);
        if (rc == 0 && max && t->n > max)
            rc = -EXDEV;
        more = call.list.truncated && call.list.next_marker;
        free(marker);
        marker = more ? strdup(call.list.next_marker) : NULL;
        if (more && !marker)
            rc = -ENOMEM;
        obs_call_clear(&call);
    }
    free(marker);
    if (rc == 0 && t->n)
        qsort(t->v, t->n, sizeof(*t->v), by_key);
    return rc;
}

/* A listing tells the ETag also without the customer's key, which HEAD would need. A key comes before
 * all others that begin with it. */
int tree_take_locked(struct fs *fs, struct tree *t)
{
    struct obs_call call = {.op = OBS_LIST, .prefix = t->prefix, .max_keys = 1};
    int rc = request_run_locked(fs, &call, NULL, "rename");
    if (rc == 0 && call.list.n && strcmp(call.list.v[0].key, t->prefix) == 0)
        rc = add_object(t, &call.list.v[0]);
    obs_call_clear(&call);
    return rc;
}

int tree_new_key(const struct tree *t, const struct tree_object *o, const char *to,
                 char out[OBS_KEY_MAX + 1])
{
    int n = snprintf(out, OBS_KEY_MAX + 1, "%s%s", to, o->key + strlen(t->prefix));
    return n > OBS_KEY_MAX ? -ENAMETOOLONG : 0;
}

const struct tree_object *tree_twin(const struct tree *t, const struct tree *of,
                                    const struct tree_object *o)
{
    char key[OBS_KEY_MAX + 1];
    const struct tree_object want = {.key = key};
    if (t->n == 0 || tree_new_key(of, o, t->prefix, key) < 0)
        return NULL;
    return bsearch(&want, t->v, t->n, sizeof(*t->v), by_key);
}

struct copying {
    bool untold; /* access lists cannot be read here */
    struct fs *fs;
    struct tree *t;
    const char *to;
    tree_copied_fn *copied;
    void *arg;
    size_t *small; /* those that one request copies */
    size_t n_small;
    char **new_keys; /* of them */
};

static bool knows_encryption(const struct fs *fs)
{
    return fs->sse_keys || sse_encrypted(&fs->sse);
}

static int next_head(void *arg, size_t i, struct obs_call *call)
{
    const struct copying *c = arg;
    if (i >= c->t->n)
        return 1;
    *call =
        (struct obs_call){.op = OBS_HEAD, .key = c->t->v[i].key, .give_up_ms = FS_META_GIVE_UP_MS};
    return 0;
}

static int end_head(void *arg, size_t i, struct obs_call *call)
{
    struct copying *c = arg;
    struct tree_object *o = &c->t->v[i];
    if (!call->err.eno)
        return properties_for_copy(&call->object.props, &o->sse);
    log_err(c->fs->log, LOG_LEVEL_WARNING, "rename", &call->err, "'%s'", o->key);
    return call->err.cls == ERR_GONE ? -ESTALE : call->err.eno;
}

static int next_acl(void *arg, size_t i, struct obs_call *call)
{
    const struct copying *c = arg;
    if (i >= c->t->n || c->untold)
        return 1;
    *call = (struct obs_call){
        .op = OBS_GET_ACL, .key = c->t->v[i].key, .give_up_ms = FS_META_GIVE_UP_MS};
    return 0;
}

static int end_acl(void *arg, size_t i, struct obs_call *call)
{
    struct copying *c = arg;
    struct tree_object *o = &c->t->v[i];
    bool lost = false;
    int rc = call->err.eno ? call->err.eno : access_to_headers(&call->acl, &o->sse, &lost);
    if (lost)
        log_notice(c->fs->log, "rename", "'%s': its copy does not get all rights", o->key);
    if (!call->err.eno)
        return rc;
    c->untold |= access_untold(rc);
    log_err(c->fs->log, access_untold(rc) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "rename",
            &call->err, "the rights on '%s'", o->key);
    return access_untold(rc) ? 0 : call->err.cls == ERR_GONE ? -ESTALE : rc;
}

/* A copy has access, class, expiry and encryption as the request says, not as its source has, and
 * only the source tells them. */
static int ask_properties(struct copying *c, struct intr *intr)
{
    const struct request_batch heads = {
        .next = next_head, .end = end_head, .arg = c, .width = TREE_WIDTH};
    const struct request_batch lists = {
        .next = next_acl, .end = end_acl, .arg = c, .width = TREE_WIDTH};
    int rc = request_batch_locked(c->fs, &heads, intr);
    return rc < 0 ? rc : request_batch_locked(c->fs, &lists, intr);
}

static const char *read_key(const struct fs *fs, const struct tree_object *o)
{
    const char *md5 = sse_customer_md5(&o->sse);
    return md5 || !knows_encryption(fs) ? md5 : "";
}

static int next_copy(void *arg, size_t i, struct obs_call *call)
{
    struct copying *c = arg;
    if (i >= c->n_small)
        return 1;
    const struct tree_object *o = &c->t->v[c->small[i]];
    char key[OBS_KEY_MAX + 1];
    int rc = tree_new_key(c->t, o, c->to, key);
    if (rc < 0)
        return rc;
    c->new_keys[i] = strdup(key);
    if (!c->new_keys[i])
        return -ENOMEM;
    *call = (struct obs_call){.op = OBS_COPY,
                              .key = c->new_keys[i],
                              .source_key = o->key,
                              .props = &o->sse,
                              .read_key = read_key(c->fs, o),
                              .if_match = o->etag,
                              .give_up_ms = FS_META_GIVE_UP_MS};
    return 0;
}

static int take_copy(struct copying *c, struct tree_object *o, const char *etag)
{
    o->copy_etag = strdup(etag);
    CRASH_POINT("rename_dir.copy");
    return o->copy_etag ? c->copied(c->arg, o) : -ENOMEM;
}

static int end_copy(void *arg, size_t i, struct obs_call *call)
{
    struct copying *c = arg;
    struct tree_object *o = &c->t->v[c->small[i]];
    if (!call->err.eno)
        return take_copy(c, o, call->object.etag);
    log_err(c->fs->log, LOG_LEVEL_WARNING, "rename", &call->err, "copy '%s'", o->key);
    if (call->err.eno == -EOPNOTSUPP)
        return -EXDEV; /* mv then copies the tree by itself */
    return call->err.cls == ERR_CONFLICT || call->err.cls == ERR_GONE ? -ESTALE : call->err.eno;
}

static int copy_large(struct copying *c, struct tree_object *o, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1], etag[OBS_ETAG_MAX];
    int rc = tree_new_key(c->t, o, c->to, key);
    const struct copy_object copy = {.from = o->key,
                                     .etag = o->etag,
                                     .size = o->size,
                                     .to = key,
                                     .encrypted = sse_encrypted(&o->sse),
                                     .sse = &o->sse,
                                     .read_key = read_key(c->fs, o)};
    if (rc == 0)
        rc = copy_object_locked(c->fs, &copy, intr, etag);
    return rc < 0 ? rc : take_copy(c, o, etag);
}

int tree_copy_locked(struct fs *fs, struct tree *t, const char *to, tree_copied_fn *copied,
                     void *arg, struct intr *intr)
{
    struct copying c = {.fs = fs, .t = t, .to = to, .copied = copied, .arg = arg};
    int rc = 0;
    c.small = calloc(t->n + 1, sizeof(*c.small));
    c.new_keys = calloc(t->n + 1, sizeof(*c.new_keys));
    if (!c.small || !c.new_keys)
        rc = -ENOMEM;
    if (rc == 0)
        rc = ask_properties(&c, intr);
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        if (copy_in_one(t->v[i].size))
            c.small[c.n_small++] = i;
        else
            rc = copy_large(&c, &t->v[i], intr);
    }
    const struct request_batch batch = {
        .next = next_copy, .end = end_copy, .arg = &c, .width = TREE_WIDTH};
    if (rc == 0)
        rc = request_batch_locked(fs, &batch, intr);
    for (size_t i = 0; c.new_keys && i < t->n; i++)
        free(c.new_keys[i]);
    free(c.new_keys);
    free(c.small);
    return rc;
}

/* XML 1.0, in which a batch is named, has no control characters. */
static bool fits_xml(const char *key)
{
    for (; *key; key++) {
        if ((unsigned char)*key < 0x20)
            return false;
    }
    return true;
}

static int delete_one(struct fs *fs, const char *key, size_t *deleted)
{
    struct obs_call call = {.op = OBS_DELETE, .key = key};
    int rc = request_run_locked(fs, &call, NULL, "rename");
    obs_call_clear(&call);
    *deleted += rc == 0;
    return rc;
}

static int delete_batch(struct fs *fs, const char *const *keys, size_t n, size_t *deleted)
{
    struct obs_call call = {.op = OBS_DELETE_BATCH, .keys = keys, .n_keys = n};
    int rc = request_run_locked(fs, &call, NULL, "rename");
    if (rc == 0)
        *deleted += call.list.n < n ? n - call.list.n : 0;
    if (rc == 0 && call.list.n > 0) {
        const struct obs_entry *e = &call.list.v[0];
        log_error(fs->log, "rename", "'%s' and %zu more are not deleted: %s", e->key,
                  call.list.n - 1, e->message ? e->message : "");
        rc = e->code && strcmp(e->code, "AccessDenied") == 0 ? -EACCES : -EIO;
    }
    obs_call_clear(&call);
    return rc;
}

int tree_delete_locked(struct fs *fs, const char *const *keys, size_t n, size_t *ret_deleted)
{
    const char *batch[BATCH];
    size_t used = 0, deleted = 0;
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        int rc = 0;
        if (!fits_xml(keys[i]))
            rc = delete_one(fs, keys[i], &deleted);
        else
            batch[used++] = keys[i];
        if (used == BATCH) {
            rc = delete_batch(fs, batch, used, &deleted);
            used = 0;
        }
        if (result == 0)
            result = rc;
    }
    int rc = used ? delete_batch(fs, batch, used, &deleted) : 0;
    if (ret_deleted)
        *ret_deleted = deleted;
    return result ? result : rc;
}
