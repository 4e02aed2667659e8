// SPDX-License-Identifier: Apache-2.0
// Which bytes of a file are present; see imap.h.
#include "fs/imap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void imap_init(struct imap *map)
{
    *map = (struct imap){0};
}

void imap_done(struct imap *map)
{
    free(map->v);
    *map = (struct imap){0};
}

void imap_clear(struct imap *map)
{
    map->n = 0;
    map->total = 0;
}

/* The first range that ends behind `off`; n if there is none. */
static size_t ends_behind(const struct imap *map, uint64_t off)
{
    size_t lo = 0;
    size_t hi = map->n;

    /* Nearly every question is about the end of the file. */
    if (hi > 0 && map->v[hi - 1].to <= off)
        return hi;
    if (hi > 0 && map->v[hi - 1].from <= off)
        return hi - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (map->v[mid].to > off)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* The first range, not before index `lo`, that begins behind `off`; n if there is none. */
static size_t begins_behind(const struct imap *map, size_t lo, uint64_t off)
{
    size_t hi = map->n;

    if (hi > 0 && map->v[hi - 1].from <= off)
        return hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (map->v[mid].from > off)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Puts a range at index i. */
static int insert(struct imap *map, size_t i, uint64_t from, uint64_t to)
{
    if (map->n == map->cap) {
        size_t cap = map->cap ? map->cap * 2 : 8;
        struct imap_range *v = reallocarray(map->v, cap, sizeof(*v));
        if (!v)
            return -ENOMEM;
        map->v = v;
        map->cap = cap;
    }
    memmove(map->v + i + 1, map->v + i, (map->n - i) * sizeof(*map->v));
    map->v[i] = (struct imap_range){from, to};
    map->n++;
    return 0;
}

/* Takes the ranges [i, j) out. */
static void erase(struct imap *map, size_t i, size_t j)
{
    if (i >= j)
        return;
    memmove(map->v + i, map->v + j, (map->n - j) * sizeof(*map->v));
    map->n -= j - i;
}

int imap_add(struct imap *map, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;

    /* [i, j) are the ranges that overlap or touch the new one. */
    size_t i = from ? ends_behind(map, from - 1) : 0;
    size_t j = begins_behind(map, i, to);
    if (i == j) {
        int rc = insert(map, i, from, to);
        if (rc == 0)
            map->total += to - from;
        return rc;
    }

    struct imap_range *first = &map->v[i];
    uint64_t last_to = map->v[j - 1].to;
    for (size_t k = i; k < j; k++)
        map->total -= map->v[k].to - map->v[k].from;
    if (from < first->from)
        first->from = from;
    first->to = to > last_to ? to : last_to;
    map->total += first->to - first->from;
    erase(map, i + 1, j);
    return 0;
}

int imap_remove(struct imap *map, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;

    size_t i = ends_behind(map, from);
    if (i < map->n && map->v[i].from < from) {
        struct imap_range *r = &map->v[i];
        if (r->to > to) {
            int rc = insert(map, i + 1, to, r->to);
            if (rc < 0)
                return rc;
            map->v[i].to = from; /* insert() may have moved the array */
            map->total -= to - from;
            return 0;
        }
        map->total -= r->to - from;
        r->to = from;
        i++;
    }

    size_t j = i;
    for (; j < map->n && map->v[j].to <= to; j++)
        map->total -= map->v[j].to - map->v[j].from;
    if (j < map->n && map->v[j].from < to) {
        map->total -= to - map->v[j].from;
        map->v[j].from = to;
    }
    erase(map, i, j);
    return 0;
}

void imap_truncate(struct imap *map, uint64_t size)
{
    /* No range ends behind UINT64_MAX, so that this makes no hole and cannot fail. */
    (void)imap_remove(map, size, UINT64_MAX);
}

bool imap_covers(const struct imap *map, uint64_t from, uint64_t to)
{
    if (from >= to)
        return true;
    size_t i = ends_behind(map, from);
    return i < map->n && map->v[i].from <= from && map->v[i].to >= to;
}

bool imap_touches(const struct imap *map, uint64_t from, uint64_t to)
{
    uint64_t a;
    uint64_t b;
    return imap_next_present(map, from, to, &a, &b);
}

bool imap_next_gap(const struct imap *map, uint64_t from, uint64_t to, uint64_t *ret_from,
                   uint64_t *ret_to)
{
    size_t i = ends_behind(map, from);
    if (i < map->n && map->v[i].from <= from)
        from = map->v[i++].to; /* the next range cannot touch this one */
    if (from >= to)
        return false;
    *ret_from = from;
    *ret_to = i < map->n && map->v[i].from < to ? map->v[i].from : to;
    return true;
}

bool imap_next_present(const struct imap *map, uint64_t from, uint64_t to, uint64_t *ret_from,
                       uint64_t *ret_to)
{
    size_t i = ends_behind(map, from);
    if (from >= to || i == map->n || map->v[i].from >= to)
        return false;
    *ret_from = map->v[i].from > from ? map->v[i].from : from;
    *ret_to = map->v[i].to < to ? map->v[i].to : to;
    return true;
}

uint64_t imap_total(const struct imap *map)
{
    return map->total;
}

uint64_t imap_total_in(const struct imap *map, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;
    uint64_t a;
    uint64_t b;
    while (imap_next_present(map, from, to, &a, &b)) {
        sum += b - a;
        from = b;
    }
    return sum;
}

uint64_t imap_end(const struct imap *map)
{
    return map->n ? map->v[map->n - 1].to : 0;
}

const struct imap_range *imap_ranges(const struct imap *map, size_t *ret_n)
{
    *ret_n = map->n;
    return map->v;
}

int imap_set_ranges(struct imap *map, const struct imap_range *ranges, size_t n)
{
    struct imap fresh = {0};
    uint64_t end = 0;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        if (ranges[i].from >= ranges[i].to || ranges[i].from < end)
            rc = -EINVAL;
        else
            rc = imap_add(&fresh, ranges[i].from, ranges[i].to);
        end = ranges[i].to;
    }
    if (rc < 0) {
        imap_done(&fresh);
        return rc;
    }
    imap_done(map);
    *map = fresh;
    return 0;
}

bool imap_check(const struct imap *map)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < map->n; i++) {
        if (map->v[i].from >= map->v[i].to)
            return false;
        if (i > 0 && map->v[i].from <= map->v[i - 1].to)
            return false;
        sum += map->v[i].to - map->v[i].from;
    }
    return sum == map->total && map->n <= map->cap;
}
