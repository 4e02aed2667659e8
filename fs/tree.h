// SPDX-License-Identifier: Apache-2.0
/* tree - all objects below a prefix: listing, copying and deleting them
 *
 * Role        What renaming a directory consists of (fs/rename.h), and what finishes or undoes it
 *             after a crash (fs/moves.h).
 * Parallel    TREE_WIDTH copies run at the same time; objects too large for one request go one after
 *             the other, in parts (fs/copy.h); up to 1,000 keys are deleted by one request.
 * Locking     under fs->lock, which is dropped while a request is awaited.
 */
#ifndef OBSM_FS_TREE_H
#define OBSM_FS_TREE_H

#include "fs/fs.h"
#include "net/obs.h"

enum { TREE_WIDTH = 32 };

struct tree_object {
    char *key;
    char *etag;
    uint64_t size;
    int64_t mtime_ms;
    char *copy_etag;      /* of its copy, NULL as long as there is none */
    struct obs_props sse; /* what a copy does not get by itself: properties_for_copy() */
};

struct tree {
    char prefix[OBS_KEY_MAX + 1]; /* of the keys, with its slash; or the key of one object */
    struct tree_object *v;        /* by key */
    size_t n, cap;
};

/* Fills the tree (only its prefix is set) from the bucket. -EXDEV: more than `max` objects (0: any
 * number). */
int tree_list_locked(struct fs *fs, struct tree *t, size_t max, struct intr *intr);
/* The same for the one object whose key is the tree's prefix; none if it is not there. */
int tree_take_locked(struct fs *fs, struct tree *t);
void tree_done(struct tree *t);

/* The object whose key is that of `o` with another prefix, or NULL. */
const struct tree_object *tree_twin(const struct tree *t, const struct tree *of,
                                    const struct tree_object *o);

/* The key that `o` of `t` has below the prefix `to`. -ENAMETOOLONG. */
int tree_new_key(const struct tree *t, const struct tree_object *o, const char *to,
                 char out[OBS_KEY_MAX + 1]);

/* Copies every object to below `to`. `copied` is told of each one, by the calling thread, without
 * the lock: -errno ends it. The first failure ends it; copies under way are awaited. */
typedef int tree_copied_fn(void *arg, const struct tree_object *o);
int tree_copy_locked(struct fs *fs, struct tree *t, const char *to, tree_copied_fn *copied,
                     void *arg, struct intr *intr);

/* Deletes the keys; goes on after a failure and returns the first one. *ret_deleted (NULL allowed):
 * how many are certainly gone. */
int tree_delete_locked(struct fs *fs, const char *const *keys, size_t n, size_t *ret_deleted);

#endif
