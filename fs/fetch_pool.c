// SPDX-License-Identifier: Apache-2.0
// Buffers of the read cache, see fetch_pool.h.
#include "fs/fetch_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t SMALL_MAX = 128 << 10;

/* At most this part of the budget is kept as spare: a reader in order needs a buffer or two. */
enum { SPARE_SHARE = 4 };

void fetch_pool_init(struct fetch_pool *pool, uint64_t max)
{
    memset(pool, 0, sizeof(*pool));
    pool->max = max;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* Of n > SMALL_MAX: the power of two below n is 2^e; a step is a quarter of it. */
static unsigned exponent(size_t n)
{
    return 63 - (unsigned)__builtin_clzll(n - 1);
}

size_t fetch_pool_capacity(size_t n)
{
    if (n <= SMALL_MAX)
        return round_up(n, FETCH_PAGE);
    return round_up(n, (size_t)1 << (exponent(n) - 2));
}

/* SMALL_MAX is 2^17; capacities in (2^e, 2^(e+1)] have the classes (e - 17) * 4 and three more. */
static unsigned class_of(size_t capacity)
{
    unsigned e = exponent(capacity);
    unsigned quarter = (unsigned)((capacity - 1) >> (e - 2)) & 3;
    unsigned i = (e - 17) * 4 + quarter;

    return i < FETCH_POOL_CLASSES ? i : FETCH_POOL_CLASSES - 1;
}

/* The largest capacity of a class, which is the only one that occurs in it. */
static size_t capacity_of(unsigned class)
{
    size_t step = (size_t)1 << (class / 4 + 17 - 2);
    return step * (4 + class % 4 + 1);
}

bool fetch_pool_has(const struct fetch_pool *pool, size_t capacity)
{
    return capacity > SMALL_MAX && pool->list[class_of(capacity)];
}

/* Returns spare buffers to the system until `room` bytes are free; the largest go first. */
static void trim(struct fetch_pool *pool, uint64_t room)
{
    for (unsigned i = FETCH_POOL_CLASSES; i-- > 0;) {
        while (pool->list[i] && pool->used + pool->spare + room > pool->max) {
            struct fetch_spare *s = pool->list[i];
            pool->list[i] = s->next;
            pool->spare -= capacity_of(i);
            munmap(s, capacity_of(i));
        }
    }
}

static void *new_memory(size_t capacity)
{
    if (capacity <= SMALL_MAX)
        return malloc(capacity);
    void *p = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int fetch_pool_take(struct fetch_pool *pool, size_t capacity, unsigned char **ret_p)
{
    if (fetch_pool_has(pool, capacity)) {
        struct fetch_spare **list = &pool->list[class_of(capacity)];
        *ret_p = (unsigned char *)*list;
        *list = (*list)->next;
        pool->spare -= capacity;
        pool->used += capacity;
        return 0;
    }
    if (pool->used + capacity > pool->max)
        return -ENOBUFS;
    trim(pool, capacity);
    unsigned char *p = new_memory(capacity);
    if (!p)
        return -ENOMEM;
    pool->used += capacity;
    if (pool->used + pool->spare > pool->peak)
        pool->peak = pool->used + pool->spare;
    *ret_p = p;
    return 0;
}

void fetch_pool_give(struct fetch_pool *pool, unsigned char *p, size_t capacity)
{
    pool->used -= capacity;
    if (capacity <= SMALL_MAX) {
        free(p);
        return;
    }
    if (pool->spare + capacity > pool->max / SPARE_SHARE) {
        munmap(p, capacity);
        return;
    }
    struct fetch_spare **list = &pool->list[class_of(capacity)];
    struct fetch_spare *s = (struct fetch_spare *)p;
    s->next = *list;
    *list = s;
    pool->spare += capacity;
}

void fetch_pool_done(struct fetch_pool *pool)
{
    trim(pool, pool->max + 1 - (pool->used < pool->max ? pool->used : pool->max));
}
