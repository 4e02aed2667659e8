// SPDX-License-Identifier: Apache-2.0
// The lock of the mount and its waiters; see fs.h.
#include "fs/fs.h"

#include <errno.h>

#include "net/base/clock.h"

void fs_lock(struct fs *fs)
{
    lock_take(&fs->lock);
}

void fs_unlock(struct fs *fs)
{
    ASSERT_HELD(&fs->lock);
    struct waiter *w = fs->ready.head;
    fs->ready = (struct waitlist){0};
    lock_drop(&fs->lock);

    while (w) {
        struct waiter *next = w->next; /* fn may free w */
        w->fn(w, w->result);
        w = next;
    }
}

void waitlist_add_locked(struct waitlist *list, struct waiter *w)
{
    w->on = list;
    w->next = NULL;
    w->prev = list->tail;
    if (list->tail)
        list->tail->next = w;
    else
        list->head = w;
    list->tail = w;
}

void waiter_remove_locked(struct waiter *w)
{
    struct waitlist *list = w->on;
    if (!list)
        return;

    if (w->prev)
        w->prev->next = w->next;
    else
        list->head = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        list->tail = w->prev;
    w->on = NULL;
    w->next = w->prev = NULL;
}

void waiter_finish_locked(struct fs *fs, struct waiter *w, int result)
{
    ASSERT_HELD(&fs->lock);
    waiter_remove_locked(w);
    w->result = result;
    waitlist_add_locked(&fs->ready, w);
    w->on = NULL; /* in the ready list nobody can take it back */
}

void waitlist_finish_locked(struct fs *fs, struct waitlist *list, int result)
{
    while (list->head)
        waiter_finish_locked(fs, list->head, result);
}

struct thread_waiter {
    struct waiter w;
    struct intr *intr;
};

static void wake_thread(struct waiter *w, int result)
{
    intr_finish(((struct thread_waiter *)w)->intr);
}

int fs_wait_locked(struct fs *fs, struct waitlist *list, struct intr *intr, int64_t limit_ms)
{
    ASSERT_HELD(&fs->lock);
    struct intr own;
    struct thread_waiter tw = {.w = {.fn = wake_thread}, .intr = intr ? intr : &own};
    if (!intr)
        intr_init(&own);
    else
        intr_rearm(intr);

    waitlist_add_locked(list, &tw.w);
    fs_unlock(fs);
    int rc = intr_wait(tw.intr, limit_ms < 0 ? -1 : clock_ms() + limit_ms, false);
    fs_lock(fs);
    if (rc < 0 && tw.w.on) {
        waiter_remove_locked(&tw.w);
    } else if (rc < 0) {
        /* finished a moment before we gave up: the call-back is on its way and needs `tw` */
        lock_drop(&fs->lock);
        (void)intr_wait(tw.intr, -1, true);
        lock_take(&fs->lock);
        rc = tw.w.result;
    } else {
        rc = tw.w.result;
    }
    if (!intr)
        intr_done(&own);
    return rc;
}
