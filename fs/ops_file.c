// SPDX-License-Identifier: Apache-2.0
// Open files; see ops.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/dir.h"
#include "fs/errors.h"
#include "fs/fetch.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/proc.h"
#include "fs/staged.h"
#include "net/base/log.h"

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct op op;
    struct handle *h = NULL;
    op_begin(&op, req);
    struct inode *inode = op_inode(op.fs, ino);
    int rc = file_open_locked(op.fs, inode, fi->flags, fuse_req_ctx(req)->pid, &op.intr, &h);
    if (rc < 0) {
        op_reply(&op, rc);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)h;
    fi->keep_cache = 1; /* pages are of one version: another version is another inode */
    fi->noflush = !h->writable;
    op_end(&op);
    if (fuse_reply_open(req, fi) < 0) {
        fs_lock(op.fs);
        file_release_locked(op.fs, h);
        fs_unlock(op.fs);
    }
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs *fs = fuse_req_userdata(req);
    fs_lock(fs);
    file_release_locked(fs, handle_of(fi));
    fs_unlock(fs);
    fuse_reply_err(req, 0);
}

/* A read under way. */
struct reading {
    struct waiter w; /* for a fill of the staged file */
    struct fetch_read fetch;
    fuse_req_t req;
    struct fs *fs;
    struct handle *h;
    uint64_t off;
    size_t n;
    bool fetching;
    bool interrupted;
};

static void reading_free(struct reading *r)
{
    free(r);
}

static void reply_fetched(struct reading *r)
{
    if (r->fetch.eno) {
        char path[256];
        fs_lock(r->fs);
        inode_path_locked(r->h->inode, path, sizeof(path));
        errors_add(r->fs->errors, "read", path, &r->fetch.err);
        fs_unlock(r->fs);
        log_err(r->fs->log, LOG_LEVEL_WARNING, "read", &r->fetch.err, "'%s'", path);
        fuse_reply_err(r->req, -r->fetch.eno);
    } else {
        fuse_reply_iov(r->req, r->fetch.iov, r->fetch.n_iov);
    }
    fetch_read_release(&r->fetch);
    reading_free(r);
}

static void fetch_done(struct fetch_read *read, void *arg)
{
    struct reading *r = arg;
    fuse_req_interrupt_func(r->req, NULL, NULL);
    reply_fetched(r);
}

static void interrupt_read(fuse_req_t req, void *data)
{
    struct reading *r = data;
    struct fs *fs = r->fs;
    fs_lock(fs);
    r->interrupted = true;
    bool waits = r->w.on != NULL;
    waiter_remove_locked(&r->w);
    bool fetching = r->fetching;
    fs_unlock(fs);
    if (fetching && fetch_read_cancel(&r->fetch)) {
        fetch_read_release(&r->fetch);
        waits = true;
    }
    if (waits) {
        fuse_reply_err(req, EINTR);
        reading_free(r);
    }
}

/* The stream of a handle follows the version that the inode has. */
static int stream_for(struct fs *fs, struct handle *h, struct fetch_file **ret)
{
    struct fetch_file *file;
    int rc = file_fetch_locked(fs, h->inode, &file);
    if (rc < 0)
        return rc;
    if (h->stream_of != file) {
        fetch_stream_free(h->stream);
        fetch_file_unref(h->stream_of);
        h->stream = NULL;
        h->stream_of = fetch_file_ref(file);
    }
    if (!h->stream)
        rc = fetch_stream_new(file, &h->stream);
    *ret = file;
    return rc;
}

static void read_failed(struct reading *r, int rc)
{
    fuse_req_interrupt_func(r->req, NULL, NULL);
    fuse_reply_err(r->req, -rc);
    reading_free(r);
}

static void read_stored_locked(struct reading *r)
{
    struct fetch_file *file;
    int rc = stream_for(r->fs, r->h, &file);
    if (rc == 0 && r->interrupted)
        rc = -EINTR;
    if (rc < 0) {
        fs_unlock(r->fs);
        read_failed(r, rc);
        return;
    }
    fetch_read_init(&r->fetch, file, r->h->stream, r->off, r->n, fetch_done, r);
    r->fetching = true;
    r->h->inode->kernel_has_pages = true;
    fs_unlock(r->fs);

    rc = fetch_read_start(&r->fetch); /* 0: fetch_done() has it now */
    if (rc == 0)
        return;
    fuse_req_interrupt_func(r->req, NULL, NULL);
    if (rc < 0)
        r->fetch.eno = rc;
    reply_fetched(r);
}

static void read_locked(struct reading *r);

static void filled(struct waiter *w, int result)
{
    struct reading *r = (struct reading *)w;
    if (result < 0) {
        read_failed(r, result);
        return;
    }
    fs_lock(r->fs);
    read_locked(r);
}

/* The bytes are in the staging file: the kernel takes them from there. */
static void reply_staged(struct reading *r, struct staged *st, size_t n)
{
    struct fuse_bufvec buf = FUSE_BUFVEC_INIT(n);
    buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    buf.buf[0].fd = st->fd;
    buf.buf[0].pos = (off_t)r->off;
    struct fs *fs = r->fs;
    st->users++;
    fs_unlock(fs);

    fuse_req_interrupt_func(r->req, NULL, NULL);
    fuse_reply_data(r->req, &buf, FUSE_BUF_SPLICE_MOVE);
    reading_free(r);
    fs_lock(fs);
    st->users--;
    staged_reap_locked(fs, st);
    fs_unlock(fs);
}

/* Called with the lock; drops it, and replies or leaves the read to somebody else. */
static void read_locked(struct reading *r)
{
    struct staged *st = r->h->inode->staged;
    if (!st) {
        read_stored_locked(r);
        return;
    }
    staged_read_locked(st, r->off, r->n);
    size_t n = r->off >= st->size ? 0 : r->n;
    if (n > st->size - r->off)
        n = (size_t)(st->size - r->off);
    int rc = r->interrupted ? -EINTR : staged_fill_locked(r->fs, st, r->off, n);
    if (rc == -EINPROGRESS) {
        waitlist_add_locked(&st->filled, &r->w);
        fs_unlock(r->fs);
    } else if (rc < 0) {
        fs_unlock(r->fs);
        read_failed(r, rc);
    } else {
        reply_staged(r, st, n);
    }
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct reading *r = calloc(1, sizeof(*r));
    if (!r) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    r->w.fn = filled;
    r->req = req;
    r->fs = fuse_req_userdata(req);
    r->h = handle_of(fi);
    r->off = (uint64_t)off;
    r->n = size;
    fuse_req_interrupt_func(req, interrupt_read, r);
    fs_lock(r->fs);
    read_locked(r);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    pid_t tid = fuse_req_ctx(req)->pid;
    int exit_signal = proc_exit_signal(tid);
    struct later *l = later_new(req, h);
    if (!l) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    fs_lock(l->fs);
    later_end_locked(l, file_flush_locked(l->fs, h, tid, exit_signal, &l->w));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    struct later *l = later_new(req, h);
    if (!l) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    fs_lock(l->fs);
    later_end_locked(l, file_fsync_locked(l->fs, h->inode, h, &l->w));
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct later *l = later_new(req, NULL);
    if (!l) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    fs_lock(l->fs);
    later_end_locked(l, file_fsync_locked(l->fs, op_inode(l->fs, ino), NULL, &l->w));
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t n,
                  struct fuse_file_info *fi)
{
    struct op op;
    op_begin(&op, req);
    op_reply(&op, file_fallocate_locked(op.fs, handle_of(fi), mode, (uint64_t)off, (uint64_t)n,
                                        &op.intr));
}

/* Answered in 32 bits. */
enum { COPY_ONCE_MAX = 1 << 30 };

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                        struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                        struct fuse_file_info *fi_out, size_t n, int flags)
{
    struct op op;
    uint64_t done = 0;
    if (n > COPY_ONCE_MAX)
        n = COPY_ONCE_MAX;
    op_begin(&op, req);
    int rc = file_copy_locked(op.fs, handle_of(fi_in), (uint64_t)off_in, handle_of(fi_out),
                              (uint64_t)off_out, n, &op.intr, &done);
    op_end(&op);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, done);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    struct fs *fs = fuse_req_userdata(req);
    uint64_t found = 0;
    fs_lock(fs);
    int rc = whence == SEEK_DATA || whence == SEEK_HOLE
                 ? file_seek_locked(fs, handle_of(fi), (uint64_t)off, whence == SEEK_HOLE, &found)
                 : -EINVAL;
    fs_unlock(fs);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_lseek(req, (off_t)found);
}
