// SPDX-License-Identifier: Apache-2.0
// What a staged file sends next; see publish.h.
#include "fs/publish_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "fs/attr.h"
#include "fs/clone.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/hold.h"
#include "fs/inode.h"
#include "fs/match.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/orphans.h"
#include "fs/properties.h"
#include "fs/space.h"
#include "fs/transfer.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/crc64.h"
#include "net/digest.h"

/* A PUT up to this size does not count among the bulk transfers. */
enum { SMALL_PUT = 1 << 20 };

static bool is_single(const struct fs *fs, const struct staged *st)
{
    return st->upload.state == UPLOAD_NONE && !st->n_punched &&
           staged_part_count(fs, st, st->size) == 1;
}

/* Under which key an upload is opened or completed: the one that the file will have in the end. */
static int upload_key(struct fs *fs, struct staged *st, char key[OBS_KEY_MAX + 1])
{
    if (st->state == STAGED_PUBLISHING && !st->hold_only)
        return inode_key_locked(fs, st->inode, key);
    return hold_key_locked(fs, st->inode, key);
}

int publish_content_props(struct fs *fs, struct staged *st, const char *key, struct obs_props *out)
{
    int rc = properties_renew_locked(fs, st->inode);
    if (rc == 0)
        rc = encrypt_choose_locked(fs, st->inode);
    if (rc == 0)
        rc = inode_props_locked(fs, st->inode, key, true, out);
    return rc < 0 ? rc : sse_copy(&st->sse, out);
}

static void step_single(struct fs *fs, struct staged *st)
{
    bool bulk = st->size > SMALL_PUT;
    if (bulk && fs->transfers >= fs->opt->parallel) {
        publish_part_ready_locked(fs, st);
        return;
    }
    int rc = staged_fill_locked(fs, st, 0, st->size);
    if (rc == -EINPROGRESS)
        return;

    char key[OBS_KEY_MAX + 1];
    struct transfer *t = NULL;
    if (rc == 0)
        rc = inode_key_locked(fs, st->inode, key);
    if (rc == 0 && !(t = transfer_new_locked(fs, st, TRANSFER_PUT, key)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = publish_content_props(fs, st, key, &t->props);
    if (rc < 0) {
        if (t)
            transfer_free_locked(t);
        publish_failed_errno(fs, st, rc, err_text(rc));
        return;
    }
    t->size = st->size;
    t->gen = st->publish_gen;
    t->bulk = bulk;
    st->put_meta_gen = st->inode->meta_gen;
    st->final_request = true;
    note_completing_locked(fs, st, key, "");
    transfer_start_locked(t);
}

/* S3 cannot change the times of a finished upload without copying it. As long as nobody has set
 * them, the time at which the service stored the object says the same. */
static bool implicit_times(const struct fs *fs, const struct inode *inode)
{
    return obs_dialect_of(fs->obs) == OBS_DIALECT_S3 && !inode->times_set;
}

/* S3 does not say which upload an object comes from: a number in its metadata does. */
static int mark_upload(const struct fs *fs, struct staged *st, struct obs_props *props)
{
    unsigned char raw[(STAGED_NONCE_MAX - 1) / 2];
    st->nonce[0] = 0;
    if (obs_dialect_of(fs->obs) != OBS_DIALECT_S3)
        return 0;
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return -EIO;
    for (size_t i = 0; i < sizeof(raw); i++)
        (void)snprintf(st->nonce + 2 * i, 3, "%02x", raw[i]);
    return obs_props_set(props, OBS_PROP_META, ATTR_UPLOAD_META, st->nonce);
}

static void start_initiate(struct fs *fs, struct staged *st)
{
    char key[OBS_KEY_MAX + 1];
    struct transfer *t = NULL;
    if (st->n_punched) {
        publish_failed_errno(fs, st, -EIO,
                             "the upload has vanished from the server, and local data of its "
                             "parts had been released to stay within staging_max");
        return;
    }
    if (!space_may_initiate_locked(fs, st))
        return;
    int rc = upload_key(fs, st, key);
    if (rc == 0)
        rc = properties_renew_locked(fs, st->inode);
    if (rc == 0 && !st->matched && match_start_locked(fs, st, key))
        return;
    if (rc == 0 && !(t = transfer_new_locked(fs, st, TRANSFER_INITIATE, key)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = publish_content_props(fs, st, key, &t->props);
    if (rc == 0 && implicit_times(fs, st->inode))
        attr_drop_times(&t->props);
    if (rc == 0) /* only a single PUT knows it (OBS API: uploading an object) */
        (void)property_drop(&t->props, OBS_PROP_RAW, "success-action-redirect");
    if (rc == 0)
        rc = mark_upload(fs, st, &t->props);
    if (rc == 0 && !(st->upload.key = strdup(key)))
        rc = -ENOMEM;
    if (rc < 0) {
        if (t)
            transfer_free_locked(t);
        publish_failed_errno(fs, st, rc, err_text(rc));
        return;
    }
    st->upload.state = UPLOAD_INITIATING;
    st->upload.meta_gen = st->inode->meta_gen;
    st->upload.begun_ms = clock_ms();
    st->upload.asked_s = fs->server_s;
    note_initiating_locked(fs, st, key);
    transfer_start_locked(t);
}

void publish_restart(struct fs *fs, struct staged *st, bool abort)
{
    note_stale_locked(fs, st);
    match_free(st->match);
    st->match = NULL;
    if (abort && st->upload.state != UPLOAD_NONE)
        transfer_abort_staged_locked(fs, st, st->upload.key, st->upload.id);
    free(st->upload.key);
    st->upload = (struct upload){0};
    for (size_t i = 0; i < st->n_parts; i++) {
        struct part *p = &st->parts[i];
        if (p->state != PART_STORED)
            continue;
        p->state = PART_READY;
        p->hashed = p->copied ? 0 : p->size;
    }
    st->next_ready = 0;
    publish_step_locked(fs, st);
}

void publish_replaces_locked(struct staged *st, const struct inode *target)
{
    if (st->upload.state == UPLOAD_NONE || (target->state != INODE_STORED && !target->covers))
        return;
    if (target->changed_ms >= st->upload.begun_ms ||
        target->remote_ms / 1000 >= st->upload.initiated_s)
        st->upload.outdated = true;
}

void publish_rekey_locked(struct fs *fs, struct staged *st)
{
    if (st->state == STAGED_PUBLISHING) {
        publish_step_locked(fs, st);
    } else if (st->upload.state == UPLOAD_ACTIVE && st->inflight == 0 && !st->n_punched) {
        publish_restart(fs, st, true);
        publish_part_ready_locked(fs, st);
    }
}

/* Sets sizes and states of the parts for the size that is published. False: not possible. */
static bool prepare_parts(struct fs *fs, struct staged *st, size_t count)
{
    int rc = staged_plan_locked(fs, st, count);
    if (rc < 0) {
        publish_failed_errno(fs, st, rc,
                             rc == -EFBIG ? "too large for 10,000 parts" : err_text(rc));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct part *p = &st->parts[i];
        uint64_t full_off, full;
        (void)plan_part(st->plan, (uint32_t)i + 1, &full_off, &full);
        uint64_t size = st->size - p->offset < full ? st->size - p->offset : full;
        if (p->size != size) {
            p->size = size;
            p->gen = st->gen;
            p->hashed = p->hashed == size ? size : 0;
            if (p->state != PART_READY)
                p->state = PART_OPEN;
        }
        if (p->state == PART_OPEN) {
            p->state = PART_READY;
            if (i < st->next_ready)
                st->next_ready = i;
        }
    }
    for (size_t i = count; i < st->n_parts; i++) {
        if (st->parts[i].state == PART_READY)
            st->parts[i].state = PART_OPEN;
    }
    return true;
}

static bool all_stored(const struct staged *st, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (st->parts[i].state != PART_STORED)
            return false;
    }
    return true;
}

/* Our own idea of the object's ETag, "" if a part's MD5 cannot be known. */
static void composite_etag(const struct staged *st, size_t count, char out[OBS_ETAG_MAX])
{
    out[0] = 0;
    if (st->upload.encrypted)
        return;
    CLEANUP_FREE unsigned char(*md5)[DIGEST_MD5_SIZE] = calloc(count, sizeof(*md5));
    if (!md5)
        return;
    for (size_t i = 0; i < count; i++)
        memcpy(md5[i], st->parts[i].md5, sizeof(md5[i]));
    if (etag_composite(md5, count, out) < 0)
        out[0] = 0;
}

/* From those of the parts; false: not all of them are known (a part that the server copied has
 * none). */
static bool whole_crc64(const struct staged *st, size_t count, uint64_t *ret_crc)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        const struct part *p = &st->parts[i];
        if (!p->has_crc64)
            return false;
        crc = crc64_combine(crc, p->crc64, p->size);
    }
    *ret_crc = crc;
    return true;
}

/* Headers of the file that Complete says again. */
static int add_headers(struct fs *fs, const struct staged *st, struct transfer *t)
{
    struct obs_props all = {0};
    int rc = inode_props_locked(fs, st->inode, t->key, true, &all);
    if (rc == 0)
        rc = properties_for_end(&all, &t->props);
    obs_props_clear(&all);
    return rc;
}

static void start_complete(struct fs *fs, struct staged *st, size_t count)
{
    struct transfer *t = transfer_new_locked(fs, st, TRANSFER_COMPLETE, st->upload.key);
    if (t) {
        t->upload_id = strdup(st->upload.id);
        t->list = calloc(count, sizeof(*t->list));
    }
    if (!t || !t->upload_id || !t->list || add_headers(fs, st, t) < 0) {
        if (t)
            transfer_free_locked(t);
        publish_failed_errno(fs, st, -ENOMEM, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        t->list[i].part_no = (uint32_t)i + 1;
        t->list[i].size = st->parts[i].size;
        memcpy(t->list[i].etag, st->parts[i].etag, OBS_ETAG_MAX);
    }
    t->n_list = count;
    composite_etag(st, count, t->composite);
    t->has_crc64 = fs->opt->crc64 && whole_crc64(st, count, &t->crc64);
    note_completing_locked(fs, st, t->key, t->composite);
    st->upload.state = UPLOAD_COMPLETING;
    st->final_request = true;
    transfer_start_locked(t);
}

static void step_multipart(struct fs *fs, struct staged *st)
{
    size_t count = staged_part_count(fs, st, st->size);
    char key[OBS_KEY_MAX + 1];
    int rc = upload_key(fs, st, key);
    if (rc < 0) {
        publish_failed_errno(fs, st, rc, err_text(rc));
        return;
    }
    if (!prepare_parts(fs, st, count) || st->upload.state == UPLOAD_INITIATING)
        return;
    if (st->upload.state == UPLOAD_NONE) {
        start_initiate(fs, st);
        return;
    }
    if (strcmp(key, st->upload.key) != 0 || st->upload.outdated) {
        if (st->n_punched)
            publish_failed_errno(fs, st, -ESTALE,
                                 "a newer object stands there, and local data had been released "
                                 "to stay within staging_max");
        else if (st->inflight == 0)
            publish_restart(fs, st, true);
        return; /* else the answers under way come here again */
    }
    if (!all_stored(st, count)) {
        publish_part_ready_locked(fs, st);
        return;
    }
    if (st->hold_only) {
        st->hold_only = false;
        st->state = STAGED_OPEN;
        waitlist_finish_locked(fs, &st->published, 0);
        waitlist_finish_locked(fs, &st->writable, 0);
        waitlist_finish_locked(fs, &st->inode->move_waiters, 0);
        return;
    }
    if (st->inflight || st->punching)
        return;
    if (st->n_punched && !st->upload.looked)
        publish_look(fs, st);
    else
        start_complete(fs, st, count);
}

void publish_step_locked(struct fs *fs, struct staged *st)
{
    if (st->state != STAGED_PUBLISHING || st->writing || st->final_request || st->filling ||
        st->inode->meta_sending || inode_moving_locked(st->inode))
        return;

    st->publish_gen = st->gen;
    space_trim_locked(fs, st);
    if (!st->sealed)
        note_sealed_locked(fs, st, SEAL_CLOSE, st->hold_only, false);
    if (st->paused || clone_claim_locked(fs, st->inode) || publish_copy_step(fs, st))
        return;
    if (is_single(fs, st))
        step_single(fs, st);
    else
        step_multipart(fs, st);
}

int publish_locked(struct fs *fs, struct inode *inode, struct waiter *w)
{
    struct staged *st = inode->staged;
    if (!st || !inode->parent || (!staged_dirty(st) && st->state == STAGED_OPEN))
        return 0;

    if (w) {
        w->target = st->gen;
        waitlist_add_locked(&st->published, w);
    }
    st->hold_only = false;
    st->held = false;
    st->interrupted = 0;
    if (st->state == STAGED_OPEN)
        st->state = STAGED_PUBLISHING;
    publish_step_locked(fs, st);
    return -EINPROGRESS;
}

int publish_hold_locked(struct fs *fs, struct inode *inode, struct waiter *w)
{
    struct staged *st = inode->staged;
    if (!st || st->state == STAGED_DEAD)
        return 0;
    bool open = st->state == STAGED_OPEN;
    if (open && is_single(fs, st)) {
        note_sealed_locked(fs, st, SEAL_CLOSE, true, false);
        space_trim_locked(fs, st);
        return 0;
    }

    w->target = st->gen;
    waitlist_add_locked(&st->published, w);
    if (!open) /* by another close, or for good: this one gets the same result */
        return -EINPROGRESS;
    st->hold_only = true;
    st->state = STAGED_PUBLISHING;
    publish_step_locked(fs, st);
    return -EINPROGRESS;
}

void publish_part_ready_locked(struct fs *fs, struct staged *st)
{
    if (st->state == STAGED_DEAD)
        return;
    if (!st->in_sending) {
        DL_APPEND2(fs->sending, st, send_prev, send_next);
        st->in_sending = true;
    }
    publish_pump_locked(fs);
}

static void leave_sending(struct fs *fs, struct staged *st)
{
    DL_DELETE2(fs->sending, st, send_prev, send_next);
    st->in_sending = false;
}

/* The server can copy the part: nothing of it is local, and all of it is of the stored object, or
 * of the one that *ret_clone says. */
static bool can_copy(const struct fs *fs, const struct staged *st, const struct part *p,
                     const struct clone **ret_clone)
{
    uint64_t end = p->offset + p->size;
    if (!p->size || (end != st->size && p->size < fs->plan.min_part) ||
        imap_touches(&st->have, p->offset, end))
        return false;
    const struct clone *c = *ret_clone = clonemap_next(&st->clones, p->offset, end);
    if (c)
        return c->from <= p->offset && end <= c->to && !c->lost;
    return st->inode->state == INODE_STORED && st->inode->etag && end <= st->base_len;
}

static int set_source(struct fs *fs, struct staged *st, struct transfer *t,
                      const struct clone *clone)
{
    char key[OBS_KEY_MAX + 1];
    if (clone) {
        t->cloned = true;
        t->offset += clone->source - clone->from;
        return fetch_file_name(clone->file, &t->source_key, &t->etag);
    }
    int rc = inode_key_locked(fs, st->inode, key);
    if (rc < 0)
        return rc;
    t->source_key = strdup(key);
    t->etag = strdup(st->inode->etag);
    return t->source_key && t->etag ? 0 : -ENOMEM;
}

/* Starts the part; 0, or -EINPROGRESS while bytes of it are being fetched, or -errno. */
static int start_part(struct fs *fs, struct staged *st, size_t idx)
{
    struct part *p = &st->parts[idx];
    const struct clone *clone = NULL;
    if (p->punched)
        return -EIO; /* there are no bytes to send */
    if (match_part_locked(fs, st, idx))
        return 0;
    bool copy = can_copy(fs, st, p, &clone);
    int rc = copy ? 0 : staged_fill_locked(fs, st, p->offset, p->size);
    if (rc < 0)
        return rc;

    struct transfer *t =
        transfer_new_locked(fs, st, copy ? TRANSFER_COPY_PART : TRANSFER_PART, st->upload.key);
    if (!t)
        return -ENOMEM;
    t->offset = p->offset;
    t->upload_id = strdup(st->upload.id);
    rc = !t->upload_id ? -ENOMEM : copy ? set_source(fs, st, t, clone) : 0;
    if (rc == 0)
        rc = sse_copy(&t->props, &st->sse);
    if (rc < 0) {
        transfer_free_locked(t);
        return rc;
    }
    t->part = idx;
    t->gen = p->gen;
    t->size = p->size;
    t->bulk = true;
    p->state = PART_SENDING;
    p->under_way = true;
    p->copied = copy;
    transfer_start_locked(t);
    return 0;
}

/* Starts one transfer of the file. False: nothing to start now, it leaves the line. */
static bool pump_one(struct fs *fs, struct staged *st)
{
    if (st->paused)
        return false;
    if (st->state == STAGED_PUBLISHING && !st->final_request && is_single(fs, st)) {
        leave_sending(fs, st);
        publish_step_locked(fs, st);
        return true;
    }
    if (st->upload.state == UPLOAD_NONE && !inode_moving_locked(st->inode) && st->n_parts)
        start_initiate(fs, st);
    if (st->upload.state != UPLOAD_ACTIVE || inode_moving_locked(st->inode))
        return false;

    bool waiting = false;
    for (size_t i = st->next_ready; i < st->n_parts; i++) {
        if (st->parts[i].state != PART_READY)
            continue;
        if (!waiting)
            st->next_ready = i;
        if (st->parts[i].under_way) { /* with older bytes: it must not arrive after the new ones */
            waiting = true;
            continue;
        }
        int rc = start_part(fs, st, i);
        if (rc < 0 && rc != -EINPROGRESS) {
            st->parts[i].state = PART_OPEN;
            publish_failed_errno(fs, st, rc, err_text(rc));
        }
        return rc == 0;
    }
    if (!waiting)
        st->next_ready = st->n_parts;
    return false;
}

void publish_pump_locked(struct fs *fs)
{
    while (fs->sending && fs->transfers < fs->opt->parallel) {
        struct staged *st = fs->sending;
        st->users++; /* a failure may let it go */
        bool started = pump_one(fs, st);
        st->users--;
        if (st->state == STAGED_DEAD) {
            staged_reap_locked(fs, st);
            continue;
        }
        if (st->in_sending) {
            leave_sending(fs, st);
            if (started) { /* others first, then this one again */
                DL_APPEND2(fs->sending, st, send_prev, send_next);
                st->in_sending = true;
            }
        }
    }
}

static bool has_ready(const struct staged *st)
{
    for (size_t i = st->next_ready; i < st->n_parts; i++) {
        if (st->parts[i].state == PART_READY)
            return true;
    }
    return false;
}

void publish_resume_locked(struct fs *fs)
{
    struct staged *st, *tmp;
    DL_FOREACH_SAFE (fs->staged, st, tmp) {
        if (st->state == STAGED_PUBLISHING)
            publish_step_locked(fs, st);
        else if (st->state == STAGED_OPEN && (st->upload.state == UPLOAD_ACTIVE || has_ready(st)))
            publish_part_ready_locked(fs, st);
    }
}

bool publish_busy_locked(const struct fs *fs)
{
    if (fs->aborting || orphans_busy_locked(fs) || fs->changed || fs->changes_sending)
        return true;
    const struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->paused && st->state != STAGED_DEAD && !st->inflight)
            continue;
        if (st->state != STAGED_OPEN || st->inflight)
            return true;
        if (staged_dirty(st) && st->inode->parent && !st->inode->nwriters && !st->interrupted &&
            !st->gave_up)
            return true;
    }
    return false;
}
