// SPDX-License-Identifier: Apache-2.0
#include "net/base/file.h"

#include <errno.h>
#include <unistd.h>

ssize_t file_read(int fd, void *out, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, (char *)out + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

int file_read_buf(int fd, struct buf *out)
{
    for (;;) {
        char piece[8192];
        size_t room = out->max - out->n;
        size_t want = room < sizeof(piece) ? room : sizeof(piece);
        if (want == 0)
            return 1;
        ssize_t got = file_read(fd, piece, want);
        if (got <= 0)
            return (int)got;
        int rc = buf_add(out, piece, (size_t)got);
        if (rc < 0)
            return rc;
    }
}
