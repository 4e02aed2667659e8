// SPDX-License-Identifier: Apache-2.0
// What the FUSE adapters share; see ops.h.
#include "fs/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/dir.h"
#include "fs/file.h"
#include "fs/ops_control.h"
#include "fs/options.h"
#include "fs/space.h"

static void interrupt_op(fuse_req_t req, void *data)
{
    intr_interrupt(&((struct op *)data)->intr);
}

void op_begin(struct op *op, fuse_req_t req)
{
    op->req = req;
    op->fs = fuse_req_userdata(req);
    intr_init(&op->intr);
    fuse_req_interrupt_func(req, interrupt_op, op);
    fs_lock(op->fs);
    DL_APPEND(op->fs->ops, op);
    if (op->fs->leaving)
        intr_interrupt(&op->intr);
}

void op_end(struct op *op)
{
    DL_DELETE(op->fs->ops, op);
    fs_unlock(op->fs);
    fuse_req_interrupt_func(op->req, NULL, NULL); /* waits for a call-back that is running */
    intr_done(&op->intr);
}

void fs_leave(struct fs *fs)
{
    struct op *op;
    fs_lock(fs);
    fs->leaving = true;
    DL_FOREACH (fs->ops, op)
        intr_interrupt(&op->intr);
    space_leave_locked(fs, -EINTR);
    fs_unlock(fs);
}

void op_reply(struct op *op, int rc)
{
    op_end(op);
    fuse_reply_err(op->req, -rc);
}

static void later_done(struct waiter *w, int result)
{
    struct later *l = (struct later *)w;
    fuse_req_interrupt_func(l->req, NULL, NULL);
    if (result < 0 && l->handle) {
        fs_lock(l->fs);
        file_error_told_locked(l->handle);
        fs_unlock(l->fs);
    }
    fuse_reply_err(l->req, -result);
    free(l);
}

/* The publication goes on; only the wait for it ends. */
static void interrupt_later(fuse_req_t req, void *data)
{
    struct later *l = data;
    struct fs *fs = l->fs;
    fs_lock(fs);
    bool waits = l->w.on != NULL;
    waiter_remove_locked(&l->w);
    l->interrupted = true;
    fs_unlock(fs);
    if (waits) {
        fuse_reply_err(req, EINTR);
        free(l);
    }
}

struct later *later_new(fuse_req_t req, struct handle *handle)
{
    struct later *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->w.fn = later_done;
    l->req = req;
    l->fs = fuse_req_userdata(req);
    l->handle = handle;
    fuse_req_interrupt_func(req, interrupt_later, l);
    return l;
}

void later_end_locked(struct later *l, int rc)
{
    struct fs *fs = l->fs;
    if (rc == -EINPROGRESS && !(l->interrupted && l->w.on)) {
        fs_unlock(fs); /* from here on somebody else owns it */
        return;
    }
    if (rc == -EINPROGRESS) {
        waiter_remove_locked(&l->w);
        rc = -EINTR;
    }
    fs_unlock(fs);
    fuse_req_interrupt_func(l->req, NULL, NULL);
    fuse_reply_err(l->req, -rc);
    free(l);
}

struct inode *op_inode(struct fs *fs, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? fs->root : (struct inode *)(uintptr_t)ino;
}

fuse_ino_t op_node_id(const struct fs *fs, const struct inode *inode)
{
    return inode == fs->root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)inode;
}

double op_attr_timeout_locked(struct fs *fs, const struct inode *inode)
{
    const struct inode *dir = inode->parent ? inode->parent : inode;
    return (double)dir_valid_ms_locked(fs, dir, inode) / 1000;
}

void op_entry_locked(struct fs *fs, struct inode *inode, struct fuse_entry_param *e)
{
    *e = (struct fuse_entry_param){0};
    inode->nlookup++;
    e->ino = op_node_id(fs, inode);
    e->generation = inode->generation;
    inode_stat_locked(fs, inode, &e->attr);
    e->entry_timeout = e->attr_timeout = op_attr_timeout_locked(fs, inode);
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
    /* Pages belong to one version of an object, so the kernel need not drop them when times change.
     */
    conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    /* Throttled writers could not be interrupted. */
    conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
    conn->want |=
        conn->capable & (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                         FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                         FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
                         FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_READ);
    conn->max_background = 128;
    conn->congestion_threshold = 96;
    conn->max_readahead = 4u << 20;
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    struct fs *fs = fuse_req_userdata(req);
    inode_forget(fs, op_inode(fs, ino), nlookup);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct fs *fs = fuse_req_userdata(req);
    for (size_t i = 0; i < count; i++)
        inode_forget(fs, op_inode(fs, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

static const struct fuse_lowlevel_ops table = {
    .getattr = front_getattr,
    .setattr = front_setattr,
    .getxattr = front_getxattr,
    .listxattr = front_listxattr,
    .setxattr = front_setxattr,
    .removexattr = front_removexattr,
    .statfs = op_statfs,
    .lookup = front_lookup,
    .mkdir = front_mkdir,
    .mknod = front_mknod,
    .symlink = front_symlink,
    .readlink = front_readlink,
    .unlink = front_unlink,
    .rmdir = front_rmdir,
    .rename = front_rename,
    .link = front_link,
    .create = front_create,
    .opendir = front_opendir,
    .releasedir = front_releasedir,
    .readdir = front_readdir,
    .readdirplus = front_readdirplus,
    .open = front_open,
    .release = front_release,
    .read = front_read,
    .write_buf = front_write_buf,
    .flush = front_flush,
    .fsync = front_fsync,
    .fsyncdir = front_fsyncdir,
    .fallocate = front_fallocate,
    .copy_file_range = front_copy_file_range,
    .lseek = front_lseek,
    .init = op_init,
    .forget = front_forget,
    .forget_multi = front_forget_multi,
};

const struct fuse_lowlevel_ops *fs_ops(void)
{
    return &table;
}
