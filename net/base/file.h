// SPDX-License-Identifier: Apache-2.0
/* file - reading whole small files
 *
 * Role        A read() may bring less than was asked for, or be interrupted; these go on.
 * Errors      -errno of read(); nothing is logged. Both may block as the file does.
 */
#ifndef OBSM_BASE_FILE_H
#define OBSM_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "net/base/buf.h"

/* Up to `size` bytes from where the file stands: how many there were, or -errno. `size` of them:
 * there may be more. */
ssize_t file_read(int fd, void *out, size_t size);

/* Appends what the file has to `out`. 0: all of it; 1: `out` is full, and there may be more;
 * -errno, -ENOMEM. */
int file_read_buf(int fd, struct buf *out);

#endif
