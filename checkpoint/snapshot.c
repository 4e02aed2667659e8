// SPDX-License-Identifier: Apache-2.0
// A state as records again, and questions to a state; see state.h.
#include "checkpoint/state.h"

#include <errno.h>
#include <string.h>

struct emitter {
    state_emit_fn *fn;
    void *arg;
    int rc; // first failure; nothing is emitted after it
};

static void emit(struct emitter *e, const struct record *r)
{
    if (e->rc == 0)
        e->rc = e->fn(e->arg, r);
}

#define EMIT(e, ...) emit(e, &(struct record){__VA_ARGS__})

static struct record_blob blob_of(const struct state_attrs *attrs)
{
    return (struct record_blob){attrs->p, attrs->n};
}

static void emit_open(struct emitter *e, const struct journal_state *s)
{
    EMIT(e, .type = RECORD_OPEN,
         .open = {.id = s->id,
                  .key = s->key,
                  .temp_name = s->temp_name,
                  .predicted = s->predicted,
                  .durability = s->durability,
                  .server_s = s->created_server_s,
                  .real_s = s->created_real_s,
                  .boot_id = s->boot_id,
                  .writer_pid = s->writer_pid,
                  .writer_time = s->writer_time,
                  .writer_uid = s->writer_uid,
                  .base_key = s->base_key,
                  .base_etag = s->base_etag,
                  .base_size = s->base_size,
                  .seen_s = s->last_server_s});
}

// Size, attributes and the seal come before parts and map: a smaller size would cut those.
static void emit_file(struct emitter *e, const struct journal_state *s)
{
    if (s->sealed_once)
        EMIT(e, .type = RECORD_SEALED,
             .sealed = {.size = s->size,
                        .reason = s->seal_reason,
                        .synced = s->seal_synced,
                        .server_s = s->sealed_s,
                        .attrs = blob_of(&s->attrs)});
    if (s->sealed_once && s->phase == PHASE_OPEN)
        EMIT(e, .type = RECORD_REOPENED);
    if (!s->sealed_once && s->attrs.n > 0)
        EMIT(e, .type = RECORD_ATTRS, .attrs = {blob_of(&s->attrs)});
    if (!s->sealed_once && s->size > 0)
        EMIT(e, .type = RECORD_SIZE, .size = {s->size});
}

static void emit_staging(struct emitter *e, const struct journal_state *s)
{
    size_t at = 0;
    while (s->has_map) {
        size_t n = s->map.n - at < RECORD_MAP_MAX ? s->map.n - at : RECORD_MAP_MAX;
        EMIT(
            e, .type = RECORD_MAP,
            .map = {.reset = at == 0, .ranges = {.v = n ? s->map.v + at : NULL, .n = (uint32_t)n}});
        at += n;
        if (at >= s->map.n)
            break;
    }
    for (size_t i = 0; i < s->punched.n; i++) {
        struct range one = s->punched.v[i];
        EMIT(e, .type = RECORD_PUNCHED, .punched = {one.off, one.end - one.off});
    }
}

static void emit_part(struct emitter *e, const struct state_part *p, uint32_t part_no)
{
    if (p->stored_gen > 0) {
        struct record r = {.type = RECORD_PART,
                           .part = {.part_no = part_no,
                                    .generation = p->stored_gen,
                                    .offset = p->offset,
                                    .size = p->size,
                                    .has_md5 = p->has_md5,
                                    .etag = p->etag,
                                    .copied = p->copied,
                                    .has_crc64 = p->has_crc64,
                                    .crc64 = p->crc64}};
        memcpy(r.part.md5, p->md5, sizeof(p->md5));
        emit(e, &r);
    }
    if (p->generation > 0 && p->stored_gen != p->generation) {
        struct record r = {.type = RECORD_PLANNED,
                           .planned = {.part_no = part_no,
                                       .generation = p->generation,
                                       .offset = p->offset,
                                       .size = p->size,
                                       .has_md5 = p->has_md5}};
        memcpy(r.planned.md5, p->md5, sizeof(p->md5));
        emit(e, &r);
    }
}

static void emit_uploads(struct emitter *e, const struct journal_state *s)
{
    for (uint32_t i = 0; i < s->n_stale; i++)
        EMIT(e, .type = RECORD_STALE, .stale = {s->stale[i].key, s->stale[i].upload_id});
    // INITIATED before the windows: it would take one of its key away.
    if (s->upload_id)
        EMIT(e, .type = RECORD_INITIATED,
             .initiated = {.key = s->upload_key,
                           .upload_id = s->upload_id,
                           .nonce = s->nonce,
                           .part_size = s->part_size,
                           .server_s = s->initiated_s,
                           .attrs = blob_of(&s->sent),
                           .adopted = s->adopted});
    for (uint32_t i = 0; i < s->n_windows; i++)
        EMIT(e, .type = RECORD_INITIATING,
             .initiating = {s->windows[i].key, s->windows[i].server_s, s->windows[i].window_s});
    for (uint32_t i = 0; i < s->n_parts; i++)
        emit_part(e, &s->parts[i], i + 1);
}

static void emit_phase(struct emitter *e, const struct journal_state *s)
{
    if (s->final_key)
        EMIT(e, .type = RECORD_COMPLETING,
             .completing = {.key = s->final_key,
                            .etag = s->final_etag,
                            .nonce = s->final_parts == 0 ? s->nonce : "",
                            .n_parts = s->final_parts,
                            .parts_digest = s->final_digest,
                            .server_s = s->completing_s,
                            .attrs = blob_of(&s->final_attrs)});
    if (s->phase == PHASE_DONE)
        EMIT(e, .type = RECORD_DONE, .done = {s->done_etag, s->upload_id});
    if (s->phase == PHASE_ABANDONED)
        EMIT(e, .type = RECORD_ABANDONED, .abandoned = {s->abandon_reason});
}

static void emit_marks(struct emitter *e, const struct journal_state *s)
{
    if (s->cloned)
        EMIT(e, .type = RECORD_CLONED, .cloned = {true});
    if (s->held)
        EMIT(e, .type = RECORD_HELD, .held = {0});
    if (s->interrupted)
        EMIT(e, .type = RECORD_INTERRUPTED,
             .interrupted = {s->interrupt_cause, s->interrupt_signal, s->interrupted_s});
    if (s->failed)
        EMIT(e, .type = RECORD_FAILED,
             .failed = {.eno = (uint32_t)s->failed_eno,
                        .code = s->failed_code,
                        .message = s->failed_message,
                        .request_id = s->failed_request_id,
                        .server_s = s->failed_s});
    if (s->conflict)
        EMIT(e, .type = RECORD_CONFLICT,
             .conflict = {s->conflict_etag, s->conflict_upload_id, s->conflict_s, 0});
    if (s->paused)
        EMIT(e, .type = RECORD_PAUSED);
}

int state_snapshot(const struct journal_state *s, state_emit_fn *fn, void *arg)
{
    if (s->phase == PHASE_NONE)
        return 0;
    struct emitter e = {fn, arg, 0};
    emit_open(&e, s);
    emit_file(&e, s);
    emit_staging(&e, s);
    emit_uploads(&e, s);
    emit_phase(&e, s);
    emit_marks(&e, s);
    return e.rc;
}

static int fold_into(void *arg, const struct record *r)
{
    return state_fold(arg, r);
}

int state_copy(struct journal_state *to, const struct journal_state *from)
{
    struct journal_state fresh = {0};
    int rc = state_snapshot(from, fold_into, &fresh);
    if (rc < 0) {
        state_done(&fresh);
        return rc;
    }
    state_done(to);
    *to = fresh;
    return 0;
}

bool state_part_stored(const struct state_part *p)
{
    return p->generation > 0 && p->stored_gen == p->generation && p->etag;
}

bool state_acknowledged(const struct journal_state *s)
{
    return s->durability == DURABILITY_STAGE && s->sealed_once && !s->held;
}

bool state_staged(const struct journal_state *s, uint64_t off, uint64_t end)
{
    if (ranges_touches(&s->punched, off, end))
        return false;
    if (s->has_map && ranges_covers(&s->map, off, end))
        return true;
    // What was never written is a hole: of a new file it reads as zeros, of a modified one it
    // belongs to the base object as far as that reaches.
    return !s->base_key || !*s->base_key;
}

uint64_t state_stored_bytes(const struct journal_state *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].stored_gen > 0)
            sum += s->parts[i].size;
    return sum;
}

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

static uint64_t fnv_u64(uint64_t h, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return fnv(h, bytes, sizeof(bytes));
}

uint64_t state_parts_digest(const struct journal_state *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct state_part *p = &s->parts[i];
        if (!state_part_stored(p))
            continue;
        h = fnv_u64(h, i + 1);
        h = fnv_u64(h, p->size);
        h = fnv(h, p->etag, strlen(p->etag) + 1);
    }
    return h;
}

const char *state_phase_name(enum journal_phase phase)
{
    static const char *const names[] = {
        [PHASE_NONE] = "none",     [PHASE_OPEN] = "open",
        [PHASE_SEALED] = "sealed", [PHASE_COMPLETING] = "completing",
        [PHASE_DONE] = "done",     [PHASE_ABANDONED] = "abandoned",
    };
    return phase <= PHASE_ABANDONED ? names[phase] : "?";
}
