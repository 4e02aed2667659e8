// SPDX-License-Identifier: Apache-2.0
/* intr - a wait that somebody else can end
 *
 * Role        One thread waits for something (a request, room in a buffer); another finishes it, or
 *             interrupts it (a FUSE INTERRUPT). The waiter owns the struct, on its stack.
 * Locking     The struct's own lock, last but one in the order of fs/fs.h. Nothing is called under
 *             it.
 */
#ifndef OBSM_BASE_INTR_H
#define OBSM_BASE_INTR_H

#include <stdint.h>

#include "net/base/lock.h"

struct intr {
    struct lock lock;
    pthread_cond_t cond;
    bool interrupted; /* under lock; sticks */
    bool finished;    /* under lock */
};

void intr_init(struct intr *w);
void intr_done(struct intr *w);

/* Makes the struct ready for another wait; an interrupt that came before still counts. */
void intr_rearm(struct intr *w);

/* From any thread: the waiter goes on. */
void intr_finish(struct intr *w);
void intr_interrupt(struct intr *w);
bool intr_interrupted(struct intr *w);

/* Blocks until finished (0) or interrupted (-EINTR), or until clock_ms() >= deadline_ms
 * (-ETIMEDOUT; deadline_ms < 0: no deadline). With `stubborn` an interrupt is not looked at. */
int intr_wait(struct intr *w, int64_t deadline_ms, bool stubborn);

#endif
