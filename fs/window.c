// SPDX-License-Identifier: Apache-2.0
// Read-ahead of one handle; see window.h.
#include "fs/window.h"

#include <string.h>

enum {
    GROW_FAST_FROM = 512 << 10,
    GROW_FAST = 16,
    LAST_PIECES = 2 << 20,
    START_READS = 4,
    PROOF_READS = 3,
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t length(const struct window_run *r)
{
    return r->end - r->start;
}

/* Read from the start of the file by a handle that has done nothing else yet. */
static bool from_start(const struct window *w, const struct window_run *r)
{
    return r->start == 0 && r->reads == w->tick && w->tick <= START_READS;
}

static bool proven(const struct window *w, const struct window_run *r)
{
    return r->reads >= PROOF_READS || from_start(w, r);
}

void window_init(struct window *w)
{
    memset(w, 0, sizeof(*w));
}

static bool touches(const struct window *w, const struct window_run *r, uint64_t off, uint64_t end)
{
    if (!r->used)
        return false;
    uint64_t slack = proven(w, r) ? min_u64(length(r), WINDOW_SLACK) : 0;
    if (off <= r->end + slack && end + slack >= r->end)
        return true;
    return r->reads < PROOF_READS && end == r->start;
}

/* The run that the read belongs to: the one whose end is nearest. */
static struct window_run *find(struct window *w, uint64_t off, uint64_t end)
{
    struct window_run *best = NULL;
    uint64_t best_distance = UINT64_MAX;

    for (int i = 0; i < WINDOW_RUNS; i++) {
        struct window_run *r = &w->run[i];
        if (!touches(w, r, off, end))
            continue;
        uint64_t distance = off > r->end ? off - r->end : r->end - off;
        if (distance < best_distance) {
            best = r;
            best_distance = distance;
        }
    }
    return best;
}

static struct window_run *oldest(struct window *w)
{
    struct window_run *r = &w->run[0];
    for (int i = 1; i < WINDOW_RUNS; i++)
        if (w->run[i].used < r->used)
            r = &w->run[i];
    return r;
}

/* A read that came too early began a run of its own; the gap before it is now closed. */
static void merge(struct window *w, struct window_run *r)
{
    for (int i = 0; i < WINDOW_RUNS; i++) {
        struct window_run *o = &w->run[i];
        if (o == r || !o->used || length(o) > WINDOW_YOUNG)
            continue;
        if (o->start < r->start || o->start > r->end || o->end < r->end)
            continue;
        r->end = o->end;
        r->reads += o->reads;
        r->ahead = max_u64(r->ahead, o->ahead);
        r->window = max_u64(r->window, o->window);
        memset(o, 0, sizeof(*o));
    }
}

/* Counts the reads that go on behind each other with small gaps. True: enough to be a run. */
static bool note_gaps(struct window_gaps *g, uint64_t off, uint64_t end)
{
    if (!g->reads || off > g->end + WINDOW_GAP || off + WINDOW_GAP < g->end) {
        *g = (struct window_gaps){.start = off, .end = end, .reads = 1};
        return false;
    }
    if (off >= g->end)
        g->reads += g->reads < WINDOW_GAP_READS;
    else
        g->reads -= g->reads > 1;
    g->start = min_u64(g->start, off);
    g->end = max_u64(g->end, end);
    return g->reads >= WINDOW_GAP_READS;
}

void window_note(struct window *w, uint64_t off, uint64_t n)
{
    uint64_t end = off + n;
    struct window_run *r = find(w, off, end);
    bool gaps = note_gaps(&w->gaps, off, end);

    w->tick++;
    if (r) {
        r->start = min_u64(r->start, off);
        r->end = max_u64(r->end, end);
        r->reads++;
    } else {
        r = oldest(w);
        *r = (struct window_run){
            .start = gaps ? w->gaps.start : off, .end = end, .reads = gaps ? WINDOW_GAP_READS : 1};
    }
    r->used = w->tick;
    merge(w, r);
    w->current = r;
}

void window_starved(struct window *w, const struct window_limits *limits)
{
    struct window_run *r = w->current;

    if (!r || r->reads < 2 || !proven(w, r))
        return;
    uint64_t n = length(r) * (length(r) < GROW_FAST_FROM ? 2 : GROW_FAST);
    r->window = max_u64(r->window, n);
    r->window = min_u64(r->window, limits->share);
}

/* Powers of two and one step between them: few sizes, so that buffers are used again. Towards the
 * end of the file the pieces get smaller, so that all GETs end at about the same time. */
static uint64_t chunk(const struct window_run *r, const struct window_limits *limits, uint64_t from)
{
    uint64_t n = limits->chunk_min;
    uint64_t last = max_u64((limits->size - from) / limits->parallel, LAST_PIECES);
    uint64_t want = min_u64(min_u64(r->window / limits->parallel, limits->chunk_max), last);

    while (n * 2 <= want)
        n *= 2;
    if (n + n / 2 <= want)
        n += n / 2;
    return min_u64(n, limits->chunk_max);
}

uint64_t window_demand(const struct window *w, const struct window_limits *limits, uint64_t off,
                       uint64_t n)
{
    const struct window_run *r = w->current;
    uint64_t want = n;

    if (off >= limits->size)
        return 0;
    if (r && off + n >= r->end && proven(w, r)) {
        if (r->reads == 1 || (from_start(w, r) && off + n <= limits->first))
            want = max_u64(n, limits->first > off ? limits->first - off : 0);
        else if (r->window >= limits->chunk_min)
            want = max_u64(n, chunk(r, limits, off));
    }
    return min_u64(want, limits->size - off);
}

bool window_next(const struct window *w, const struct window_limits *limits, uint64_t *ret_off,
                 uint64_t *ret_n)
{
    const struct window_run *r = w->current;

    if (!r || r->window < limits->chunk_min || r->end >= limits->size)
        return false;
    uint64_t window = min_u64(r->window, limits->share);
    uint64_t until = min_u64(limits->size, r->end + window);
    uint64_t from = max_u64(r->ahead, r->end);
    if (from >= until)
        return false;
    /* Whole pieces only, so that a window that moves on by a page does not ask for a page. */
    uint64_t n = min_u64(chunk(r, limits, from), limits->size - from);
    if (until - from < n)
        return false;
    *ret_off = from;
    *ret_n = n;
    return true;
}

void window_reached(struct window *w, uint64_t off)
{
    if (w->current)
        w->current->ahead = max_u64(w->current->ahead, off);
}
