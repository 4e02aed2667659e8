// SPDX-License-Identifier: Apache-2.0
/* control_rows - the file uploads.json as another process sees it
 *
 * Role        Parses what control_uploads.c has written, and shows a row of it to people: as a bar
 *             for a terminal, or as a plain line. Pure.
 * Bounds      ROWS_MAX rows; names of any length are cut to the width of the terminal. Unknown
 *             fields are passed over, missing ones are as null.
 */
#ifndef OBSM_FS_CONTROL_ROWS_H
#define OBSM_FS_CONTROL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"

enum { ROWS_MAX = 1 << 20 };

/* One upload; a number is -1 where it is not known. */
struct row {
    int64_t id;
    char *path;
    char state[16];
    int64_t here; /* bytes that the service has, or that are under way */
    int64_t total;
    int64_t rate; /* bytes a second */
    int64_t eta_s;
    char *error; /* "" if it has not failed */
};

struct rows {
    struct row *v;
    size_t n;
};

/* -EBADMSG, -ENOMEM. */
int rows_parse(const char *text, size_t n, struct rows *ret);
void rows_done(struct rows *rows);

/* It goes on by itself: it neither failed, nor waits for a command. */
bool row_moves(const struct row *row);

/* A line of at most `width` bytes, without a newline: a bar, percent, bytes, rate, time left, path,
 * and the state if it is not "uploading"; 18 bytes of 80 are left for the path. */
int row_bar(const struct row *row, size_t width, struct buf *out);
/* The same words without the bar, and of any length. */
int row_plain(const struct row *row, struct buf *out);

/* "12.3 MiB" */
int rows_size(struct buf *out, uint64_t bytes);

#endif
