// SPDX-License-Identifier: Apache-2.0
/* fetch_pool - the buffers of the read cache, within a budget
 *
 * Role        Hands out buffers and keeps those given back for the next taker, so that reading in
 *             order goes on in the same few pages: no page faults, a bounded RSS.
 * Sizes       A capacity is a multiple of 4 KiB up to 128 KiB (malloc, never spare), above that
 *             one of four steps per power of two (mmap, kept as spare).
 * Invariants  used + spare <= max and spare <= max / 4, always.
 * Locking     None of its own: under the lock of struct fetch.
 */
#ifndef OBSM_FS_FETCH_POOL_H
#define OBSM_FS_FETCH_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FETCH_PAGE = 4096, FETCH_POOL_CLASSES = 96 };

struct fetch_spare {
    struct fetch_spare *next; /* lies in the buffer itself */
};

struct fetch_pool {
    uint64_t max;
    uint64_t used;  /* handed out */
    uint64_t spare; /* kept for the next taker */
    uint64_t peak;  /* of used + spare */
    struct fetch_spare *list[FETCH_POOL_CLASSES];
};

void fetch_pool_init(struct fetch_pool *pool, uint64_t max);

/* After everything was given back. */
void fetch_pool_done(struct fetch_pool *pool);

/* The capacity of a buffer for n bytes, n >= 1. */
size_t fetch_pool_capacity(size_t n);

/* A buffer of exactly a capacity from above. -ENOBUFS: the budget is used up; -ENOMEM. Spare
 * buffers of other sizes go if they are in the way. */
int fetch_pool_take(struct fetch_pool *pool, size_t capacity, unsigned char **ret_p);
void fetch_pool_give(struct fetch_pool *pool, unsigned char *p, size_t capacity);

/* Is there a spare buffer of this capacity? */
bool fetch_pool_has(const struct fetch_pool *pool, size_t capacity);

#endif
