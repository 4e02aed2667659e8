// SPDX-License-Identifier: Apache-2.0
// Sorted ranges in an array; see ranges.h.
#include "checkpoint/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ranges_done(struct ranges *r)
{
    free(r->v);
    *r = (struct ranges){0};
}

// Index of the first range whose end is >= `off` (or > `off` with `beyond`).
static size_t find(const struct ranges *r, uint64_t off, bool beyond)
{
    size_t lo = 0;
    size_t hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        bool before = beyond ? r->v[mid].end <= off : r->v[mid].end < off;
        if (before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int room_for_one(struct ranges *r)
{
    if (r->n < r->cap)
        return 0;
    if (r->n >= RANGES_MAX)
        return -E2BIG;

    size_t cap = r->cap ? 2 * r->cap : 8;
    struct range *v = realloc(r->v, cap * sizeof(*v));
    if (!v)
        return -ENOMEM;
    r->v = v;
    r->cap = cap;
    return 0;
}

// Replaces ranges [i, j) by `n` ranges (0 to 2) at `with`; there is room.
static void splice(struct ranges *r, size_t i, size_t j, const struct range *with, size_t n)
{
    memmove(r->v + i + n, r->v + j, (r->n - j) * sizeof(*r->v));
    for (size_t k = 0; k < n; k++)
        r->v[i + k] = with[k];
    r->n = r->n - (j - i) + n;
}

int ranges_add(struct ranges *r, uint64_t off, uint64_t end)
{
    if (off >= end)
        return 0;

    struct range whole = {off, end};
    size_t i = find(r, off, false);
    size_t j = i;
    while (j < r->n && r->v[j].off <= end) {
        if (r->v[j].off < whole.off)
            whole.off = r->v[j].off;
        if (r->v[j].end > whole.end)
            whole.end = r->v[j].end;
        j++;
    }
    if (i == j) {
        int rc = room_for_one(r);
        if (rc < 0)
            return rc;
    }
    splice(r, i, j, &whole, 1);
    return 0;
}

int ranges_sub(struct ranges *r, uint64_t off, uint64_t end)
{
    if (off >= end)
        return 0;

    size_t i = find(r, off, true);
    size_t j = i;
    struct range left[2];
    size_t n = 0;
    while (j < r->n && r->v[j].off < end) {
        if (r->v[j].off < off)
            left[n++] = (struct range){r->v[j].off, off};
        if (r->v[j].end > end)
            left[n++] = (struct range){end, r->v[j].end};
        j++;
    }
    if (n > j - i) {
        int rc = room_for_one(r);
        if (rc < 0)
            return rc;
    }
    if (i < j)
        splice(r, i, j, left, n);
    return 0;
}

bool ranges_covers(const struct ranges *r, uint64_t off, uint64_t end)
{
    if (off >= end)
        return true;
    size_t i = find(r, off, true);
    return i < r->n && r->v[i].off <= off && r->v[i].end >= end;
}

bool ranges_touches(const struct ranges *r, uint64_t off, uint64_t end)
{
    if (off >= end)
        return false;
    size_t i = find(r, off, true);
    return i < r->n && r->v[i].off < end;
}

uint64_t ranges_bytes(const struct ranges *r, uint64_t off, uint64_t end)
{
    uint64_t sum = 0;
    if (off >= end)
        return 0;
    for (size_t i = find(r, off, true); i < r->n && r->v[i].off < end; i++) {
        uint64_t from = r->v[i].off > off ? r->v[i].off : off;
        uint64_t to = r->v[i].end < end ? r->v[i].end : end;
        sum += to - from;
    }
    return sum;
}

bool ranges_gap(const struct ranges *r, uint64_t off, uint64_t end, struct range *ret_gap)
{
    size_t i = find(r, off, true);
    if (i < r->n && r->v[i].off <= off)
        off = r->v[i++].end;
    if (off >= end)
        return false;

    uint64_t to = i < r->n && r->v[i].off < end ? r->v[i].off : end;
    *ret_gap = (struct range){off, to};
    return true;
}

int ranges_copy(struct ranges *to, const struct ranges *from)
{
    struct range *v = NULL;
    if (from->n > 0) {
        v = malloc(from->n * sizeof(*v));
        if (!v)
            return -ENOMEM;
        memcpy(v, from->v, from->n * sizeof(*v));
    }
    free(to->v);
    *to = (struct ranges){.v = v, .n = from->n, .cap = from->n};
    return 0;
}
