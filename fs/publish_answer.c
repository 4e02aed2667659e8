// SPDX-License-Identifier: Apache-2.0
// What the answers to a publication's requests mean; see publish.h.
#include "fs/publish_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/adopt.h"
#include "fs/clone.h"
#include "fs/control_result.h"
#include "fs/inode.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/orphans.h"
#include "fs/seal.h"
#include "fs/space.h"
#include "fs/transfer.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/digest.h"

static void put_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    st->final_request = false;
    if (t->call.err.eno)
        publish_failed(fs, st, &t->call.err);
    else
        publish_succeeded(fs, st, &t->call, t->call.object.etag, st->put_meta_gen,
                          t->call.object.encrypted);
}

static void initiate_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    int64_t asked_s = st->upload.asked_s;
    if (t->call.err.eno) {
        if (transfer_initiate_unclear(&t->call))
            orphans_add_locked(fs, st->id, t->key, asked_s);
        else
            note_looked_through_locked(fs, st, t->key);
        free(st->upload.key);
        st->upload = (struct upload){0};
        for (size_t i = 0; i < st->n_parts; i++) {
            if (st->parts[i].state == PART_READY)
                st->parts[i].state = PART_OPEN;
        }
        publish_failed(fs, st, &t->call.err);
        return;
    }
    (void)snprintf(st->upload.id, sizeof(st->upload.id), "%s", t->call.upload_id_out);
    st->upload.encrypted = t->call.object.encrypted || sse_encrypted(&st->sse);
    st->upload.state = UPLOAD_ACTIVE;
    st->upload.initiated_s = t->call.server_time;
    note_initiated_locked(fs, st, t->call.server_time, &t->props);
    seal_note_again_locked(fs, st);
    if (transfer_initiate_unclear(&t->call)) {
        note_initiating_locked(fs, st, t->key); /* the window is still open */
        orphans_add_locked(fs, st->id, t->key, asked_s);
    }
    if (adopt_start_locked(fs, st))
        return;
    publish_part_ready_locked(fs, st);
    publish_step_locked(fs, st);
}

/* The answer to Complete says that the object's CRC-64 is not ours, or refuses it for that: once more
 * from staging, then it is an error. False: it says nothing of that. */
static bool wrong_crc64(struct fs *fs, struct staged *st, const struct transfer *t)
{
    bool refused = t->call.err.eno && strcmp(t->call.err.code, "BadDigest") == 0;
    bool stored = !t->call.err.eno && t->call.crc64_differs;
    struct err why = t->call.err;
    if (!refused && !stored)
        return false;
    if (stored)
        err_set(&why, -EIO, "checksum mismatch: the service states another CRC-64 of the object");
    st->final_request = false;
    st->upload.state = refused ? UPLOAD_ACTIVE : UPLOAD_NONE;
    if (!st->n_punched && st->restarts++ < PUBLISH_RESTARTS_MAX) {
        log_err(fs->log, LOG_LEVEL_WARNING, "publish", &why, "'%s' is sent again", st->upload.key);
        publish_restart(fs, st, refused);
        return true;
    }
    if (stored) { /* what was completed has no parts any more */
        free(st->upload.key);
        st->upload = (struct upload){0};
        for (size_t i = 0; i < st->n_parts; i++)
            st->parts[i].state = PART_OPEN;
    }
    publish_failed(fs, st, &why);
    return true;
}

/* The service has the part with these bytes: recorded first, then it counts. */
void publish_part_stored_locked(struct fs *fs, struct staged *st, const struct transfer *t)
{
    struct part *p = &st->parts[t->part];
    st->upload.encrypted |= t->call.object.encrypted;
    (void)snprintf(p->etag, sizeof(p->etag), "%s", t->call.object.etag);
    if (!p->copied)
        memcpy(p->md5, t->call.md5, sizeof(p->md5));
    else if (etag_md5(t->call.object.etag, p->md5) < 0)
        st->upload.encrypted = true; /* a copied part whose ETag is no MD5 */
    p->has_crc64 = fs->opt->crc64 && !p->copied;
    p->crc64 = t->call.crc64;
    note_part_locked(fs, st, t->part);
    p->state = PART_STORED;
    p->stored_seq = ++fs->space->stored_seq;
}

/* The part is of an upload that is no longer ours, or its bytes have changed meanwhile. */
static bool outdated(const struct staged *st, const struct transfer *t, const struct part *p)
{
    return p->state != PART_SENDING || p->gen != t->gen || st->upload.state != UPLOAD_ACTIVE ||
           strcmp(st->upload.id, t->upload_id) != 0;
}

static void part_failed(struct fs *fs, struct staged *st, struct transfer *t, struct part *p)
{
    if (strcmp(t->call.err.code, "NoSuchUpload") == 0 && st->restarts++ < PUBLISH_RESTARTS_MAX) {
        p->state = PART_READY;
        publish_restart(fs, st, false);
        publish_part_ready_locked(fs, st);
        return;
    }
    if (t->cloned && clone_moved_locked(st, t)) {
        p->state = PART_READY;
        st->next_ready = 0;
        publish_part_ready_locked(fs, st);
        return;
    }
    p->state = PART_OPEN;
    if (t->cloned)
        clone_explain(&t->call.err);
    publish_failed(fs, st, &t->call.err);
}

/* What was sent is not what was sealed: local data have rotted. The part must not be completed. */
static bool has_rotted(const struct part *p, const struct transfer *t)
{
    return p->hashed && p->hashed == t->size && !p->copied &&
           memcmp(p->md5, t->call.md5, sizeof(p->md5)) != 0;
}

static void part_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    struct part *p = &st->parts[t->part];

    p->under_way = false;
    if (outdated(st, t, p)) {
        if (p->state == PART_SENDING)
            p->state = PART_READY;
        st->next_ready = 0;
        publish_part_ready_locked(fs, st);
    } else if (t->call.err.eno) {
        part_failed(fs, st, t, p);
        return;
    } else if (has_rotted(p, t)) {
        p->state = PART_OPEN;
        st->rotten = true;
        publish_failed_errno(fs, st, -EIO,
                             "the local data of a part are not what was written: not stored");
        return;
    } else {
        publish_part_stored_locked(fs, st, t);
    }
    publish_step_locked(fs, st);
}

static void fill_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    int rc = t->sink_error ? t->sink_error : t->call.err.eno;
    if (rc == 0)
        rc = imap_add(&st->have, st->fill_from, st->fill_to);
    if (rc == 0 && !t->cloned)
        (void)imap_add(&st->fetched, st->fill_from, st->fill_to);
    if (rc < 0 && (t->call.err.cls == ERR_CONFLICT || t->call.err.cls == ERR_GONE))
        rc = -ESTALE;
    if (rc < 0 && t->cloned)
        rc = clone_failed_locked(st, t, rc);
    st->filling = false;
    if (rc == -ESTALE && st->final_request)
        return; /* perhaps our own new version stands there: asked again when that is known */
    waitlist_finish_locked(fs, &st->filled, rc);
    waitlist_finish_locked(fs, &st->writable, 0);
    if (rc < 0 && st->state == STAGED_PUBLISHING) {
        t->call.err.eno = rc;
        publish_failed(fs, st, &t->call.err);
        return;
    }
    publish_step_locked(fs, st);
    if (st->upload.state == UPLOAD_ACTIVE)
        publish_part_ready_locked(fs, st);
}

/* The answer that stored the file, or the failure of any that it needs. A CHECK only says how a
 * Complete in doubt has ended. */
static void note_result(struct fs *fs, const struct staged *st, const struct transfer *t)
{
    bool stores = t->kind == TRANSFER_PUT || t->kind == TRANSFER_COMPLETE ||
                  t->kind == TRANSFER_COPY ||
                  (t->kind == TRANSFER_CHECK && t->cause.eno && !t->call.err.eno && !t->listed);
    if (t->kind != TRANSFER_FILL && (stores || (t->call.err.eno && t->kind != TRANSFER_CHECK)))
        result_note_locked(
            fs, &t->call,
            obs_props_get(&st->inode->settings, OBS_PROP_RAW, "success_action_redirect") != NULL);
}

void publish_answer_locked(struct fs *fs, struct staged *st, struct transfer *t)
{
    static void (*const take[])(struct fs *, struct staged *, struct transfer *) = {
        [TRANSFER_PUT] = put_answer,
        [TRANSFER_INITIATE] = initiate_answer,
        [TRANSFER_PART] = part_answer,
        [TRANSFER_COPY_PART] = part_answer,
        [TRANSFER_LOOK] = publish_look_answer,
        [TRANSFER_COMPLETE] = publish_complete_answer,
        [TRANSFER_CHECK] = publish_check_answer,
        [TRANSFER_FILL] = fill_answer,
        [TRANSFER_COPY] = publish_copy_answer,
        [TRANSFER_COPY_CHECK] = publish_copy_check_answer,
        [TRANSFER_DRESS_META] = adopt_dress_answer,
        [TRANSFER_DRESS_ACL] = adopt_dress_answer,
    };
    note_result(fs, st, t);
    if (t->kind != TRANSFER_COMPLETE || !wrong_crc64(fs, st, t))
        take[t->kind](fs, st, t);
}
