// SPDX-License-Identifier: Apache-2.0
// Gathered attribute changes; see meta.h.
#include "fs/meta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "fs/crashpoint.h"
#include "fs/errors.h"
#include "fs/attrcache.h"
#include "fs/changes.h"
#include "fs/clone.h"
#include "fs/copy.h"
#include "fs/fetch.h"
#include "fs/note.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/rootattr.h"
#include "fs/timer.h"
#include "fs/worker.h"
#include "net/base/clock.h"
#include "net/base/log.h"

struct meta_call {
    struct job job; /* of a copy in parts */
    struct obs_call call;
    struct fs *fs;
    struct inode *inode; /* pinned */
    unsigned gen;
    struct obs_props props;
    char *key;
    char *etag;
    char read_key[SSE_MD5_TEXT];
    uint64_t size;
    bool encrypted;
};

static void leave_queue(struct fs *fs, struct inode *inode)
{
    if (inode->meta_dirty) {
        DL_DELETE2(fs->changed, inode, changed_prev, changed_next);
        inode->meta_dirty = false;
    }
}

void meta_forget_locked(struct fs *fs, struct inode *inode)
{
    leave_queue(fs, inode);
    changes_settle_locked(fs, inode);
    if (!inode->meta_sending)
        waitlist_finish_locked(fs, &inode->meta_waiters, 0);
}

void meta_mark_locked(struct fs *fs, struct inode *inode)
{
    if (inode->meta_dirty || (!inode->parent && !inode->is_root))
        return;
    inode->meta_dirty = true;
    inode->meta_due_ms = clock_ms() + (fs->opt->attr == OPTION_ATTR_SYNC ? 0 : META_GATHER_MS);
    DL_APPEND2(fs->changed, inode, changed_prev, changed_next);
    timer_wake_locked(fs, inode->meta_due_ms);
}

bool meta_carried_locked(const struct inode *inode)
{
    return inode->staged &&
           (staged_dirty(inode->staged) || inode->staged->state == STAGED_PUBLISHING);
}

int meta_changed_locked(struct fs *fs, struct inode *inode)
{
    int rc = 0;
    CRASH_POINT("meta.changed");
    inode->meta_gen++;
    inode->changed_ms = clock_ms();
    if (inode->is_root && rootattr_is_local(fs)) {
        rc = rootattr_save_locked(fs);
        if (rc < 0)
            inode->meta_error = rc;
        return 0;
    }
    if (meta_carried_locked(inode)) {
        note_attrs_locked(fs, inode->staged);
        return 0;
    }
    if (inode->state == INODE_STORED) {
        rc = changes_note_locked(fs, inode);
        attrcache_forget_locked(fs, inode);
        meta_mark_locked(fs, inode);
    }
    CRASH_POINT("meta.noted");
    return rc;
}

int meta_durable_locked(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    int rc = 0;
    if (fs->opt->durability != OPTION_DURABILITY_STAGE)
        return 0;
    if (!st || !meta_carried_locked(inode)) {
        fs_unlock(fs);
        rc = changes_sync(fs);
        fs_lock(fs);
    } else if (st->journal && st->sealed) {
        struct journal *journal = journal_ref(st->journal);
        fs_unlock(fs);
        rc = journal_sync(journal);
        journal_close(journal);
        fs_lock(fs);
    }
    return rc;
}

static void refused(struct fs *fs, struct meta_call *m)
{
    struct inode *inode = m->inode;
    char path[256];
    inode_path_locked(inode, path, sizeof(path));
    log_err(fs->log, LOG_LEVEL_WARNING, "attributes", &m->call.err, "'%s' keeps its old attributes",
            path);
    errors_add(fs->errors, "attributes", path, &m->call.err);
    inode->meta_error = m->call.err.eno;
    if (m->call.err.eno != -ECANCELED) /* that is us, at the end: the next mount sends them */
        changes_settle_locked(fs, inode);
    notify_attr_locked(fs, inode);
    if (!meta_carried_locked(inode)) {
        inode->attr_known = false;
        inode->seen_ms = 0;
    }
}

/* The copy onto itself has the same content under another ETag: what is cached of it stays. */
static void take_copy(struct inode *inode, const struct meta_call *m)
{
    const char *etag = m->call.object.etag;
    struct fetch_file *fetch = inode->fetch;
    if (fetch)
        (void)fetch_file_rekey(fetch, m->key, etag, inode->read_key);
    inode->fetch = NULL;
    (void)inode_set_version_locked(inode, etag, inode->stored_size, 0);
    inode->fetch = fetch;
}

/* What waited for the end of the request. */
static void resume_content(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    if (!st)
        return;
    if (!st->filling)
        waitlist_finish_locked(fs, &st->filled, 0);
    publish_step_locked(fs, st);
    clone_resume_locked(fs);
}

static void copy_in_parts(struct fs *fs, struct job *job);

static void start_in_parts(struct meta_call *m)
{
    m->job.fn = copy_in_parts;
    m->size = m->inode->stored_size;
    m->encrypted = m->inode->encrypted;
    worker_submit_locked(m->fs, &m->job);
}

/* Ceph copies encrypted objects by parts only. */
static bool try_in_parts(struct meta_call *m)
{
    if (m->call.op != OBS_COPY || m->call.err.eno != -EOPNOTSUPP || m->size ||
        !m->inode->encrypted || !m->inode->stored_size)
        return false;
    obs_call_clear(&m->call);
    start_in_parts(m);
    return true;
}

static void meta_done(struct obs_call *call)
{
    struct meta_call *m = call->arg;
    struct fs *fs = m->fs;
    struct inode *inode = m->inode;

    CRASH_POINT("meta.answer");
    fs_lock(fs);
    if (try_in_parts(m)) {
        fs_unlock(fs);
        return;
    }
    fs->changes_sending--;
    inode->meta_sending = false;
    if (call->err.eno) {
        refused(fs, m);
    } else {
        inode->changed_ms = clock_ms();
        inode->implicit = false;
        attrcache_forget_locked(fs, inode);
        inode->remote_ms = 0; /* nobody says whether it changes Last-Modified */
        if (call->op == OBS_COPY && call->object.etag[0])
            take_copy(inode, m);
        inode->stored_s = call->server_time;
        if (inode->meta_gen == m->gen)
            changes_settle_locked(fs, inode);
        else if (!meta_carried_locked(inode))
            meta_mark_locked(fs, inode);
        attrcache_store_locked(fs, inode);
    }
    if (!inode->meta_dirty || (call->err.eno && !fs->stopping))
        waitlist_finish_locked(fs, &inode->meta_waiters, call->err.eno);
    else
        (void)meta_flush_now_locked(fs, inode); /* somebody waits for what came meanwhile */
    waitlist_finish_locked(fs, &inode->move_waiters, 0);
    if (!inode->meta_sending)
        resume_content(fs, inode);
    if (!inode->meta_dirty && !inode->meta_sending)
        publish_attributes_sent_locked(fs, inode);
    CRASH_POINT("meta.taken");
    inode_unpin_locked(fs, inode);
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
    fs_unlock(fs);

    obs_call_clear(call);
    obs_props_clear(&m->props);
    free(m->key);
    free(m->etag);
    free(m);
}

/* PUT ?metadata, a marker, or a copy onto itself: whatever the dialect and the kind of inode need.
 */
static void choose_request(struct fs *fs, struct meta_call *m)
{
    struct obs_call *call = &m->call;
    const struct inode *inode = m->inode;

    if (inode->is_dir && (inode->implicit || obs_dialect_of(fs->obs) == OBS_DIALECT_S3)) {
        call->op = OBS_PUT;
    } else if (obs_dialect_of(fs->obs) == OBS_DIALECT_OBS) {
        call->op = OBS_SET_META;
    } else {
        call->op = OBS_COPY;
        call->replace = true;
    }
}

/* An object that one request does not copy is copied onto itself in parts, by a worker. */
static void copy_in_parts(struct fs *fs, struct job *job)
{
    struct meta_call *m = (struct meta_call *)job;
    char etag[OBS_ETAG_MAX];
    const struct copy_object copy = {.from = m->key,
                                     .etag = m->etag ? m->etag : "",
                                     .size = m->size,
                                     .to = m->key,
                                     .encrypted = m->encrypted,
                                     .sse = &m->props,
                                     .read_key = m->call.read_key,
                                     .props = &m->props};
    fs_lock(fs);
    int rc = copy_object_locked(fs, &copy, NULL, etag);
    fs_unlock(fs);
    if (rc < 0)
        err_set(&m->call.err, rc, "copying it onto itself in parts: %s", err_text(rc));
    else
        (void)snprintf(m->call.object.etag, sizeof(m->call.object.etag), "%s", etag);
    meta_done(&m->call);
}

static int send_change(struct fs *fs, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    struct meta_call *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->key = strdup(key);
    m->etag = inode->etag ? strdup(inode->etag) : NULL;
    m->fs = fs;
    m->inode = inode;
    choose_request(fs, m);
    rc = inode_props_locked(fs, inode, key, m->call.op != OBS_SET_META, &m->props);
    if (rc == 0 && m->call.op == OBS_COPY && inode->staged && !staged_dirty(inode->staged) &&
        inode->staged->nonce[0]) /* the journal still knows it by that */
        rc = obs_props_set(&m->props, OBS_PROP_META, ATTR_UPLOAD_META, inode->staged->nonce);
    if (rc == 0 && (!m->key || (inode->etag && !m->etag)))
        rc = -ENOMEM;
    if (rc < 0) {
        obs_props_clear(&m->props);
        free(m->key);
        free(m->etag);
        free(m);
        return rc;
    }
    m->gen = inode->meta_gen;
    m->call.key = m->key;
    m->call.props = &m->props;
    m->call.done = meta_done;
    m->call.arg = m;
    m->call.urgent = true;
    m->call.source_key = m->call.op == OBS_COPY ? m->key : NULL;
    m->call.if_match = m->call.op == OBS_COPY ? m->etag : NULL;
    memcpy(m->read_key, inode->read_key, sizeof(m->read_key));
    m->call.read_key = m->read_key;
    inode_pin_locked(inode);
    inode->meta_sending = true;
    fs->changes_sending++;
    if (m->call.op == OBS_COPY)
        changes_sending_locked(fs, inode);
    CRASH_POINT("meta.send");
    if (m->call.op == OBS_COPY && !copy_in_one(inode->stored_size)) {
        start_in_parts(m);
    } else {
        obs_submit(fs->obs, &m->call);
    }
    return 0;
}

bool meta_flush_now_locked(struct fs *fs, struct inode *inode)
{
    if (inode->meta_sending)
        return true;
    if (!inode->meta_dirty)
        return false;
    if (inode_moving_locked(inode))
        return true; /* meta_resume_locked() comes back to it */
    if (inode->staged && inode->staged->final_request)
        return true; /* the content is on its way: its end comes back to it */

    leave_queue(fs, inode);
    int rc = send_change(fs, inode);
    if (rc == 0)
        return true;
    log_warning(fs->log, "attributes", "'%s': %s", inode->name ? inode->name : "/", err_text(rc));
    inode->meta_error = rc;
    changes_settle_locked(fs, inode);
    waitlist_finish_locked(fs, &inode->meta_waiters, rc);
    return false;
}

int meta_flush_wait_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    if (!meta_flush_now_locked(fs, inode))
        return 0;
    return fs_wait_locked(fs, &inode->meta_waiters, intr, -1);
}

int64_t meta_run_locked(struct fs *fs, int64_t now_ms, bool all)
{
    int64_t next = INT64_MAX;
    struct inode *inode, *tmp;

    DL_FOREACH_SAFE2(fs->changed, inode, tmp, changed_next)
    {
        if (inode_moving_locked(inode) || inode->meta_sending)
            continue;
        if (all || inode->meta_due_ms <= now_ms)
            (void)meta_flush_now_locked(fs, inode);
        else if (inode->meta_due_ms < next)
            next = inode->meta_due_ms;
    }
    return next;
}

void meta_resume_locked(struct fs *fs)
{
    struct inode *inode, *tmp;
    DL_FOREACH_SAFE2(fs->changed, inode, tmp, changed_next)
    {
        if (inode->meta_waiters.head)
            (void)meta_flush_now_locked(fs, inode);
        else
            timer_wake_locked(fs, inode->meta_due_ms);
    }
}
