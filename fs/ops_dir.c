// SPDX-License-Identifier: Apache-2.0
// Names and directories; see ops.h.
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control.h"
#include "fs/dir.h"
#include "fs/dirlist.h"
#include "fs/file.h"
#include "fs/namespace.h"
#include "fs/ops.h"
#include "fs/rename.h"
#include "fs/tempname.h"

static struct maker maker_of(fuse_req_t req, mode_t mode, dev_t rdev)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    return (struct maker){.uid = ctx->uid, .gid = ctx->gid, .mode = mode, .rdev = rdev};
}

static void reply_entry(struct op *op, struct inode *inode)
{
    struct fuse_entry_param e;
    op_entry_locked(op->fs, inode, &e);
    op_end(op);
    if (fuse_reply_entry(op->req, &e) < 0) /* the request was interrupted: it was not counted */
        inode_forget(op->fs, inode, 1);
}

/* A regular file whose attributes nobody has asked for yet: the kernel asks before it needs them,
 * and looks the name up again at each use. */
static void reply_open_entry(struct op *op, struct inode *inode)
{
    struct fuse_entry_param e = {.ino = op_node_id(op->fs, inode),
                                 .generation = inode->generation,
                                 .attr = {.st_ino = inode->st_ino,
                                          .st_mode = S_IFREG,
                                          .st_nlink = 1,
                                          .st_size = (off_t)inode->stored_size}};
    inode->nlookup++;
    op_end(op);
    if (fuse_reply_entry(op->req, &e) < 0)
        inode_forget(op->fs, inode, 1);
}

static void reply_made(struct op *op, struct inode *inode, int rc)
{
    if (rc < 0)
        op_reply(op, rc);
    else
        reply_entry(op, inode);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct op op;
    struct inode *inode;
    op_begin(&op, req);
    struct inode *dir = op_inode(op.fs, parent);
    /* Root may remove a file, for one, without anybody knowing its owner; for other users the kernel
     * decides by the attributes of this answer. */
    enum dir_want want = fuse_req_ctx(req)->uid == 0 ? DIR_TYPE : DIR_ATTR;
    int rc = strlen(name) > NAME_MAX ? -ENAMETOOLONG
                                     : dir_find_locked(op.fs, dir, name, want, &op.intr, &inode);
    if (rc == 0 && !inode->attr_known) {
        reply_open_entry(&op, inode);
        return;
    }
    if (rc != -ENOENT) {
        reply_made(&op, inode, rc);
        return;
    }
    struct fuse_entry_param e = {
        .entry_timeout =
            (double)dir_valid_ms_locked(op.fs, dir, inode_child_locked(dir, name)) / 1000};
    op_end(&op);
    if (e.entry_timeout > 0)
        fuse_reply_entry(req, &e);
    else
        fuse_reply_err(req, ENOENT);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct op op;
    struct inode *inode = NULL;
    struct maker m = maker_of(req, (mode & 07777) | S_IFDIR, 0);
    op_begin(&op, req);
    int rc = ns_mkdir_locked(op.fs, op_inode(op.fs, parent), name, &m, &op.intr, &inode);
    reply_made(&op, inode, rc);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct op op;
    struct inode *inode = NULL;
    struct maker m = maker_of(req, mode & S_IFMT ? mode : mode | S_IFREG, rdev);
    op_begin(&op, req);
    int rc = ns_mknod_locked(op.fs, op_inode(op.fs, parent), name, &m, &op.intr, &inode);
    reply_made(&op, inode, rc);
}

void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    struct op op;
    struct inode *inode = NULL;
    struct maker m = maker_of(req, S_IFLNK | 0777, 0);
    op_begin(&op, req);
    int rc = ns_symlink_locked(op.fs, op_inode(op.fs, parent), name, link, &m, &op.intr, &inode);
    reply_made(&op, inode, rc);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct op op;
    const char *target = NULL;
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    int rc = dir_attr_locked(op.fs, inode, INT64_MAX / 2, &op.intr);
    if (rc == 0)
        rc = ns_readlink_locked(op.fs, inode, &op.intr, &target);
    char *copy = rc == 0 ? strdup(target) : NULL;
    op_end(&op);
    if (copy)
        fuse_reply_readlink(req, copy);
    else
        fuse_reply_err(req, rc < 0 ? -rc : ENOMEM);
    free(copy);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct op op;
    op_begin(&op, req);
    op_reply(&op, ns_unlink_locked(op.fs, op_inode(op.fs, parent), name, &op.intr));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct op op;
    op_begin(&op, req);
    op_reply(&op, ns_rmdir_locked(op.fs, op_inode(op.fs, parent), name, &op.intr));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned flags)
{
    struct op op;
    op_begin(&op, req);
    op_reply(&op, rename_locked(op.fs, op_inode(op.fs, parent), name, op_inode(op.fs, newparent),
                                newname, flags, &op.intr));
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    fuse_reply_err(req, EPERM); /* link(2): the filesystem does not support hard links */
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
    struct op op;
    struct inode *inode = NULL;
    struct handle *h = NULL;
    struct fuse_entry_param e;
    struct maker m = maker_of(req, (mode & 07777) | S_IFREG, 0);
    pid_t tid = fuse_req_ctx(req)->pid;

    op_begin(&op, req);
    struct inode *dir = op_inode(op.fs, parent);
    int rc = ns_create_locked(op.fs, dir, name, &m, &op.intr, &inode);
    if (rc == 0) {
        inode->excl_0600 = tempname_like_mkstemp(fi->flags, mode);
        rc = file_opened_new_locked(op.fs, inode, fi->flags, tid, &h);
    } else if (rc == -EEXIST && !(fi->flags & O_EXCL)) {
        rc = dir_lookup_locked(op.fs, dir, name, &op.intr, &inode);
        if (rc == 0)
            rc = file_open_locked(op.fs, inode, fi->flags, tid, &op.intr, &h);
    }
    if (rc < 0) {
        op_reply(&op, rc);
        return;
    }
    op_entry_locked(op.fs, inode, &e);
    fi->fh = (uint64_t)(uintptr_t)h;
    fi->keep_cache = 1;
    op_end(&op);
    if (fuse_reply_create(req, &e, fi) < 0) {
        fs_lock(op.fs);
        file_release_locked(op.fs, h);
        fs_unlock(op.fs);
        inode_forget(op.fs, inode, 1);
    }
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct op op;
    struct dirlist *list = NULL;
    op_begin(&op, req);
    struct inode *dir = op_inode(op.fs, ino);
    int rc = dir_list_locked(op.fs, dir, &op.intr);
    if (rc == 0)
        rc = dirlist_new_locked(dir, &list);
    if (rc < 0) {
        op_reply(&op, rc);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)list;
    op_end(&op);
    if (fuse_reply_open(req, fi) < 0)
        dirlist_free(list);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    dirlist_free((struct dirlist *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

/* rewinddir(3) shows the directory as it is now. */
static int rewind_list(struct op *op, struct inode *dir, struct fuse_file_info *fi)
{
    struct dirlist *list = (struct dirlist *)(uintptr_t)fi->fh;
    if (!dirlist_used(list))
        return 0;
    int rc = dir_list_locked(op->fs, dir, &op->intr);
    return rc == 0 ? dirlist_renew_locked(dir, list) : rc;
}

/* One entry with its attributes if they are known; the kernel looks up the others by itself. */
static size_t add_plus(struct op *op, struct inode *dir, const struct dirlist_entry *entry, char *p,
                       size_t size, off_t next)
{
    struct fuse_entry_param e = {.attr = {.st_ino = entry->ino, .st_mode = entry->type}};
    struct inode *inode = entry->is_child ? inode_child_locked(dir, entry->name) : NULL;
    size_t need = fuse_add_direntry_plus(op->req, NULL, 0, entry->name, NULL, 0);
    if (need > size)
        return need;
    if (inode && inode->state != INODE_GONE && inode->attr_known) {
        dir_attr_wanted_locked(op->fs, inode);
        op_entry_locked(op->fs, inode, &e);
    }
    return fuse_add_direntry_plus(op->req, p, size, entry->name, &e, next);
}

static size_t add_plain(struct op *op, const struct dirlist_entry *entry, char *p, size_t size,
                        off_t next)
{
    struct stat st = {.st_ino = entry->ino, .st_mode = entry->type};
    return fuse_add_direntry(op->req, p, size, entry->name, &st, next);
}

static void read_entries(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                         struct fuse_file_info *fi, bool plus)
{
    struct op op;
    char *buf = malloc(size);
    if (!buf) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    op_begin(&op, req);
    struct inode *dir = op_inode(op.fs, ino);
    struct dirlist *list = (struct dirlist *)(uintptr_t)fi->fh;
    int rc = off == 0 ? rewind_list(&op, dir, fi) : 0;
    size_t used = 0;
    struct dirlist_entry entry;
    while (rc == 0 && dirlist_get(list, (size_t)off, &entry)) {
        if (dir == op.fs->root && control_is_name(op.fs, entry.name)) {
            off++; /* an object of that name cannot be reached */
            continue;
        }
        size_t n = plus ? add_plus(&op, dir, &entry, buf + used, size - used, off + 1)
                        : add_plain(&op, &entry, buf + used, size - used, off + 1);
        if (n > size - used)
            break;
        used += n;
        off++;
    }
    op_end(&op);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_buf(req, buf, used);
    free(buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    read_entries(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    read_entries(req, ino, size, off, fi, true);
}
