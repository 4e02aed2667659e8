// SPDX-License-Identifier: Apache-2.0
// The ledger of renames; see moves.h. Finishing and undoing is in moves_settle.c.
#include "fs/moves_impl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/store.h"
#include "fs/changes.h"
#include "fs/crashpoint.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/state.h"
#include "fs/timer.h"
#include "net/base/buf.h"
#include "net/base/clock.h"
#include "net/base/log.h"

static bool is_dir_key(const char *key)
{
    size_t n = strlen(key);
    return n == 0 || key[n - 1] == '/';
}

/* One of them is the other, or below it. */
static bool overlap(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na == nb)
        return strcmp(a, b) == 0;
    return na < nb ? is_dir_key(a) && strncmp(a, b, na) == 0
                   : is_dir_key(b) && strncmp(a, b, nb) == 0;
}

struct move *moves_overlapping(struct moves *ms, const char *from, const char *to)
{
    struct move *mv;
    DL_FOREACH (ms->list, mv) {
        if (overlap(mv->from, from) || overlap(mv->from, to) || overlap(mv->to, from) ||
            overlap(mv->to, to))
            return mv;
    }
    return NULL;
}

static void free_move(struct move *mv)
{
    struct moved *m, *tmp;
    HASH_ITER (hh, mv->copied, m, tmp) {
        HASH_DEL(mv->copied, m);
        free(m->key);
        free(m->etag);
        free(m->copy_etag);
        free(m);
    }
    free(mv->from);
    free(mv->to);
    free(mv->attrs);
    free(mv);
}

static struct move *new_move(const struct record_move *r)
{
    struct move *mv = calloc(1, sizeof(*mv));
    if (!mv)
        return NULL;
    mv->id = r->id;
    mv->from = strdup(r->from);
    mv->to = strdup(r->to);
    mv->file = !is_dir_key(r->from);
    mv->replaces = r->replaces;
    mv->server_s = r->server_s;
    mv->attrs = malloc(r->attrs.n + 1);
    mv->n_attrs = r->attrs.n;
    if (!mv->from || !mv->to || !mv->attrs) {
        free_move(mv);
        return NULL;
    }
    if (r->attrs.n)
        memcpy(mv->attrs, r->attrs.p, r->attrs.n);
    return mv;
}

static int add_copied(struct move *mv, const char *key, const char *etag, const char *copy_etag)
{
    struct moved *m = NULL;
    HASH_FIND_STR(mv->copied, key, m);
    if (m)
        return 0;
    m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->key = strdup(key);
    m->etag = strdup(etag);
    m->copy_etag = strdup(copy_etag);
    if (!m->key || !m->etag || !m->copy_etag) {
        free(m->key);
        free(m->etag);
        free(m->copy_etag);
        free(m);
        return -ENOMEM;
    }
    HASH_ADD_KEYPTR(hh, mv->copied, m->key, strlen(m->key), m);
    return 0;
}

static struct move *find(struct moves *ms, uint64_t id)
{
    struct move *mv;
    DL_FOREACH (ms->list, mv) {
        if (mv->id == id)
            return mv;
    }
    return NULL;
}

static int replay(void *arg, const struct record *r)
{
    struct moves *ms = arg;
    struct move *mv;
    switch (r->type) {
    case RECORD_MOVE:
        if ((mv = find(ms, r->move.id))) {
            mv->deleting = false;
            return 0;
        }
        if (!(mv = new_move(&r->move)))
            return -ENOMEM;
        DL_APPEND(ms->list, mv);
        ms->next_id = r->move.id >= ms->next_id ? r->move.id + 1 : ms->next_id;
        return 0;
    case RECORD_MOVE_COPIED:
        mv = find(ms, r->move_copied.id);
        return mv ? add_copied(mv, r->move_copied.key, r->move_copied.etag,
                               r->move_copied.copy_etag)
                  : 0;
    case RECORD_MOVE_DELETE:
        if ((mv = find(ms, r->move_mark.id)))
            mv->deleting = true;
        return 0;
    case RECORD_MOVE_END:
        if ((mv = find(ms, r->move_mark.id))) {
            DL_DELETE(ms->list, mv);
            free_move(mv);
        }
        return 0;
    default:
        return 0;
    }
}

/* The journals of the file, or of files below the old name, say the new one. */
static int rekey_journals(struct fs *fs, const struct move *mv)
{
    struct store_entry *v = NULL;
    size_t n = 0, skip = strlen(mv->from);
    int rc = store_list(fs->store, &v, &n, NULL);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct journal_state s = {0};
        struct journal *j;
        char key[OBS_KEY_MAX + 1];
        if (v[i].has_journal &&
            journal_read(&io_real, store_path(fs->store), v[i].id, &s, NULL, NULL) == 0 && s.key &&
            strncmp(s.key, mv->from, skip) == 0 && (!mv->file || !s.key[skip]) &&
            snprintf(key, sizeof(key), "%s%s", mv->to, s.key + skip) <= OBS_KEY_MAX &&
            journal_open(&io_real, store_path(fs->store), v[i].id, &j, NULL, NULL) == 0) {
            const struct record rec = {.type = RECORD_KEY, .key = {.key = key, .held = s.held}};
            rc = journal_append(j, &rec, 1);
            if (rc == 0)
                rc = journal_sync(j);
            journal_close(j);
        }
        state_done(&s);
    }
    free(v);
    return rc;
}

static struct record move_record(const struct move *mv)
{
    return (struct record){.type = RECORD_MOVE,
                           .move = {.id = mv->id,
                                    .from = mv->from,
                                    .to = mv->to,
                                    .replaces = mv->replaces,
                                    .server_s = mv->server_s,
                                    .attrs = {mv->attrs, mv->n_attrs}}};
}

static struct record copied_record(const struct move *mv, const char *key, const char *etag,
                                   const char *copy_etag)
{
    return (struct record){
        .type = RECORD_MOVE_COPIED,
        .move_copied = {.id = mv->id, .key = key, .etag = etag, .copy_etag = copy_etag}};
}

/* All that is known of it. */
static int append_move(struct ledger *l, const struct move *mv)
{
    struct record rec = move_record(mv);
    int rc = ledger_append(l, &rec, 1);
    for (const struct moved *m = mv->copied; rc == 0 && m; m = m->hh.next) {
        rec = copied_record(mv, m->key, m->etag, m->copy_etag);
        rc = ledger_append(l, &rec, 1);
    }
    rec = (struct record){.type = RECORD_MOVE_DELETE, .move_mark = {.id = mv->id}};
    return rc == 0 && mv->deleting ? ledger_append(l, &rec, 1) : rc;
}

/* The same one: taken over already, perhaps not with all that is known of it. */
static struct move *find_twin(const struct moves *ms, const struct move *other)
{
    struct move *mv;
    DL_FOREACH (ms->list, mv) {
        if (strcmp(mv->from, other->from) == 0 && strcmp(mv->to, other->to) == 0 &&
            mv->server_s == other->server_s)
            return mv;
    }
    return NULL;
}

static const char lost_moves[] = "a rename that the last mount has begun";

/* The renames of another state directory, under numbers of ours. */
static int merge(struct fs *fs, const char *file, struct err *err)
{
    struct moves other = {0}, *ms = fs->moves;
    struct move *mv, *tmp;
    int rc = state_ledger_open(fs, file, lost_moves, replay, &other, &other.ledger, err);
    DL_FOREACH_SAFE (other.list, mv, tmp) {
        DL_DELETE(other.list, mv);
        if (rc < 0) {
            free_move(mv);
            continue;
        }
        struct move *twin = find_twin(ms, mv);
        mv->id = twin ? twin->id : ms->next_id++;
        if (twin) {
            DL_DELETE(ms->list, twin);
            free_move(twin);
        }
        DL_APPEND(ms->list, mv);
        rc = append_move(ms->ledger, mv);
    }
    if (rc >= 0)
        rc = ledger_sync(ms->ledger);
    ledger_close(other.ledger, rc >= 0);
    return rc < 0 ? rc : 0;
}

int moves_open(struct fs *fs, struct err *err)
{
    if (!fs->opt->checkpoint || fs->opt->ro)
        return 0;
    struct moves *ms = calloc(1, sizeof(*ms));
    if (!ms)
        return err_set(err, -ENOMEM, "out of memory");
    fs->moves = ms;
    ms->next_id = 1;
    struct ledger_report report;
    int rc = ledger_open(&io_real, store_path(fs->store), "moves", replay, ms, &report, &ms->ledger,
                         err);
    if (rc == 0)
        rc = state_merge_taken(fs, "moves", merge, err);
    struct move *mv;
    for (mv = ms->list; rc == 0 && mv; mv = mv->next) {
        if (!mv->deleting)
            continue;
        rc = rekey_journals(fs, mv);
        if (rc == 0)
            rc = changes_moved(fs, mv->from, mv->to, moves_copy_etag, mv);
        if (rc < 0)
            (void)err_set(err, rc, "the rename of '%s' to '%s' cannot be finished: %s", mv->from,
                          mv->to, err_text(rc));
    }
    return rc;
}

void moves_close(struct fs *fs)
{
    struct moves *ms = fs->moves;
    if (!ms)
        return;
    ledger_close(ms->ledger, !ms->list);
    for (struct move *mv = ms->list, *next; mv; mv = next) {
        next = mv->next;
        free_move(mv);
    }
    free(ms);
    fs->moves = NULL;
}

const char *moves_copy_etag(const void *arg, const char *old_key, const char *etag)
{
    const struct move *mv = arg;
    struct moved *m = NULL;
    HASH_FIND_STR(mv->copied, old_key, m);
    return m && strcmp(m->etag, etag) == 0 ? m->copy_etag : etag;
}

/* Appends and, if the record wants that, syncs without the lock. */
static int write_locked(struct fs *fs, const struct move *mv, const struct record *rec)
{
    int rc = ledger_append(fs->moves->ledger, rec, 1);
    if (rc == 0 && !mv->file && record_wants_sync(rec, DURABILITY_STORE)) {
        fs_unlock(fs);
        rc = ledger_sync(fs->moves->ledger);
        fs_lock(fs);
    }
    return rc;
}

static int begin(struct fs *fs, struct record_move *r, struct move **ret)
{
    if (fs->moves && moves_overlapping(fs->moves, r->from, r->to))
        return -EBUSY;
    r->server_s = fs->server_s;
    r->id = fs->moves ? fs->moves->next_id++ : 0;
    struct move *mv = new_move(r);
    if (!mv)
        return -ENOMEM;
    mv->active = true;
    if (fs->moves) {
        const struct record rec = move_record(mv);
        DL_APPEND(fs->moves->list, mv);
        int rc = write_locked(fs, mv, &rec);
        if (rc < 0) {
            moves_end_locked(fs, mv);
            return rc;
        }
    }
    *ret = mv;
    return 0;
}

int moves_begin_locked(struct fs *fs, const char *from, const char *to, struct inode *target,
                       struct move **ret)
{
    struct obs_props props = {0};
    struct buf attrs = BUF_INIT(RECORD_ATTRS_MAX);
    struct record_move r = {.from = from, .to = to};
    int rc = 0;
    r.replaces = target && target->state == INODE_STORED && !target->implicit;
    if (r.replaces)
        rc = inode_props_locked(fs, target, to, true, &props);
    if (rc == 0)
        rc = note_encode_props(&props, &attrs);
    r.attrs = (struct record_blob){(const uint8_t *)attrs.p, (uint32_t)attrs.n};
    if (rc == 0)
        rc = begin(fs, &r, ret);
    CRASH_POINT("rename_dir.begun");
    buf_done(&attrs);
    obs_props_clear(&props);
    return rc;
}

int moves_begin_file_locked(struct fs *fs, const char *from, const char *to, bool replaces,
                            struct move **ret)
{
    struct record_move r = {.from = from, .to = to, .replaces = replaces};
    return begin(fs, &r, ret);
}

int moves_copied(struct fs *fs, struct move *mv, const struct tree_object *o)
{
    if (strcmp(o->etag, o->copy_etag) == 0)
        return 0; /* known as ours without a record */
    const struct record rec = copied_record(mv, o->key, o->etag, o->copy_etag);
    int rc = add_copied(mv, o->key, o->etag, o->copy_etag);
    return rc < 0 || !fs->moves ? rc : ledger_append(fs->moves->ledger, &rec, 1);
}

int moves_delete_locked(struct fs *fs, struct move *mv)
{
    const struct record rec = {.type = RECORD_MOVE_DELETE, .move_mark = {.id = mv->id}};
    int rc = fs->moves ? write_locked(fs, mv, &rec) : 0;
    mv->deleting = rc == 0;
    return rc;
}

int moves_back_locked(struct fs *fs, struct move *mv)
{
    const struct record rec = move_record(mv);
    int rc = fs->moves ? write_locked(fs, mv, &rec) : 0;
    mv->deleting = rc < 0;
    return rc;
}

/* A ledger that has grown is replaced by one with what still matters. Not while copies are noted,
 * which is done without the lock. */
static int rewrite(struct moves *ms)
{
    struct move *mv;
    size_t n = 0;
    if (ledger_bytes(ms->ledger) < (ms->list ? MOVES_REWRITE_BYTES : MOVES_RESTART_BYTES))
        return 0;
    DL_FOREACH (ms->list, mv) {
        if (!mv->file && mv->active && !mv->deleting)
            return 0;
        n += 2 + HASH_COUNT(mv->copied);
    }
    struct record *recs = calloc(n + 1, sizeof(*recs));
    if (!recs)
        return -ENOMEM;
    n = 0;
    DL_FOREACH (ms->list, mv) {
        recs[n++] = move_record(mv);
        for (const struct moved *m = mv->copied; m; m = m->hh.next)
            recs[n++] = copied_record(mv, m->key, m->etag, m->copy_etag);
        if (mv->deleting)
            recs[n++] = (struct record){.type = RECORD_MOVE_DELETE, .move_mark = {.id = mv->id}};
    }
    int rc = ledger_replace(ms->ledger, recs, n);
    free(recs);
    return rc;
}

void moves_end_locked(struct fs *fs, struct move *mv)
{
    struct moves *ms = fs->moves;
    if (ms) {
        const struct record rec = {.type = RECORD_MOVE_END, .move_mark = {.id = mv->id}};
        int rc = ledger_append(ms->ledger, &rec, 1);
        DL_DELETE(ms->list, mv);
        if (rc == 0)
            rc = rewrite(ms);
        if (rc < 0) /* the next mount finds nothing to do */
            log_warning(fs->log, "checkpoint", "'moves': %s", err_text(rc));
        waitlist_finish_locked(fs, &ms->ended, 0);
    }
    free_move(mv);
}
