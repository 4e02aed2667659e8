// SPDX-License-Identifier: Apache-2.0
/* worker - threads for work that takes long: hashing staged parts, recovery
 *
 * Role        Jobs that must not run on an engine or FUSE thread. First come, first served.
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

int worker_start(struct fs *fs);
/* Jobs that have not begun are still run; they see fs->stopping. */
void worker_stop(struct fs *fs);
void worker_submit_locked(struct fs *fs, struct job *job);

#endif
