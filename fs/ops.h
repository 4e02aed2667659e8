// SPDX-License-Identifier: Apache-2.0
/* ops - the FUSE adapters: decode, call the core, reply
 *
 * Role        The only files that know <fuse_lowlevel.h> (beside main.c). Each operation takes the
 *             request apart, calls the core under fs->lock, drops the lock, and replies exactly
 *             once.
 * Waiting     Metadata operations block their worker thread in the core, with op->intr connected to
 *             the kernel's INTERRUPT. read, flush and fsync reply later from another thread (struct
 *             later).
 * Node ids    The address of the inode; 1 is the root. The kernel's look-up count keeps the inode.
 */
#ifndef OBSM_FS_OPS_H
#define OBSM_FS_OPS_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>

#include "fs/fs.h"
#include "fs/inode.h"

/* An operation that blocks its thread. */
struct op {
    struct op *next, *prev; /* fs->ops */
    fuse_req_t req;
    struct fs *fs;
    struct intr intr;
};

/* Connects INTERRUPT and takes the lock / drops the lock and disconnects. */
void op_begin(struct op *op, fuse_req_t req);
void op_end(struct op *op);
/* op_end() and a reply of 0 or the errno. */
void op_reply(struct op *op, int rc);

/* An operation that is answered by another thread. */
struct later {
    struct waiter w; /* its fn is later_done */
    fuse_req_t req;
    struct fs *fs;
    struct handle *handle; /* whose error has been told by this reply, or NULL */
    bool interrupted;
};

struct later *later_new(fuse_req_t req, struct handle *handle);
/* With the lock held: what the core returned. Drops the lock; replies now, or later. */
void later_end_locked(struct later *l, int rc);

struct inode *op_inode(struct fs *fs, fuse_ino_t ino);
fuse_ino_t op_node_id(const struct fs *fs, const struct inode *inode);

/* Fills an entry and counts the look-up. */
void op_entry_locked(struct fs *fs, struct inode *inode, struct fuse_entry_param *e);
double op_attr_timeout_locked(struct fs *fs, const struct inode *inode);

/* The operations: ops.c, ops_dir.c, ops_file.c, ops_meta.c. */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                  struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t n,
                  struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t n, int flags);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_init(void *userdata, struct fuse_conn_info *conn);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);

#endif
