// SPDX-License-Identifier: Apache-2.0
// Renaming directories; see rename.h.
#include "fs/rename.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/copy.h"
#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/file.h"
#include "fs/meta.h"
#include "fs/namespace.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/request.h"
#include "fs/staged.h"
#include "net/base/clock.h"
#include "net/base/log.h"

enum { WIDTH = 32, BATCH = 1000 };

struct object {
    char *key; /* the old one */
    char *etag;
    char *new_key;
    char *new_etag; /* of the copy */
    uint64_t size;
    struct obs_props sse; /* how it is encrypted, if that was asked for */
};

struct tree {
    struct fs *fs;
    char from[OBS_KEY_MAX + 1]; /* prefixes of the keys, with their slashes */
    char to[OBS_KEY_MAX + 1];
    struct object *v;
    size_t n, cap;
};

static void tree_done(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].key);
        free(t->v[i].etag);
        free(t->v[i].new_key);
        free(t->v[i].new_etag);
        obs_props_clear(&t->v[i].sse);
    }
    free(t->v);
}

static int add_object(struct tree *t, const struct obs_entry *e)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        struct object *v = realloc(t->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        t->v = v;
        t->cap = cap;
    }
    const char *rest = e->key + strlen(t->from);
    if (strlen(t->to) + strlen(rest) > OBS_KEY_MAX)
        return -ENAMETOOLONG;
    struct object *o = &t->v[t->n++];
    *o = (struct object){.key = strdup(e->key), .etag = strdup(e->etag), .size = e->size};
    if (asprintf(&o->new_key, "%s%s", t->to, rest) < 0)
        o->new_key = NULL;
    return o->key && o->etag && o->new_key ? 0 : -ENOMEM;
}

/* Everything below the old prefix. -EXDEV if it is more than may be renamed as a whole. */
static int list_tree(struct fs *fs, struct tree *t, struct intr *intr)
{
    char *marker = NULL;
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        struct obs_call call = {.op = OBS_LIST, .prefix = t->from, .marker = marker};
        rc = request_run_locked(fs, &call, intr, "rename");
        for (size_t i = 0; rc == 0 && i < call.list.n; i++)
            rc = add_object(t, &call.list.v[i]);
        if (rc == 0 && t->n > (size_t)fs->opt->dir_rename_max)
            rc = -EXDEV;
        more = call.list.truncated && call.list.next_marker;
        free(marker);
        marker = more ? strdup(call.list.next_marker) : NULL;
        if (more && !marker)
            rc = -ENOMEM;
        obs_call_clear(&call);
    }
    free(marker);
    return rc;
}

/* A copy is encrypted as the request says, not as its source is. Where encryption plays no part in
 * the mount, nobody asks. */
static bool knows_encryption(const struct fs *fs)
{
    return fs->sse_keys || sse_encrypted(&fs->sse);
}

static int next_head(void *arg, size_t i, struct obs_call *call)
{
    struct tree *t = arg;
    if (i >= t->n)
        return 1;
    *call = (struct obs_call){.op = OBS_HEAD, .key = t->v[i].key, .give_up_ms = FS_META_GIVE_UP_MS};
    return 0;
}

static int end_head(void *arg, size_t i, struct obs_call *call)
{
    struct tree *t = arg;
    if (!call->err.eno)
        return sse_copy(&t->v[i].sse, &call->object.props);
    log_err(t->fs->log, LOG_LEVEL_WARNING, "rename", &call->err, "'%s'", t->v[i].key);
    return call->err.cls == ERR_GONE ? -ESTALE : call->err.eno;
}

static int ask_encryption(struct fs *fs, struct tree *t, struct intr *intr)
{
    const struct request_batch batch = {
        .next = next_head, .end = end_head, .arg = t, .width = WIDTH};
    return knows_encryption(fs) ? request_batch_locked(fs, &batch, intr) : 0;
}

static const char *read_key(const struct fs *fs, const struct object *o)
{
    const char *md5 = sse_customer_md5(&o->sse);
    return md5 || !knows_encryption(fs) ? md5 : "";
}

static int next_copy(void *arg, size_t i, struct obs_call *call)
{
    struct tree *t = arg;
    while (i < t->n && t->v[i].size > COPY_MAX)
        return -EXDEV; /* sent one by one before, see copy_tree() */
    if (i >= t->n)
        return 1;
    *call = (struct obs_call){.op = OBS_COPY,
                              .key = t->v[i].new_key,
                              .source_key = t->v[i].key,
                              .props = &t->v[i].sse,
                              .read_key = read_key(t->fs, &t->v[i]),
                              .if_match = t->v[i].etag,
                              .give_up_ms = FS_META_GIVE_UP_MS};
    return 0;
}

static int end_copy(void *arg, size_t i, struct obs_call *call)
{
    struct tree *t = arg;
    if (call->err.eno) {
        log_err(t->fs->log, LOG_LEVEL_WARNING, "rename", &call->err, "copy '%s'", t->v[i].key);
        if (call->err.eno == -EOPNOTSUPP)
            return -EXDEV; /* mv then copies the tree by itself */
        return call->err.cls == ERR_CONFLICT || call->err.cls == ERR_GONE ? -ESTALE : call->err.eno;
    }
    t->v[i].new_etag = strdup(call->object.etag);
    return t->v[i].new_etag ? 0 : -ENOMEM;
}

/* Objects too large for one request come first in the list and are copied one after the other. */
static int copy_tree(struct fs *fs, struct tree *t, struct intr *intr)
{
    size_t large = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].size <= COPY_MAX)
            continue;
        struct object o = t->v[i];
        t->v[i] = t->v[large];
        t->v[large++] = o;
    }
    for (size_t i = 0; i < large; i++) {
        struct object *o = &t->v[i];
        char etag[OBS_ETAG_MAX];
        const struct copy_object c = {.from = o->key,
                                      .etag = o->etag,
                                      .size = o->size,
                                      .to = o->new_key,
                                      .encrypted = sse_encrypted(&o->sse),
                                      .sse = &o->sse,
                                      .read_key = read_key(fs, o)};
        int rc = copy_object_locked(fs, &c, intr, etag);
        if (rc == 0 && !(o->new_etag = strdup(etag)))
            rc = -ENOMEM;
        if (rc < 0)
            return rc;
    }
    struct tree rest = *t;
    rest.v += large;
    rest.n -= large;
    const struct request_batch batch = {
        .next = next_copy, .end = end_copy, .arg = &rest, .width = WIDTH};
    return request_batch_locked(fs, &batch, intr);
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

static int delete_one(struct fs *fs, const char *key)
{
    struct obs_call call = {.op = OBS_DELETE, .key = key};
    int rc = request_run_locked(fs, &call, NULL, "rename");
    obs_call_clear(&call);
    return rc;
}

static int delete_batch(struct fs *fs, const char *const *keys, size_t n)
{
    struct obs_call call = {.op = OBS_DELETE_BATCH, .keys = keys, .n_keys = n};
    int rc = request_run_locked(fs, &call, NULL, "rename");
    if (rc == 0 && call.list.n > 0) {
        log_error(fs->log, "rename", "'%s' and %zu more are not deleted: %s", call.list.v[0].key,
                  call.list.n - 1, call.list.v[0].message);
        rc = -EIO;
    }
    obs_call_clear(&call);
    return rc;
}

/* Deletes the old keys, or, after a failure, the copies that were made. Goes on after a failure. */
static int delete_tree(struct fs *fs, struct tree *t, bool copies)
{
    const char *keys[BATCH];
    size_t n = 0;
    int result = 0;
    for (size_t i = 0; i < t->n; i++) {
        const char *key = copies ? t->v[i].new_key : t->v[i].key;
        int rc = 0;
        if (copies && !t->v[i].new_etag)
            continue;
        if (!fits_xml(key))
            rc = delete_one(fs, key);
        else
            keys[n++] = key;
        if (n == BATCH) {
            rc = delete_batch(fs, keys, n);
            n = 0;
        }
        if (result == 0)
            result = rc;
    }
    int rc = n ? delete_batch(fs, keys, n) : 0;
    return result ? result : rc;
}

/* An inode below `dir` whose changed attributes are being sent, or NULL. */
static struct inode *sending_below(struct inode *dir)
{
    for (struct inode *c = dir->children; c; c = c->hh.next) {
        struct inode *found = c->meta_sending ? c : sending_below(c);
        if (found)
            return found;
    }
    return NULL;
}

/* What the user was told is safe is stored under the old name first; `dir` does not move yet. */
static int publish_safe(struct fs *fs, struct inode *dir, struct inode *inode, struct intr *intr)
{
    dir->moving--;
    int rc = file_publish_wait_locked(fs, inode, intr, fs->opt->rename_wait);
    dir->moving++;
    return rc;
}

/* The journals of files below say their new names. */
static void note_keys_below(struct fs *fs, struct inode *dir)
{
    struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->state != STAGED_DEAD && inode_below_locked(st->inode, dir))
            note_key_locked(fs, st);
    }
}

/* Requests under way below the directory end first: they go to the old keys. Changes of attributes
 * that were not sent yet are sent to the new ones, afterwards. */
static int settle_below(struct fs *fs, struct inode *dir, struct intr *intr)
{
    for (;;) {
        struct inode *busy = fs->changes_sending ? sending_below(dir) : NULL;
        struct staged *st, *safe = NULL;
        DL_FOREACH (fs->staged, st) {
            if (st->state != STAGED_DEAD && inode_below_locked(st->inode, dir) && st->final_request)
                busy = st->inode;
            else if (st->state != STAGED_DEAD && st->acknowledged && staged_dirty(st) &&
                     inode_below_locked(st->inode, dir))
                safe = st;
        }
        if (!busy && !safe)
            return 0;
        int rc = busy ? ns_settle_locked(fs, busy, intr) : publish_safe(fs, dir, safe->inode, intr);
        if (rc < 0)
            return rc;
    }
}

/* The cached names below the directory keep their inodes: the objects only have other ETags now. */
static void adopt_copies(struct fs *fs, struct tree *t, struct inode *dir)
{
    size_t skip = strlen(t->to);
    for (size_t i = 0; i < t->n; i++) {
        struct object *o = &t->v[i];
        struct inode *inode = dir;
        char path[OBS_KEY_MAX + 1];
        char *save = NULL;
        (void)snprintf(path, sizeof(path), "%s", o->new_key + skip);
        for (char *p = strtok_r(path, "/", &save); p && inode; p = strtok_r(NULL, "/", &save))
            inode = inode_child_locked(inode, p);
        if (!inode || inode->is_dir || inode->state != INODE_STORED || !o->new_etag)
            continue;
        struct fetch_file *fetch = inode->fetch;
        if (fetch)
            (void)fetch_file_rekey(fetch, o->new_key, o->new_etag, encrypt_read_key_locked(inode));
        inode->fetch = NULL;
        (void)inode_set_version_locked(inode, o->new_etag, inode->stored_size, 0);
        inode->fetch = fetch;
        inode->changed_ms = clock_ms();
    }
}

int rename_dir_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                      struct intr *intr)
{
    struct inode *from = inode->parent;
    char name[NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "%s", inode->name);
    struct tree t = {.fs = fs};
    int rc = settle_below(fs, inode, intr);
    if (rc == 0)
        rc = inode_key_locked(fs, inode, t.from);
    if (rc == 0)
        rc = inode_child_key_locked(fs, to, new_name, true, t.to);
    if (rc == 0)
        rc = list_tree(fs, &t, intr);
    if (rc == 0)
        rc = ask_encryption(fs, &t, intr);
    if (rc == 0)
        rc = ns_keep_parent_locked(fs, from, inode, intr);
    if (rc == 0) {
        rc = copy_tree(fs, &t, intr);
        CRASH_POINT("rename_dir.copied");
        if (rc < 0)
            (void)delete_tree(fs, &t, true);
        else
            rc = delete_tree(fs, &t, false);
        CRASH_POINT("rename_dir.deleted");
        from->list_start_ms = rc < 0 ? 0 : from->list_start_ms;
        to->list_start_ms = rc < 0 ? 0 : to->list_start_ms;
    }
    if (rc == 0)
        rc = inode_move_locked(fs, inode, to, new_name);
    if (rc == 0)
        note_keys_below(fs, inode);
    if (rc == 0) {
        inode_tombstone_locked(fs, from, name);
        adopt_copies(fs, &t, inode);
    }
    tree_done(&t);
    return rc;
}
