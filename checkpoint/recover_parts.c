// SPDX-License-Identifier: Apache-2.0
// Which parts are kept and where the others come from; see recover.h.
#include "checkpoint/recover_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PART_SIZE_DEFAULT = 9 << 20 };

const struct recover_listed_part *recover_listed(const struct recover_listparts *list,
                                                 uint32_t part_no, uint64_t size, const char *etag)
{
    const struct recover_listed_part *found = NULL;
    // ListParts answers in order: with no gap the part stands at its number.
    if (part_no <= list->n && list->v[part_no - 1].part_no == part_no)
        found = &list->v[part_no - 1];
    for (size_t i = 0; i < list->n && !found; i++)
        if (list->v[i].part_no == part_no)
            found = &list->v[i];
    if (!found || found->size != size || !found->etag || !etag || !*etag)
        return NULL;
    return strcasecmp(found->etag, etag) == 0 ? found : NULL;
}

static bool is_modification(const struct journal_state *s)
{
    return s->base_key && *s->base_key;
}

/* Staging holds what was sealed: it was synced before, or the page cache of the kernel that had it
 * is still the one that we read from. */
static bool staging_trusted(const struct recover_facts *f)
{
    const struct journal_state *s = f->state;
    if (!f->staging.exists)
        return false;
    if (s->seal_synced)
        return true;
    return f->boot_id && *f->boot_id && s->boot_id && strcmp(f->boot_id, s->boot_id) == 0;
}

// End of what must be in the staging file for [off, end).
static uint64_t staged_end(const struct journal_state *s, uint64_t end)
{
    if (!s->has_map)
        return end;
    uint64_t last = s->map.n > 0 ? s->map.v[s->map.n - 1].end : 0;
    return last < end ? last : end;
}

// Where [off, end) can be taken from. False: from nowhere.
static bool find_source(const struct recover_facts *f, uint64_t off, uint64_t end,
                        enum recover_source *ret)
{
    const struct journal_state *s = f->state;
    if (ranges_touches(&s->punched, off, end))
        return false;
    if (is_modification(s) && end <= s->base_size && s->has_map &&
        !ranges_touches(&s->map, off, end)) {
        *ret = SOURCE_BASE;
        return true;
    }
    if (is_modification(s) && !s->has_map)
        return false;
    if (!staging_trusted(f) || f->staging.size < staged_end(s, end))
        return false;
    *ret = state_staged(s, off, end) ? SOURCE_STAGING : SOURCE_MIXED;
    return true;
}

static int no_data(const struct recover_facts *f, struct recover_plan *plan)
{
    bool promised = f->state->durability == DURABILITY_STAGE || f->state->punched.n > 0;
    recover_plan_done(plan);
    plan->need = 0;
    plan->restart = false;
    plan->action = RECOVER_KEEP;
    plan->why = promised ? WHY_NO_DATA : WHY_INTERRUPTED;
    plan->eno = promised ? EIO : 0;
    return 0;
}

static int damaged(struct recover_plan *plan)
{
    recover_plan_done(plan);
    plan->need = 0;
    plan->restart = false;
    plan->action = RECOVER_KEEP;
    plan->why = WHY_DAMAGED;
    plan->eno = EIO;
    return 0;
}

/* Staging of a part whose digest is known must have that digest before it is sent. Returns false if
 * it has not. */
static bool compare(const struct recover_facts *f, const struct state_part *known,
                    struct recover_part *part, struct recover_plan *plan)
{
    if (!known->has_md5 || part->source != SOURCE_STAGING)
        return true;
    part->has_md5 = true;
    memcpy(part->md5, known->md5, sizeof(part->md5));
    enum recover_hash hash =
        part->part_no <= f->staging.n_hashes ? f->staging.hashes[part->part_no - 1] : HASH_UNKNOWN;
    if (hash == HASH_UNKNOWN) {
        part->rehash = true;
        plan->need |= NEED_REHASH;
    }
    return hash == HASH_UNKNOWN || hash == HASH_MATCH;
}

struct builder {
    const struct recover_facts *f;
    struct recover_plan *plan;
    uint32_t cap;
    uint64_t at;      // end of the parts so far
    uint32_t last_no; // their last number
    bool lacks_data;
    bool damaged;
};

static int push(struct builder *b, const struct recover_part *part)
{
    struct recover_plan *plan = b->plan;
    if (plan->n_parts == b->cap) {
        uint32_t cap = b->cap ? 2 * b->cap : 16;
        struct recover_part *v = realloc(plan->parts, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        plan->parts = v;
        b->cap = cap;
    }
    plan->parts[plan->n_parts++] = *part;
    b->at = part->offset + part->size;
    b->last_no = part->part_no;
    return 0;
}

static int push_unsent(struct builder *b, uint32_t part_no, uint64_t size,
                       const struct state_part *known)
{
    struct recover_part part = {.part_no = part_no, .offset = b->at, .size = size};
    if (!find_source(b->f, part.offset, part.offset + size, &part.source))
        b->lacks_data = true;
    else if (known && !compare(b->f, known, &part, b->plan))
        b->damaged = true;
    return push(b, &part);
}

static uint64_t divide_up(uint64_t a, uint64_t n)
{
    return a / n + (a % n != 0);
}

/* Cuts [at, end) into parts with numbers below `before`. `last`: the file ends there, so that the
 * last piece may be small. -EAGAIN: there are no numbers, or the pieces would be too small. */
static int fill_gap(struct builder *b, uint64_t end, uint32_t before, bool last)
{
    const struct recover_options *opt = &b->f->opt;
    uint64_t gap = end - b->at;
    uint32_t numbers = before - b->last_no - 1;
    if (gap == 0)
        return 0;
    if (numbers == 0 || (!last && gap < opt->part_min))
        return -EAGAIN;

    uint64_t piece = b->f->state->part_size ? b->f->state->part_size : PART_SIZE_DEFAULT;
    if (piece < divide_up(gap, numbers))
        piece = divide_up(gap, numbers);
    if (opt->part_max && piece > opt->part_max)
        return -EAGAIN;
    while (b->at < end) {
        uint64_t rest = end - b->at;
        uint64_t size = rest < piece ? rest : piece;
        // A last piece that would be too small for its place goes along with the one before it.
        if (!last && rest > size && rest - size < opt->part_min)
            size = rest;
        if (opt->part_max && size > opt->part_max)
            return -EAGAIN;
        int rc = push_unsent(b, b->last_no + 1, size, NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int place_known(struct builder *b, uint32_t part_no, const struct state_part *p)
{
    const struct journal_state *s = b->f->state;
    bool last = p->offset + p->size == s->size;
    if (p->offset < b->at || (p->size < b->f->opt.part_min && !last))
        return -EAGAIN;
    int rc = fill_gap(b, p->offset, part_no, false);
    if (rc < 0)
        return rc;

    const struct recover_listed_part *listed =
        state_part_stored(p) ? recover_listed(&b->f->list, part_no, p->size, p->etag) : NULL;
    if (!listed)
        return push_unsent(b, part_no, p->size, p);
    struct recover_part part = {.part_no = part_no,
                                .offset = p->offset,
                                .size = p->size,
                                .source = SOURCE_SERVER,
                                .has_md5 = p->has_md5,
                                .etag = listed->etag};
    memcpy(part.md5, p->md5, sizeof(part.md5));
    return push(b, &part);
}

static int build(struct builder *b)
{
    const struct journal_state *s = b->f->state;
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct state_part *p = &s->parts[i];
        if (p->generation == 0 || p->size == 0)
            continue;
        if (p->offset + p->size > s->size)
            return -EAGAIN;
        int rc = place_known(b, i + 1, p);
        if (rc < 0)
            return rc;
    }
    return fill_gap(b, s->size, RECORD_PART_MAX + 1, true);
}

// The base object is another one by now: what is to be copied from it is not there.
static bool base_changed(const struct recover_facts *f, const struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    if (!is_modification(s) || !s->key || strcmp(s->base_key, s->key) != 0)
        return false; // elsewhere the copy's own condition finds it out
    bool same = f->head.answer == ANSWER_FOUND && f->head.etag && s->base_etag &&
                strcasecmp(f->head.etag, s->base_etag) == 0;
    if (same)
        return false;
    if (plan->restart)
        return !ranges_covers(&s->map, 0, s->size < s->base_size ? s->size : s->base_size);
    for (uint32_t i = 0; i < plan->n_parts; i++)
        if (plan->parts[i].source == SOURCE_BASE || plan->parts[i].source == SOURCE_MIXED)
            return true;
    return false;
}

// What all branches end with once the parts are known.
static int conclude(const struct recover_facts *f, struct recover_plan *plan, bool all_stored)
{
    if (base_changed(f, plan)) {
        recover_plan_done(plan);
        plan->need = 0;
        plan->restart = false;
        plan->action = RECOVER_CONFLICT;
        plan->why = WHY_OTHER_OBJECT;
        plan->eno = ESTALE;
        return 0;
    }
    plan->why = WHY_NONE;
    if (plan->need)
        plan->action = RECOVER_WAIT;
    else
        plan->action = all_stored ? RECOVER_COMPLETE : RECOVER_RESUME;
    return 0;
}

int recover_resume_parts(const struct recover_facts *f, struct recover_plan *plan)
{
    if (f->state->size == 0)
        return -EAGAIN; // an empty object is a single PUT

    struct builder b = {.f = f, .plan = plan};
    int rc = build(&b);
    if (rc < 0) {
        recover_plan_done(plan);
        plan->need = 0;
        return rc;
    }
    if (b.damaged)
        return damaged(plan);
    if (b.lacks_data)
        return no_data(f, plan);

    bool all_stored = true;
    for (uint32_t i = 0; i < plan->n_parts; i++)
        all_stored = all_stored && plan->parts[i].source == SOURCE_SERVER;
    return conclude(f, plan, all_stored);
}

int recover_restart_parts(const struct recover_facts *f, struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    enum recover_source source = SOURCE_STAGING;
    plan->restart = true;
    if (s->size > 0 && !find_source(f, 0, s->size, &source))
        return no_data(f, plan);

    struct builder b = {.f = f, .plan = plan};
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct state_part *p = &s->parts[i];
        if (p->generation == 0 || !p->has_md5 || !state_staged(s, p->offset, p->offset + p->size))
            continue;
        b.at = p->offset;
        int rc = push_unsent(&b, i + 1, p->size, p);
        if (rc < 0)
            return rc;
    }
    return b.damaged ? damaged(plan) : conclude(f, plan, false);
}
