// SPDX-License-Identifier: Apache-2.0
/* ops_control - the FUSE adapters of the control tree, in front of the others
 *
 * Role        The kernel's requests come here first. What concerns the control tree (a node of it,
 *             or its name at the root) is answered here; everything else goes on to the op_*() of
 *             fs/ops.h, which never see one of its nodes.
 * Access      Callers other than the driver's user and root get EACCES, whatever the mode bits and
 *             default_permissions say.
 * Names       The control directory's name at the root cannot be made, removed or renamed; nothing
 *             in the tree can.
 */
#ifndef OBSM_FS_OPS_CONTROL_H
#define OBSM_FS_OPS_CONTROL_H

#include "fs/ops.h"

void front_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi);
void front_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void front_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void front_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags);
void front_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void front_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void front_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void front_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void front_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void front_readlink(fuse_req_t req, fuse_ino_t ino);
void front_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void front_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void front_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                  const char *newname, unsigned flags);
void front_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void front_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi);
void front_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                   struct fuse_file_info *fi);
void front_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                       struct fuse_file_info *fi);
void front_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void front_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                     struct fuse_file_info *fi);
void front_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void front_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void front_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void front_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t n,
                     struct fuse_file_info *fi);
void front_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                           struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                           struct fuse_file_info *fi_out, size_t n, int flags);
void front_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void front_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void front_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);

#endif
