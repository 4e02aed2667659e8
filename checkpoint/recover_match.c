// SPDX-License-Identifier: Apache-2.0
// Content match, unknown uploads, expiry; see recover.h.
#include "checkpoint/recover_impl.h"

#include <string.h>

// The server's times are cut to seconds: a window is that much wider.
enum { ROUNDING_S = 1, JUMP_S = 3600 };

bool recover_unknown_upload(const struct journal_state *s, const struct recover_upload *u)
{
    if (u->parts_answer != ANSWER_FOUND || u->n_parts > 0)
        return false;
    if (s->upload_id && strcmp(s->upload_id, u->upload_id) == 0)
        return false;
    for (uint32_t i = 0; i < s->n_stale; i++)
        if (strcmp(s->stale[i].upload_id, u->upload_id) == 0)
            return false;

    for (uint32_t i = 0; i < s->n_windows; i++) {
        const struct state_window *w = &s->windows[i];
        if (w->server_s > 0 && strcmp(w->key, u->key) == 0 &&
            u->initiated_s >= w->server_s - ROUNDING_S &&
            u->initiated_s <= w->server_s + (int64_t)w->window_s + ROUNDING_S)
            return true;
    }
    return false;
}

enum recover_match recover_match_upload(const struct journal_state *s,
                                        const struct recover_head *head,
                                        const struct recover_listparts *list)
{
    if (!s->upload_id)
        return MATCH_ABORT;
    if (head->answer == ANSWER_NONE || head->answer == ANSWER_ERROR ||
        list->answer == ANSWER_NONE || list->answer == ANSWER_ERROR)
        return MATCH_WAIT;
    if (list->answer == ANSWER_GONE)
        return MATCH_ABORT;
    if (head->answer == ANSWER_GONE)
        return MATCH_REUSE;
    return s->initiated_s > 0 && head->modified_s < s->initiated_s ? MATCH_REUSE : MATCH_ABORT;
}

bool recover_match_boundary(const struct journal_state *s, uint64_t offset, uint32_t *ret_part_no,
                            uint64_t *ret_size)
{
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct state_part *p = &s->parts[i];
        if (state_part_stored(p) && p->offset == offset && p->size > 0) {
            *ret_part_no = i + 1;
            *ret_size = p->size;
            return true;
        }
    }
    return false;
}

const struct state_part *recover_match_part(const struct journal_state *s,
                                            const struct recover_listparts *list, uint64_t offset,
                                            uint64_t size, const uint8_t md5[16])
{
    if (list->answer != ANSWER_FOUND)
        return NULL;
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct state_part *p = &s->parts[i];
        if (p->offset == offset && p->size == size && state_part_stored(p) && p->has_md5 &&
            memcmp(p->md5, md5, sizeof(p->md5)) == 0 && recover_listed(list, i + 1, size, p->etag))
            return p;
    }
    return NULL;
}

bool recover_listed_offsets(const struct recover_listparts *list, uint64_t *ret_offsets)
{
    uint64_t at = 0;
    if (list->answer != ANSWER_FOUND)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        if (list->v[i].part_no != i + 1 || list->v[i].size > RECORD_OFFSET_MAX - at)
            return false;
        ret_offsets[i] = at;
        at += list->v[i].size;
    }
    return true;
}

// The one that was kept longest among those that stay and may go, or NULL.
static struct recover_kept *oldest(struct recover_kept *v, size_t n)
{
    struct recover_kept *found = NULL;
    for (size_t i = 0; i < n; i++)
        if (!v[i].expire && !v[i].acknowledged &&
            (!found || v[i].interrupted_s < found->interrupted_s))
            found = &v[i];
    return found;
}

void recover_choose_expired(struct recover_kept *v, size_t n, int64_t server_s, int64_t keep_s,
                            uint64_t max_bytes, bool expire)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t age = server_s - v[i].interrupted_s;
        v[i].expire =
            expire && server_s > 0 && !v[i].acknowledged && v[i].interrupted_s > 0 && age > keep_s;
        if (!v[i].expire && !v[i].acknowledged)
            total += v[i].bytes;
    }
    if (!expire || server_s <= 0 || max_bytes == 0)
        return;
    while (total > max_bytes) {
        struct recover_kept *victim = oldest(v, n);
        if (!victim)
            return;
        victim->expire = true;
        total -= victim->bytes;
    }
}

bool recover_clock_jumped(int64_t then_server_s, int64_t then_real_s, int64_t now_server_s,
                          int64_t now_real_s)
{
    if (then_server_s <= 0 || then_real_s <= 0)
        return false;
    int64_t server = now_server_s - then_server_s;
    int64_t real = now_real_s - then_real_s;
    int64_t apart = server > real ? server - real : real - server;
    return server < -JUMP_S || apart > JUMP_S;
}
