// SPDX-License-Identifier: Apache-2.0
// The real file operations; see io.h.
#include "checkpoint/io.h"

#include "net/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(const struct io *io, const char *path, int flags, mode_t mode)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static void real_close(const struct io *io, int fd)
{
    (void)close(fd);
}

static ssize_t real_pread(const struct io *io, int fd, void *p, size_t n, uint64_t off)
{
    ssize_t got;
    do {
        got = pread(fd, p, n, (off_t)off);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t real_pwrite(const struct io *io, int fd, const void *p, size_t n, uint64_t off)
{
    ssize_t put;
    do {
        put = pwrite(fd, p, n, (off_t)off);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

static int real_truncate(const struct io *io, int fd, uint64_t size)
{
    int rc;
    do {
        rc = ftruncate(fd, (off_t)size);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int real_size(const struct io *io, int fd, uint64_t *ret_size)
{
    struct stat sb;
    if (fstat(fd, &sb) < 0)
        return -errno;
    *ret_size = (uint64_t)sb.st_size;
    return 0;
}

static int real_datasync(const struct io *io, int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int real_rename(const struct io *io, const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : 0;
}

static int real_unlink(const struct io *io, const char *path)
{
    return unlink(path) < 0 ? -errno : 0;
}

static int real_sync_dir(const struct io *io, const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static const struct io_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .truncate = real_truncate,
    .size = real_size,
    .datasync = real_datasync,
    .rename = real_rename,
    .unlink = real_unlink,
    .sync_dir = real_sync_dir,
};

const struct io io_real = {.ops = &real_ops};

int io_write_all(const struct io *io, int fd, const void *p, size_t n, uint64_t off)
{
    const uint8_t *from = p;
    while (n > 0) {
        ssize_t put = io->ops->pwrite(io, fd, from, n, off);
        if (put < 0)
            return (int)put;
        if (put == 0)
            return -EIO;
        from += put;
        off += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int io_read_all(const struct io *io, int fd, void *p, size_t n, uint64_t off)
{
    uint8_t *to = p;
    while (n > 0) {
        ssize_t got = io->ops->pread(io, fd, to, n, off);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return -ENODATA;
        to += got;
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int io_slurp(const struct io *io, int fd, size_t max, uint8_t **ret_p, size_t *ret_n)
{
    uint64_t size;
    int rc = io->ops->size(io, fd, &size);
    if (rc < 0)
        return rc;
    if (size > max)
        return -EFBIG;

    CLEANUP_FREE uint8_t *p = malloc((size_t)size + 1);
    if (!p)
        return -ENOMEM;
    rc = io_read_all(io, fd, p, (size_t)size, 0);
    if (rc < 0)
        return rc;
    p[size] = 0;
    *ret_n = (size_t)size;
    *ret_p = steal_ptr(&p);
    return 0;
}

static int write_synced(const struct io *io, const char *path, const void *p, size_t n)
{
    int fd = io->ops->open(io, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;

    int rc = io_write_all(io, fd, p, n, 0);
    if (rc == 0)
        rc = io->ops->datasync(io, fd);
    io->ops->close(io, fd);
    return rc;
}

int io_replace(const struct io *io, const char *path, const char *dir, const void *p, size_t n)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return -ENAMETOOLONG;

    int rc = write_synced(io, fresh, p, n);
    if (rc == 0)
        rc = io->ops->rename(io, fresh, path);
    if (rc < 0) {
        (void)io->ops->unlink(io, fresh);
        return rc;
    }
    return dir ? io->ops->sync_dir(io, dir) : 0;
}
