// SPDX-License-Identifier: Apache-2.0
/* index - an ordered map from bytes to a pointer, and the listing over it
 *
 * Role        Keys in byte order, as the service lists them. A skip list: find, insert, remove and
 *             "the first key not less than" are O(log n), so that a page of a listing with a
 *             delimiter costs as much as it has entries, however many keys it rolls up.
 * Locking     None: the owner's lock protects it.
 */
#ifndef OBSLOCAL_INDEX_H
#define OBSLOCAL_INDEX_H

#include "tests/obs-local/text.h"

struct index;
struct index_node;

struct index *index_new(void);
void index_free(struct index *ix); /* the values are the caller's */

void *index_get(const struct index *ix, const char *key, size_t n);
/* Stores the value and returns the one that it replaces, or NULL. */
void *index_put(struct index *ix, const char *key, size_t n, void *value);
void *index_remove(struct index *ix, const char *key, size_t n);
size_t index_count(const struct index *ix);

/* The first node whose key is >= (or, with `after`, >) the given one; NULL: none. */
struct index_node *index_seek(const struct index *ix, const char *key, size_t n, bool after);
struct index_node *index_next(const struct index_node *node);
const char *index_key(const struct index_node *node, size_t *ret_n); /* NUL-terminated */
void *index_value(const struct index_node *node);

/* A page of a listing. Source: OBS API, listing objects in a bucket. */
struct list_args {
    const char *prefix;
    const char *delimiter; /* "": none */
    const char *marker;    /* exclusive */
    size_t marker_n;       /* bytes of it: keys of uploads contain a NUL */
    unsigned max;
};

/* Called for each entry in order: `value` is NULL for a common prefix. */
typedef void list_emit_fn(void *arg, const char *key, size_t n, void *value);

/* True if there is more; then *ret_last (arena) and *ret_last_n are the last entry given out. */
bool list_page(const struct index *ix, const struct list_args *args, list_emit_fn *emit, void *arg,
               struct arena *a, char **ret_last, size_t *ret_last_n);

#endif
