// SPDX-License-Identifier: Apache-2.0
/* index - attributes of objects, remembered across mounts
 *
 * Role        A listing does not show user metadata. What a HEAD once told is kept here, so that
 *             the next `ls -l` costs a LIST only. It is a cache: every answer could also be had
 *             from the server, losing it costs requests, nothing else.
 *
 * Key         An entry counts only if key, ETag, Last-Modified (ms) and size are all as the
 *             listing shows them now (of an object that we stored, if it has not been changed since,
 *             by Last-Modified), and it is not older than the ttl: ?metadata does not change
 *             the ETag, and nobody knows whether it changes Last-Modified (decision 13).
 *
 * On disk     One SQLite database (WAL), 0600, PRAGMA user_version = INDEX_VERSION. A damaged one,
 *             or one of another version, is removed and made anew, with one notice in the log.
 *
 * Locking     One lock inside ("index", just before "log" in the order of fs/fs.h): held during a
 *             query, which does not sync. index_flush() commits; SQLite syncs only when it moves
 *             the WAL into the database.
 *
 * Errors      No caller has to care: a lookup that fails is a miss, a put that fails is forgotten.
 */
#ifndef OBSM_CHECKPOINT_INDEX_H
#define OBSM_CHECKPOINT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/err.h"
#include "net/base/log.h"

enum { INDEX_VERSION = 1, INDEX_ATTRS_MAX = 64 << 10 };

struct index;

struct index_params {
    const char *path;     /* file; its directory exists */
    int64_t ttl_s;        /* `index_ttl` */
    uint64_t entries_max; /* the oldest go; 0: 1,000,000 */
    struct log *log;      /* NULL allowed */
};

/* Opens or makes the database. -errno if that fails even after it was made anew; the caller then
 * goes on without: every function takes a NULL index. */
int index_open(const struct index_params *params, struct index **ret, struct err *e);

/* Commits and closes. */
void index_close(struct index *ix);

/* The version of an object that an entry belongs to. Put with a negative time: Last-Modified was not
 * told, but the object is ours, and was stored by -mtime_ms at the latest. */
struct index_version {
    const char *etag;
    int64_t mtime_ms;
    uint64_t size;
};

/* Is what a listing shows now (with its time) the version of an entry? */
bool index_same_version(const struct index_version *now, const struct index_version *entry);

/* Looks one up. 1: found, *ret_attrs (freed by the caller) and *ret_n set; 0: not, or not of this
 * version, or too old. `now_s`: seconds since 1970. */
int index_get(struct index *ix, const char *key, const struct index_version *version, int64_t now_s,
              void **ret_attrs, size_t *ret_n);

/* One entry of a directory. `name` is the key without the directory; pointers are valid during the
 * call. The callback must not call the index. Not 0: stop. */
typedef int index_each_fn(void *arg, const char *name, const struct index_version *version,
                          const void *attrs, size_t n);

/* All entries directly in `dir` (a prefix that is "" or ends in '/'; "d/" itself is an entry of
 * its parent) that are not too old, by name. The caller compares versions. Returns how many were
 * given. */
int index_each(struct index *ix, const char *dir, int64_t now_s, index_each_fn *fn, void *arg);

/* Remembers; replaces an older entry of the key. Becomes visible at once, durable with
 * index_flush(). */
void index_put(struct index *ix, const char *key, const struct index_version *version,
               const void *attrs, size_t n, int64_t now_s);

/* Forgets every key that begins with `prefix` ("" forgets all); index_forget() exactly one, and at
 * once: it does not come back after the death of the process. */
void index_drop(struct index *ix, const char *prefix);
void index_forget(struct index *ix, const char *key);

/* Commits what was put since, and drops what is too many or too old. Called by a timer. */
void index_flush(struct index *ix, int64_t now_s);

/* Number of entries, for stats. */
uint64_t index_count(struct index *ix);

#endif
