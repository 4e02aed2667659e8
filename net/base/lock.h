// SPDX-License-Identifier: Apache-2.0
/* lock - a mutex that knows its owner
 *
 * Role        pthread mutex plus the owner's thread, so that a function whose name ends in _locked
 *             can begin with ASSERT_HELD(&x->lock). The owner is kept in every build: it costs one
 *             store.
 * Order       The table of lock order stands in fs/fs.h.
 */
#ifndef OBSM_BASE_LOCK_H
#define OBSM_BASE_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct lock {
    pthread_mutex_t mutex;
    _Atomic(pthread_t) owner; /* 0: free */
};

static inline void lock_init(struct lock *l)
{
    pthread_mutex_init(&l->mutex, NULL);
    atomic_init(&l->owner, 0);
}

static inline void lock_done(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

static inline void lock_take(struct lock *l)
{
    pthread_mutex_lock(&l->mutex);
    atomic_store_explicit(&l->owner, pthread_self(), memory_order_relaxed);
}

static inline void lock_drop(struct lock *l)
{
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    pthread_mutex_unlock(&l->mutex);
}

static inline bool lock_held(struct lock *l)
{
    return pthread_equal(atomic_load_explicit(&l->owner, memory_order_relaxed), pthread_self());
}

/* Waits on `cond` with the lock held; `deadline` (CLOCK_MONOTONIC) may be NULL. Returns 0 or
 * ETIMEDOUT. */
static inline int lock_wait(struct lock *l, pthread_cond_t *cond, const struct timespec *deadline)
{
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    int rc = deadline ? pthread_cond_timedwait(cond, &l->mutex, deadline)
                      : pthread_cond_wait(cond, &l->mutex);
    atomic_store_explicit(&l->owner, pthread_self(), memory_order_relaxed);
    return rc;
}

/* A condition variable on CLOCK_MONOTONIC. */
static inline void lock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

#define ASSERT_HELD(l) assert(lock_held(l))

#endif
