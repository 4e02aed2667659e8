// SPDX-License-Identifier: Apache-2.0
// Requests of staged files; see transfer.h.
#include "fs/transfer.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/store.h"
#include "fs/clone.h"
#include "fs/crashpoint.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/inode.h"
#include "fs/note.h"
#include "fs/orphans.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/space.h"
#include "net/base/clock.h"
#include "net/base/log.h"

#ifdef OBSM_TEST_HOOKS
/* Before a request, before its answer is looked at, and when it was taken. */
#define POINTS(name)                                                                               \
    {                                                                                              \
        "send." name, "answer." name, "taken." name                                                \
    }
static const char *const transfer_points[][3] = {
    [TRANSFER_PUT] = POINTS("put"),
    [TRANSFER_INITIATE] = POINTS("initiate"),
    [TRANSFER_PART] = POINTS("part"),
    [TRANSFER_COPY_PART] = POINTS("copy_part"),
    [TRANSFER_LOOK] = POINTS("look"),
    [TRANSFER_COMPLETE] = POINTS("complete"),
    [TRANSFER_CHECK] = POINTS("check"),
    [TRANSFER_FILL] = POINTS("fill"),
    [TRANSFER_COPY] = POINTS("copy"),
    [TRANSFER_COPY_CHECK] = POINTS("copy_check"),
    [TRANSFER_DRESS_META] = POINTS("dress_meta"),
    [TRANSFER_DRESS_ACL] = POINTS("dress_acl"),
};
#endif

struct transfer *transfer_new_locked(struct fs *fs, struct staged *st, enum transfer_kind kind,
                                     const char *key)
{
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->key = strdup(key);
    if (!t->key) {
        free(t);
        return NULL;
    }
    t->fs = fs;
    t->st = st;
    t->kind = kind;
    return t;
}

void transfer_free_locked(struct transfer *t)
{
    obs_call_clear(&t->call);
    obs_props_clear(&t->props);
    free(t->key);
    free(t->source_key);
    free(t->etag);
    free(t->upload_id);
    free(t->list);
    free(t);
}

static ssize_t read_body(void *arg, uint64_t off, void *p, size_t n)
{
    struct transfer *t = arg;
    ssize_t got = pread(t->st->fd, p, n, (off_t)(t->offset + off));
    if (got < 0)
        return -errno;
    /* Behind the end of the sparse file: zeros, as the file reads. */
    if ((size_t)got < n) {
        memset((char *)p + got, 0, n - (size_t)got);
        got = (ssize_t)n;
    }
    atomic_store_explicit(&t->progress, off + (uint64_t)got, memory_order_relaxed);
    return got;
}

static int fill_sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct transfer *t = arg;
    const char *from = p;
    off += t->target - t->offset;
    while (n > 0) {
        ssize_t put = pwrite(t->st->fd, from, n, (off_t)off);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            t->sink_error = -errno;
            return t->sink_error;
        }
        from += put;
        off += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

bool transfer_initiate_unclear(const struct obs_call *call)
{
    bool refused = call->err.eno && call->err.http >= 300 && call->err.http < 500;
    return call->sent > 1 || (call->err.eno && call->sent && !refused);
}

/* Nobody wants the content any more; but an upload that exists must be aborted. */
static void dead_answer(struct fs *fs, struct staged *st, const struct transfer *t)
{
    if (t->kind == TRANSFER_PART && st->keep && !t->call.err.eno &&
        st->parts[t->part].gen == t->gen && st->upload.state == UPLOAD_ACTIVE) {
        publish_part_stored_locked(fs, st, t);
    } else if (t->kind == TRANSFER_INITIATE && !t->call.err.eno) {
        (void)snprintf(st->upload.id, sizeof(st->upload.id), "%s", t->call.upload_id_out);
        st->upload.state = UPLOAD_ACTIVE;
        note_initiated_locked(fs, st, t->call.server_time, &t->props);
    } else if (t->kind == TRANSFER_COMPLETE) {
        st->upload.state = t->call.err.eno ? UPLOAD_ACTIVE : UPLOAD_NONE;
    } else if (t->kind == TRANSFER_CHECK) {
        st->upload.state = t->cause.eno ? UPLOAD_ACTIVE : UPLOAD_NONE;
    }
}

static void transfer_done(struct obs_call *call)
{
    struct transfer *t = call->arg;
    struct fs *fs = t->fs;
    struct staged *st = t->st;

    CRASH_POINT(transfer_points[t->kind][1]);
    fs_lock(fs);
    if (call->server_time > fs->server_s)
        fs->server_s = call->server_time;
    DL_DELETE(st->transfers, t);
    st->inflight--;
    st->users++; /* whatever the answer leads to, it stays until the end of this function */
    if (t->bulk)
        fs->transfers--;
    if (t->kind == TRANSFER_INITIATE && st->state == STAGED_DEAD &&
        transfer_initiate_unclear(&t->call))
        orphans_add_locked(fs, st->id, t->key, st->upload.asked_s);
    if ((t->kind == TRANSFER_PUT || t->kind == TRANSFER_PART) && !call->err.eno)
        st->sent_bytes += t->size;
    if (st->state == STAGED_DEAD)
        dead_answer(fs, st, t);
    else
        publish_answer_locked(fs, st, t);
    CRASH_POINT(transfer_points[t->kind][2]);
    transfer_free_locked(t);
    st->users--;
    staged_reap_locked(fs, st);
    clone_resume_locked(fs);
    space_uploads_locked(fs);
    space_press_locked(fs);
    publish_pump_locked(fs);
    fs_unlock(fs);
}

static void submit(struct transfer *t)
{
    CRASH_POINT(transfer_points[t->kind][0]);
    obs_submit(t->fs->obs, &t->call);
}

static void sync_and_submit(struct fs *fs, struct job *job)
{
    struct transfer *t = (struct transfer *)((char *)job - offsetof(struct transfer, job));
    int rc = journal_sync(t->journal);
    journal_close(t->journal);

    fs_lock(fs);
    t->syncing = false;
    if (rc < 0)
        note_failure_locked(fs, t->st, "sync", rc); /* it goes on, as with any record */
    else if (t->upload_id && strcmp(t->upload_id, t->st->upload.id) == 0)
        t->st->upload.durable = true;
    bool cancelled = t->cancelled;
    if (!cancelled)
        submit(t);
    fs_unlock(fs);
    if (cancelled) {
        err_set(&t->call.err, -ECANCELED, "cancelled");
        transfer_done(&t->call);
    }
}

/* What was noted of the upload must be on the disk before this: true, and it is sent then. Parts
 * that start meanwhile share the sync. */
static bool sync_first(struct transfer *t)
{
    const struct staged *st = t->st;
    bool part = t->kind == TRANSFER_PART || t->kind == TRANSFER_COPY_PART;
    if (!st->journal || !(t->kind == TRANSFER_COMPLETE || (part && !st->upload.durable)))
        return false;
    t->job.fn = sync_and_submit;
    t->syncing = worker_submit_sync_locked(t->fs, &t->job);
    if (t->syncing)
        t->journal = journal_ref(st->journal);
    return t->syncing;
}

void transfer_start_locked(struct transfer *t)
{
    static const enum obs_op ops[] = {
        [TRANSFER_PUT] = OBS_PUT,
        [TRANSFER_INITIATE] = OBS_MP_INITIATE,
        [TRANSFER_PART] = OBS_MP_PART,
        [TRANSFER_COPY_PART] = OBS_MP_COPY_PART,
        [TRANSFER_LOOK] = OBS_HEAD,
        [TRANSFER_COMPLETE] = OBS_MP_COMPLETE,
        [TRANSFER_CHECK] = OBS_HEAD,
        [TRANSFER_FILL] = OBS_GET,
        [TRANSFER_COPY] = OBS_COPY,
        [TRANSFER_COPY_CHECK] = OBS_HEAD,
        [TRANSFER_DRESS_META] = OBS_SET_META,
        [TRANSFER_DRESS_ACL] = OBS_SET_ACL,
    };
    struct obs_call *call = &t->call;
    struct staged *st = t->st;

    call->op = t->listed ? OBS_LIST : ops[t->kind];
    call->key = t->listed ? NULL : t->key;
    call->prefix = t->listed ? t->key : NULL;
    call->max_keys = t->listed ? 1 : 0;
    call->props = &t->props;
    call->if_match = t->etag;
    call->source_key = t->source_key;
    if ((t->kind == TRANSFER_COPY_PART || t->kind == TRANSFER_FILL) && !t->cloned) {
        const char *read_key = encrypt_read_key_locked(st->inode);
        memcpy(t->read_key, st->inode->read_key, sizeof(t->read_key));
        call->read_key = read_key ? t->read_key : NULL;
    }
    /* the attributes are the target's own */
    call->replace = t->kind == TRANSFER_COPY || t->kind == TRANSFER_DRESS_META;
    if (t->kind == TRANSFER_CHECK)
        call->read_key = sse_customer_md5(&st->sse);
    call->upload_id = t->upload_id;
    call->complete = t->list;
    call->n_complete = t->n_list;
    call->whole_crc64 = t->has_crc64 ? &t->crc64 : NULL;
    call->part_no = (uint32_t)t->part + 1;
    call->want_fields = t->kind == TRANSFER_PUT || t->kind == TRANSFER_INITIATE ||
                        t->kind == TRANSFER_COMPLETE || t->kind == TRANSFER_CHECK ||
                        t->kind == TRANSFER_COPY;
    call->done = transfer_done;
    call->arg = t;
    call->urgent = t->kind == TRANSFER_LOOK || t->kind == TRANSFER_CHECK; /* its writer waits */
    if (t->kind == TRANSFER_PUT || t->kind == TRANSFER_PART) {
        if (!st->send_start_ms)
            st->send_start_ms = clock_ms();
        call->body =
            (struct obs_body){.size = t->size,
                              .read = read_body,
                              .arg = t,
                              .content_md5 = st->upload.encrypted || sse_encrypted(&st->sse)};
    }
    if (t->kind == TRANSFER_COPY_PART || t->kind == TRANSFER_FILL) {
        call->offset = t->offset;
        call->length = t->size;
    }
    if (t->kind == TRANSFER_FILL) {
        call->sink = fill_sink;
        call->sink_arg = t;
    }
    DL_APPEND(st->transfers, t);
    st->inflight++;
    if (t->bulk)
        t->fs->transfers++;
    if (!sync_first(t))
        submit(t);
}

/* Key and ETag of the object that a range is fetched from. */
static int fill_source(struct fs *fs, struct staged *st, const struct clone *clone, char **ret_key,
                       char **ret_etag)
{
    char key[OBS_KEY_MAX + 1];
    if (clone)
        return fetch_file_name(clone->file, ret_key, ret_etag);
    int rc = inode_key_locked(fs, st->inode, key);
    if (rc < 0)
        return rc;
    *ret_key = strdup(key);
    *ret_etag = strdup(st->inode->etag);
    if (*ret_key && *ret_etag)
        return 0;
    free(*ret_key);
    free(*ret_etag);
    return -ENOMEM;
}

int transfer_fill_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to,
                         const struct clone *clone)
{
    char *key, *etag;
    int rc = fill_source(fs, st, clone, &key, &etag);
    if (rc < 0)
        return rc;
    struct transfer *t = transfer_new_locked(fs, st, TRANSFER_FILL, key);
    free(key);
    if (!t) {
        free(etag);
        return -ENOMEM;
    }
    t->etag = etag;
    t->offset = clone ? clone->source + (from - clone->from) : from;
    t->target = from;
    t->size = to - from;
    t->cloned = clone != NULL;
    transfer_start_locked(t);
    return 0;
}

void transfer_cancel_all_locked(struct fs *fs, struct staged *st)
{
    struct transfer *t;
    DL_FOREACH (st->transfers, t) {
        if (t->syncing)
            t->cancelled = true;
        else
            obs_cancel(fs->obs, &t->call);
    }
}

struct abort_call {
    struct obs_call call;
    struct fs *fs;
    uint64_t id; /* of the journal that knows of the upload */
    char *key;
    char *upload_id;
    struct obs_props headers;
    bool remove; /* the files of that id go once it has succeeded */
    struct abort_call *next, *prev;
};

static void abort_free(struct abort_call *a)
{
    obs_call_clear(&a->call);
    obs_props_clear(&a->headers);
    free(a->key);
    free(a->upload_id);
    free(a);
}

bool transfer_aborting_locked(const struct fs *fs, uint64_t id)
{
    const struct abort_call *a;
    DL_FOREACH (fs->aborts, a) {
        if (a->id == id)
            return true;
    }
    return false;
}

bool transfer_aborts_locked(const struct fs *fs, const char *upload_id)
{
    const struct abort_call *a;
    DL_FOREACH (fs->aborts, a) {
        if (strcmp(a->upload_id, upload_id) == 0)
            return true;
    }
    return false;
}

int transfer_remove_files_locked(struct fs *fs, uint64_t id)
{
    struct abort_call *a, *last = NULL;
    DL_FOREACH (fs->aborts, a) {
        if (a->id == id)
            last = a;
    }
    if (!last)
        return store_remove(fs->store, id);
    last->remove = true;
    return 0;
}

/* The abort has succeeded, or failed: what becomes of the files that know of it. */
static void abort_settle(struct fs *fs, const struct abort_call *a, bool failed)
{
    struct abort_call *other;
    if (!a->remove)
        return;
    DL_FOREACH (fs->aborts, other) {
        if (other->id == a->id) { /* the last one of them decides */
            other->remove = !failed;
            return;
        }
    }
    if (!failed)
        (void)store_remove(fs->store, a->id);
}

static void abort_done(struct obs_call *call)
{
    struct abort_call *a = call->arg;
    struct fs *fs = a->fs;
    bool failed = call->err.eno && call->err.eno != -ENOENT;
    CRASH_POINT("abort.answer");
    if (failed)
        log_err(fs->log, LOG_LEVEL_WARNING, "upload", &call->err,
                "abort upload %s of '%s' failed, its parts stay on the server", a->upload_id,
                a->key);
    fs_lock(fs);
    DL_DELETE(fs->aborts, a);
    fs->aborting--;
    abort_settle(fs, a, failed);
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
    fs_unlock(fs);
    abort_free(a);
}

void transfer_abort_upload_locked(struct fs *fs, uint64_t id, const char *key,
                                  const char *upload_id, const struct obs_props *begun)
{
    struct abort_call *a = calloc(1, sizeof(*a));
    int rc = a ? 0 : -ENOMEM;
    if (a) {
        a->fs = fs;
        a->id = id;
        a->key = strdup(key);
        a->upload_id = strdup(upload_id);
        rc = begun ? properties_for_end(begun, &a->headers) : 0;
    }
    if (rc < 0 || !a->key || !a->upload_id) {
        log_warning(fs->log, "upload", "abort upload %s: out of memory, its parts stay", upload_id);
        if (a)
            abort_free(a);
        return;
    }
    a->call = (struct obs_call){.op = OBS_MP_ABORT,
                                .key = a->key,
                                .upload_id = a->upload_id,
                                .props = &a->headers,
                                .done = abort_done,
                                .arg = a};
    DL_APPEND(fs->aborts, a);
    fs->aborting++;
    CRASH_POINT("abort.send");
    obs_submit(fs->obs, &a->call);
}

void transfer_abort_staged_locked(struct fs *fs, struct staged *st, const char *key,
                                  const char *upload_id)
{
    struct obs_props begun = {0};
    (void)inode_props_locked(fs, st->inode, key, true,
                             &begun); /* the upload is to go all the same */
    transfer_abort_upload_locked(fs, st->id, key, upload_id, &begun);
    obs_props_clear(&begun);
}
