// SPDX-License-Identifier: Apache-2.0
// Interruptible waits; see intr.h.
#include "net/base/intr.h"

#include <errno.h>

#include "net/base/clock.h"

void intr_init(struct intr *w)
{
    lock_init(&w->lock);
    lock_cond_init(&w->cond);
    w->interrupted = false;
    w->finished = false;
}

void intr_done(struct intr *w)
{
    pthread_cond_destroy(&w->cond);
    lock_done(&w->lock);
}

void intr_rearm(struct intr *w)
{
    lock_take(&w->lock);
    w->finished = false;
    lock_drop(&w->lock);
}

static void set(struct intr *w, bool *flag)
{
    /* Signalled under the lock: the waiter may free the struct as soon as it can take the lock. */
    lock_take(&w->lock);
    *flag = true;
    pthread_cond_broadcast(&w->cond);
    lock_drop(&w->lock);
}

void intr_finish(struct intr *w)
{
    set(w, &w->finished);
}

void intr_interrupt(struct intr *w)
{
    set(w, &w->interrupted);
}

bool intr_interrupted(struct intr *w)
{
    lock_take(&w->lock);
    bool yes = w->interrupted;
    lock_drop(&w->lock);
    return yes;
}

int intr_wait(struct intr *w, int64_t deadline_ms, bool stubborn)
{
    struct timespec until = clock_deadline(deadline_ms);
    int rc = 0;

    lock_take(&w->lock);
    while (!w->finished && rc == 0) {
        if (w->interrupted && !stubborn)
            rc = -EINTR;
        else
            rc = -lock_wait(&w->lock, &w->cond, deadline_ms < 0 ? NULL : &until);
    }
    if (w->finished)
        rc = 0;
    lock_drop(&w->lock);
    return rc;
}
