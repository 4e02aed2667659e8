// SPDX-License-Identifier: Apache-2.0
/* file - open files: handles, writing, closing, truncating
 *
 * Role        What open, write, flush, fsync, release, truncate and fallocate mean for staged
 *             files.
 *
 * Publishing  flush is not close: it publishes only if the handle was written since its last flush,
 *             and not when another process than the opener flushes while the opener lives. A handle
 *             that was only created or truncated is published when it is released. fsync publishes
 *             what is there.
 * Killed      A flush of a process that a signal is killing publishes nothing: the half-written
 *             content is dropped with the last handle, the name shows the stored version.
 * Held        see fs/hold.h.
 * Errors      A failure that happened in the background is told once to each handle that was open
 *             then, by its next write, flush or fsync.
 */
#ifndef OBSM_FS_FILE_H
#define OBSM_FS_FILE_H

#include "fs/inode.h"

struct fetch_stream;
struct space_wait;

struct handle {
    struct handle *next, *prev; /* fs->handles */
    struct inode *inode;
    bool readable, writable;
    bool sync;          /* O_SYNC or O_DSYNC: fsync means the local disk, close means the bucket */
    bool wrote;         /* since the last flush */
    int64_t flushed_ms; /* clock_ms() of the opener's last flush; 0: none */
    bool changed;       /* written, truncated or created, not known to be published since */
    pid_t opener;       /* process; 0: unknown */
    int opener_fd;      /* proc_watch() of it; -1: none */
    uint32_t error_seen;
    struct fetch_stream *stream; /* reading of the stored version `stream_of` */
    struct fetch_file *stream_of;
};

/* Opens. `tid` is the calling thread. -ESTALE: the object is another one now, the kernel looks up
 * again. The lock is dropped while requests run. */
int file_open_locked(struct fs *fs, struct inode *inode, int flags, pid_t tid, struct intr *intr,
                     struct handle **ret);

/* Is every descriptor that can write flushed, and not written since? Then it was closed by its opener. */
bool file_is_flushed_locked(const struct fs *fs, const struct inode *inode);

/* The handle of a file that was created a moment ago. */
int file_opened_new_locked(struct fs *fs, struct inode *inode, int flags, pid_t tid,
                           struct handle **ret);

/* Steps of a write around the copying of the bytes to *ret_fd. begin: 0; -EAGAIN if it has to wait:
 * with `sw`, that was queued (fs/space.h), and when its call-back runs it is to be tried again. */
int file_write_begin_locked(struct fs *fs, struct handle *h, uint64_t off, uint64_t n,
                            struct space_wait *sw, int *ret_fd);
void file_write_end_locked(struct fs *fs, struct handle *h, uint64_t off, uint64_t n, bool failed);

/* 0 or -errno: done; -EINPROGRESS: `w` will be finished. */
int file_flush_locked(struct fs *fs, struct handle *h, pid_t tid, int exit_signal,
                      struct waiter *w);
int file_fsync_locked(struct fs *fs, struct inode *inode, struct handle *h, struct waiter *w);

/* The error of a flush or fsync was told: not again. */
void file_error_told_locked(struct handle *h);

/* Frees the handle; what is unpublished is published in the background. */
void file_release_locked(struct fs *fs, struct handle *h);

/* At the end of the mount: handles that the kernel did not release. Nothing is published. */
void file_forget_all_locked(struct fs *fs);

/* Changes the length; without a handle it is published at once and awaited. */
int file_truncate_locked(struct fs *fs, struct inode *inode, struct handle *h, uint64_t size,
                         struct intr *intr);

/* fallocate(2): mode 0, KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE; -EOPNOTSUPP for others. */
int file_fallocate_locked(struct fs *fs, struct handle *h, int mode, uint64_t off, uint64_t n,
                          struct intr *intr);

/* copy_file_range(2) from `in` to `h`, of which *ret_n bytes were taken: the server copies them when
 * the file is published. -EOPNOTSUPP: the caller reads and writes instead. */
int file_copy_locked(struct fs *fs, struct handle *in, uint64_t from, struct handle *h,
                     uint64_t off, uint64_t n, struct intr *intr, uint64_t *ret_n);

/* SEEK_DATA and SEEK_HOLE (`hole`) of lseek(2). -ENXIO. */
int file_seek_locked(struct fs *fs, const struct handle *h, uint64_t off, bool hole,
                     uint64_t *ret_off);

/* Publishes the inode and waits. */
int file_publish_wait_locked(struct fs *fs, struct inode *inode, struct intr *intr,
                             int64_t limit_ms);

/* The read cache of the stored version. */
int file_fetch_locked(struct fs *fs, struct inode *inode, struct fetch_file **ret);

#endif
