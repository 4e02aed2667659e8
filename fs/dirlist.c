// SPDX-License-Identifier: Apache-2.0
// Snapshots of directories; see dirlist.h.
#include "fs/dirlist.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/buf.h"

struct item {
    size_t name; /* in names */
    uint64_t ino;
    mode_t type;
};

struct dirlist {
    struct item *v;
    size_t n;
    struct buf names;
    bool used;
};

/* Only a HEAD tells a symlink or a special file from a regular one, unless it is too large for
 * them. */
static mode_t known_type(const struct inode *inode)
{
    if (inode->is_dir)
        return S_IFDIR;
    if (inode->attr_known)
        return inode->attr.mode & S_IFMT;
    return inode->stored_size >= PATH_MAX ? S_IFREG : 0;
}

static int add(struct dirlist *list, const char *name, uint64_t ino, mode_t type)
{
    list->v[list->n++] = (struct item){.name = list->names.n, .ino = ino, .type = type};
    return buf_add(&list->names, name, strlen(name) + 1);
}

int dirlist_renew_locked(const struct inode *dir, struct dirlist *list)
{
    size_t count = 2 + HASH_COUNT(dir->children);
    struct item *v = realloc(list->v, count * sizeof(*v));
    if (!v)
        return -ENOMEM;
    list->v = v;
    list->n = 0;
    list->used = false;
    buf_reset(&list->names);

    int rc = add(list, ".", dir->st_ino, S_IFDIR);
    if (rc == 0)
        rc = add(list, "..", dir->parent ? dir->parent->st_ino : dir->st_ino, S_IFDIR);
    for (const struct inode *c = dir->children; rc == 0 && c; c = c->hh.next) {
        if (c->state != INODE_GONE)
            rc = add(list, c->name, c->st_ino, known_type(c));
    }
    return rc;
}

int dirlist_new_locked(const struct inode *dir, struct dirlist **ret)
{
    struct dirlist *list = calloc(1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    list->names = BUF_INIT((size_t)1 << 31);
    int rc = dirlist_renew_locked(dir, list);
    if (rc < 0) {
        dirlist_free(list);
        return rc;
    }
    *ret = list;
    return 0;
}

void dirlist_free(struct dirlist *list)
{
    if (!list)
        return;
    buf_done(&list->names);
    free(list->v);
    free(list);
}

bool dirlist_get(struct dirlist *list, size_t pos, struct dirlist_entry *ret)
{
    list->used = true;
    if (pos >= list->n)
        return false;
    const struct item *item = &list->v[pos];
    *ret = (struct dirlist_entry){.name = list->names.p + item->name,
                                  .ino = item->ino,
                                  .type = item->type,
                                  .is_child = pos >= 2};
    return true;
}

bool dirlist_used(const struct dirlist *list)
{
    return list->used;
}
