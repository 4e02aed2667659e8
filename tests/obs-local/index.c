// SPDX-License-Identifier: Apache-2.0
/* The ordered map, see index.h */
#include "tests/obs-local/index.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS = 20 };

struct index_node {
    char *key;
    size_t n;
    void *value;
    unsigned levels;
    struct index_node *next[];
};

struct index {
    struct index_node *head;
    size_t count;
    uint64_t seed;
};

static struct index_node *node_new(const char *key, size_t n, unsigned levels)
{
    struct index_node *node = mem_alloc(sizeof(*node) + levels * sizeof(node->next[0]) + n + 1);
    node->key = (char *)&node->next[levels];
    memcpy(node->key, key, n);
    node->n = n;
    node->levels = levels;
    return node;
}

struct index *index_new(void)
{
    struct index *ix = mem_alloc(sizeof(*ix));
    ix->head = node_new("", 0, LEVELS);
    ix->seed = 0x9e3779b97f4a7c15ULL;
    return ix;
}

void index_free(struct index *ix)
{
    if (!ix)
        return;
    struct index_node *next;
    for (struct index_node *node = ix->head; node; node = next) {
        next = node->next[0];
        free(node);
    }
    free(ix);
}

static int compare(const struct index_node *node, const char *key, size_t n)
{
    size_t least = node->n < n ? node->n : n;
    int d = memcmp(node->key, key, least);
    return d ? d : (node->n > n) - (node->n < n);
}

/* The last node before `key` on each level; the answer is the node on level 0 after it. */
static struct index_node *find(const struct index *ix, const char *key, size_t n, bool after,
                               struct index_node **path)
{
    struct index_node *at = ix->head;
    for (unsigned level = LEVELS; level-- > 0;) {
        while (at->next[level]) {
            int d = compare(at->next[level], key, n);
            if (d > 0 || (d == 0 && !after))
                break;
            at = at->next[level];
        }
        if (path)
            path[level] = at;
    }
    return at->next[0];
}

static bool is(const struct index_node *node, const char *key, size_t n)
{
    return node && compare(node, key, n) == 0;
}

void *index_get(const struct index *ix, const char *key, size_t n)
{
    struct index_node *node = find(ix, key, n, false, NULL);
    return is(node, key, n) ? node->value : NULL;
}

static unsigned random_levels(struct index *ix)
{
    ix->seed ^= ix->seed << 13;
    ix->seed ^= ix->seed >> 7;
    ix->seed ^= ix->seed << 17;
    unsigned levels = 1;
    for (uint64_t r = ix->seed; levels < LEVELS && (r & 3) == 0; r >>= 2)
        levels++;
    return levels;
}

void *index_put(struct index *ix, const char *key, size_t n, void *value)
{
    struct index_node *path[LEVELS];
    struct index_node *node = find(ix, key, n, false, path);
    if (is(node, key, n)) {
        void *old = node->value;
        node->value = value;
        return old;
    }
    node = node_new(key, n, random_levels(ix));
    node->value = value;
    for (unsigned level = 0; level < node->levels; level++) {
        node->next[level] = path[level]->next[level];
        path[level]->next[level] = node;
    }
    ix->count++;
    return NULL;
}

void *index_remove(struct index *ix, const char *key, size_t n)
{
    struct index_node *path[LEVELS];
    struct index_node *node = find(ix, key, n, false, path);
    if (!is(node, key, n))
        return NULL;
    for (unsigned level = 0; level < node->levels; level++)
        path[level]->next[level] = node->next[level];
    void *value = node->value;
    free(node);
    ix->count--;
    return value;
}

size_t index_count(const struct index *ix)
{
    return ix->count;
}

struct index_node *index_seek(const struct index *ix, const char *key, size_t n, bool after)
{
    return find(ix, key, n, after, NULL);
}

struct index_node *index_next(const struct index_node *node)
{
    return node->next[0];
}

const char *index_key(const struct index_node *node, size_t *ret_n)
{
    if (ret_n)
        *ret_n = node->n;
    return node->key;
}

void *index_value(const struct index_node *node)
{
    return node->value;
}

/* The first node after every key that begins with these bytes. */
static struct index_node *seek_past(const struct index *ix, const char *prefix, size_t n)
{
    char *next = mem_alloc(n + 1);
    memcpy(next, prefix, n);
    while (n > 0 && (unsigned char)next[n - 1] == 0xff)
        n--;
    struct index_node *node = NULL;
    if (n > 0) {
        next[n - 1]++;
        node = find(ix, next, n, false, NULL);
    }
    free(next);
    return node;
}

/* How many bytes of the key are its common prefix; 0: none. */
static size_t rolled_up(const struct list_args *args, const char *key, size_t prefix_n)
{
    if (!args->delimiter[0])
        return 0;
    const char *at = strstr(key + prefix_n, args->delimiter);
    return at ? (size_t)(at - key) + strlen(args->delimiter) : 0;
}

static struct index_node *list_start(const struct index *ix, const struct list_args *args)
{
    size_t prefix_n = strlen(args->prefix);
    size_t delimiter_n = strlen(args->delimiter);
    if (args->marker_n == 0)
        return index_seek(ix, args->prefix, prefix_n, false);
    struct index_node *from_prefix = index_seek(ix, args->prefix, prefix_n, false);
    struct index_node *from;
    size_t n = args->marker_n;
    bool inside = n > prefix_n && memcmp(args->marker, args->prefix, prefix_n) == 0;
    /* a marker that is a common prefix was given out: everything in it is behind us */
    if (inside && delimiter_n && n >= prefix_n + delimiter_n &&
        rolled_up(args, args->marker, prefix_n) == n)
        from = seek_past(ix, args->marker, n);
    else
        from = index_seek(ix, args->marker, n, true);
    if (from && from_prefix && compare(from, from_prefix->key, from_prefix->n) < 0)
        return from_prefix;
    return from;
}

bool list_page(const struct index *ix, const struct list_args *args, list_emit_fn *emit, void *arg,
               struct arena *a, char **ret_last, size_t *ret_last_n)
{
    size_t prefix_n = strlen(args->prefix);
    struct index_node *node = list_start(ix, args);
    const char *last = NULL;
    size_t last_n = 0;
    unsigned given = 0;
    while (node && node->n >= prefix_n && memcmp(node->key, args->prefix, prefix_n) == 0) {
        if (given == args->max) {
            if (given == 0)
                return false;
            *ret_last = arena_dupn(a, last, last_n);
            *ret_last_n = last_n;
            return true;
        }
        size_t roll = rolled_up(args, node->key, prefix_n);
        last = node->key;
        last_n = roll ? roll : node->n;
        emit(arg, last, last_n, roll ? NULL : node->value);
        given++;
        node = roll ? seek_past(ix, last, roll) : node->next[0];
    }
    return false;
}
