// SPDX-License-Identifier: Apache-2.0
// Attributes, extended attributes, statfs; see ops.h.
#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/file.h"
#include "fs/meta.h"
#include "fs/ops.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"

static void reply_attr(struct op *op, struct inode *inode)
{
    struct stat st;
    inode_stat_locked(op->fs, inode, &st);
    double timeout = op_attr_timeout_locked(op->fs, inode);
    op_end(op);
    fuse_reply_attr(op->req, &st, timeout);
}

/* An inode that has lost its name and is not open: the kernel is to look the name up again. */
static bool lost(const struct inode *inode)
{
    return !inode->parent && !inode->is_root && !inode->nopen && !inode->removed;
}

/* Its attributes, whatever their age. */
static int any_attr(struct op *op, struct inode *inode)
{
    return lost(inode) ? -ESTALE : dir_attr_locked(op->fs, inode, INT64_MAX / 2, &op->intr);
}

/* The attributes of an open or looked-up inode; older than meta_ttl: the service is asked. */
static int fresh_attr(struct op *op, struct inode *inode)
{
    if (lost(inode))
        return -ESTALE;
    if (inode->attr_known && (!inode->parent || dir_listed_locked(op->fs, inode->parent))) {
        dir_attr_wanted_locked(op->fs, inode);
        return 0;
    }
    int rc = inode->attr_known ? dir_attr_locked(op->fs, inode, op->fs->opt->meta_ttl, &op->intr)
                               : dir_attr_ahead_locked(op->fs, inode, &op->intr);
    return rc == -ESTALE && inode->nopen ? 0 : rc; /* who has it open keeps the old version */
}

/* The service does not tell the root's own attributes, which the kernel wants for every path below it:
 * who mounted may come in, so that the control files tell what is wrong. */
static void reply_unknown_root(struct op *op)
{
    struct stat st;
    inode_stat_locked(op->fs, op->fs->root, &st);
    st.st_mode = S_IFDIR | S_IRWXU;
    st.st_uid = geteuid();
    st.st_gid = getegid();
    op_end(op);
    fuse_reply_attr(op->req, &st, 0);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct op op;
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    int rc = fresh_attr(&op, inode);
    if (rc < 0 && rc != -EINTR && inode->is_root)
        reply_unknown_root(&op);
    else if (rc < 0)
        op_reply(&op, rc);
    else
        reply_attr(&op, inode);
}

static void set_times(struct inode *inode, const struct stat *attr, int to_set)
{
    struct timespec now = clock_real();
    if (to_set & FUSE_SET_ATTR_ATIME)
        inode->attr.atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : attr->st_atim;
    if (to_set & FUSE_SET_ATTR_MTIME)
        inode->attr.mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : attr->st_mtim;
    if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME))
        inode->times_set = true;
}

/* Attributes were changed: returns when the change is as safe as promised. attr=sync, and when it
 * could not be noted on the disk: who changes waits for the service, and is the one who is told. */
static int finish_change(struct op *op, struct inode *inode)
{
    int noted = meta_changed_locked(op->fs, inode);
    if (noted == 0 && op->fs->opt->attr != OPTION_ATTR_SYNC)
        noted = meta_durable_locked(op->fs, inode);
    if (noted == 0 && op->fs->opt->attr != OPTION_ATTR_SYNC)
        return 0;
    int rc = meta_flush_wait_locked(op->fs, inode, &op->intr);
    if (rc < 0 && rc != -EINTR)
        inode->meta_error = 0;
    return rc;
}

static int set_attributes(struct op *op, struct inode *inode, const struct stat *attr, int to_set)
{
    const int owner_mode = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
    const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME;
    if (!(to_set & (owner_mode | times | FUSE_SET_ATTR_CTIME)))
        return 0;
    if (inode->meta_error) {
        int eno = inode->meta_error;
        inode->meta_error = 0;
        return eno;
    }
    int rc = any_attr(op, inode);
    if (rc < 0)
        return rc;
    if (to_set & FUSE_SET_ATTR_MODE)
        inode->attr.mode = (inode->attr.mode & S_IFMT) | (attr->st_mode & 07777);
    if (to_set & FUSE_SET_ATTR_UID)
        inode->attr.uid = attr->st_uid;
    if (to_set & FUSE_SET_ATTR_GID)
        inode->attr.gid = attr->st_gid;
    set_times(inode, attr, to_set);
    inode->attr.ctime = to_set & FUSE_SET_ATTR_CTIME ? attr->st_ctim : clock_real();
    return finish_change(op, inode);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi)
{
    struct op op;
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    struct handle *h = fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
    int rc = any_attr(&op, inode);
    if (rc == 0)
        rc = encrypt_check_key_locked(op.fs, inode, "attributes");
    if (rc == 0 && (to_set & FUSE_SET_ATTR_SIZE))
        rc = file_truncate_locked(op.fs, inode, h && h->writable ? h : NULL,
                                  (uint64_t)attr->st_size, &op.intr);
    if (rc == 0)
        rc = set_attributes(&op, inode, attr, to_set);
    if (rc < 0)
        op_reply(&op, rc);
    else
        reply_attr(&op, inode);
}

/* Only attributes of users are kept; the others belong to the kernel or to local filesystems. */
static bool is_user_xattr(const char *name)
{
    return strncmp(name, "user.", 5) == 0;
}

/* The name of a property of the object (fs/property.h), or NULL. */
static const char *property_name(const char *name)
{
    size_t n = strlen(PROPERTY_XATTR);
    return strncmp(name, PROPERTY_XATTR, n) == 0 ? name + n : NULL;
}

/* `n` is -errno or the length; with `size` 0 only that was asked for. */
static void reply_xattr(fuse_req_t req, ssize_t n, size_t size, const char *bytes)
{
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)n);
    else
        fuse_reply_buf(req, bytes, (size_t)n);
}

static void get_property(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct op op;
    CLEANUP_BUF struct buf value = BUF_INIT(XATTR_SIZE_MAX);
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    ssize_t n = any_attr(&op, inode);
    if (n == 0)
        n = properties_get_locked(op.fs, inode, name, &op.intr, &value);
    if (n == 0)
        n = size && value.n > size ? -ERANGE : (ssize_t)value.n;
    op_end(&op);
    reply_xattr(req, n, size, buf_str(&value));
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct op op;
    char value[XATTR_WIRE_MAX];
    if (!is_user_xattr(name)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    if (property_name(name)) {
        get_property(req, ino, property_name(name), size);
        return;
    }
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    ssize_t n = any_attr(&op, inode);
    if (n == 0)
        n = xattr_set_get(&inode->xattrs, name, size ? value : NULL,
                          size < sizeof(value) ? size : sizeof(value));
    op_end(&op);
    reply_xattr(req, n, size, value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct op op;
    char names[2 * XATTR_WIRE_MAX];
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    ssize_t n = any_attr(&op, inode);
    if (n == 0)
        n = xattr_set_list(&inode->xattrs, size ? names : NULL,
                           size < sizeof(names) ? size : sizeof(names));
    op_end(&op);
    reply_xattr(req, n, size, names);
}

/* After a change of the set: all properties together must fit into what an object may carry. */
static int xattr_changed(struct op *op, struct inode *inode, struct xattr_set *before, int rc)
{
    struct obs_props props = {0};
    if (rc == 0) {
        rc = inode_props_locked(op->fs, inode, "", true, &props);
        obs_props_clear(&props);
    }
    if (rc < 0) {
        xattr_set_clear(&inode->xattrs);
        inode->xattrs = *before;
        return rc;
    }
    xattr_set_clear(before);
    inode->xattrs_stored = true;
    inode->attr.ctime = clock_real();
    return finish_change(op, inode);
}

static void change_property(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                            size_t size, int flags)
{
    struct op op;
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    int rc = any_attr(&op, inode);
    if (rc == 0)
        rc = encrypt_check_key_locked(op.fs, inode, "property");
    if (rc == 0)
        rc = properties_change_locked(op.fs, inode, name, value, size, flags, &op.intr);
    if (rc == 0 && inode->is_dir)
        rc = finish_change(&op, inode);
    else if (rc == 0 && meta_carried_locked(inode))
        rc = meta_durable_locked(op.fs, inode);
    op_reply(&op, rc);
}

static void change_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                         size_t size, int flags)
{
    struct op op;
    if (!is_user_xattr(name)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    if (property_name(name)) {
        change_property(req, ino, property_name(name), value, size, flags);
        return;
    }
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    struct xattr_set before = {0};
    int rc = any_attr(&op, inode);
    if (rc == 0)
        rc = encrypt_check_key_locked(op.fs, inode, "attributes");
    if (rc == 0)
        rc = xattr_set_copy(&before, &inode->xattrs);
    if (rc == 0) {
        rc = value ? xattr_set_put(&inode->xattrs, name, value, size, flags)
                   : xattr_set_remove(&inode->xattrs, name);
        rc = xattr_changed(&op, inode, &before, rc);
    }
    op_reply(&op, rc);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
    change_xattr(req, ino, name, value, size, flags);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    change_xattr(req, ino, name, NULL, 0, 0);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    /* A bucket has no size of its own; large numbers keep installers from refusing to start. */
    const fsblkcnt_t blocks = (fsblkcnt_t)1 << 38;
    struct statvfs st = {
        .f_bsize = 1 << 20,
        .f_frsize = 4096,
        .f_blocks = blocks,
        .f_bfree = blocks,
        .f_bavail = blocks,
        .f_files = 1u << 30,
        .f_ffree = 1u << 30,
        .f_favail = 1u << 30,
        .f_namemax = 255,
    };
    fuse_reply_statfs(req, &st);
}
