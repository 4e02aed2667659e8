// SPDX-License-Identifier: Apache-2.0
/* timer - the one thread with the timers of the mount
 *
 * Role        Sends gathered attributes when they are due, ends the wait of held files, and shrinks
 *             the name cache from time to time.
 */
#ifndef OBSM_FS_TIMER_H
#define OBSM_FS_TIMER_H

#include "fs/fs.h"

/* Starts and ends the thread. */
int timer_start(struct fs *fs);
void timer_stop(struct fs *fs);

/* Something is due at `due_ms`: the thread wakes up in time for it. */
void timer_wake_locked(struct fs *fs, int64_t due_ms);

#endif
