// SPDX-License-Identifier: Apache-2.0
// Requests to the control tree; see ops_control.h. What is done with them: control.c.
#include "fs/ops_control.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control.h"
#include "net/base/cleanup.h"

/* How long the kernel believes what it knows of a directory of the tree. */
#define DIR_TIMEOUT 60.0

/* The control directory itself, named below the root. */
static bool reserved(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    return parent == FUSE_ROOT_ID && control_is_name(fuse_req_userdata(req), name);
}

static bool in_tree(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    return control_owns(parent) || reserved(req, parent, name);
}

/* Answers who may not use the tree. */
static bool refuse(fuse_req_t req)
{
    if (control_may(fuse_req_userdata(req), fuse_req_ctx(req)->uid))
        return false;
    fuse_reply_err(req, EACCES);
    return true;
}

static void reply_errno(fuse_req_t req, int eno)
{
    if (!refuse(req))
        fuse_reply_err(req, eno);
}

static void forget(struct fs *fs, fuse_ino_t ino, uint64_t n)
{
    fs_lock(fs);
    control_forget_locked(fs, control_node_of(ino), n);
    fs_unlock(fs);
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = fuse_req_userdata(req);
    struct control_node *node = NULL;
    struct fuse_entry_param e = {0};
    int rc = strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;

    fs_lock(fs);
    if (rc == 0 && parent == FUSE_ROOT_ID)
        node = control_root_locked(fs);
    else if (rc == 0)
        rc = control_lookup_locked(fs, control_node_of(parent), name, &node);
    if (rc == 0) {
        control_stat_locked(fs, node, &e.attr);
        e.ino = control_node_id(node);
        e.attr_timeout = e.entry_timeout = S_ISDIR(e.attr.st_mode) ? DIR_TIMEOUT : 0;
    }
    fs_unlock(fs);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else if (fuse_reply_entry(req, &e) < 0)
        forget(fs, e.ino, 1);
}

void front_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (!in_tree(req, parent, name))
        op_lookup(req, parent, name);
    else if (!refuse(req))
        lookup(req, parent, name);
}

void front_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    if (!control_owns(ino)) {
        op_forget(req, ino, nlookup);
        return;
    }
    forget(fuse_req_userdata(req), ino, nlookup);
    fuse_reply_none(req);
}

void front_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        if (control_owns(forgets[i].ino))
            forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
        else
            forgets[others++] = forgets[i];
    }
    op_forget_multi(req, others, forgets);
}

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
    struct fs *fs = fuse_req_userdata(req);
    struct stat st;
    fs_lock(fs);
    control_stat_locked(fs, control_node_of(ino), &st);
    fs_unlock(fs);
    fuse_reply_attr(req, &st, S_ISDIR(st.st_mode) ? DIR_TIMEOUT : 0);
}

void front_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_getattr(req, ino, fi);
    else if (!refuse(req))
        reply_attr(req, ino);
}

void front_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_setattr(req, ino, attr, to_set, fi);
    else if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        reply_errno(req, EPERM);
    else if (!refuse(req)) /* truncating is how a shell begins to write; it changes nothing */
        reply_attr(req, ino);
}

void front_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    if (!control_owns(ino))
        op_getxattr(req, ino, name, size);
    else
        reply_errno(req, ENODATA);
}

void front_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    if (!control_owns(ino))
        op_listxattr(req, ino, size);
    else if (refuse(req))
        return;
    else if (size == 0)
        fuse_reply_xattr(req, 0);
    else
        fuse_reply_buf(req, NULL, 0);
}

void front_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
    if (!control_owns(ino))
        op_setxattr(req, ino, name, value, size, flags);
    else
        reply_errno(req, EPERM);
}

void front_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    if (!control_owns(ino))
        op_removexattr(req, ino, name);
    else
        reply_errno(req, EPERM);
}

/* Nothing can be made in the tree, and its own name exists. */
static void refuse_new(fuse_req_t req, fuse_ino_t parent)
{
    reply_errno(req, control_owns(parent) ? EPERM : EEXIST);
}

void front_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    if (in_tree(req, parent, name))
        refuse_new(req, parent);
    else
        op_mkdir(req, parent, name, mode);
}

void front_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    if (in_tree(req, parent, name))
        refuse_new(req, parent);
    else
        op_mknod(req, parent, name, mode, rdev);
}

void front_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    if (in_tree(req, parent, name))
        refuse_new(req, parent);
    else
        op_symlink(req, link, parent, name);
}

void front_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi)
{
    if (in_tree(req, parent, name))
        refuse_new(req, parent);
    else
        op_create(req, parent, name, mode, fi);
}

void front_readlink(fuse_req_t req, fuse_ino_t ino)
{
    if (control_owns(ino))
        reply_errno(req, EINVAL);
    else
        op_readlink(req, ino);
}

void front_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (in_tree(req, parent, name))
        reply_errno(req, EPERM);
    else
        op_unlink(req, parent, name);
}

void front_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (in_tree(req, parent, name))
        reply_errno(req, EPERM);
    else
        op_rmdir(req, parent, name);
}

void front_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                  const char *newname, unsigned flags)
{
    if (in_tree(req, parent, name) || in_tree(req, newparent, newname))
        reply_errno(req, EPERM);
    else
        op_rename(req, parent, name, newparent, newname, flags);
}

void front_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    if (control_owns(ino) || in_tree(req, newparent, newname))
        reply_errno(req, EPERM);
    else
        op_link(req, ino, newparent, newname);
}

/* What a directory contained when it was opened. */
struct listing {
    char **names;
    mode_t *modes;
    size_t n;
};

static void listing_free(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    free(l->modes);
    free(l);
}

static int listing_add(struct listing *l, const char *name, mode_t mode)
{
    char **names = realloc(l->names, (l->n + 1) * sizeof(*names));
    if (names)
        l->names = names;
    mode_t *modes = realloc(l->modes, (l->n + 1) * sizeof(*modes));
    if (modes)
        l->modes = modes;
    char *copy = names && modes ? strdup(name) : NULL;
    if (!copy)
        return -ENOMEM;
    l->names[l->n] = copy;
    l->modes[l->n++] = mode;
    return 0;
}

static struct listing *take_listing(struct fs *fs, fuse_ino_t ino)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    const char *name = NULL;
    mode_t mode = 0;
    fs_lock(fs);
    int rc = listing_add(l, ".", S_IFDIR);
    if (rc == 0)
        rc = listing_add(l, "..", S_IFDIR);
    for (size_t i = 0; rc == 0 && control_entry_locked(fs, control_node_of(ino), i, &name, &mode);
         i++)
        rc = listing_add(l, name, mode);
    fs_unlock(fs);
    if (rc == 0)
        return l;
    listing_free(l);
    return NULL;
}

void front_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino)) {
        op_opendir(req, ino, fi);
        return;
    }
    if (refuse(req))
        return;
    struct listing *l = take_listing(fuse_req_userdata(req), ino);
    if (!l) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)l;
    if (fuse_reply_open(req, fi) < 0)
        listing_free(l);
}

void front_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino)) {
        op_releasedir(req, ino, fi);
        return;
    }
    listing_free((struct listing *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void read_entries(fuse_req_t req, size_t size, off_t off, const struct listing *l, bool plus)
{
    CLEANUP_FREE char *buf = malloc(size);
    if (!buf) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    size_t used = 0;
    for (size_t i = (size_t)off; i < l->n; i++) {
        /* the number that is nobody's: the kernel asks for the file's own when it needs it */
        struct fuse_entry_param e = {.attr = {.st_ino = UINT32_MAX, .st_mode = l->modes[i]}};
        size_t n = plus ? fuse_add_direntry_plus(req, buf + used, size - used, l->names[i], &e,
                                                 (off_t)i + 1)
                        : fuse_add_direntry(req, buf + used, size - used, l->names[i], &e.attr,
                                            (off_t)i + 1);
        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, buf, used);
}

void front_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                   struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_readdir(req, ino, size, off, fi);
    else if (!refuse(req))
        read_entries(req, size, off, (struct listing *)(uintptr_t)fi->fh, false);
}

void front_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                       struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_readdirplus(req, ino, size, off, fi);
    else if (!refuse(req))
        read_entries(req, size, off, (struct listing *)(uintptr_t)fi->fh, true);
}

static struct control_handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct control_handle *)(uintptr_t)fi->fh;
}

static void release(struct fs *fs, struct control_handle *h)
{
    fs_lock(fs);
    control_release_locked(fs, h);
    fs_unlock(fs);
}

void front_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino)) {
        op_open(req, ino, fi);
        return;
    }
    if (refuse(req))
        return;
    struct fs *fs = fuse_req_userdata(req);
    struct control_handle *h = NULL;
    fs_lock(fs);
    int rc = control_open_locked(fs, control_node_of(ino), fi->flags, &h);
    fs_unlock(fs);
    if (rc < 0) {
        fuse_reply_err(req, -rc);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)h;
    fi->direct_io = 1;
    if (fuse_reply_open(req, fi) < 0)
        release(fs, h);
}

void front_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino)) {
        op_release(req, ino, fi);
        return;
    }
    release(fuse_req_userdata(req), handle_of(fi));
    fuse_reply_err(req, 0);
}

/* Copied, since a command of the same handle may renew the text meanwhile. */
static void read_snapshot(fuse_req_t req, struct control_handle *h, size_t size, off_t off)
{
    struct fs *fs = fuse_req_userdata(req);
    CLEANUP_FREE char *copy = malloc(size ? size : 1);
    fs_lock(fs);
    size_t n = (size_t)off < h->snapshot.n ? h->snapshot.n - (size_t)off : 0;
    if (n > size)
        n = size;
    if (copy && n)
        memcpy(copy, h->snapshot.p + off, n);
    fs_unlock(fs);
    if (copy)
        fuse_reply_buf(req, copy, n);
    else
        fuse_reply_err(req, ENOMEM);
}

void front_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_read(req, ino, size, off, fi);
    else if (!refuse(req))
        read_snapshot(req, handle_of(fi), size, off);
}

static void write_command(fuse_req_t req, struct fuse_bufvec *in, off_t off,
                          struct control_handle *h)
{
    struct op op;
    size_t n = fuse_buf_size(in);
    CLEANUP_FREE char *text = NULL;
    if (n > CONTROL_TEXT_MAX) {
        fuse_reply_err(req, E2BIG);
        return;
    }
    text = malloc(n ? n : 1);
    struct fuse_bufvec out = FUSE_BUFVEC_INIT(n);
    out.buf[0].mem = text;
    ssize_t copied = text ? fuse_buf_copy(&out, in, 0) : -ENOMEM;
    if (copied < 0) {
        fuse_reply_err(req, (int)-copied);
        return;
    }
    op_begin(&op, req);
    int rc = control_write_locked(op.fs, h, (uint64_t)off, text, (size_t)copied, &op.intr);
    op_end(&op);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, (size_t)copied);
}

void front_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                     struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        op_write_buf(req, ino, in, off, fi);
    else if (!refuse(req))
        write_command(req, in, off, handle_of(fi));
}

/* A shell flushes before its first write already: there is nothing to do. */
void front_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (control_owns(ino))
        fuse_reply_err(req, 0);
    else
        op_flush(req, ino, fi);
}

void front_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    if (control_owns(ino))
        fuse_reply_err(req, 0);
    else
        op_fsync(req, ino, datasync, fi);
}

void front_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    if (control_owns(ino))
        fuse_reply_err(req, 0);
    else
        op_fsyncdir(req, ino, datasync, fi);
}

void front_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t n,
                     struct fuse_file_info *fi)
{
    if (control_owns(ino))
        reply_errno(req, EOPNOTSUPP);
    else
        op_fallocate(req, ino, mode, off, n, fi);
}

/* EOPNOTSUPP: the kernel reads and writes instead. */
void front_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                           struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                           struct fuse_file_info *fi_out, size_t n, int flags)
{
    if (control_owns(ino_in) || control_owns(ino_out))
        reply_errno(req, EOPNOTSUPP);
    else
        op_copy_file_range(req, ino_in, off_in, fi_in, ino_out, off_out, fi_out, n, flags);
}

void front_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    if (control_owns(ino))
        reply_errno(req, EINVAL);
    else
        op_lseek(req, ino, off, whence, fi);
}
