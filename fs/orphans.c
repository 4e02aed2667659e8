// SPDX-License-Identifier: Apache-2.0
// Uploads that nobody knows; see orphans.h.
#include "fs/orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/recover.h"
#include "checkpoint/store.h"
#include "fs/crashpoint.h"
#include "fs/kept.h"
#include "fs/match.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/staged.h"
#include "fs/timer.h"
#include "fs/transfer.h"
#include "fs/worker.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"

enum { PAGES_MAX = 20 };

/* One key to be looked through. */
struct orphan {
    struct job job;
    uint64_t id;
    char *key;
    int64_t since_s;
    int64_t due_ms;
    bool looking; /* a worker has it */
    bool tried;
    struct orphan *next, *prev; /* fs->orphans */
};

/* Uploads that are listed under the key. */
struct found {
    struct obs_entry *v;
    size_t n;
};

static void found_free(struct found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].upload_id);
        free(f->v[i].key);
    }
    free(f->v);
}

/* Takes the entries of exactly this key out of a page. */
static int take_page(struct obs_list *page, const char *key, struct found *f)
{
    struct obs_entry *v = realloc(f->v, (f->n + page->n + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    f->v = v;
    for (size_t i = 0; i < page->n; i++) {
        struct obs_entry *e = &page->v[i];
        if (e->is_prefix || !e->key || !e->upload_id || strcmp(e->key, key) != 0)
            continue;
        v[f->n++] =
            (struct obs_entry){.key = e->key, .upload_id = e->upload_id, .mtime_ms = e->mtime_ms};
        e->key = e->upload_id = NULL;
    }
    return 0;
}

static int list_uploads(struct fs *fs, const char *key, struct found *f)
{
    CLEANUP_FREE char *marker = NULL;
    CLEANUP_FREE char *id_marker = NULL;
    int rc = 0;
    bool more = true;
    for (int page = 0; rc == 0 && more && page < PAGES_MAX; page++) {
        struct obs_call call = {.op = OBS_MP_LIST_UPLOADS,
                                .prefix = key,
                                .marker = marker,
                                .upload_id_marker = id_marker,
                                .give_up_ms = FS_META_GIVE_UP_MS};
        rc = obs_run(fs->obs, &call, NULL);
        if (rc == 0)
            rc = take_page(&call.list, key, f);
        /* The key is the first of all that begin with it: whoever is behind it is another one. */
        more = rc == 0 && call.list.truncated && call.list.next_marker &&
               strcmp(call.list.next_marker, key) == 0;
        free(marker);
        free(id_marker);
        marker = call.list.next_marker;
        id_marker = call.list.next_upload_id_marker;
        call.list.next_marker = call.list.next_upload_id_marker = NULL;
        obs_call_clear(&call);
    }
    return rc;
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool state_knows(const struct journal_state *s, const char *upload_id)
{
    bool known = same(s->upload_id, upload_id);
    for (uint32_t i = 0; i < s->n_stale; i++)
        known = known || same(s->stale[i].upload_id, upload_id);
    return known;
}

/* -EAGAIN: an Initiate of that key is under way, its upload cannot be told from an orphan. */
static int known_here_locked(const struct fs *fs, const char *key, const char *upload_id)
{
    const struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->upload.state == UPLOAD_INITIATING && (!st->upload.key || same(st->upload.key, key)))
            return -EAGAIN;
        if (same(st->upload.id, upload_id))
            return 1;
    }
    return 0;
}

/* Also those that recovery has not come to yet. */
static int known_on_disk(struct fs *fs, const char *upload_id)
{
    struct store_entry *v = NULL;
    size_t n = 0;
    int rc = store_list(fs->store, &v, &n, NULL);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct journal_state s = {0};
        if (v[i].has_journal &&
            journal_read(&io_real, store_path(fs->store), v[i].id, &s, NULL, NULL) == 0)
            rc = state_knows(&s, upload_id);
        state_done(&s);
    }
    free(v);
    return rc;
}

/* Aborts it if it is an orphan of the windows in `s`. -errno: it cannot be told now. */
static int look_at(struct fs *fs, uint64_t id, const struct journal_state *s,
                   const struct obs_entry *e)
{
    struct recover_upload u = {.key = e->key,
                               .upload_id = e->upload_id,
                               .initiated_s = e->mtime_ms / 1000,
                               .parts_answer = ANSWER_FOUND};
    if (!recover_unknown_upload(s, &u)) /* .. even if it had no parts */
        return 0;
    struct recover_listed_part *parts = NULL;
    int rc = match_list_parts(fs, e->key, e->upload_id, &parts, &u.n_parts);
    match_free_parts(parts, u.n_parts);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0 && !recover_unknown_upload(s, &u))
        return 0;
    if (rc == 0)
        rc = known_on_disk(fs, e->upload_id);
    if (rc != 0)
        return rc < 0 ? rc : 0;

    fs_lock(fs);
    rc = known_here_locked(fs, e->key, e->upload_id);
    if (rc == 0) {
        log_notice(fs->log, "upload", "upload %s of '%s' has no owner and no parts: aborted",
                   e->upload_id, e->key);
        transfer_abort_upload_locked(fs, id, e->key, e->upload_id, NULL);
    }
    fs_unlock(fs);
    return rc < 0 ? rc : 0;
}

/* All uploads of `key` that fit a window of `s`. */
static int look_through(struct fs *fs, uint64_t id, const struct journal_state *s, const char *key)
{
    struct found f = {0};
    int rc = list_uploads(fs, key, &f);
    for (size_t i = 0; rc == 0 && i < f.n; i++)
        rc = look_at(fs, id, s, &f.v[i]);
    found_free(&f);
    CRASH_POINT("orphans.looked");
    return rc;
}

int orphans_recover(struct fs *fs, uint64_t id, const struct journal_state *s)
{
    struct record recs[STATE_WINDOWS_MAX];
    uint32_t n = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->n_windows; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++)
            again = again || same(s->windows[k].key, s->windows[i].key);
        if (again)
            continue;
        rc = look_through(fs, id, s, s->windows[i].key);
        recs[n++] = (struct record){.type = RECORD_ABORTED,
                                    .aborted = {.key = s->windows[i].key, .upload_id = ""}};
    }
    if (rc < 0 || n == 0)
        return rc;
    struct journal *j;
    rc = journal_open(&io_real, store_path(fs->store), id, &j, NULL, NULL);
    if (rc == 0) {
        rc = journal_append(j, recs, n);
        journal_close(j);
    }
    return rc == -ENOENT ? 0 : rc;
}

static void orphan_free(struct orphan *o)
{
    free(o->key);
    free(o);
}

/* The journal of the file need not remember the window any more. */
static void note_looked_locked(struct fs *fs, const struct orphan *o)
{
    struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->id == o->id && st->upload.state != UPLOAD_INITIATING)
            note_looked_through_locked(fs, st, o->key);
    }
}

static void run(struct fs *fs, struct job *job)
{
    struct orphan *o = (struct orphan *)job;
    int64_t window_s = fs->opt->retry_time / 1000 + 60;
    struct journal_state s = {0};
    s.windows[0] = (struct state_window){
        .key = o->key, .server_s = o->since_s, .window_s = (uint32_t)window_s};
    s.n_windows = 1; /* borrowed, so no state_done() */
    int rc = look_through(fs, o->id, &s, o->key);

    fs_lock(fs);
    o->looking = false;
    o->tried = true;
    if (rc < 0 && !fs->stopping) {
        o->due_ms = clock_ms() + (rc == -EAGAIN ? 1000 : ORPHANS_RETRY_MS);
        timer_wake_locked(fs, o->due_ms);
    } else {
        if (rc == 0)
            note_looked_locked(fs, o);
        DL_DELETE(fs->orphans, o);
        orphan_free(o);
    }
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
    fs_unlock(fs);
}

static void start_locked(struct fs *fs, struct orphan *o)
{
    o->looking = true;
    o->job.fn = run;
    worker_submit_locked(fs, &o->job);
}

void orphans_add_locked(struct fs *fs, uint64_t id, const char *key, int64_t since_s)
{
    struct orphan *o;
    size_t n;
    if (since_s <= 0 || fs->stopping)
        return;
    DL_FOREACH (fs->orphans, o) {
        if (!o->looking && strcmp(o->key, key) == 0) {
            o->since_s = since_s < o->since_s ? since_s : o->since_s;
            return;
        }
    }
    DL_COUNT(fs->orphans, o, n);
    o = n < ORPHANS_MAX ? calloc(1, sizeof(*o)) : NULL;
    if (o && !(o->key = strdup(key))) {
        free(o);
        o = NULL;
    }
    if (!o) {
        log_warning(fs->log, "upload", "an upload of '%s' without parts may be left", key);
        return;
    }
    o->id = id;
    o->since_s = since_s;
    DL_APPEND(fs->orphans, o);
    start_locked(fs, o);
}

int64_t orphans_run_locked(struct fs *fs, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    struct orphan *o;
    DL_FOREACH (fs->orphans, o) {
        if (o->looking)
            continue;
        if (o->due_ms <= now_ms)
            start_locked(fs, o);
        else if (o->due_ms < next)
            next = o->due_ms;
    }
    return next;
}

bool orphans_busy_locked(const struct fs *fs)
{
    const struct orphan *o;
    DL_FOREACH (fs->orphans, o) {
        if (!o->tried)
            return true;
    }
    return false;
}

void orphans_done(struct fs *fs)
{
    struct orphan *o, *tmp;
    DL_FOREACH_SAFE (fs->orphans, o, tmp)
        orphan_free(o);
    fs->orphans = NULL;
}
