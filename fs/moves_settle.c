// SPDX-License-Identifier: Apache-2.0
// Finishing and undoing renames; see moves.h.
#include "fs/moves_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/errors.h"
#include "fs/note.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/timer.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* Both objects as HEAD tells them: the same size and metadata; `ours`: some of it we have set. */
static int compare(struct fs *fs, const char *a, const char *b, bool *same, bool *ours)
{
    struct obs_call x = {.op = OBS_HEAD, .key = a}, y = {.op = OBS_HEAD, .key = b};
    int rc = request_run_locked(fs, &x, NULL, "rename");
    if (rc == 0)
        rc = request_run_locked(fs, &y, NULL, "rename");
    *same = rc == 0 && x.object.size == y.object.size;
    *ours = false;
    for (size_t i = 0; *same && i < x.object.props.n; i++) {
        const struct obs_prop *p = &x.object.props.v[i];
        if (p->kind != OBS_PROP_META)
            continue;
        const char *other = obs_props_get(&y.object.props, p->kind, p->name);
        *same = other && strcmp(other, p->value) == 0;
        *ours = *ours || strcmp(p->name, "mtime") == 0 || strcmp(p->name, "ctime") == 0;
    }
    if (rc == -EACCES || rc == -EINVAL) /* encrypted with a key that is not here */
        rc = 0;
    obs_call_clear(&x);
    obs_call_clear(&y);
    return rc;
}

/* Is `copy` what the rename has made of `old`? 1, 0, or -errno. */
static int is_copy(struct fs *fs, const struct move *mv, const struct tree_object *old,
                   const struct tree_object *copy)
{
    bool same, ours;
    if (old->size != copy->size || (mv->server_s && copy->mtime_ms / 1000 < mv->server_s - 1))
        return 0;
    const char *etag = moves_copy_etag(mv, old->key, old->etag);
    bool equal = strcmp(copy->etag, etag) == 0, known = etag != old->etag;
    if (equal && (known || mv->deleting || !mv->file))
        return 1;
    if (known)
        return 0;
    int rc = compare(fs, old->key, copy->key, &same, &ours);
    return rc < 0 ? rc : same && (equal || ours);
}

/* The empty directory that was replaced gets its attributes back. */
static int restore_marker(struct fs *fs, const struct move *mv)
{
    struct obs_props props = {0};
    int rc = note_decode_props(mv->attrs, mv->n_attrs, &props);
    struct obs_call call = {.op = OBS_PUT, .key = mv->to, .props = &props};
    if (rc == 0)
        rc = request_run_locked(fs, &call, NULL, "rename");
    obs_call_clear(&call);
    obs_props_clear(&props);
    return rc;
}

struct pair {
    struct tree old, copies;
    const char **keys; /* to be deleted */
    size_t n;
    bool finish;   /* the old objects go, not the copies */
    bool replaced; /* the empty directory is to get its attributes back */
};

static int list_pair(struct fs *fs, const struct move *mv, struct pair *p)
{
    (void)snprintf(p->old.prefix, sizeof(p->old.prefix), "%s", mv->from);
    (void)snprintf(p->copies.prefix, sizeof(p->copies.prefix), "%s", mv->to);
    p->finish = mv->deleting || (mv->file && mv->replaces);
    int rc = mv->file ? tree_take_locked(fs, &p->old) : tree_list_locked(fs, &p->old, 0, NULL);
    if (rc == 0)
        rc =
            mv->file ? tree_take_locked(fs, &p->copies) : tree_list_locked(fs, &p->copies, 0, NULL);
    if (rc == 0 && !(p->keys = calloc(p->old.n + 1, sizeof(*p->keys))))
        rc = -ENOMEM;
    return rc;
}

static void say_it_stays(struct fs *fs, const char *key, const char *why)
{
    struct err err;
    err_set(&err, -ESTALE, "%s", why);
    log_err(fs->log, LOG_LEVEL_WARNING, "rename", &err, "'%s' stays", key);
    errors_add(fs->errors, "rename", key, &err);
}

/* Chooses what goes. */
static int choose(struct fs *fs, const struct move *mv, struct pair *p)
{
    for (size_t i = 0; i < p->old.n; i++) {
        const struct tree_object *old = &p->old.v[i];
        const struct tree_object *copy = tree_twin(&p->copies, &p->old, old);
        const struct tree_object *goes = p->finish ? old : copy;
        int rc = copy ? is_copy(fs, mv, old, copy) : 0;
        if (rc < 0)
            return rc;
        if (!goes || (rc == 0 && p->finish && !mv->deleting))
            continue; /* the copy was not made: nothing has happened */
        if (rc == 0)
            say_it_stays(fs, goes->key,
                         p->finish ? "it is not what was renamed"
                                   : "it is not what the rename that is undone has copied");
        else if (!mv->file && !p->finish && mv->replaces && strcmp(goes->key, mv->to) == 0)
            p->replaced = true;
        else
            p->keys[p->n++] = goes->key;
    }
    return 0;
}

static int finish_or_undo(struct fs *fs, const struct move *mv, struct pair *p)
{
    int rc = choose(fs, mv, p);
    if (rc < 0)
        return rc;
    if (p->finish)
        CRASH_POINT("moves.finish");
    else
        CRASH_POINT("moves.undo");
    if (p->n)
        rc = tree_delete_locked(fs, p->keys, p->n, NULL);
    if (rc == 0 && p->replaced)
        rc = restore_marker(fs, mv);
    if (p->finish)
        CRASH_POINT("moves.finished");
    else
        CRASH_POINT("moves.undone");
    return rc;
}

/* What is known of the key's name, and of those below it, is asked for again. */
static void forget_names(struct fs *fs, const char *key)
{
    char path[OBS_KEY_MAX + 1];
    char *rest = path, *name;
    struct inode *dir = NULL, *at = fs->root;
    (void)snprintf(path, sizeof(path), "%s", key + strlen(fs->prefix));
    while (at && rest && *rest && (name = strsep(&rest, "/")) && *name) {
        dir = at;
        at = inode_child_locked(dir, name);
        if (!rest || !*rest) {
            dir->list_start_ms = 0;
            notify_entry_locked(fs, dir, name);
        }
    }
    if (at && at != fs->root)
        dir_refresh_locked(fs, at);
}

/* 0: it is settled, and `mv` gone. */
static int settle(struct fs *fs, struct move *mv)
{
    struct pair p = {0};
    int rc = list_pair(fs, mv, &p);
    if (rc == 0)
        rc = finish_or_undo(fs, mv, &p);
    free(p.keys);
    tree_done(&p.old);
    tree_done(&p.copies);
    log_notice(fs->log, "rename", "'%s' to '%s': %s: %s", mv->from, mv->to,
               p.finish ? "finished" : "undone", rc < 0 ? err_text(rc) : "done");
    if (rc == -EACCES || rc == -EPERM) {
        say_it_stays(fs, p.finish ? mv->from : mv->to, "the service refuses to delete");
        rc = 0;
    }
    forget_names(fs, mv->from);
    forget_names(fs, mv->to);
    if (rc == 0)
        moves_end_locked(fs, mv);
    return rc;
}

/* One that nobody works on and this round has not tried. */
static struct move *next_left(struct moves *ms)
{
    struct move *mv;
    DL_FOREACH (ms->list, mv) {
        if (!mv->active && mv->round != ms->round)
            return mv;
    }
    return NULL;
}

static void run(struct fs *fs, struct job *job)
{
    struct moves *ms = (struct moves *)job;
    struct move *mv;
    bool left = false;
    fs_lock(fs);
    ms->round++;
    while (!fs->stopping && (mv = next_left(ms))) {
        mv->round = ms->round;
        mv->active = true;
        if (settle(fs, mv) < 0) {
            mv->active = false;
            waitlist_finish_locked(fs, &ms->ended, 0);
            left = true;
        }
    }
    ms->queued = false;
    ms->retry_ms = left && !fs->stopping ? clock_ms() + MOVES_RETRY_MS : 0;
    if (ms->retry_ms)
        timer_wake_locked(fs, ms->retry_ms);
    fs_unlock(fs);
}

static void submit_locked(struct fs *fs)
{
    struct moves *ms = fs->moves;
    ms->job.fn = run;
    ms->queued = true;
    ms->retry_ms = 0;
    worker_submit_locked(fs, &ms->job);
}

void moves_start(struct fs *fs)
{
    fs_lock(fs);
    if (fs->moves && fs->moves->list)
        submit_locked(fs);
    fs_unlock(fs);
}

int64_t moves_run_locked(struct fs *fs, int64_t now_ms)
{
    struct moves *ms = fs->moves;
    if (!ms || ms->queued || !ms->retry_ms)
        return INT64_MAX;
    if (ms->retry_ms > now_ms)
        return ms->retry_ms;
    submit_locked(fs);
    return INT64_MAX;
}

void moves_leave_locked(struct fs *fs, struct move *mv)
{
    struct moves *ms = fs->moves;
    if (!ms) {
        moves_end_locked(fs, mv);
        return;
    }
    mv->active = false;
    waitlist_finish_locked(fs, &ms->ended, 0);
    if (!ms->queued && !ms->retry_ms) {
        ms->retry_ms = clock_ms() + MOVES_RETRY_MS;
        timer_wake_locked(fs, ms->retry_ms);
    }
}

void moves_settle_locked(struct fs *fs, struct move *mv)
{
    if (settle(fs, mv) < 0)
        moves_leave_locked(fs, mv);
}

int moves_clear_locked(struct fs *fs, const char *from, const char *to, struct intr *intr)
{
    struct move *mv;
    while (fs->moves && (mv = moves_overlapping(fs->moves, from, to))) {
        if (mv->active) {
            int rc = fs_wait_locked(fs, &fs->moves->ended, intr, fs->opt->rename_wait);
            if (rc < 0)
                return rc;
            continue;
        }
        mv->active = true;
        if (settle(fs, mv) < 0) {
            moves_leave_locked(fs, mv);
            return -EBUSY;
        }
    }
    return 0;
}
