// SPDX-License-Identifier: Apache-2.0
// Threads for long work; see worker.h.
#include "fs/worker.h"

static void *run(void *arg)
{
    struct fs *fs = arg;
    fs_lock(fs);
    for (;;) {
        struct job *job = fs->jobs;
        if (!job && fs->workers_end)
            break;
        if (!job) {
            (void)lock_wait(&fs->lock, &fs->job_wake, NULL);
            continue;
        }
        fs->jobs = job->next;
        if (!fs->jobs)
            fs->jobs_tail = &fs->jobs;
        fs_unlock(fs);
        job->fn(fs, job);
        fs_lock(fs);
    }
    fs_unlock(fs);
    return NULL;
}

int worker_start(struct fs *fs)
{
    fs->jobs_tail = &fs->jobs;
    for (fs->n_workers = 0; fs->n_workers < FS_WORKERS; fs->n_workers++) {
        int rc = pthread_create(&fs->workers[fs->n_workers], NULL, run, fs);
        if (rc)
            return -rc;
    }
    return 0;
}

void worker_stop(struct fs *fs)
{
    fs_lock(fs);
    fs->workers_end = true;
    pthread_cond_broadcast(&fs->job_wake);
    fs_unlock(fs);
    for (; fs->n_workers > 0; fs->n_workers--)
        pthread_join(fs->workers[fs->n_workers - 1], NULL);
}

void worker_submit_locked(struct fs *fs, struct job *job)
{
    job->next = NULL;
    *fs->jobs_tail = job;
    fs->jobs_tail = &job->next;
    pthread_cond_signal(&fs->job_wake);
}
