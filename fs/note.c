// SPDX-License-Identifier: Apache-2.0
// Records of staged files; see note.h.
#include "fs/note.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/journal.h"
#include "checkpoint/store.h"
#include "fs/crashpoint.h"
#include "fs/encrypt.h"
#include "fs/hold.h"
#include "fs/inode.h"
#include "fs/options.h"
#include "fs/property.h"
#include "fs/transfer.h"
#include "net/base/buf.h"
#include "net/base/clock.h"
#include "net/base/log.h"

int note_staging(struct fs *fs, struct staged *st)
{
    st->start_ms = clock_ms();
    if (!fs->opt->checkpoint) {
        st->id = ++fs->plain_ids;
        st->fd = open(store_path(fs->store), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        return st->fd < 0 ? -errno : 0;
    }
    int rc = store_new_id(fs->store, &st->id);
    if (rc < 0)
        return rc;
    st->fd = store_data_open(fs->store, st->id, true);
    return st->fd < 0 ? st->fd : 0;
}

void note_failure_locked(struct fs *fs, struct staged *st, const char *what, int rc)
{
    if (st->journal_failed)
        return;
    st->journal_failed = true;
    log_error(fs->log, "checkpoint", "upload %llu cannot be resumed after a crash: %s: %s",
              (unsigned long long)st->id, what, err_text(rc));
}

#ifdef OBSM_TEST_HOOKS
static const char *const note_points[RECORD_CLONED + 1] = {
    [RECORD_KEY] = "note.key",
    [RECORD_HELD] = "note.held",
    [RECORD_INITIATING] = "note.initiating",
    [RECORD_INITIATED] = "note.initiated",
    [RECORD_PLANNED] = "note.planned",
    [RECORD_PART] = "note.part",
    [RECORD_REWRITTEN] = "note.rewritten",
    [RECORD_MAP] = "note.map",
    [RECORD_SIZE] = "note.size",
    [RECORD_SEALED] = "note.sealed",
    [RECORD_REOPENED] = "note.reopened",
    [RECORD_COMPLETING] = "note.completing",
    [RECORD_DONE] = "note.done",
    [RECORD_ABANDONED] = "note.abandoned",
    [RECORD_ABORTED] = "note.aborted",
    [RECORD_INTERRUPTED] = "note.interrupted",
    [RECORD_FAILED] = "note.failed",
    [RECORD_CONFLICT] = "note.conflict",
    [RECORD_STALE] = "note.stale",
    [RECORD_ATTRS] = "note.attrs",
    [RECORD_PAUSED] = "note.paused",
    [RECORD_RESUMED] = "note.resumed",
    [RECORD_CLONED] = "note.cloned",
};
#endif

static void append(struct fs *fs, struct staged *st, const struct record *rec)
{
    if (!st->journal)
        return;
    int rc = journal_append(st->journal, rec, 1);
    CRASH_POINT(note_points[rec->type]);
    if (rc < 0)
        note_failure_locked(fs, st, record_type_name(rec->type), rc);
}

/* A staging file whose journal has gone gets another id: an id is never used twice. */
static int renew_id(struct fs *fs, struct staged *st)
{
    char from[PATH_MAX], to[PATH_MAX];
    uint64_t id;
    int rc = store_new_id(fs->store, &id);
    if (rc < 0)
        return rc;
    store_data_path(fs->store, st->id, from);
    store_data_path(fs->store, id, to);
    if (rename(from, to) < 0)
        return -errno;
    st->id = id;
    st->had_journal = false;
    return 0;
}

int note_change_locked(struct fs *fs, struct staged *st)
{
    char key[OBS_KEY_MAX + 1];
    if (st->journal || !fs->opt->checkpoint || !st->inode->parent)
        return 0;
    int rc = st->had_journal ? renew_id(fs, st) : 0;
    if (rc == 0)
        rc = inode_key_locked(fs, st->inode, key);
    if (rc < 0)
        return rc;

    const struct inode *inode = st->inode;
    bool based = inode->state == INODE_STORED && st->base_len > 0;
    struct record rec = {.type = RECORD_OPEN,
                         .open = {.id = st->id,
                                  .key = key,
                                  .durability = fs->opt->durability == OPTION_DURABILITY_STAGE
                                                    ? DURABILITY_STAGE
                                                    : DURABILITY_STORE,
                                  .server_s = fs->server_s,
                                  .real_s = clock_real().tv_sec,
                                  .boot_id = fs->boot_id,
                                  .base_key = based ? key : "",
                                  .base_etag = based ? inode->etag : "",
                                  .base_size = based ? inode->stored_size : 0}};
    rc = journal_create(&io_real, store_path(fs->store), st->id, &rec, &st->journal, NULL);
    CRASH_POINT("note.open");
    if (rc == 0) {
        st->had_journal = true;
        st->based = based;
    }
    return rc;
}

void note_key_locked(struct fs *fs, struct staged *st)
{
    char key[OBS_KEY_MAX + 1];
    if (inode_key_locked(fs, st->inode, key) == 0)
        append(fs, st, &(struct record){.type = RECORD_KEY, .key = {.key = key}});
}

static struct record_blob blob(const struct buf *b)
{
    return (struct record_blob){.p = (const uint8_t *)b->p, .n = (uint32_t)b->n};
}

void note_initiating_locked(struct fs *fs, struct staged *st, const char *key)
{
    append(
        fs, st,
        &(struct record){.type = RECORD_INITIATING,
                         .initiating = {.key = key,
                                        .server_s = st->upload.asked_s,
                                        .window_s = (uint32_t)(fs->opt->retry_time / 1000 + 60)}});
}

void note_looked_through_locked(struct fs *fs, struct staged *st, const char *key)
{
    append(fs, st,
           &(struct record){.type = RECORD_ABORTED, .aborted = {.key = key, .upload_id = ""}});
}

void note_initiated_locked(struct fs *fs, struct staged *st, int64_t server_s,
                           const struct obs_props *sent)
{
    CLEANUP_BUF struct buf attrs = BUF_INIT(RECORD_ATTRS_MAX);
    if (st->journal) /* the parts need the same encryption again */
        (void)note_encode_props(sent, &attrs);
    append(fs, st,
           &(struct record){.type = RECORD_INITIATED,
                            .initiated = {.key = st->upload.key,
                                          .upload_id = st->upload.id,
                                          .nonce = st->nonce,
                                          .part_size = st->plan->part_size,
                                          .server_s = server_s,
                                          .attrs = blob(&attrs),
                                          .adopted = st->upload.adopted}});
}

void note_part_locked(struct fs *fs, struct staged *st, size_t idx)
{
    const struct part *p = &st->parts[idx];
    struct record rec = {.type = RECORD_PART,
                         .part = {.part_no = (uint32_t)idx + 1,
                                  .generation = (uint32_t)p->gen,
                                  .offset = p->offset,
                                  .size = p->size,
                                  .has_md5 = !p->copied,
                                  .etag = p->etag,
                                  .copied = p->copied,
                                  .has_crc64 = p->has_crc64,
                                  .crc64 = p->crc64}};
    memcpy(rec.part.md5, p->md5, sizeof(rec.part.md5));
    append(fs, st, &rec);
}

void note_rewritten_locked(struct fs *fs, struct staged *st, size_t idx)
{
    append(fs, st,
           &(struct record){.type = RECORD_REWRITTEN,
                            .rewritten = {.part_no = (uint32_t)idx + 1,
                                          .generation = (uint32_t)st->parts[idx].gen}});
}

void note_planned_locked(struct fs *fs, struct staged *st, size_t idx)
{
    const struct part *p = &st->parts[idx];
    struct record rec = {.type = RECORD_PLANNED,
                         .planned = {.part_no = (uint32_t)idx + 1,
                                     .generation = (uint32_t)p->gen,
                                     .offset = p->offset,
                                     .size = p->hashed,
                                     .has_md5 = true}};
    memcpy(rec.planned.md5, p->md5, sizeof(rec.planned.md5));
    append(fs, st, &rec);
}

void note_broken_locked(struct fs *fs, struct staged *st, size_t idx)
{
    append(fs, st,
           &(struct record){
               .type = RECORD_REWRITTEN,
               .rewritten = {.part_no = (uint32_t)idx + 1, .generation = (uint32_t)st->gen + 1}});
}

void note_stale_locked(struct fs *fs, struct staged *st)
{
    if (st->upload.state != UPLOAD_NONE && st->upload.id[0])
        append(fs, st,
               &(struct record){.type = RECORD_STALE,
                                .stale = {.key = st->upload.key, .upload_id = st->upload.id}});
}

int note_cloned_locked(struct fs *fs, struct staged *st)
{
    if (st->cloned)
        return 0;
    append(fs, st, &(struct record){.type = RECORD_CLONED, .cloned = {.any = true}});
    if (st->journal_failed)
        return -EOPNOTSUPP;
    st->cloned = true;
    return 0;
}

/* Which bytes are in staging; not needed for a new file, of which all are. */
static void note_map(struct fs *fs, struct staged *st)
{
    size_t n;
    const struct imap_range *v = imap_ranges(&st->have, &n);
    if (!st->based)
        return;
    for (size_t i = 0; i == 0 || i < n; i += RECORD_MAP_MAX) {
        size_t count = n - i < RECORD_MAP_MAX ? n - i : RECORD_MAP_MAX;
        struct range *ranges = calloc(count + 1, sizeof(*ranges));
        if (!ranges)
            return;
        for (size_t k = 0; k < count; k++)
            ranges[k] = (struct range){.off = v[i + k].from, .end = v[i + k].to};
        append(fs, st,
               &(struct record){
                   .type = RECORD_MAP,
                   .map = {.reset = i == 0, .ranges = {.v = ranges, .n = (uint32_t)count}}});
        free(ranges);
    }
    /* What was cut off and grew again, or was skipped: zeros, as the staging file reads. */
    if (st->base_len < st->size) {
        struct range rest = {.off = st->base_len, .end = st->size};
        append(fs, st,
               &(struct record){.type = RECORD_MAP, .map = {.ranges = {.v = &rest, .n = 1}}});
    }
}

/* The attributes that the object is to have in the end. A content type that follows from the name is
 * left out: the name may still change. */
static void final_attrs(struct fs *fs, struct staged *st, struct buf *out)
{
    char key[OBS_KEY_MAX + 1];
    struct obs_props props = {0};
    *out = BUF_INIT(RECORD_ATTRS_MAX);
    (void)encrypt_choose_locked(fs, st->inode); /* a failure is told when the file is sent */
    if (inode_key_locked(fs, st->inode, key) == 0 &&
        inode_props_locked(fs, st->inode, key, true, &props) == 0) {
        if (!obs_props_get(&st->inode->other, OBS_PROP_RAW, "Content-Type"))
            (void)property_drop(&props, OBS_PROP_RAW, "Content-Type");
        (void)note_encode_props(&props, out);
    }
    obs_props_clear(&props);
}

void note_sealed_locked(struct fs *fs, struct staged *st, enum seal_reason reason, bool held,
                        bool synced)
{
    struct buf attrs;
    if (!st->journal)
        return;
    note_map(fs, st);
    final_attrs(fs, st, &attrs);
    append(fs, st,
           &(struct record){.type = RECORD_SEALED,
                            .sealed = {.size = st->size,
                                       .reason = reason,
                                       .synced = synced,
                                       .server_s = fs->server_s,
                                       .attrs = blob(&attrs)}});
    if (held)
        append(fs, st, &(struct record){.type = RECORD_HELD, .held = {.server_s = fs->server_s}});
    st->sealed = true;
    buf_done(&attrs);
}

void note_attrs_locked(struct fs *fs, struct staged *st)
{
    struct buf attrs;
    if (!st->journal || !st->sealed)
        return;
    final_attrs(fs, st, &attrs);
    append(fs, st, &(struct record){.type = RECORD_ATTRS, .attrs = {.attrs = blob(&attrs)}});
    buf_done(&attrs);
}

void note_reopened_locked(struct fs *fs, struct staged *st)
{
    st->sealed = false;
    append(fs, st, &(struct record){.type = RECORD_REOPENED});
}

int note_punched(struct staged *st, uint64_t off, uint64_t n)
{
    const struct record rec = {.type = RECORD_PUNCHED, .punched = {.offset = off, .length = n}};
    int rc = st->journal ? journal_write(st->journal, &rec, 1) : 0;
    CRASH_POINT("note.punched");
    return rc;
}

void note_completing_locked(struct fs *fs, struct staged *st, const char *key, const char *etag)
{
    struct buf attrs;
    if (!st->journal)
        return;
    final_attrs(fs, st, &attrs);
    uint32_t parts =
        st->upload.state == UPLOAD_NONE ? 0 : (uint32_t)staged_part_count(fs, st, st->size);
    struct journal_state state = {0};
    uint64_t digest = 0;
    if (parts && journal_state(st->journal, &state) == 0)
        digest = state_parts_digest(&state);
    state_done(&state);
    append(fs, st,
           &(struct record){.type = RECORD_COMPLETING,
                            .completing = {.key = key,
                                           .etag = etag,
                                           .n_parts = parts,
                                           .parts_digest = digest,
                                           .server_s = fs->server_s,
                                           .attrs = blob(&attrs)}});
    buf_done(&attrs);
}

void note_done_locked(struct fs *fs, struct staged *st)
{
    char path[PATH_MAX];
    st->sealed = false;
    st->cloned = false;
    if (!st->journal)
        return;
    bool aborting = transfer_aborting_locked(fs, st->id);
    if (aborting) /* it stays until an earlier upload of the file is gone */
        append(fs, st,
               &(struct record){
                   .type = RECORD_DONE,
                   .done = {.etag = st->inode->etag ? st->inode->etag : "", .upload_id = ""}});
    journal_close(st->journal);
    st->journal = NULL;
    st->journal_failed = false;
    CRASH_POINT("note.stored");
    if (aborting) { /* then both files of this number go, but what is staged may be written again */
        (void)transfer_remove_files_locked(fs, st->id);
        (void)renew_id(fs, st);
        return;
    }
    store_journal_path(fs->store, st->id, path);
    if (unlink(path) < 0)
        log_warning(fs->log, "checkpoint", "remove '%s': %s", path, err_text(errno));
}

void note_interrupted_locked(struct fs *fs, struct staged *st, enum interrupt_cause cause,
                             unsigned signal)
{
    struct buf attrs;
    note_map(fs, st);
    final_attrs(fs, st, &attrs); /* for a later `publish` */
    append(fs, st, &(struct record){.type = RECORD_ATTRS, .attrs = {.attrs = blob(&attrs)}});
    buf_done(&attrs);
    append(fs, st,
           &(struct record){
               .type = RECORD_INTERRUPTED,
               .interrupted = {.cause = cause, .signal = signal, .server_s = fs->server_s}});
}

void note_mark_locked(struct fs *fs, struct staged *st, enum record_type type)
{
    append(fs, st, &(struct record){.type = type});
}

void note_failed_locked(struct fs *fs, struct staged *st, const struct err *err)
{
    append(fs, st,
           &(struct record){.type = RECORD_FAILED,
                            .failed = {.eno = (uint32_t)abs(err->eno),
                                       .code = err->code,
                                       .message = err->msg,
                                       .request_id = err->request_id,
                                       .server_s = fs->server_s}});
}

void note_conflict_locked(struct fs *fs, struct staged *st, const struct obs_object *theirs)
{
    append(fs, st,
           &(struct record){.type = RECORD_CONFLICT,
                            .conflict = {.etag = theirs ? theirs->etag : "",
                                         .upload_id = theirs ? theirs->upload_id : "",
                                         .modified_s = theirs ? theirs->mtime_ms / 1000 : 0,
                                         .server_s = fs->server_s}});
}

void note_abandoned_locked(struct fs *fs, struct staged *st, const char *reason)
{
    st->sealed = false;
    append(fs, st, &(struct record){.type = RECORD_ABANDONED, .abandoned = {.reason = reason}});
}

void note_close_locked(struct fs *fs, struct staged *st)
{
    journal_close(st->journal);
    st->journal = NULL;
    close(st->fd);
    if (fs->opt->checkpoint && !st->keep)
        (void)transfer_remove_files_locked(fs, st->id);
}

int note_encode_props(const struct obs_props *props, struct buf *out)
{
    for (size_t i = 0; i < props->n; i++) {
        const struct obs_prop *p = &props->v[i];
        int rc = attrset_add(out, (uint8_t)p->kind, p->name, p->value, strlen(p->value));
        if (rc < 0)
            return rc;
    }
    return 0;
}

int note_decode_props(const void *p, size_t n, struct obs_props *ret)
{
    struct attrset_entry e;
    size_t pos = 0;
    int rc;
    while ((rc = attrset_next(p, n, &pos, &e)) == 1) {
        char *value = strndup((const char *)e.value, e.value_n);
        if (!value)
            return -ENOMEM;
        rc = e.kind <= OBS_PROP_RAW ? obs_props_set(ret, (enum obs_prop_kind)e.kind, e.name, value)
                                    : -EBADMSG;
        free(value);
        if (rc < 0)
            return rc;
    }
    return rc;
}

int note_begun_props(const struct journal_state *s, struct obs_props *ret)
{
    const struct state_attrs *a = s->sent.n ? &s->sent : &s->attrs;
    return a->n ? note_decode_props(a->p, a->n, ret) : 0;
}
