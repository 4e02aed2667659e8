// SPDX-License-Identifier: Apache-2.0
/* io - the few file operations that the journal is built on
 *
 * Role        A table of functions with their context, so that a test can put a disk under the
 *             journal that loses power: it drops, keeps or garbles what was not synced.
 * Paths       Absolute. The state directory is 0700 and ours, so that nobody swaps a component.
 * Errors      Every function returns 0 or a count, else -errno. EINTR is handled inside.
 * Durability  write() alone promises nothing. datasync() makes the content and the length of a
 *             file durable, sync_dir() the names in a directory (creation, rename, removal).
 * Threads     Any; two calls on one descriptor at the same time are allowed.
 */
#ifndef OBSM_CHECKPOINT_IO_H
#define OBSM_CHECKPOINT_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct io;

struct io_ops {
    /* A descriptor >= 0. `flags` as for open(2); O_CLOEXEC and O_NOFOLLOW are added. */
    int (*open)(const struct io *io, const char *path, int flags, mode_t mode);
    void (*close)(const struct io *io, int fd);
    ssize_t (*pread)(const struct io *io, int fd, void *p, size_t n, uint64_t off);
    ssize_t (*pwrite)(const struct io *io, int fd, const void *p, size_t n, uint64_t off);
    int (*truncate)(const struct io *io, int fd, uint64_t size);
    int (*size)(const struct io *io, int fd, uint64_t *ret_size);
    int (*datasync)(const struct io *io, int fd);
    int (*rename)(const struct io *io, const char *from, const char *to);
    int (*unlink)(const struct io *io, const char *path);
    int (*sync_dir)(const struct io *io, const char *path);
};

struct io {
    const struct io_ops *ops;
    void *ctx;
};

/* The real file system. */
extern const struct io io_real;

/* Writes all n bytes at `off`. -EIO if a write made no progress. On failure a part of the bytes
 * may stand in the file. */
int io_write_all(const struct io *io, int fd, const void *p, size_t n, uint64_t off);

/* Reads exactly n bytes at `off`. -ENODATA if the file ends before. */
int io_read_all(const struct io *io, int fd, void *p, size_t n, uint64_t off);

/* Reads the whole file into memory that the caller frees, with a 0 after its end. -EFBIG if it is
 * longer than `max`. */
int io_slurp(const struct io *io, int fd, size_t max, uint8_t **ret_p, size_t *ret_n);

/* Replaces `path` by n bytes, mode 0600, so that after a crash the old or the new content is there
 * whole: written to `path`.new, synced, renamed. The directory is synced if `dir` is not NULL. */
int io_replace(const struct io *io, const char *path, const char *dir, const void *p, size_t n);

#endif
