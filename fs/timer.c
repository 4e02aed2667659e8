// SPDX-License-Identifier: Apache-2.0
// The timer thread; see timer.h.
#include "fs/timer.h"

#include <errno.h>
#include <malloc.h>

#include "checkpoint/index.h"
#include "fs/changes.h"
#include "fs/hold.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/meta.h"
#include "fs/orphans.h"
#include "fs/moves.h"
#include "fs/publish.h"
#include "fs/recovery.h"
#include "fs/space.h"
#include "net/base/clock.h"

enum { SHRINK_MS = 10000, MANY_NAMES = 10000 };

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Gives up names that nobody uses. True if they were so many that their memory is worth to be given
 * back: free() keeps what is in small pieces. */
static bool shrink_locked(struct fs *fs)
{
    size_t before = fs->n_inodes;
    inode_shrink_locked(fs, fs->root);
    kept_expire_locked(fs);
    return before > fs->n_inodes + MANY_NAMES;
}

static void *run(void *arg)
{
    struct fs *fs = arg;
    int64_t shrink_ms = clock_ms() + SHRINK_MS;

    fs_lock(fs);
    while (!fs->stopping) {
        int64_t now = clock_ms();
        int64_t next = min64(meta_run_locked(fs, now, false), hold_run_locked(fs, now, false));
        next = min64(next, publish_run_locked(fs, now));
        next = min64(next, recovery_run_locked(fs, now));
        next = min64(next, orphans_run_locked(fs, now));
        next = min64(next, changes_run_locked(fs, now));
        next = min64(next, moves_run_locked(fs, now));
        next = min64(next, space_run_locked(fs, now));
        bool trim = false;
        if (now >= shrink_ms) {
            trim = shrink_locked(fs);
            shrink_ms = now + SHRINK_MS;
        }
        next = min64(next, shrink_ms);
        fs_unlock(fs);
        if (trim)
            (void)malloc_trim(0);
        index_flush(fs->index, clock_real().tv_sec);

        fs_lock(fs);
        if (fs->timer_next_ms < next)
            next = fs->timer_next_ms;
        fs->timer_next_ms = next;
        struct timespec until = clock_deadline(next);
        if (!fs->stopping && next > clock_ms())
            (void)lock_wait(&fs->lock, &fs->timer_wake, &until);
        fs->timer_next_ms = INT64_MAX;
    }
    fs_unlock(fs);
    return NULL;
}

int timer_start(struct fs *fs)
{
    fs->timer_next_ms = INT64_MAX;
    int rc = pthread_create(&fs->timer, NULL, run, fs);
    fs->timer_runs = rc == 0;
    return -rc;
}

void timer_stop(struct fs *fs)
{
    if (!fs->timer_runs)
        return;
    fs_lock(fs);
    fs->stopping = true;
    pthread_cond_signal(&fs->timer_wake);
    fs_unlock(fs);
    pthread_join(fs->timer, NULL);
    fs->timer_runs = false;
}

void timer_wake_locked(struct fs *fs, int64_t due_ms)
{
    if (due_ms < fs->timer_next_ms) {
        fs->timer_next_ms = due_ms;
        pthread_cond_signal(&fs->timer_wake);
    }
}
