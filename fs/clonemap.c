// SPDX-License-Identifier: Apache-2.0
// Which bytes of a file are those of another object; see clonemap.h.
#include "fs/clonemap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fetch.h"

void clonemap_done(struct clonemap *map)
{
    for (size_t i = 0; i < map->n; i++)
        fetch_file_unref(map->v[i].file);
    free(map->v);
    *map = (struct clonemap){0};
}

/* Room for `more` ranges beside those that are there. */
static int reserve(struct clonemap *map, size_t more)
{
    if (map->n + more > CLONEMAP_MAX)
        return -EFBIG;
    if (map->n + more <= map->cap)
        return 0;
    size_t cap = 2 * map->cap + more;
    struct clone *v = reallocarray(map->v, cap, sizeof(*v));
    if (!v)
        return -ENOMEM;
    map->v = v;
    map->cap = cap;
    return 0;
}

/* The first range that ends behind `off`. */
static size_t ends_behind(const struct clonemap *map, uint64_t off)
{
    size_t i = 0;
    while (i < map->n && map->v[i].to <= off)
        i++;
    return i;
}

/* Puts a range at index i, for which there is room. */
static void insert(struct clonemap *map, size_t i, struct clone c)
{
    memmove(map->v + i + 1, map->v + i, (map->n - i) * sizeof(*map->v));
    c.file = fetch_file_ref(c.file);
    map->v[i] = c;
    map->n++;
}

static void erase(struct clonemap *map, size_t i)
{
    fetch_file_unref(map->v[i].file);
    memmove(map->v + i, map->v + i + 1, (map->n - i - 1) * sizeof(*map->v));
    map->n--;
}

int clonemap_remove(struct clonemap *map, uint64_t from, uint64_t to)
{
    size_t i = ends_behind(map, from);
    if (from >= to || i == map->n)
        return 0;
    if (map->v[i].from < from) {
        struct clone rest = map->v[i];
        int rc = rest.to > to ? reserve(map, 1) : 0;
        if (rc < 0)
            return rc;
        map->v[i++].to = from;
        if (rest.to > to) {
            rest.source += to - rest.from;
            rest.from = to;
            insert(map, i, rest);
            return 0;
        }
    }
    while (i < map->n && map->v[i].to <= to)
        erase(map, i);
    if (i < map->n && map->v[i].from < to) {
        map->v[i].source += to - map->v[i].from;
        map->v[i].from = to;
    }
    return 0;
}

/* a goes on in b. */
static bool joins(const struct clone *a, const struct clone *b)
{
    return a->to == b->from && a->file == b->file && a->lost == b->lost &&
           a->source + (a->to - a->from) == b->source;
}

int clonemap_add(struct clonemap *map, uint64_t from, uint64_t to, struct fetch_file *file,
                 uint64_t source)
{
    const struct clone c = {.from = from, .to = to, .source = source, .file = file};
    if (from >= to)
        return 0;
    int rc = reserve(map, 2); /* so that removing cannot fail */
    if (rc < 0)
        return rc;
    (void)clonemap_remove(map, from, to);
    size_t i = ends_behind(map, from);
    insert(map, i, c);
    if (i + 1 < map->n && joins(&map->v[i], &map->v[i + 1])) {
        map->v[i].to = map->v[i + 1].to;
        erase(map, i + 1);
    }
    if (i > 0 && joins(&map->v[i - 1], &map->v[i])) {
        map->v[i - 1].to = map->v[i].to;
        erase(map, i);
    }
    return 0;
}

struct clone *clonemap_next(const struct clonemap *map, uint64_t from, uint64_t to)
{
    size_t i = ends_behind(map, from);
    return i < map->n && map->v[i].from < to && from < to ? &map->v[i] : NULL;
}

struct clone *clonemap_of(const struct clonemap *map, const struct fetch_file *file)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->v[i].file == file)
            return &map->v[i];
    }
    return NULL;
}
