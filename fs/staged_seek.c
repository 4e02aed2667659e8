// SPDX-License-Identifier: Apache-2.0
// Holes of a staged file; see staged.h.
#include "fs/staged.h"

#include <unistd.h>

void staged_read_locked(struct staged *st, uint64_t off, uint64_t n)
{
    uint64_t from, to;
    if (off >= st->size || !imap_next_gap(&st->have, off, off + n, &from, &to))
        return; /* no hole in it */
    if (!st->all_read && imap_add(&st->read, off, off + n) < 0)
        st->all_read = true;
}

/* Behind the run of `map` that begins at `off`. */
static uint64_t run_end(const struct staged *st, const struct imap *map, uint64_t off)
{
    uint64_t from, to;
    return imap_next_gap(map, off, st->size, &from, &to) ? from : st->size;
}

/* Where the next run of `map` begins, at most `limit`. */
static uint64_t next_run(const struct imap *map, uint64_t off, uint64_t limit)
{
    uint64_t from, to;
    return imap_next_present(map, off, limit, &from, &to) ? from : limit;
}

/* Byte by byte; `read`: what was read counts as data. */
static uint64_t seek(const struct staged *st, uint64_t off, bool hole, bool read)
{
    while (off < st->size) {
        const struct clone *c = clonemap_next(&st->clones, off, off + 1);
        const struct imap *in = imap_covers(&st->have, off, off + 1)           ? &st->have
                                : read && imap_covers(&st->read, off, off + 1) ? &st->read
                                                                               : NULL;
        bool data = in || c || off < st->base_len;
        if (data != hole)
            return off;
        if (in) {
            off = run_end(st, in, off);
        } else if (data) {
            off = c && c->to > st->base_len ? c->to : st->base_len > off ? st->base_len : c->to;
        } else {
            uint64_t next = next_run(&st->have, off, st->size);
            next = read ? next_run(&st->read, off, next) : next;
            c = clonemap_next(&st->clones, off, next);
            off = c ? c->from : next;
        }
    }
    return st->size;
}

/* A page with any data is data: the kernel may have all of it. */
static uint64_t seek_pages(const struct staged *st, uint64_t off, bool hole)
{
    long size = sysconf(_SC_PAGESIZE);
    uint64_t n = size > 0 ? (uint64_t)size : 4096, page = off / n * n;
    for (;;) {
        uint64_t data = seek(st, page, false, true);
        bool in_page = data < st->size && data / n * n == page;
        if (!hole)
            page = data < st->size ? data / n * n : st->size;
        if (!hole || !in_page)
            return page > off ? page : off;
        page = (seek(st, data, true, true) + n - 1) / n * n;
        if (page >= st->size)
            return st->size;
    }
}

uint64_t staged_seek_locked(const struct staged *st, uint64_t off, bool hole, bool mapped)
{
    if (!mapped)
        return seek(st, off, hole, false);
    return st->all_read ? hole ? st->size : off : seek_pages(st, off, hole);
}
