// SPDX-License-Identifier: Apache-2.0
/* worker - threads for work that takes long: hashing staged parts, recovery, syncing journals
 *
 * Role        Jobs that must not run on an engine or FUSE thread. First come, first served, in two
 *             lines: what only waits for the local disk, and requests wait for it (a journal's
 *             sync), never stands behind what may wait for the service.
 * Locking     worker_submit_locked() under fs->lock; a job runs without it.
 */
#ifndef OBSM_FS_WORKER_H
#define OBSM_FS_WORKER_H

#include "fs/fs.h"

struct job;
typedef void job_fn(struct fs *fs, struct job *job);

/* Embedded in what the job works on; its function owns it from then on. */
struct job {
    job_fn *fn;
    struct job *next;
};

void worker_init(struct fs *fs);
int worker_start(struct fs *fs);
/* Jobs that have not begun are still run; they see fs->stopping. */
void worker_stop(struct fs *fs);
void worker_done(struct fs *fs);
void worker_submit_locked(struct fs *fs, struct job *job);
/* The same for a sync. False: the threads have ended, nobody would run it. */
bool worker_submit_sync_locked(struct fs *fs, struct job *job);

#endif
