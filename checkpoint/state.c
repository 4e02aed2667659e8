// SPDX-License-Identifier: Apache-2.0
// The fold over journal records; see state.h.
#include "checkpoint/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int set_str(char **to, const char *from)
{
    char *s = strdup(from ? from : "");
    if (!s)
        return -ENOMEM;
    free(*to);
    *to = s;
    return 0;
}

static void drop_str(char **s)
{
    free(*s);
    *s = NULL;
}

static int set_attrs(struct state_attrs *to, const struct record_blob *from)
{
    uint8_t *p = NULL;
    if (from->n > 0) {
        p = malloc(from->n);
        if (!p)
            return -ENOMEM;
        memcpy(p, from->p, from->n);
    }
    free(to->p);
    *to = (struct state_attrs){p, from->n};
    return 0;
}

static void drop_attrs(struct state_attrs *attrs)
{
    free(attrs->p);
    *attrs = (struct state_attrs){0};
}

static void drop_final(struct journal_state *s)
{
    drop_str(&s->final_key);
    drop_str(&s->final_etag);
    drop_attrs(&s->final_attrs);
    s->final_parts = 0;
    s->final_digest = 0;
    s->completing_s = 0;
    if (!s->upload_id)
        drop_str(&s->nonce);
}

static void drop_window(struct journal_state *s, uint32_t i)
{
    free(s->windows[i].key);
    memmove(&s->windows[i], &s->windows[i + 1], (s->n_windows - i - 1) * sizeof(s->windows[0]));
    s->n_windows--;
}

static void drop_stale(struct journal_state *s, uint32_t i)
{
    free(s->stale[i].key);
    free(s->stale[i].upload_id);
    memmove(&s->stale[i], &s->stale[i + 1], (s->n_stale - i - 1) * sizeof(s->stale[0]));
    s->n_stale--;
}

static void drop_parts(struct journal_state *s, uint32_t from)
{
    for (uint32_t i = from; i < s->n_parts; i++)
        free(s->parts[i].etag);
    if (from < s->n_parts)
        s->n_parts = from;
}

void state_done(struct journal_state *s)
{
    char **const strings[] = {&s->key,
                              &s->temp_name,
                              &s->boot_id,
                              &s->base_key,
                              &s->base_etag,
                              &s->upload_key,
                              &s->upload_id,
                              &s->nonce,
                              &s->final_key,
                              &s->final_etag,
                              &s->done_etag,
                              &s->failed_code,
                              &s->failed_message,
                              &s->failed_request_id,
                              &s->conflict_etag,
                              &s->conflict_upload_id,
                              &s->abandon_reason};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        drop_str(strings[i]);
    drop_attrs(&s->attrs);
    drop_attrs(&s->sent);
    drop_attrs(&s->final_attrs);
    drop_parts(s, 0);
    free(s->parts);
    while (s->n_windows > 0)
        drop_window(s, s->n_windows - 1);
    while (s->n_stale > 0)
        drop_stale(s, s->n_stale - 1);
    ranges_done(&s->map);
    ranges_done(&s->punched);
    *s = (struct journal_state){0};
}

static void saw_time(struct journal_state *s, int64_t server_s)
{
    if (server_s > s->last_server_s)
        s->last_server_s = server_s;
}

static int fold_open(struct journal_state *s, const struct record *r)
{
    const struct record_open *o = &r->open;
    s->id = o->id;
    s->predicted = o->predicted;
    s->durability = (enum durability)o->durability;
    s->created_server_s = o->server_s;
    s->created_real_s = o->real_s;
    s->writer_pid = o->writer_pid;
    s->writer_time = o->writer_time;
    s->writer_uid = o->writer_uid;
    s->base_size = o->base_size;
    saw_time(s, o->server_s);
    saw_time(s, o->seen_s);
    if (set_str(&s->key, o->key) < 0 || set_str(&s->temp_name, o->temp_name) < 0 ||
        set_str(&s->boot_id, o->boot_id) < 0 || set_str(&s->base_key, o->base_key) < 0 ||
        set_str(&s->base_etag, o->base_etag) < 0)
        return -ENOMEM;
    s->phase = PHASE_OPEN;
    return 0;
}

static int fold_key(struct journal_state *s, const struct record *r)
{
    int rc = set_str(&s->key, r->key.key);
    if (rc < 0)
        return rc;
    s->held = r->key.held;
    if (!s->held) {
        s->predicted = false;
        return set_str(&s->temp_name, "");
    }
    return 0;
}

static int fold_attrs(struct journal_state *s, const struct record *r)
{
    /* Changed while it was being stored: recovery sends them. */
    int rc = s->phase == PHASE_COMPLETING ? set_attrs(&s->final_attrs, &r->attrs.attrs) : 0;
    return rc < 0 ? rc : set_attrs(&s->attrs, &r->attrs.attrs);
}

static int fold_held(struct journal_state *s, const struct record *r)
{
    s->held = true;
    saw_time(s, r->held.server_s);
    return 0;
}

static int fold_initiating(struct journal_state *s, const struct record *r)
{
    struct state_window w = {.server_s = r->initiating.server_s,
                             .window_s = r->initiating.window_s};
    int rc = set_str(&w.key, r->initiating.key);
    if (rc < 0)
        return rc;
    s->windows[s->n_windows++] = w;
    saw_time(s, w.server_s);
    return 0;
}

static int add_stale(struct journal_state *s, const char *key, const char *upload_id)
{
    for (uint32_t i = 0; i < s->n_stale; i++)
        if (strcmp(s->stale[i].upload_id, upload_id) == 0)
            return 0;
    if (s->n_stale >= STATE_STALE_MAX)
        return -E2BIG;

    struct state_stale *fresh = &s->stale[s->n_stale];
    *fresh = (struct state_stale){0};
    if (set_str(&fresh->key, key) < 0 || set_str(&fresh->upload_id, upload_id) < 0) {
        drop_str(&fresh->key);
        return -ENOMEM;
    }
    s->n_stale++;
    return 0;
}

// The server has nothing any more of what the current upload had.
static void drop_upload(struct journal_state *s)
{
    for (uint32_t i = 0; i < s->n_parts; i++) {
        s->parts[i].stored_gen = 0;
        s->parts[i].copied = s->parts[i].has_crc64 = false;
        drop_str(&s->parts[i].etag);
    }
    drop_str(&s->upload_key);
    drop_str(&s->upload_id);
    drop_str(&s->nonce);
    drop_attrs(&s->sent);
    s->part_size = 0;
    s->initiated_s = 0;
}

static int fold_initiated(struct journal_state *s, const struct record *r)
{
    const struct record_initiated *in = &r->initiated;
    if (s->upload_id && strcmp(s->upload_id, in->upload_id) != 0) {
        int rc = add_stale(s, s->upload_key, s->upload_id);
        if (rc < 0)
            return rc;
        drop_upload(s);
        drop_parts(s, 0);
    }
    for (uint32_t i = s->n_windows; i-- > 0;) {
        if (strcmp(s->windows[i].key, in->key) == 0) {
            drop_window(s, i);
            break;
        }
    }
    s->part_size = in->part_size;
    s->adopted = in->adopted;
    s->initiated_s = in->server_s;
    saw_time(s, in->server_s);
    if (set_str(&s->upload_key, in->key) < 0 || set_str(&s->upload_id, in->upload_id) < 0 ||
        set_str(&s->nonce, in->nonce) < 0)
        return -ENOMEM;
    return set_attrs(&s->sent, &in->attrs);
}

// Part `part_no`, new ones zeroed. NULL: out of memory.
static struct state_part *part_at(struct journal_state *s, uint32_t part_no)
{
    if (part_no > s->parts_cap) {
        uint32_t cap = s->parts_cap ? s->parts_cap : 16;
        while (cap < part_no)
            cap *= 2;
        struct state_part *v = realloc(s->parts, cap * sizeof(*v));
        if (!v)
            return NULL;
        s->parts = v;
        s->parts_cap = cap;
    }
    while (s->n_parts < part_no)
        s->parts[s->n_parts++] = (struct state_part){0};
    return &s->parts[part_no - 1];
}

static int fold_planned(struct journal_state *s, const struct record *r)
{
    const struct record_planned *in = &r->planned;
    struct state_part *p = part_at(s, in->part_no);
    if (!p)
        return -ENOMEM;
    if (in->generation < p->generation)
        return 0;

    // Other boundaries with the generation of what is stored: that is something else now.
    if (in->generation == p->stored_gen && (in->offset != p->offset || in->size != p->size))
        p->stored_gen = 0;
    p->generation = in->generation;
    p->offset = in->offset;
    p->size = in->size;
    p->has_md5 = in->has_md5;
    memcpy(p->md5, in->md5, sizeof(p->md5));
    return 0;
}

static int fold_part(struct journal_state *s, const struct record *r)
{
    const struct record_part *in = &r->part;
    struct state_part *p = part_at(s, in->part_no);
    if (!p)
        return -ENOMEM;

    // The answer for an older content: the part is not stored, whatever came before it.
    p->stored_gen = in->generation;
    p->copied = in->copied;
    p->has_crc64 = in->has_crc64;
    p->crc64 = in->crc64;
    if (in->generation >= p->generation) {
        p->generation = in->generation;
        p->offset = in->offset;
        p->size = in->size;
        p->has_md5 = in->has_md5;
        memcpy(p->md5, in->md5, sizeof(p->md5));
    }
    return set_str(&p->etag, in->etag);
}

static int fold_rewritten(struct journal_state *s, const struct record *r)
{
    struct state_part *p = part_at(s, r->rewritten.part_no);
    if (!p)
        return -ENOMEM;
    if (r->rewritten.generation <= p->generation)
        return 0;
    p->generation = r->rewritten.generation;
    p->has_md5 = false;
    memset(p->md5, 0, sizeof(p->md5));
    // Only a write that covers all of a punched part is let through: it is whole again.
    return ranges_sub(&s->punched, p->offset, p->offset + p->size);
}

static int fold_map(struct journal_state *s, const struct record *r)
{
    if (r->map.reset)
        ranges_done(&s->map);
    s->has_map = true;
    for (uint32_t i = 0; i < r->map.ranges.n; i++) {
        struct range one = record_range(&r->map.ranges, i);
        int rc = ranges_add(&s->map, one.off, one.end);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int fold_punched(struct journal_state *s, const struct record *r)
{
    return ranges_add(&s->punched, r->punched.offset, r->punched.offset + r->punched.length);
}

static int set_size(struct journal_state *s, uint64_t size)
{
    s->size = size;
    for (uint32_t i = 0; i < s->n_parts; i++) {
        struct state_part *p = &s->parts[i];
        if (p->offset + p->size <= size || p->generation == 0)
            continue;
        if (p->offset >= size) {
            free(p->etag);
            *p = (struct state_part){0};
        } else {
            p->size = size - p->offset;
            p->generation++;
            p->has_md5 = false;
            memset(p->md5, 0, sizeof(p->md5));
        }
    }
    uint32_t last = s->n_parts;
    while (last > 0 && s->parts[last - 1].generation == 0)
        last--;
    drop_parts(s, last);
    int rc = ranges_sub(&s->map, size, UINT64_MAX);
    return rc < 0 ? rc : ranges_sub(&s->punched, size, UINT64_MAX);
}

static int fold_size(struct journal_state *s, const struct record *r)
{
    return set_size(s, r->size.size);
}

static int fold_sealed(struct journal_state *s, const struct record *r)
{
    s->phase = PHASE_SEALED;
    s->sealed_once = true;
    s->interrupted = false;
    s->seal_reason = (enum seal_reason)r->sealed.reason;
    s->seal_synced = r->sealed.synced;
    s->sealed_s = r->sealed.server_s;
    saw_time(s, r->sealed.server_s);
    drop_final(s);
    int rc = set_size(s, r->sealed.size);
    return rc < 0 ? rc : set_attrs(&s->attrs, &r->sealed.attrs);
}

static int fold_reopened(struct journal_state *s, const struct record *r)
{
    s->phase = PHASE_OPEN;
    drop_final(s);
    return 0;
}

static int fold_completing(struct journal_state *s, const struct record *r)
{
    const struct record_completing *in = &r->completing;
    s->phase = PHASE_COMPLETING;
    s->final_parts = in->n_parts;
    s->final_digest = in->parts_digest;
    s->completing_s = in->server_s;
    saw_time(s, in->server_s);
    if (set_str(&s->final_key, in->key) < 0 || set_str(&s->final_etag, in->etag) < 0 ||
        (in->n_parts == 0 && set_str(&s->nonce, in->nonce) < 0))
        return -ENOMEM;
    return set_attrs(&s->final_attrs, &in->attrs);
}

static int fold_done(struct journal_state *s, const struct record *r)
{
    s->phase = PHASE_DONE;
    return set_str(&s->done_etag, r->done.etag);
}

static int fold_abandoned(struct journal_state *s, const struct record *r)
{
    s->phase = PHASE_ABANDONED;
    return set_str(&s->abandon_reason, r->abandoned.reason);
}

static int fold_aborted(struct journal_state *s, const struct record *r)
{
    const struct record_aborted *in = &r->aborted;
    if (*in->upload_id == 0) {
        for (uint32_t i = s->n_windows; i-- > 0;)
            if (strcmp(s->windows[i].key, in->key) == 0)
                drop_window(s, i);
        return 0;
    }
    for (uint32_t i = s->n_stale; i-- > 0;)
        if (strcmp(s->stale[i].upload_id, in->upload_id) == 0)
            drop_stale(s, i);
    if (s->upload_id && strcmp(s->upload_id, in->upload_id) == 0)
        drop_upload(s);
    return 0;
}

static int fold_stale(struct journal_state *s, const struct record *r)
{
    int rc = add_stale(s, r->stale.key, r->stale.upload_id);
    if (rc == 0 && s->upload_id && strcmp(s->upload_id, r->stale.upload_id) == 0)
        drop_upload(s);
    return rc;
}

static int fold_interrupted(struct journal_state *s, const struct record *r)
{
    s->interrupted = true;
    s->interrupt_cause = (enum interrupt_cause)r->interrupted.cause;
    s->interrupt_signal = r->interrupted.signal;
    s->interrupted_s = r->interrupted.server_s;
    saw_time(s, r->interrupted.server_s);
    return 0;
}

static int fold_failed(struct journal_state *s, const struct record *r)
{
    s->failed = true;
    s->failed_eno = (int)r->failed.eno;
    s->failed_s = r->failed.server_s;
    saw_time(s, r->failed.server_s);
    if (set_str(&s->failed_code, r->failed.code) < 0 ||
        set_str(&s->failed_message, r->failed.message) < 0 ||
        set_str(&s->failed_request_id, r->failed.request_id) < 0)
        return -ENOMEM;
    return 0;
}

static int fold_paused(struct journal_state *s, const struct record *r)
{
    s->paused = true;
    return 0;
}

static int fold_resumed(struct journal_state *s, const struct record *r)
{
    s->paused = false;
    s->failed = false;
    s->interrupted = false;
    s->conflict = false;
    return 0;
}

static int fold_conflict(struct journal_state *s, const struct record *r)
{
    s->conflict = true;
    s->conflict_s = r->conflict.modified_s;
    saw_time(s, r->conflict.server_s);
    if (set_str(&s->conflict_etag, r->conflict.etag) < 0 ||
        set_str(&s->conflict_upload_id, r->conflict.upload_id) < 0)
        return -ENOMEM;
    return 0;
}

static int fold_cloned(struct journal_state *s, const struct record *r)
{
    s->cloned = r->cloned.any;
    return 0;
}

static int fold_nothing(struct journal_state *s, const struct record *r)
{
    return 0;
}

typedef int fold_fn(struct journal_state *s, const struct record *r);

static fold_fn *const folds[] = {
    [RECORD_OPEN] = fold_open,
    [RECORD_KEY] = fold_key,
    [RECORD_ATTRS] = fold_attrs,
    [RECORD_HELD] = fold_held,
    [RECORD_INITIATING] = fold_initiating,
    [RECORD_INITIATED] = fold_initiated,
    [RECORD_PLANNED] = fold_planned,
    [RECORD_PART] = fold_part,
    [RECORD_REWRITTEN] = fold_rewritten,
    [RECORD_MAP] = fold_map,
    [RECORD_PUNCHED] = fold_punched,
    [RECORD_SIZE] = fold_size,
    [RECORD_SEALED] = fold_sealed,
    [RECORD_REOPENED] = fold_reopened,
    [RECORD_COMPLETING] = fold_completing,
    [RECORD_DONE] = fold_done,
    [RECORD_ABANDONED] = fold_abandoned,
    [RECORD_ABORTED] = fold_aborted,
    [RECORD_INTERRUPTED] = fold_interrupted,
    [RECORD_FAILED] = fold_failed,
    [RECORD_PAUSED] = fold_paused,
    [RECORD_RESUMED] = fold_resumed,
    [RECORD_CONFLICT] = fold_conflict,
    [RECORD_STALE] = fold_stale,
    [RECORD_SYNCED] = fold_nothing,
    [RECORD_CLONED] = fold_cloned,
};

static int check_place(uint32_t part_no, uint32_t generation, uint64_t offset, uint64_t size)
{
    if (part_no == 0 || part_no > RECORD_PART_MAX || generation == 0 || generation == UINT32_MAX)
        return -EINVAL;
    if (offset > RECORD_OFFSET_MAX || size > RECORD_OFFSET_MAX - offset)
        return -EINVAL;
    return 0;
}

static bool empty(const char *s)
{
    return !s || !*s;
}

int state_check(const struct journal_state *s, const struct record *r)
{
    if (r->type == 0 || r->type >= sizeof(folds) / sizeof(folds[0]) || !folds[r->type])
        return -EINVAL;
    if ((s->phase == PHASE_NONE) != (r->type == RECORD_OPEN))
        return -EPROTO;

    switch (r->type) {
    case RECORD_OPEN:
        return empty(r->open.key) ? -EINVAL : 0;
    case RECORD_KEY:
        return empty(r->key.key) ? -EINVAL : 0;
    case RECORD_INITIATING:
        return s->n_windows >= STATE_WINDOWS_MAX ? -E2BIG : 0;
    case RECORD_INITIATED:
        if (empty(r->initiated.upload_id))
            return -EINVAL;
        return s->upload_id && s->n_stale >= STATE_STALE_MAX ? -E2BIG : 0;
    case RECORD_STALE:
        if (empty(r->stale.upload_id))
            return -EINVAL;
        return s->n_stale >= STATE_STALE_MAX ? -E2BIG : 0;
    case RECORD_PLANNED:
        return check_place(r->planned.part_no, r->planned.generation, r->planned.offset,
                           r->planned.size);
    case RECORD_PART:
        return check_place(r->part.part_no, r->part.generation, r->part.offset, r->part.size);
    case RECORD_REWRITTEN:
        return check_place(r->rewritten.part_no, r->rewritten.generation, 0, 0);
    case RECORD_MAP:
        return !r->map.reset && s->map.n + r->map.ranges.n > RANGES_MAX ? -E2BIG : 0;
    case RECORD_PUNCHED:
        if (s->punched.n >= RANGES_MAX)
            return -E2BIG;
        return check_place(1, 1, r->punched.offset, r->punched.length);
    default:
        return 0;
    }
}

int state_fold(struct journal_state *s, const struct record *r)
{
    int rc = state_check(s, r);
    return rc < 0 ? rc : folds[r->type](s, r);
}
