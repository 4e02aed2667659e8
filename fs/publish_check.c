// SPDX-License-Identifier: Apache-2.0
// Whether a completed upload is what everybody sees; see publish.h.
#include "fs/publish_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/adopt.h"
#include "fs/attr.h"
#include "fs/errors.h"
#include "fs/inode.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/request.h"
#include "net/base/log.h"
#include "net/digest.h"

/* Complete has spent the upload: there is nothing to abort, and its parts are of no more use. */
static void forget_upload(struct staged *st)
{
    for (size_t i = 0; i < st->n_parts; i++) {
        if (st->parts[i].state == PART_STORED)
            st->parts[i].state = PART_OPEN;
    }
    free(st->upload.key);
    st->upload = (struct upload){0};
}

static bool is_absent(const struct err *err)
{
    return err->eno == -ENOENT && strcmp(err->code, "NoSuchBucket") != 0;
}

/* It was put, or begun, after our upload was initiated: then the service lets it win, whoever
 * completes last. The version that was known before does not count, though it may be of the same
 * second. */
static bool is_newer(const struct staged *st, const struct obs_object *theirs)
{
    const struct inode *inode = st->inode;
    if (inode->state == INODE_STORED && inode->etag && strcmp(inode->etag, theirs->etag) == 0)
        return false;
    return st->upload.initiated_s && theirs->mtime_ms / 1000 >= st->upload.initiated_s;
}

/* Somebody else's newer object (NULL: nothing) is what everybody sees. `spent`: our upload was
 * completed, and lost. */
static void conflict(struct fs *fs, struct staged *st, const struct obs_object *theirs, bool spent)
{
    struct err err;
    char path[256];
    inode_path_locked(st->inode, path, sizeof(path));
    if (spent)
        st->upload.state = UPLOAD_NONE;
    if (fs->opt->on_conflict == OPTION_CONFLICT_KEEP_MINE && !st->n_punched &&
        st->restarts++ < PUBLISH_RESTARTS_MAX) {
        log_notice(fs->log, "publish", "'%s': a newer object stands there, sending ours again",
                   path);
        publish_restart(fs, st, false);
        return;
    }
    if (theirs)
        err_set(&err, -ESTALE, "another writer's newer object (ETag %.64s) stands there",
                theirs->etag);
    else
        err_set(&err, -ESTALE, "another writer has removed it since the upload began");
    if (fs->opt->on_conflict == OPTION_CONFLICT_KEEP_THEIRS) {
        struct inode *inode = st->inode;
        log_err(fs->log, LOG_LEVEL_WARNING, "publish", &err, "'%s' is dropped", path);
        errors_add(fs->errors, "publish", path, &err);
        inode_latch_locked(inode, err.eno);
        staged_drop_locked(fs, inode, err.eno);
        inode_lose_content_locked(fs, inode);
        return;
    }
    note_conflict_locked(fs, st, theirs);
    if (spent)
        forget_upload(st);
    publish_failed(fs, st, &err);
}

/* HEAD needs the right to read objects, which who only stores them may not have. A listing says ETag
 * and time, too. True: it is being asked for. */
static bool ask_listing(struct fs *fs, struct staged *st, const struct transfer *t)
{
    if (t->listed || !request_refused(&t->call))
        return false;
    struct transfer *l = transfer_new_locked(fs, st, t->kind, t->key);
    if (!l)
        return false;
    if (!fs->told_unread)
        log_err(fs->log, LOG_LEVEL_WARNING, "publish", &t->call.err,
                "completed uploads cannot be looked at by HEAD: the bucket is listed instead");
    fs->told_unread = true;
    l->listed = true;
    l->cause = t->cause;
    memcpy(l->composite, t->composite, sizeof(l->composite));
    memcpy(l->answered, t->answered, sizeof(l->answered));
    l->opaque = t->opaque;
    transfer_start_locked(l);
    return true;
}

void publish_look(struct fs *fs, struct staged *st)
{
    struct transfer *t = transfer_new_locked(fs, st, TRANSFER_LOOK, st->upload.key);
    if (!t) {
        publish_failed_errno(fs, st, -ENOMEM, "out of memory");
        return;
    }
    st->final_request = true;
    transfer_start_locked(t);
}

void publish_look_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    if (ask_listing(fs, st, t))
        return;
    if (t->listed)
        request_take_listed(&t->call, t->key);
    st->final_request = false;
    if (t->call.err.eno && !is_absent(&t->call.err)) {
        publish_failed(fs, st, &t->call.err);
    } else if (!t->call.err.eno && is_newer(st, &t->call.object)) {
        conflict(fs, st, &t->call.object, false);
    } else {
        st->upload.looked = true;
        publish_step_locked(fs, st);
    }
}

/* Complete was answered, well or not: the visible object tells what came of it. */
static void start_check(struct fs *fs, struct staged *st, struct transfer *complete)
{
    struct transfer *t = transfer_new_locked(fs, st, TRANSFER_CHECK, complete->key);
    if (!t) {
        st->final_request = false;
        st->upload.state = UPLOAD_ACTIVE;
        publish_failed_errno(fs, st, -ENOMEM, "out of memory");
        return;
    }
    t->cause = complete->call.err;
    memcpy(t->composite, complete->composite, sizeof(t->composite));
    if (!t->cause.eno)
        memcpy(t->answered, complete->call.object.etag, sizeof(t->answered));
    t->opaque = st->upload.encrypted || complete->call.object.encrypted;
    transfer_start_locked(t);
}

/* Stored, but not as it was sent: once more from staging. */
static void wrong_checksum(struct fs *fs, struct staged *st, const char *got, const char *expected)
{
    struct err why;
    err_set(&why, -EIO, "checksum mismatch: ETag %.64s, expected %.64s", got, expected);
    st->final_request = false;
    if (!st->n_punched && st->restarts++ < PUBLISH_RESTARTS_MAX) {
        log_err(fs->log, LOG_LEVEL_WARNING, "publish", &why, "'%s' is sent again", st->upload.key);
        st->upload.state = UPLOAD_NONE;
        publish_restart(fs, st, false);
        return;
    }
    forget_upload(st);
    publish_failed(fs, st, &why);
}

/* Neither side has an opaque ETag, and they differ. */
static bool differs(const struct staged *st, const char *expected, const struct obs_object *object)
{
    return expected[0] && !st->upload.encrypted && !object->encrypted &&
           !etag_equal(expected, object->etag);
}

void publish_complete_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    if (!t->call.err.eno && differs(st, t->composite, &t->call.object))
        wrong_checksum(fs, st, t->call.object.etag, t->composite);
    else
        start_check(fs, st, t);
}

/* The upload id tells; with a service that does not give it our mark, or the ETag. */
static bool is_ours(const struct staged *st, const struct transfer *t)
{
    const struct obs_object *object = &t->call.object;
    if (object->upload_id[0])
        return strcmp(object->upload_id, st->upload.id) == 0;
    const char *nonce = obs_props_get(&object->props, OBS_PROP_META, ATTR_UPLOAD_META);
    if (nonce)
        return strcmp(nonce, st->nonce) == 0;
    return (t->answered[0] && etag_equal(t->answered, object->etag)) ||
           (t->composite[0] && etag_equal(t->composite, object->etag));
}

static void stored(struct fs *fs, struct staged *st, const struct transfer *t,
                   const struct obs_object *object)
{
    unsigned meta_gen = st->upload.meta_gen;
    bool encrypted = st->upload.encrypted || object->encrypted;
    if (adopt_dress_locked(fs, st, object))
        return;
    free(st->upload.key);
    st->upload = (struct upload){0};
    publish_succeeded(fs, st, &t->call, object->etag, meta_gen, encrypted);
}

/* Nobody may look, but the answer to Complete was well, and had the ETag that the content must have (an
 * encrypted one's says nothing, its parts were compared with their Content-MD5): stored. Whether
 * another writer's object hides it is not known. */
static bool stored_unseen(struct fs *fs, struct staged *st, const struct transfer *t)
{
    struct obs_object object = {.encrypted = t->opaque};
    bool good =
        t->opaque ? t->answered[0] : t->composite[0] && etag_equal(t->composite, t->answered);
    if (t->cause.eno || !t->listed || !request_refused(&t->call) || !good)
        return false;
    if (!fs->told_unchecked)
        log_err(fs->log, LOG_LEVEL_WARNING, "publish", &t->call.err,
                "whether another writer's object hides a completed upload cannot be checked");
    fs->told_unchecked = true;
    memcpy(object.etag, t->answered, sizeof(object.etag));
    stored(fs, st, t, &object);
    return true;
}

void publish_check_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    const struct obs_object *object = &t->call.object;
    if (ask_listing(fs, st, t))
        return;
    if (t->listed)
        request_take_listed(&t->call, t->key);
    bool found = !t->call.err.eno;
    st->final_request = false;
    st->upload.state = UPLOAD_ACTIVE;
    if (found && is_ours(st, t)) {
        if (differs(st, t->composite, object))
            wrong_checksum(fs, st, object->etag, t->composite);
        else
            stored(fs, st, t, object);
        return;
    }
    if (stored_unseen(fs, st, t))
        return;
    bool vanished = strcmp(t->cause.code, "NoSuchUpload") == 0;
    if (!t->cause.eno && (found || is_absent(&t->call.err))) {
        conflict(fs, st, found ? object : NULL, true);
        return;
    }
    if (vanished && found && is_newer(st, object)) { /* completed without an answer, and lost */
        conflict(fs, st, object, true);
        return;
    }
    if (!t->cause.eno)
        t->cause = t->call.err; /* stored, but whether it is ours nobody said */
    bool bad_part = strcmp(t->cause.code, "InvalidPart") == 0;
    if ((vanished || bad_part) && st->restarts++ < PUBLISH_RESTARTS_MAX)
        publish_restart(fs, st, bad_part);
    else
        publish_failed(fs, st, &t->cause);
}
