// SPDX-License-Identifier: Apache-2.0
/* ops_stale - telling the kernel that what it remembers is old
 *
 * Role        Collects, under fs->lock, what the kernel is to forget, and says it without the lock:
 *             the kernel may first want an answer to something else from us.
 * Expired     A name is looked up again when it is used next; open files and working directories
 *             are not disturbed. A kernel that cannot do that drops names of files instead.
 */
#ifndef OBSM_FS_OPS_STALE_H
#define OBSM_FS_OPS_STALE_H

#include "fs/inode.h"

enum { STALE_MAX = 1 << 20 };

struct stale_item {
    uint64_t dir; /* node of the directory of `name`; 0: about an inode */
    char *name;
    bool is_dir;
    uint64_t ino;
    bool pages;
};

struct stale_list {
    struct stale_item *v;
    size_t n, cap;
};

/* The name in that directory. What finds no room is left out: it expires by itself. */
void stale_add_name(const struct fs *fs, struct stale_list *list, const struct inode *dir,
                    const char *name, bool is_dir);
/* Attributes of the inode, with `pages` its content too. */
void stale_add_inode(const struct fs *fs, struct stale_list *list, const struct inode *inode,
                     bool pages);

/* Tells the kernel and frees the list. Without fs->lock, not on an engine thread. */
void stale_send(struct fs *fs, struct stale_list *list);

#endif
