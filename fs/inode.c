// SPDX-License-Identifier: Apache-2.0
// The inode table; see inode.h. What concerns attributes is in inode_attr.c.
#include "fs/inode.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/changes.h"
#include "fs/dir.h"
#include "fs/fetch.h"
#include "fs/listing.h"
#include "fs/meta.h"
#include "fs/names.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/staged.h"
#include "net/base/clock.h"

/* Names over this are given up as soon as the kernel has no use for them. */
enum { INODES_MAX = 200000 };

enum { INO_BUCKETS = 1 << 16 };

static struct inode *new_inode(struct fs *fs)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    if (inode) {
        fs->n_inodes++;
        inode->generation = 1;
        DL_APPEND2(fs->inodes, inode, all_prev, all_next);
    }
    return inode;
}

static struct inode **ino_bucket(const struct fs *fs, uint64_t st_ino)
{
    return &fs->inos[st_ino % INO_BUCKETS];
}

/* Does somebody who can be looked at show this number? */
static bool ino_shown(const struct fs *fs, uint64_t st_ino)
{
    for (const struct inode *i = *ino_bucket(fs, st_ino); i; i = i->ino_next) {
        if (i->st_ino == st_ino && (i->parent || i->nopen))
            return true;
    }
    return false;
}

/* The number of the inode's path, or one after it if that is shown by what was renamed, or is open
 * and replaced. */
static void number(struct fs *fs, struct inode *inode)
{
    char path[OBS_KEY_MAX + 2];
    inode_path_locked(inode, path, sizeof(path));
    uint64_t st_ino = names_ino(path);
    while (st_ino <= 1 || ino_shown(fs, st_ino))
        st_ino++;
    inode->st_ino = st_ino;
    inode->ino_next = *ino_bucket(fs, st_ino);
    *ino_bucket(fs, st_ino) = inode;
}

static void unnumber(struct fs *fs, struct inode *inode)
{
    for (struct inode **at = ino_bucket(fs, inode->st_ino); *at; at = &(*at)->ino_next) {
        if (*at == inode) {
            *at = inode->ino_next;
            return;
        }
    }
}

int inode_table_init(struct fs *fs)
{
    fs->inos = calloc(INO_BUCKETS, sizeof(*fs->inos));
    struct inode *root = fs->inos ? new_inode(fs) : NULL;
    if (!root)
        return -ENOMEM;
    root->is_root = true;
    root->is_dir = true;
    root->state = INODE_STORED;
    root->nlookup = 1;
    root->st_ino = 1;
    fs->root = root;
    return inode_set_implicit_locked(fs, root);
}

static void free_inode(struct fs *fs, struct inode *inode)
{
    DL_DELETE2(fs->inodes, inode, all_prev, all_next);
    changes_settle_locked(fs, inode); /* or, at the end of the mount, keep it for the next */
    unnumber(fs, inode);
    free(inode->name);
    free(inode->etag);
    free(inode->link_target);
    xattr_set_clear(&inode->xattrs);
    obs_props_clear(&inode->other);
    obs_props_clear(&inode->settings);
    obs_props_clear(&inode->access);
    fetch_file_unref(inode->fetch);
    free(inode);
    fs->n_inodes--;
}

/* The kernel forgets its look-ups silently at the end, so inodes without a name are freed here as
 * well. */
void inode_table_done(struct fs *fs)
{
    struct inode *inode, *tmp;
    DL_FOREACH2(fs->inodes, inode, all_next)
    HASH_CLEAR(hh, inode->children);
    DL_FOREACH_SAFE2(fs->inodes, inode, tmp, all_next)
    free_inode(fs, inode);
    free(fs->inos);
    fs->inos = NULL;
    fs->root = NULL;
}

struct inode *inode_child_locked(struct inode *dir, const char *name)
{
    struct inode *inode = NULL;
    HASH_FIND(hh, dir->children, name, strlen(name), inode);
    return inode;
}

/* Puts the inode into dir under its name. */
static void attach(struct inode *dir, struct inode *inode)
{
    inode->parent = dir;
    inode->removed = false;
    HASH_ADD_KEYPTR(hh, dir->children, inode->name, strlen(inode->name), inode);
    inode_pin_locked(dir); /* a child keeps its directory */
}

struct inode *inode_add_locked(struct fs *fs, struct inode *dir, const char *name,
                               enum inode_state state)
{
    struct inode *inode = new_inode(fs);
    if (!inode)
        return NULL;
    inode->name = strdup(name);
    if (!inode->name) {
        free_inode(fs, inode);
        return NULL;
    }
    inode->state = state;
    attach(dir, inode);
    number(fs, inode);
    return inode;
}

static bool referenced(const struct inode *inode)
{
    return inode->nlookup || inode->nopen || inode->pins || inode->staged || inode->children;
}

void inode_release_locked(struct fs *fs, struct inode *inode)
{
    if (!inode->parent && !inode->is_root && !referenced(inode))
        free_inode(fs, inode);
}

void inode_detach_locked(struct fs *fs, struct inode *inode)
{
    struct inode *dir = inode->parent;
    if (!dir)
        return;

    if (dir->prefetch_at == inode)
        dir->prefetch_at = inode->hh.next;
    HASH_DEL(dir->children, inode);
    inode->parent = NULL;
    meta_forget_locked(fs, inode);
    /* Cached names below a directory that has lost its own name can't be reached any more. */
    inode_shrink_locked(fs, inode);
    inode_release_locked(fs, inode);
    inode_unpin_locked(fs, dir);
}

void inode_tombstone_locked(struct fs *fs, struct inode *dir, const char *name)
{
    char copy[NAME_MAX + 1];
    (void)snprintf(copy, sizeof(copy), "%s", name); /* `name` may be that of the inode that goes */
    struct inode *old = inode_child_locked(dir, copy);
    if (old)
        inode_detach_locked(fs, old);
    struct inode *gone = inode_add_locked(fs, dir, copy, INODE_GONE);
    if (gone)
        gone->seen_ms = gone->changed_ms = clock_ms();
}

int inode_move_locked(struct fs *fs, struct inode *inode, struct inode *dir, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;

    inode_pin_locked(inode);
    struct inode *old = inode_child_locked(dir, name);
    if (old && old != inode)
        inode_detach_locked(fs, old);
    struct inode *from = inode->parent;
    if (from) {
        if (from->prefetch_at == inode)
            from->prefetch_at = inode->hh.next;
        HASH_DEL(from->children, inode);
    }
    free(inode->name);
    inode->name = copy;
    attach(dir, inode);
    inode->changed_ms = clock_ms();
    if (from)
        inode_unpin_locked(fs, from);
    inode_unpin_locked(fs, inode);
    return 0;
}

void inode_pin_locked(struct inode *inode)
{
    inode->pins++;
}

void inode_unpin_locked(struct fs *fs, struct inode *inode)
{
    inode->pins--;
    inode_release_locked(fs, inode);
}

void inode_lose_content_locked(struct fs *fs, struct inode *inode)
{
    if (!inode->parent)
        return;
    inode->parent->list_start_ms = 0;
    notify_entry_locked(fs, inode->parent, inode->name);
    inode_detach_locked(fs, inode);
}

bool inode_has_unstored_locked(const struct inode *dir)
{
    for (const struct inode *c = dir->children; c; c = c->hh.next) {
        if (c->state == INODE_LOCAL || c->moving || (c->staged && staged_dirty(c->staged)) ||
            inode_has_unstored_locked(c))
            return true;
    }
    return false;
}

bool inode_is_lost_locked(const struct inode *inode)
{
    while (inode->parent)
        inode = inode->parent;
    return !inode->is_root;
}

/* Somebody waits for the names of the directory: what has come of them must stay. */
static bool is_awaited(const struct inode *dir)
{
    return dir->listing || dir->listers;
}

/* Would its name be missing from what the directory answers? */
static bool is_answer(const struct fs *fs, const struct inode *inode)
{
    return is_awaited(inode->parent) || dir_listed_locked(fs, inode->parent);
}

void inode_forget(struct fs *fs, struct inode *inode, uint64_t n)
{
    fs_lock(fs);
    inode->nlookup -= n < inode->nlookup ? n : inode->nlookup;
    bool give_up =
        inode->parent && !referenced(inode) && !inode->meta_dirty && !inode->moving &&
        inode->state != INODE_LOCAL &&
        (inode_is_lost_locked(inode) || (fs->n_inodes > INODES_MAX && !is_answer(fs, inode)));
    if (give_up)
        inode_detach_locked(fs, inode);
    else
        inode_release_locked(fs, inode);
    fs_unlock(fs);
}

void inode_shrink_locked(struct fs *fs, struct inode *dir)
{
    bool named = dir->parent || dir->is_root;
    bool keep = named && (is_awaited(dir) || (fs->n_inodes <= INODES_MAX &&
                                              dir->list_end_ms + fs->opt->meta_ttl > clock_ms()));
    struct inode *inode, *tmp;

    inode_pin_locked(dir); /* each child pins it; the last one that goes must not take it along */
    HASH_ITER (hh, dir->children, inode, tmp) {
        if (inode->is_dir)
            inode_shrink_locked(fs, inode);
        if (keep || referenced(inode) || inode->meta_dirty || inode->moving ||
            inode->state == INODE_LOCAL)
            continue;
        if (inode->state == INODE_STORED)
            dir->list_start_ms = 0; /* the listing is no longer complete */
        inode_detach_locked(fs, inode);
    }
    dir->pins--; /* the caller looks whether it may go */
}

int inode_key_locked(const struct fs *fs, const struct inode *inode, char out[OBS_KEY_MAX + 1])
{
    const struct inode *chain[OBS_KEY_MAX / 2 + 1];
    size_t depth = 0;
    for (; !inode->is_root; inode = inode->parent) {
        if (!inode->parent)
            return -ESTALE;
        if (depth == sizeof(chain) / sizeof(chain[0]))
            return -ENAMETOOLONG;
        chain[depth++] = inode;
    }

    size_t n = strlen(fs->prefix);
    memcpy(out, fs->prefix, n + 1);
    while (depth > 0) {
        inode = chain[--depth];
        size_t len = strlen(inode->name);
        if (n + len + inode->is_dir > OBS_KEY_MAX)
            return -ENAMETOOLONG;
        memcpy(out + n, inode->name, len);
        n += len;
        if (inode->is_dir)
            out[n++] = '/';
        out[n] = 0;
    }
    return 0;
}

int inode_child_key_locked(const struct fs *fs, const struct inode *dir, const char *name,
                           bool as_dir, char out[OBS_KEY_MAX + 1])
{
    int rc = inode_key_locked(fs, dir, out);
    if (rc < 0)
        return rc;
    size_t n = strlen(out);
    size_t len = strlen(name);
    if (n + len + as_dir > OBS_KEY_MAX)
        return -ENAMETOOLONG;
    memcpy(out + n, name, len);
    n += len;
    if (as_dir)
        out[n++] = '/';
    out[n] = 0;
    return 0;
}

bool inode_below_locked(const struct inode *inode, const struct inode *dir)
{
    for (; inode; inode = inode->parent) {
        if (inode == dir)
            return true;
    }
    return false;
}

bool inode_moving_locked(const struct inode *inode)
{
    for (; inode; inode = inode->parent) {
        if (inode->moving)
            return true;
    }
    return false;
}

/* The directory, it or one above it, whose objects go to other keys now, or NULL. */
static struct inode *leaves_keys(struct inode *inode)
{
    while (inode && !inode->leaving_keys)
        inode = inode->parent;
    return inode;
}

bool inode_rekeyed_locked(const struct inode *inode, int64_t start_ms)
{
    for (; inode; inode = inode->parent) {
        if (inode->leaving_keys || inode->moved_ms >= start_ms)
            return true;
    }
    return false;
}

int inode_await_key_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct inode *dir;
    int rc = 0;
    inode_pin_locked(inode);
    while (rc == 0 && (dir = leaves_keys(inode)))
        rc = fs_wait_locked(fs, &dir->move_waiters, intr, -1);
    inode_unpin_locked(fs, inode);
    return rc;
}

void inode_path_locked(const struct inode *inode, char *out, size_t n)
{
    char path[4096];
    size_t at = sizeof(path) - 1;
    path[at] = 0;
    for (; inode && !inode->is_root; inode = inode->parent) {
        size_t len = inode->name ? strlen(inode->name) : 0;
        if (!inode->parent || len + 1 > at) {
            (void)snprintf(out, n, "?%s", path + at);
            return;
        }
        at -= len;
        memcpy(path + at, inode->name, len);
        path[--at] = '/';
    }
    (void)snprintf(out, n, "%s", path[at] ? path + at : "/");
}

uint64_t inode_size_locked(const struct inode *inode)
{
    return inode->staged ? inode->staged->size : inode->stored_size;
}

int inode_set_version_locked(struct inode *inode, const char *etag, uint64_t size,
                             int64_t remote_ms)
{
    bool same = inode->etag && strcmp(inode->etag, etag) == 0 && inode->stored_size == size;
    if (!same) {
        char *copy = strdup(etag);
        if (!copy)
            return -ENOMEM;
        free(inode->etag);
        inode->etag = copy;
        fetch_file_unref(inode->fetch);
        inode->fetch = NULL;
        free(inode->link_target);
        inode->link_target = NULL;
    }
    inode->stored_size = size;
    inode->remote_ms = remote_ms;
    inode->stored_s = 0;
    return 0;
}

void inode_latch_locked(struct inode *inode, int eno)
{
    inode->error.eno = eno;
    inode->error.seq++;
}
