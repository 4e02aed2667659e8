// SPDX-License-Identifier: Apache-2.0
// Requests that a thread waits for; see request.h.
#include "fs/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/errors.h"
#include "net/base/log.h"

int request_run_locked(struct fs *fs, struct obs_call *call, struct intr *intr, const char *what)
{
    ASSERT_HELD(&fs->lock);
    call->urgent = true;
    if (!call->give_up_ms)
        call->give_up_ms = FS_META_GIVE_UP_MS;
    fs_unlock(fs);
    int rc = obs_run(fs->obs, call, intr);
    if (rc < 0 && rc != -EINTR && rc != -ENOENT)
        log_err(fs->log, LOG_LEVEL_WARNING, what, &call->err, "'%s'", call->key ? call->key : "");
    fs_lock(fs);
    if (rc < 0 && rc != -EINTR && rc != -ENOENT)
        errors_add(fs->errors, what, call->key ? call->key : "", &call->err);
    return rc;
}

/* One of the calls of a batch. */
struct slot {
    struct obs_call call;
    struct runner *runner;
    size_t index;
    bool busy, answered;
};

struct runner {
    struct lock lock;
    pthread_cond_t cond;
    struct slot *slots;
    size_t width;
};

static void slot_done(struct obs_call *call)
{
    struct slot *slot = call->arg;
    struct runner *r = slot->runner;
    lock_take(&r->lock);
    slot->answered = true;
    pthread_cond_signal(&r->cond);
    lock_drop(&r->lock);
}

/* A free slot, or NULL when `drain` and none is busy; waits for answers. Answers are taken here. */
static struct slot *wait_slot(struct runner *r, const struct request_batch *b, bool drain, int *rc)
{
    for (;;) {
        struct slot *idle = NULL, *done = NULL;
        bool busy = false;
        lock_take(&r->lock);
        for (;;) {
            busy = false;
            for (size_t i = 0; i < r->width; i++) {
                struct slot *s = &r->slots[i];
                if (s->busy && s->answered)
                    done = s;
                else if (s->busy)
                    busy = true;
                else
                    idle = s;
            }
            if (done || (idle && !drain) || !busy)
                break;
            (void)lock_wait(&r->lock, &r->cond, NULL);
        }
        lock_drop(&r->lock);
        if (!done)
            return drain ? NULL : idle;
        int end = b->end(b->arg, done->index, &done->call);
        if (*rc == 0)
            *rc = end;
        obs_call_clear(&done->call);
        done->busy = done->answered = false;
    }
}

static int run_batch(struct fs *fs, const struct request_batch *b, struct runner *r,
                     struct intr *intr)
{
    int rc = 0;
    for (size_t i = 0; rc == 0; i++) {
        struct slot *slot = wait_slot(r, b, false, &rc);
        if (rc == 0 && intr && intr_interrupted(intr))
            rc = -EINTR;
        if (rc < 0)
            break;
        slot->call = (struct obs_call){0};
        int more = b->next(b->arg, i, &slot->call);
        if (more > 0)
            break;
        if (more < 0) {
            rc = more;
            break;
        }
        slot->index = i;
        slot->runner = r;
        slot->busy = true;
        slot->call.done = slot_done;
        slot->call.arg = slot;
        obs_submit(fs->obs, &slot->call);
    }
    (void)wait_slot(r, b, true, &rc);
    return rc;
}

int request_batch_locked(struct fs *fs, const struct request_batch *batch, struct intr *intr)
{
    struct runner r = {.width = batch->width};
    r.slots = calloc(batch->width, sizeof(*r.slots));
    if (!r.slots)
        return -ENOMEM;
    lock_init(&r.lock);
    lock_cond_init(&r.cond);

    fs_unlock(fs);
    int rc = run_batch(fs, batch, &r, intr);
    fs_lock(fs);

    pthread_cond_destroy(&r.cond);
    lock_done(&r.lock);
    free(r.slots);
    return rc;
}

bool request_refused(const struct obs_call *call)
{
    return call->err.http == 403 && call->err.cls == ERR_DENIED && !call->object.key_missing;
}

void request_take_listed(struct obs_call *call, const char *key)
{
    const struct obs_entry *e = call->list.n ? &call->list.v[0] : NULL;
    if (call->err.eno)
        return;
    if (!e || e->is_prefix || strcmp(e->key, key) != 0) {
        err_set(&call->err, -ENOENT, "it is not listed");
        return;
    }
    call->object.size = e->size;
    call->object.mtime_ms = e->mtime_ms;
    (void)snprintf(call->object.etag, sizeof(call->object.etag), "%s", e->etag);
}

int request_look(struct fs *fs, struct obs_call *call, const char *key)
{
    *call = (struct obs_call){.op = OBS_HEAD, .key = key, .give_up_ms = FS_META_GIVE_UP_MS};
    (void)obs_run(fs->obs, call, NULL);
    if (!call->err.eno || !request_refused(call))
        return call->err.eno;
    obs_call_clear(call);
    *call = (struct obs_call){
        .op = OBS_LIST, .prefix = key, .max_keys = 1, .give_up_ms = FS_META_GIVE_UP_MS};
    (void)obs_run(fs->obs, call, NULL);
    request_take_listed(call, key);
    return call->err.eno;
}
