// SPDX-License-Identifier: Apache-2.0
// Notifications to the kernel; see ops_stale.h.
#include "fs/ops_stale.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>

static uint64_t node_of(const struct fs *fs, const struct inode *inode)
{
    return inode == fs->root ? FUSE_ROOT_ID : (uint64_t)(uintptr_t)inode;
}

static struct stale_item *add(struct stale_list *list)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct stale_item *v = cap > STALE_MAX ? NULL : realloc(list->v, cap * sizeof(*v));
        if (!v)
            return NULL;
        list->v = v;
        list->cap = cap;
    }
    struct stale_item *item = &list->v[list->n];
    *item = (struct stale_item){0};
    return item;
}

void stale_add_name(const struct fs *fs, struct stale_list *list, const struct inode *dir,
                    const char *name, bool is_dir)
{
    struct stale_item *item = add(list);
    char *copy = item ? strdup(name) : NULL;
    if (!copy)
        return;
    item->dir = node_of(fs, dir);
    item->name = copy;
    item->is_dir = is_dir;
    list->n++;
}

void stale_add_inode(const struct fs *fs, struct stale_list *list, const struct inode *inode,
                     bool pages)
{
    struct stale_item *item = add(list);
    if (!item)
        return;
    item->ino = node_of(fs, inode);
    item->pages = pages;
    list->n++;
}

/* What the kernel does not know (any more) it need not forget. */
static void send_one(struct fuse_session *se, const struct stale_item *item)
{
    if (!item->dir) {
        (void)fuse_lowlevel_notify_inval_inode(se, item->ino, item->pages ? 0 : -1, 0);
        return;
    }
    size_t n = strlen(item->name);
    int rc = fuse_lowlevel_notify_expire_entry(se, item->dir, item->name, n, FUSE_LL_EXPIRE_ONLY);
    if (rc == -ENOSYS && !item->is_dir)
        (void)fuse_lowlevel_notify_inval_entry(se, item->dir, item->name, n);
}

void stale_send(struct fs *fs, struct stale_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (fs->session)
            send_one(fs->session, &list->v[i]);
        free(list->v[i].name);
    }
    free(list->v);
    *list = (struct stale_list){0};
}
