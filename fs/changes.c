// SPDX-License-Identifier: Apache-2.0
// The ledger of attribute changes; see changes.h.
#include "fs/changes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/index.h"
#include "checkpoint/ledger.h"
#include "checkpoint/store.h"
#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/errors.h"
#include "fs/meta.h"
#include "fs/names.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/state.h"
#include "fs/timer.h"
#include "fs/worker.h"
#include "net/base/buf.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* A ledger in which nothing matters begins anew at this length; one with live records when it has
 * grown to the second. */
enum { RESTART_BYTES = 256 << 10, REWRITE_BYTES = 16 << 20 };

struct change {
    UT_hash_handle hh; /* by key */
    char *key;
    char *etag;
    int64_t ctime_s;
    uint32_t ctime_ns;
    uint8_t *attrs;
    uint32_t n_attrs;
    bool sending; /* a copy with this ctime may have been made */
    int64_t sent_s;
    uint32_t sent_ns;
    struct inode *inode; /* that has it in its queue; NULL: left by an earlier mount */
    unsigned round;      /* in which the job tried it */
};

struct changes {
    struct job job;
    struct ledger *ledger;
    struct change *table;
    size_t waiting; /* changes without an inode */
    bool queued;    /* the job is */
    bool keep;
    unsigned round;
    int64_t retry_ms;      /* when to try again, 0: nothing to try */
    uint64_t next_rewrite; /* length at which a rewrite is worth it */
};

static void free_change(struct changes *c, struct change *ch)
{
    HASH_DEL(c->table, ch);
    if (ch->inode)
        ch->inode->change = NULL;
    else
        c->waiting--;
    free(ch->key);
    free(ch->etag);
    free(ch->attrs);
    free(ch);
}

static struct change *find(struct changes *c, const char *key)
{
    struct change *ch = NULL;
    HASH_FIND_STR(c->table, key, ch);
    return ch;
}

/* The entry of the record's key, made if need be, with what the record says. */
static struct change *put(struct changes *c, const struct record_changed *r)
{
    struct change *ch = find(c, r->key);
    char *etag = strdup(r->etag);
    uint8_t *attrs = malloc(r->attrs.n + 1);
    if (!ch && etag && attrs && (ch = calloc(1, sizeof(*ch)))) {
        ch->key = strdup(r->key);
        if (ch->key) {
            HASH_ADD_KEYPTR(hh, c->table, ch->key, strlen(ch->key), ch);
            c->waiting++;
        } else {
            free(ch);
            ch = NULL;
        }
    }
    if (!ch || !etag || !attrs) {
        free(etag);
        free(attrs);
        return NULL;
    }
    free(ch->etag);
    free(ch->attrs);
    ch->etag = etag;
    ch->attrs = attrs;
    if (r->attrs.n)
        memcpy(attrs, r->attrs.p, r->attrs.n);
    ch->n_attrs = r->attrs.n;
    ch->ctime_s = r->ctime_s;
    ch->ctime_ns = r->ctime_ns;
    return ch;
}

/* The records of a file, and what they add up to. */
struct reading {
    struct fs *fs;
    struct changes *c;
};

static int replay(void *arg, const struct record *r)
{
    struct reading *reading = arg;
    struct changes *c = reading->c;
    struct change *ch = NULL;
    switch (r->type) {
    case RECORD_CHANGED:
        index_forget(reading->fs->index, r->changed.key);
        return put(c, &r->changed) ? 0 : -ENOMEM;
    case RECORD_SENDING:
        if ((ch = find(c, r->sending.key))) {
            ch->sending = true;
            ch->sent_s = r->sending.ctime_s;
            ch->sent_ns = r->sending.ctime_ns;
        }
        return 0;
    case RECORD_SETTLED:
        if ((ch = find(c, r->settled.key)))
            free_change(c, ch);
        return 0;
    default:
        return 0; /* of another ledger: says nothing here */
    }
}

static struct record changed_record(const struct change *ch)
{
    return (struct record){.type = RECORD_CHANGED,
                           .changed = {.key = ch->key,
                                       .etag = ch->etag,
                                       .ctime_s = ch->ctime_s,
                                       .ctime_ns = ch->ctime_ns,
                                       .attrs = {ch->attrs, ch->n_attrs}}};
}

static struct record sending_record(const struct change *ch)
{
    return (struct record){
        .type = RECORD_SENDING,
        .sending = {.key = ch->key, .ctime_s = ch->sent_s, .ctime_ns = ch->sent_ns}};
}

static void free_changes(struct changes *c)
{
    for (struct change *ch = c->table, *next; ch; ch = next) {
        next = ch->hh.next;
        free_change(c, ch);
    }
}

/* A change of another state directory, unless there is a later one of that key here. */
static int take_change(struct changes *c, const struct change *ch)
{
    const struct change *ours = find(c, ch->key);
    if (ours && (ours->ctime_s > ch->ctime_s ||
                 (ours->ctime_s == ch->ctime_s && ours->ctime_ns > ch->ctime_ns)))
        return 0;
    const struct record recs[] = {changed_record(ch), sending_record(ch)};
    int rc = ledger_append(c->ledger, recs, ch->sending ? 2 : 1);
    struct change *taken = rc == 0 ? put(c, &recs[0].changed) : NULL;
    if (rc == 0 && !taken)
        rc = -ENOMEM;
    if (rc == 0) {
        taken->sending = ch->sending;
        taken->sent_s = ch->sent_s;
        taken->sent_ns = ch->sent_ns;
    }
    return rc;
}

static const char lost_changes[] = "attributes that were changed just before the last mount ended";

static int merge(struct fs *fs, const char *file, struct err *err)
{
    struct changes other = {0};
    int rc = state_ledger_open(fs, file, lost_changes, replay, &(struct reading){fs, &other},
                               &other.ledger, err);
    for (const struct change *ch = other.table; rc >= 0 && ch; ch = ch->hh.next)
        rc = take_change(fs->changes, ch);
    if (rc >= 0)
        rc = ledger_sync(fs->changes->ledger);
    free_changes(&other);
    ledger_close(other.ledger, rc >= 0);
    return rc < 0 ? rc : 0;
}

int changes_open(struct fs *fs, struct err *err)
{
    if (!fs->opt->checkpoint || fs->opt->ro)
        return 0;
    struct changes *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, -ENOMEM, "out of memory");
    fs->changes = c;
    c->next_rewrite = REWRITE_BYTES;
    int rc = state_ledger_open(fs, "changes", lost_changes, replay, &(struct reading){fs, c},
                               &c->ledger, err);
    if (rc > 0 && !c->table)
        (void)ledger_replace(c->ledger, NULL, 0);
    return rc < 0 ? rc : state_merge_taken(fs, "changes", merge, err);
}

void changes_keep_locked(struct fs *fs)
{
    if (fs->changes)
        fs->changes->keep = true;
}

void changes_close(struct fs *fs)
{
    struct changes *c = fs->changes;
    if (!c)
        return;
    ledger_close(c->ledger, !c->table);
    free_changes(c);
    free(c);
    fs->changes = NULL;
}

/* Replaces a ledger that has grown by one with what still matters. */
static void rewrite(struct fs *fs)
{
    struct changes *c = fs->changes;
    uint64_t bytes = ledger_bytes(c->ledger);
    if (bytes < (c->table ? c->next_rewrite : RESTART_BYTES))
        return;
    struct record *recs = calloc(2 * (size_t)HASH_COUNT(c->table) + 1, sizeof(*recs));
    size_t n = 0;
    for (const struct change *ch = c->table; recs && ch; ch = ch->hh.next) {
        recs[n++] = changed_record(ch);
        if (ch->sending)
            recs[n++] = sending_record(ch);
    }
    int rc = recs ? ledger_replace(c->ledger, recs, n) : -ENOMEM;
    free(recs);
    if (rc < 0)
        log_warning(fs->log, "checkpoint", "'changes' cannot be rewritten: %s", err_text(rc));
    bytes = 4 * ledger_bytes(c->ledger);
    c->next_rewrite = bytes > REWRITE_BYTES ? bytes : REWRITE_BYTES;
}

static void settle(struct fs *fs, struct change *ch)
{
    struct changes *c = fs->changes;
    const struct record rec = {.type = RECORD_SETTLED, .settled = {.key = ch->key}};
    int rc = ledger_append(c->ledger, &rec, 1);
    if (rc < 0) /* the next mount finds out that nothing is to be done */
        log_warning(fs->log, "checkpoint", "'changes': %s", err_text(rc));
    free_change(c, ch);
    rewrite(fs);
}

void changes_settle_locked(struct fs *fs, struct inode *inode)
{
    struct change *ch = inode->change;
    if (!ch)
        return;
    if (!fs->changes->keep) {
        settle(fs, ch);
        return;
    }
    ch->inode = NULL;
    inode->change = NULL;
    fs->changes->waiting++;
}

/* The change belongs to this inode from now on. */
static void belong(struct changes *c, struct change *ch, struct inode *inode)
{
    if (ch->inode == inode)
        return;
    if (ch->inode)
        ch->inode->change = NULL;
    else
        c->waiting--;
    ch->inode = inode;
    inode->change = ch;
}

int changes_note_locked(struct fs *fs, struct inode *inode)
{
    struct changes *c = fs->changes;
    char key[OBS_KEY_MAX + 1];
    struct obs_props props = {0};
    struct buf attrs = BUF_INIT(RECORD_ATTRS_MAX);
    if (!c)
        return 0;
    int rc = inode_key_locked(fs, inode, key);
    if (rc == 0)
        rc = inode_props_locked(fs, inode, key, false, &props);
    if (rc == 0)
        rc = note_encode_props(&props, &attrs);
    const struct record rec = {.type = RECORD_CHANGED,
                               .changed = {.key = key,
                                           .etag = inode->is_dir || !inode->etag ? "" : inode->etag,
                                           .ctime_s = inode->attr.ctime.tv_sec,
                                           .ctime_ns = (uint32_t)inode->attr.ctime.tv_nsec,
                                           .attrs = {(const uint8_t *)attrs.p, (uint32_t)attrs.n}}};
    if (rc == 0)
        rc = ledger_append(c->ledger, &rec, 1);
    if (rc == 0) {
        struct change *ch = put(c, &rec.changed);
        if (ch) {
            if (inode->change && inode->change != ch)
                settle(fs, inode->change); /* it had another name */
            belong(c, ch, inode);
        }
        rc = ch ? 0 : -ENOMEM;
    }
    CRASH_POINT("changes.noted");
    buf_done(&attrs);
    obs_props_clear(&props);
    return rc;
}

int changes_sync(struct fs *fs)
{
    if (!fs->changes || fs->opt->durability != OPTION_DURABILITY_STAGE)
        return 0;
    return ledger_sync(fs->changes->ledger);
}

void changes_sending_locked(struct fs *fs, struct inode *inode)
{
    struct change *ch = inode->change;
    if (!ch)
        return;
    ch->sending = true;
    ch->sent_s = inode->attr.ctime.tv_sec;
    ch->sent_ns = (uint32_t)inode->attr.ctime.tv_nsec;
    const struct record rec = sending_record(ch);
    (void)ledger_append(fs->changes->ledger, &rec, 1);
}

void changes_rekey_locked(struct fs *fs, struct inode *inode)
{
    if (!inode->change)
        return;
    int rc = changes_note_locked(fs, inode);
    if (rc < 0)
        log_warning(fs->log, "checkpoint", "'changes': %s", err_text(rc));
}

int changes_moved(struct fs *fs, const char *from, const char *to, changes_etag_fn *etag_of,
                  const void *arg)
{
    struct changes *c = fs->changes;
    size_t skip = strlen(from);
    bool file = from[skip - 1] != '/';
    struct change *ch, *tmp;
    HASH_ITER (hh, c->table, ch, tmp) {
        char key[OBS_KEY_MAX + 1];
        if (strncmp(ch->key, from, skip) != 0 || (file && ch->key[skip]) ||
            snprintf(key, sizeof(key), "%s%s", to, ch->key + skip) > OBS_KEY_MAX)
            continue;
        struct record rec = changed_record(ch);
        rec.changed.key = key;
        rec.changed.etag = etag_of(arg, ch->key, ch->etag);
        int rc = ledger_append(c->ledger, &rec, 1);
        if (rc == 0 && !put(c, &rec.changed))
            rc = -ENOMEM;
        if (rc < 0)
            return rc;
        settle(fs, ch);
    }
    return 0;
}

static void drop(struct fs *fs, struct change *ch, const char *why)
{
    struct err err;
    err_set(&err, -ESTALE, "%s", why);
    log_err(fs->log, LOG_LEVEL_WARNING, "attributes", &err,
            "'%s': a change from before the last mount ended is dropped", ch->key);
    errors_add(fs->errors, "attributes", ch->key, &err);
    settle(fs, ch);
}

static bool same_object(const struct inode *inode, const struct change *ch,
                        const struct obs_object *object)
{
    if (inode->is_dir || strcmp(object->etag, ch->etag) == 0)
        return true;
    return ch->sending && (inode->attr.present & ATTR_CTIME) &&
           inode->attr.ctime.tv_sec == ch->sent_s && inode->attr.ctime.tv_nsec == ch->sent_ns;
}

/* The bucket has attributes that were set later than these. */
static bool newer(const struct inode *inode, const struct change *ch)
{
    const struct timespec *there = &inode->attr.ctime;
    if (!(inode->attr.present & ATTR_CTIME))
        return false;
    return there->tv_sec > ch->ctime_s ||
           (there->tv_sec == ch->ctime_s && there->tv_nsec > ch->ctime_ns);
}

static bool all_there(const struct obs_props *have, const struct obs_props *want)
{
    for (size_t i = 0; i < want->n; i++) {
        const char *value = obs_props_get(have, want->v[i].kind, want->v[i].name);
        if (!value || strcmp(value, want->v[i].value) != 0)
            return false;
    }
    return true;
}

/* The object as it will be when the change was sent. */
static int overlay(struct fs *fs, struct inode *inode, const struct obs_object *object,
                   const struct obs_props *props)
{
    struct obs_object merged = {.mtime_ms = fs->start_s * 1000};
    if (object) {
        merged.size = object->size;
        merged.mtime_ms = object->mtime_ms;
    }
    int rc = object ? obs_props_copy(&merged.props, &object->props) : 0;
    for (size_t i = 0; rc == 0 && i < props->n; i++)
        rc = obs_props_set(&merged.props, props->v[i].kind, props->v[i].name, props->v[i].value);
    if (rc == 0)
        rc = inode_set_object_locked(fs, inode, &merged);
    obs_props_clear(&merged.props);
    return rc;
}

int changes_apply_locked(struct fs *fs, struct inode *inode, const struct obs_object *object)
{
    struct changes *c = fs->changes;
    char key[OBS_KEY_MAX + 1];
    struct obs_props props = {0};
    if (!c || !c->waiting || c->keep || inode_key_locked(fs, inode, key) < 0)
        return 0;
    struct change *ch = find(c, key);
    if (!ch || ch->inode)
        return 0;
    if (object && !same_object(inode, ch, object)) {
        drop(fs, ch, "the object has been replaced");
        return 0;
    }
    if (object && newer(inode, ch)) {
        drop(fs, ch, "its attributes were changed again later");
        return 0;
    }
    int rc = note_decode_props(ch->attrs, ch->n_attrs, &props);
    if (rc == -EBADMSG) {
        drop(fs, ch, "the record cannot be read");
        rc = 0;
    } else if (rc == 0 && object && all_there(&object->props, &props)) {
        settle(fs, ch);
    } else if (rc == 0) {
        rc = overlay(fs, inode, object, &props);
        if (rc == 0) {
            belong(c, ch, inode);
            log_notice(fs->log, "attributes", "'%s': changes of an earlier mount are sent", key);
            CRASH_POINT("changes.applied");
            inode->meta_gen++;
            inode->changed_ms = clock_ms();
            meta_mark_locked(fs, inode);
        }
    }
    obs_props_clear(&props);
    return rc;
}

/* Loads the attributes of what the key names; changes_apply_locked() does the rest. */
static int visit(struct fs *fs, const char *key)
{
    char path[OBS_KEY_MAX + 1];
    char *rest = path;
    size_t skip = strlen(fs->prefix);
    struct inode *at = fs->root;
    int rc = 0;
    if (strncmp(key, fs->prefix, skip) != 0)
        return -ENOENT;
    (void)snprintf(path, sizeof(path), "%s", key + skip);
    bool as_dir = key[strlen(key) - 1] == '/';
    inode_pin_locked(at);
    for (char *name; rc == 0 && rest && *rest && (name = strsep(&rest, "/"));) {
        struct inode *next;
        rc = at->is_dir ? dir_lookup_locked(fs, at, name, NULL, &next) : -ENOTDIR;
        if (rc == 0) {
            inode_pin_locked(next);
            inode_unpin_locked(fs, at);
            at = next;
        }
    }
    if (rc == 0 && at->is_dir != as_dir)
        rc = -ENOENT;
    if (rc == 0 && find(fs->changes, key) && !find(fs->changes, key)->inode)
        rc = dir_attr_locked(fs, at, 0, NULL);
    inode_unpin_locked(fs, at);
    return rc;
}

/* One that nobody has taken and this round has not tried. */
static struct change *next_left(struct changes *c)
{
    for (struct change *ch = c->waiting ? c->table : NULL; ch; ch = ch->hh.next) {
        if (!ch->inode && ch->round != c->round)
            return ch;
    }
    return NULL;
}

static void run(struct fs *fs, struct job *job)
{
    struct changes *c = (struct changes *)job;
    char key[OBS_KEY_MAX + 1];
    struct change *ch;
    fs_lock(fs);
    c->round++;
    while (!fs->stopping && (ch = next_left(c))) {
        ch->round = c->round;
        (void)snprintf(key, sizeof(key), "%s", ch->key);
        int rc = visit(fs, key);
        ch = find(c, key);
        if (ch && !ch->inode && !fs->stopping &&
            (rc == 0 || rc == -ENOENT || rc == -ENOTDIR || rc == -ESTALE || rc == -EINVAL))
            drop(fs, ch, "the object is gone or has been replaced");
    }
    c->queued = false;
    c->retry_ms = c->waiting && !fs->stopping ? clock_ms() + CHANGES_RETRY_MS : 0;
    if (c->retry_ms)
        timer_wake_locked(fs, c->retry_ms);
    fs_unlock(fs);
}

static void submit_locked(struct fs *fs)
{
    struct changes *c = fs->changes;
    c->job.fn = run;
    c->queued = true;
    c->retry_ms = 0;
    worker_submit_locked(fs, &c->job);
}

void changes_start(struct fs *fs)
{
    fs_lock(fs);
    if (fs->changes && fs->changes->waiting)
        submit_locked(fs);
    fs_unlock(fs);
}

int64_t changes_run_locked(struct fs *fs, int64_t now_ms)
{
    struct changes *c = fs->changes;
    if (!c || c->queued || !c->retry_ms)
        return INT64_MAX;
    if (c->retry_ms > now_ms)
        return c->retry_ms;
    submit_locked(fs);
    return INT64_MAX;
}
