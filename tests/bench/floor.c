// SPDX-License-Identifier: Apache-2.0
/* floor: what FUSE itself costs, without a bucket
 *
 * A file system of one flat directory that hands every operation on to the directory behind it
 * (on a tmpfs, for the benchmark): the least that any FUSE program does for the same reads and
 * writes. The kernel is told to keep attributes and pages; data go from descriptor to descriptor.
 *
 *   floor BACKING-DIRECTORY MOUNT-POINT    stays in the foreground, until it is unmounted
 */
#define FUSE_USE_VERSION 35
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

static const double keep = 3600; /* seconds: nobody else changes the directory */

/* A node is its name; it lives until the kernel forgets it. */
struct node {
    uint64_t nlookup;
    char name[];
};

struct floor {
    int dir;
};

static int dir_of(fuse_req_t req)
{
    const struct floor *f = fuse_req_userdata(req);
    return f->dir;
}

static const char *name_of(fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? "." : ((const struct node *)(uintptr_t)ino)->name;
}

static int fill_entry(fuse_req_t req, const char *name, struct fuse_entry_param *e)
{
    memset(e, 0, sizeof(*e));
    if (fstatat(dir_of(req), name, &e->attr, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    size_t n = strlen(name) + 1;
    struct node *node = malloc(sizeof(*node) + n);
    if (!node)
        return ENOMEM;
    node->nlookup = 1;
    memcpy(node->name, name, n);
    e->ino = (uintptr_t)node;
    e->attr_timeout = e->entry_timeout = keep;
    return 0;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param e;
    int eno = fill_entry(req, name, &e);
    if (eno)
        fuse_reply_err(req, eno);
    else
        fuse_reply_entry(req, &e);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    struct node *node = (struct node *)(uintptr_t)ino;
    if (ino != FUSE_ROOT_ID && __atomic_sub_fetch(&node->nlookup, nlookup, __ATOMIC_ACQ_REL) == 0)
        free(node);
    fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    if (fstatat(dir_of(req), name_of(ino), &st, AT_SYMLINK_NOFOLLOW) < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_attr(req, &st, keep);
}

/* Only what the copying tools ask for. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
                       struct fuse_file_info *fi)
{
    int dir = dir_of(req);
    const char *name = name_of(ino);
    if ((set & FUSE_SET_ATTR_MODE) && fchmodat(dir, name, attr->st_mode, 0) < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    if (set & FUSE_SET_ATTR_SIZE) {
        int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
        int rc = fd < 0 ? -1 : ftruncate(fd, attr->st_size);
        int eno = errno;
        if (fd >= 0)
            close(fd);
        if (rc < 0) {
            fuse_reply_err(req, eno);
            return;
        }
    }
    on_getattr(req, ino, fi);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    struct fuse_entry_param e;
    int fd = openat(dir_of(req), name, (fi->flags | O_CREAT | O_CLOEXEC) & ~O_NOFOLLOW, mode);
    int eno = fd < 0 ? errno : fill_entry(req, name, &e);
    if (eno) {
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, eno);
        return;
    }
    fi->fh = (uint64_t)fd;
    fuse_reply_create(req, &e, fi);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    int fd = openat(dir_of(req), name_of(ino), (fi->flags | O_CLOEXEC) & ~O_NOFOLLOW);
    if (fd < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    fi->fh = (uint64_t)fd;
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    close((int)fi->fh);
    fuse_reply_err(req, 0);
}

static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fuse_reply_err(req, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t n, off_t off, struct fuse_file_info *fi)
{
    struct fuse_bufvec from = FUSE_BUFVEC_INIT(n);
    from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    from.buf[0].fd = (int)fi->fh;
    from.buf[0].pos = off;
    fuse_reply_data(req, &from, FUSE_BUF_SPLICE_MOVE);
}

static void on_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                         struct fuse_file_info *fi)
{
    struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(in));
    to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    to.buf[0].fd = (int)fi->fh;
    to.buf[0].pos = off;
    ssize_t n = fuse_buf_copy(&to, in, 0);
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else
        fuse_reply_write(req, (size_t)n);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    fuse_reply_err(req, unlinkat(dir_of(req), name, 0) < 0 ? errno : 0);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;
    if (fstatvfs(dir_of(req), &st) < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops ops = {
    .lookup = on_lookup,
    .forget = on_forget,
    .getattr = on_getattr,
    .setattr = on_setattr,
    .create = on_create,
    .open = on_open,
    .release = on_release,
    .flush = on_flush,
    .read = on_read,
    .write_buf = on_write_buf,
    .unlink = on_unlink,
    .statfs = on_statfs,
};

static int serve(struct floor *f, const char *mount_point)
{
    char program[] = "floor";
    char *argv[] = {program, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_loop_config config = {.clone_fd = 0, .max_idle_threads = 10};
    int rc = 1;

    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), f);
    if (!session)
        return 1;
    if (fuse_set_signal_handlers(session) == 0) {
        if (fuse_session_mount(session, mount_point) == 0) {
            rc = fuse_session_loop_mt(session, &config) != 0;
            fuse_session_unmount(session);
        }
        fuse_remove_signal_handlers(session);
    }
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    return rc;
}

int main(int argc, char **argv)
{
    struct floor f;
    if (argc != 3) {
        fprintf(stderr, "usage: floor BACKING-DIRECTORY MOUNT-POINT\n");
        return 2;
    }
    f.dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f.dir < 0) {
        perror(argv[1]);
        return 1;
    }
    int rc = serve(&f, argv[2]);
    close(f.dir);
    return rc;
}
