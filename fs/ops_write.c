// SPDX-License-Identifier: Apache-2.0
// Writes; see ops.h. One that has to wait (for room, for the end of a publication) keeps its bytes
// in memory (or as many of them as fit, fs/space.h) and its thread goes on: writers that wait never
// keep others from being answered.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/file.h"
#include "fs/ops.h"
#include "fs/space.h"

struct writing {
    struct space_wait sw; /* its call-back is go_on() */
    fuse_req_t req;
    struct fs *fs;
    struct handle *h;
    uint64_t off;
    size_t n;
    bool interrupted;
    char data[];
};

static void reply(fuse_req_t req, ssize_t done, size_t n)
{
    if (done < 0)
        fuse_reply_err(req, (int)-done);
    else if ((size_t)done < n)
        fuse_reply_err(req, ENOSPC);
    else
        fuse_reply_write(req, n);
}

/* Nobody refers to it any more. */
static void finish(struct writing *w, ssize_t done)
{
    fuse_req_interrupt_func(w->req, NULL, NULL);
    reply(w->req, done, w->n);
    free(w);
}

static ssize_t write_all(int fd, const char *p, size_t n, uint64_t off)
{
    size_t done = 0;
    while (done < n) {
        ssize_t put = pwrite(fd, p + done, n - done, (off_t)(off + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

/* With the lock held; drops it. Writes, or waits again. */
static void try_locked(struct writing *w)
{
    struct fs *fs = w->fs;
    int fd;
    space_unwait_locked(fs, &w->sw);
    int rc = w->sw.eno        ? w->sw.eno
             : w->interrupted ? -EINTR
                              : file_write_begin_locked(fs, w->h, w->off, w->n, &w->sw, &fd);
    if (rc != -EAGAIN && rc < 0)
        space_give_data_locked(fs, w->n);
    fs_unlock(fs);
    if (rc == -EAGAIN)
        return; /* from here on somebody else owns it */
    if (rc < 0) {
        finish(w, rc);
        return;
    }
    ssize_t done = write_all(fd, w->data, w->n, w->off);
    fs_lock(fs);
    file_write_end_locked(fs, w->h, w->off, w->n, done < (ssize_t)w->n);
    space_give_data_locked(fs, w->n);
    fs_unlock(fs);
    finish(w, done);
}

static void go_on(struct waiter *waiter, int result)
{
    struct writing *w = (struct writing *)waiter;
    fs_lock(w->fs);
    try_locked(w);
}

static void interrupt_writing(fuse_req_t req, void *data)
{
    struct writing *w = data;
    struct fs *fs = w->fs;
    fs_lock(fs);
    w->interrupted = true;
    bool waits = w->sw.w.on != NULL;
    if (waits) {
        space_unwait_locked(fs, &w->sw);
        space_give_data_locked(fs, w->n);
    }
    fs_unlock(fs);
    if (waits) {
        fuse_reply_err(req, EINTR);
        free(w);
    }
}

static void give_data(struct fs *fs, size_t n)
{
    fs_lock(fs);
    space_give_data_locked(fs, n);
    fs_unlock(fs);
}

/* `whole`: the kernel does not come again with the rest of a short write. */
static void wait_to_write(fuse_req_t req, struct handle *h, struct fuse_bufvec *in, uint64_t off,
                          bool whole)
{
    struct fs *fs = fuse_req_userdata(req);
    fs_lock(fs);
    size_t n = space_keep_data_locked(fs, off, fuse_buf_size(in), whole);
    fs_unlock(fs);
    struct writing *w = calloc(1, sizeof(*w) + n);
    if (!w) {
        give_data(fs, n);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    w->sw.w.fn = go_on;
    w->req = req;
    w->fs = fs;
    w->h = h;
    w->off = off;
    w->n = n;
    struct fuse_bufvec out = FUSE_BUFVEC_INIT(n);
    out.buf[0].mem = w->data;
    ssize_t got = fuse_buf_copy(&out, in, 0);
    if (got < (ssize_t)n) {
        give_data(fs, n);
        fuse_reply_err(req, got < 0 ? (int)-got : EIO);
        free(w);
        return;
    }
    fuse_req_interrupt_func(req, interrupt_writing, w);
    fs_lock(w->fs);
    if (w->fs->leaving)
        w->interrupted = true;
    try_locked(w);
}

void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                  struct fuse_file_info *fi)
{
    struct fs *fs = fuse_req_userdata(req);
    struct handle *h = (struct handle *)(uintptr_t)fi->fh;
    size_t n = fuse_buf_size(in);
    int fd;

    fs_lock(fs);
    int rc = file_write_begin_locked(fs, h, (uint64_t)off, n, NULL, &fd);
    fs_unlock(fs);
    if (rc == -EAGAIN) {
        wait_to_write(req, h, in, (uint64_t)off, fi->writepage);
        return;
    }
    if (rc < 0) {
        fuse_reply_err(req, -rc);
        return;
    }
    struct fuse_bufvec out = FUSE_BUFVEC_INIT(n);
    out.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    out.buf[0].fd = fd;
    out.buf[0].pos = off;
    ssize_t done = fuse_buf_copy(&out, in, 0);

    fs_lock(fs);
    file_write_end_locked(fs, h, (uint64_t)off, n, done < (ssize_t)n);
    fs_unlock(fs);
    reply(req, done, n);
}
