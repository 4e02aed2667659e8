// SPDX-License-Identifier: Apache-2.0
// The list of uploads and what can be done with one; see control_uploads.h.
#include "fs/control_uploads.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkpoint/store.h"
#include "fs/control_json.h"
#include "fs/control_rows.h"
#include "fs/errors.h"
#include "fs/hold.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/meta.h"
#include "fs/note.h"
#include "fs/publish.h"
#include "fs/recovery.h"
#include "fs/transfer.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* How often drain looks itself. */
enum { DRAIN_LOOK_MS = 500 };

/* One row of the list. -1: not known. */
struct view {
    uint64_t id;
    const char *state;
    char key[OBS_KEY_MAX + 1];
    char path[OBS_KEY_MAX + 8];
    uint64_t done, sending;
    int64_t total;
    unsigned parts_stored;
    int64_t parts_total;
    int64_t rate; /* bytes a second */
    int64_t eta_s;
    int64_t seconds;
    struct err err;
};

static const char *state_of(const struct staged *st)
{
    if (st->interrupted)
        return "interrupted";
    if (st->paused)
        return "paused";
    if (st->state == STAGED_PUBLISHING)
        return st->final_request && st->upload.state == UPLOAD_COMPLETING ? "publishing"
                                                                          : "uploading";
    if (st->inode->nwriters)
        return "writing";
    if (st->held)
        return "held";
    return st->gave_up ? "failed" : "waiting";
}

static void add_progress(const struct staged *st, struct view *v)
{
    for (size_t i = 0; i < st->n_parts; i++) {
        if (st->parts[i].state == PART_STORED) {
            v->parts_stored++;
            v->done += st->parts[i].size;
        }
    }
    const struct transfer *t;
    DL_FOREACH (st->transfers, t) {
        if (t->kind == TRANSFER_PUT || t->kind == TRANSFER_PART)
            v->sending += atomic_load_explicit(&t->progress, memory_order_relaxed);
    }
    int64_t ms = st->send_start_ms ? clock_ms() - st->send_start_ms : 0;
    if (ms > 0)
        v->rate = (int64_t)((st->sent_bytes + v->sending) * 1000 / (uint64_t)ms);
    uint64_t here = v->done + v->sending;
    if (v->rate > 0 && v->total >= 0)
        v->eta_s = (uint64_t)v->total > here
                       ? (int64_t)(((uint64_t)v->total - here) / (uint64_t)v->rate) + 1
                       : 0;
}

static void view_staged(const struct fs *fs, const struct staged *st, struct view *v)
{
    *v = (struct view){.id = st->id,
                       .state = state_of(st),
                       .total = -1,
                       .parts_total = -1,
                       .rate = -1,
                       .eta_s = -1};
    inode_path_locked(st->inode, v->path, sizeof(v->path));
    if (inode_key_locked(fs, st->inode, v->key) < 0)
        v->key[0] = '\0';
    if (st->state == STAGED_PUBLISHING || !st->inode->nwriters) {
        v->total = (int64_t)st->size;
        v->parts_total = (int64_t)staged_part_count(fs, st, st->size);
    }
    v->seconds = (clock_ms() - st->start_ms) / 1000;
    add_progress(st, v);
    if (st->gave_up)
        v->err = st->failure;
}

static void view_kept(const struct fs *fs, const struct kept *k, struct view *v)
{
    const struct journal_state *s = &k->state;
    *v = (struct view){.id = k->id,
                       .total = -1,
                       .parts_total = -1,
                       .rate = -1,
                       .eta_s = -1,
                       .seconds = -1,
                       .done = state_stored_bytes(s)};
    bool open = s->phase == PHASE_OPEN || s->interrupted;
    v->state = s->failed ? "failed" : s->paused && !open ? "paused" : "interrupted";
    (void)snprintf(v->key, sizeof(v->key), "%s", s->key);
    size_t skip = strlen(fs->prefix);
    bool below = strncmp(s->key, fs->prefix, skip) == 0;
    (void)snprintf(v->path, sizeof(v->path), "/%s", below ? s->key + skip : s->key);
    for (uint32_t i = 0; i < s->n_parts; i++)
        v->parts_stored += state_part_stored(&s->parts[i]);
    if (s->sealed_once)
        v->total = (int64_t)s->size;
    if (!s->failed)
        return;
    err_set(&v->err, -s->failed_eno, "%s", s->failed_message ? s->failed_message : "");
    (void)snprintf(v->err.code, sizeof(v->err.code), "%s", s->failed_code ? s->failed_code : "");
    (void)snprintf(v->err.request_id, sizeof(v->err.request_id), "%s",
                   s->failed_request_id ? s->failed_request_id : "");
}

/* Nothing of it is to be stored, or nobody can name it. */
static bool is_hidden(const struct staged *st)
{
    return st->state == STAGED_DEAD || !st->inode->parent ||
           (!staged_dirty(st) && st->state == STAGED_OPEN);
}

typedef int show_fn(const struct view *v, void *arg);

static int for_each(struct fs *fs, show_fn *show, void *arg)
{
    struct view v;
    const struct staged *st;
    const struct kept *k;
    DL_FOREACH (fs->staged, st) {
        if (is_hidden(st))
            continue;
        view_staged(fs, st, &v);
        int rc = show(&v, arg);
        if (rc < 0)
            return rc;
    }
    DL_FOREACH (fs->kept, k) {
        view_kept(fs, k, &v);
        int rc = show(&v, arg);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void number(char out[24], int64_t n)
{
    (void)snprintf(out, 24, n < 0 ? "-" : "%" PRId64, n);
}

static void add_clean(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        buf_addc(out, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
}

static int show_text(const struct view *v, void *arg)
{
    struct buf *out = arg;
    char total[24], parts[24], rate[24], eta[24], seconds[24];
    number(total, v->total);
    number(parts, v->parts_total);
    number(rate, v->rate);
    number(eta, v->eta_s);
    number(seconds, v->seconds);
    buf_addf(out, "%-6" PRIu64 " %-11s %12" PRIu64 " %12s %5u/%-5s %10s %6s %7s ", v->id, v->state,
             v->done + v->sending, total, v->parts_stored, parts, rate, eta, seconds);
    add_clean(out, v->path);
    if (v->err.eno)
        buf_addf(out, "  (%s%s%s: %s)", err_name(v->err.eno), v->err.code[0] ? " " : "",
                 v->err.code, v->err.msg);
    return buf_addc(out, '\n');
}

int uploads_text_locked(struct fs *fs, struct buf *out)
{
    buf_addf(out, "%-6s %-11s %12s %12s %11s %10s %6s %7s %s\n", "ID", "STATE", "BYTES", "OF",
             "PARTS", "BYTES/S", "ETA", "SECONDS", "PATH");
    int rc = for_each(fs, show_text, out);
    for (size_t i = 0; rc == 0 && i < fs->n_siblings; i++) {
        const struct store_sibling *s = &fs->siblings[i];
        buf_addf(out, "%-6s %-11s adopt_state=%s takes over %" PRIu32 " uploads%s (endpoint '", "-",
                 "elsewhere", s->id, s->n_unfinished, s->ledgers ? " and other changes" : "");
        add_clean(out, s->endpoint);
        buf_adds(out, "', prefix '");
        add_clean(out, s->prefix);
        rc = buf_adds(out, "')\n");
    }
    return rc;
}

static json_t *known(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static json_t *error_of(const struct err *err)
{
    if (!err->eno)
        return json_null();
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "errno", err_name(err->eno), "http_status",
                     err->http, "error_code", control_json_text(err->code), "error_msg",
                     control_json_text(err->msg), "request_id", control_json_text(err->request_id));
}

static int show_json(const struct view *v, void *arg)
{
    json_t *row = json_pack(
        "{s:I, s:o, s:o, s:s, s:I, s:I, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "id",
        (json_int_t)v->id, "key", control_json_text(v->key), "path", control_json_text(v->path),
        "state", v->state, "bytes_done", (json_int_t)v->done, "bytes_sending",
        (json_int_t)v->sending, "bytes_total", known(v->total), "parts_stored",
        (int)v->parts_stored, "parts_total", known(v->parts_total), "rate", known(v->rate), "eta",
        known(v->eta_s), "seconds", known(v->seconds), "error", error_of(&v->err));
    return row && json_array_append_new(arg, row) == 0 ? 0 : -ENOMEM;
}

/* Other state directories of the bucket, if there are any. */
static json_t *elsewhere(const struct fs *fs)
{
    json_t *rows = fs->n_siblings ? json_array() : NULL;
    for (size_t i = 0; rows && i < fs->n_siblings; i++) {
        const struct store_sibling *s = &fs->siblings[i];
        json_t *row =
            json_pack("{s:s, s:o, s:o, s:I, s:b}", "adopt_state", s->id, "endpoint",
                      control_json_text(s->endpoint), "prefix", control_json_text(s->prefix),
                      "uploads", (json_int_t)s->n_unfinished, "changes", (int)s->ledgers);
        if (row)
            (void)json_array_append_new(rows, row);
    }
    return rows;
}

int uploads_json_locked(struct fs *fs, struct buf *out)
{
    json_t *rows = json_array();
    int rc = rows ? for_each(fs, show_json, rows) : -ENOMEM;
    json_t *all =
        rc == 0 ? json_pack("{s:O, s:o*}", "uploads", rows, "elsewhere", elsewhere(fs)) : NULL;
    CLEANUP_FREE char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    json_decref(rows);
    if (!text)
        return -ENOMEM;
    buf_adds(out, text);
    return buf_addc(out, '\n');
}

enum { LEFT_NAMES = 5, STUCK_TEXT_MAX = 8 * (OBS_KEY_MAX + 32) };

struct left {
    struct buf *out; /* the names */
    unsigned n;
    uint64_t bytes;
    bool failed; /* one of them has */
};

static int add_left(const struct view *v, void *arg)
{
    struct left *left = arg;
    static const char *const waits[] = {"failed", "interrupted", "paused", NULL};
    for (size_t i = 0; waits[i]; i++) {
        if (strcmp(v->state, waits[i]) == 0)
            return 0;
    }
    uint64_t here = v->done + v->sending;
    if (v->total > 0 && (uint64_t)v->total > here)
        left->bytes += (uint64_t)v->total - here;
    if (left->n++ < LEFT_NAMES) {
        buf_adds(left->out, left->n > 1 ? ", " : "");
        (void)errors_quote(left->out, v->path);
    }
    return left->out->eno;
}

static int add_stuck(const struct view *v, void *arg)
{
    struct left *left = arg;
    bool failed = v->err.eno;
    if (!failed && (strcmp(v->state, "paused") != 0 || v->total < 0))
        return 0; /* its writer has not closed it */
    left->failed |= failed;
    if (left->n++ < LEFT_NAMES) {
        buf_adds(left->out, left->n > 1 ? ", " : "");
        (void)errors_quote(left->out, v->path);
        buf_addf(left->out, " (%s)", failed ? "failed" : v->state);
    }
    return left->out->eno;
}

int uploads_stuck_locked(struct fs *fs, struct buf *out)
{
    struct left left = {.out = out};
    int rc = for_each(fs, add_stuck, &left);
    if (rc == -ENOMEM)
        return rc;
    if (left.n > LEFT_NAMES)
        (void)buf_adds(out, ", ...");
    return left.n == 0 ? 0 : left.failed || rc < 0 ? -EIO : -EBUSY;
}

int uploads_left_locked(struct fs *fs, struct buf *out)
{
    CLEANUP_BUF struct buf names = BUF_INIT(out->max / 2);
    struct left left = {.out = &names};
    int rc = for_each(fs, add_left, &left);
    if (rc == -EMSGSIZE)
        rc = 0; /* long names: the number says it */
    if (rc < 0 || left.n == 0)
        return rc < 0 ? rc : buf_adds(out, "the last requests");
    buf_addf(out, "%u file%s, ", left.n, left.n > 1 ? "s" : "");
    rows_size(out, left.bytes);
    buf_addf(out, ": %s", buf_str(&names));
    return left.n > LEFT_NAMES ? buf_adds(out, ", ...") : out->eno;
}

int uploads_one_locked(struct fs *fs, const struct staged *st, struct buf *out)
{
    struct view v;
    if (is_hidden(st))
        return -ENODATA;
    view_staged(fs, st, &v);
    json_t *rows = json_array();
    int rc = rows ? show_json(&v, rows) : -ENOMEM;
    CLEANUP_FREE char *text = rc == 0 ? json_dumps(json_array_get(rows, 0), JSON_INDENT(2)) : NULL;
    json_decref(rows);
    return text ? buf_adds(out, text) : -ENOMEM;
}

static struct staged *find_staged(struct fs *fs, uint64_t id)
{
    struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->id == id && !is_hidden(st))
            return st;
    }
    return NULL;
}

static struct kept *find_kept(struct fs *fs, uint64_t id)
{
    struct kept *k;
    DL_FOREACH (fs->kept, k) {
        if (k->id == id)
            return k;
    }
    return NULL;
}

static int no_such(struct err *err, uint64_t id)
{
    return err_set(err, -ENOENT, "there is no upload %" PRIu64, id);
}

static int wrong_state(struct err *err, uint64_t id, const char *why)
{
    return err_set(err, -EINVAL, "upload %" PRIu64 " %s", id, why);
}

int uploads_pause_locked(struct fs *fs, uint64_t id, struct err *err)
{
    struct staged *st = find_staged(fs, id);
    if (!st)
        return find_kept(fs, id) ? wrong_state(err, id, "is not being sent") : no_such(err, id);
    if (!st->paused)
        note_mark_locked(fs, st, RECORD_PAUSED);
    st->paused = true;
    return 0;
}

/* It goes on where it stopped; what was counted so far says nothing of the rate. */
static void go_on(struct fs *fs, struct staged *st)
{
    st->paused = false;
    st->send_start_ms = 0;
    st->sent_bytes = 0;
    note_mark_locked(fs, st, RECORD_RESUMED);
    waitlist_finish_locked(fs, &st->writable, 0);
    if (st->state == STAGED_PUBLISHING)
        publish_step_locked(fs, st);
    else
        publish_part_ready_locked(fs, st);
}

int uploads_resume_locked(struct fs *fs, uint64_t id, struct err *err)
{
    struct staged *st = find_staged(fs, id);
    struct kept *k = st ? NULL : find_kept(fs, id);
    if (!st && !k)
        return no_such(err, id);
    if (st ? !st->paused : !k->state.paused)
        return wrong_state(err, id, "is not paused");
    if (k)
        return recovery_again_locked(fs, k, false, err);
    go_on(fs, st);
    return 0;
}

static int publish_now(struct fs *fs, struct staged *st)
{
    if (st->paused)
        go_on(fs, st);
    st->gave_up = false;
    st->expired = true; /* under its own name, if it was held for another */
    int rc = publish_locked(fs, st->inode, NULL);
    return rc == -EINPROGRESS ? 0 : rc;
}

int uploads_retry_locked(struct fs *fs, uint64_t id, struct err *err)
{
    struct staged *st = find_staged(fs, id);
    struct kept *k = st ? NULL : find_kept(fs, id);
    if (!st && !k)
        return no_such(err, id);
    if (st ? !st->gave_up : !k->state.failed)
        return wrong_state(err, id, "has not failed");
    return st ? publish_now(fs, st) : recovery_again_locked(fs, k, false, err);
}

int uploads_publish_locked(struct fs *fs, uint64_t id, struct err *err)
{
    struct staged *st = find_staged(fs, id);
    struct kept *k = st ? NULL : find_kept(fs, id);
    if (!st && !k)
        return no_such(err, id);
    return st ? publish_now(fs, st) : recovery_again_locked(fs, k, true, err);
}

int uploads_abort_locked(struct fs *fs, uint64_t id, struct err *err)
{
    struct staged *st = find_staged(fs, id);
    struct kept *k = st ? NULL : find_kept(fs, id);
    if (!st && !k)
        return no_such(err, id);
    if (k) {
        log_notice(fs->log, "control", "upload %" PRIu64 " of '%s' is given up", id, k->state.key);
        kept_drop_locked(fs, k, true);
        return 0;
    }
    struct inode *inode = st->inode;
    char path[256];
    inode_path_locked(inode, path, sizeof(path));
    log_notice(fs->log, "control", "upload %" PRIu64 " of '%s' is given up", id, path);
    inode_pin_locked(inode);
    inode_latch_locked(inode, -ECANCELED);
    staged_drop_locked(fs, inode, -ECANCELED);
    inode_lose_content_locked(fs, inode);
    inode_unpin_locked(fs, inode);
    return 0;
}

int uploads_drain_locked(struct fs *fs, struct intr *intr, struct err *err)
{
    (void)hold_run_locked(fs, clock_ms(), true);
    (void)meta_run_locked(fs, clock_ms(), true);
    while (publish_busy_locked(fs) || fs->reviving) {
        /* Looked at again and again: a pause or an unlink ends it without a word. */
        int rc = fs_wait_locked(fs, &fs->idle, intr, DRAIN_LOOK_MS);
        if (rc == -EINTR)
            return err_set(err, rc, "interrupted");
    }
    CLEANUP_BUF struct buf names = BUF_INIT(STUCK_TEXT_MAX);
    int rc = uploads_stuck_locked(fs, &names);
    return rc < 0 ? err_set(err, rc, "not stored: %s", buf_str(&names)) : 0;
}
