// SPDX-License-Identifier: Apache-2.0
// Threads for long work; see worker.h.
#include "fs/worker.h"

static void *run(void *arg)
{
    struct worker *worker = arg;
    struct fs *fs = worker->fs;
    struct job_line *line = worker->line;
    fs_lock(fs);
    for (;;) {
        struct job *job = line->first;
        if (!job && fs->workers_end)
            break;
        if (!job) {
            (void)lock_wait(&fs->lock, &line->wake, NULL);
            continue;
        }
        line->first = job->next;
        if (!line->first)
            line->end = &line->first;
        fs_unlock(fs);
        job->fn(fs, job);
        fs_lock(fs);
    }
    fs_unlock(fs);
    return NULL;
}

static void line_init(struct job_line *line)
{
    line->end = &line->first;
    lock_cond_init(&line->wake);
}

void worker_init(struct fs *fs)
{
    line_init(&fs->jobs);
    line_init(&fs->syncs);
}

int worker_start(struct fs *fs)
{
    for (fs->n_workers = 0; fs->n_workers < FS_WORKERS; fs->n_workers++) {
        struct worker *w = &fs->workers[fs->n_workers];
        *w = (struct worker){.fs = fs, .line = fs->n_workers ? &fs->jobs : &fs->syncs};
        int rc = pthread_create(&w->thread, NULL, run, w);
        if (rc)
            return -rc;
    }
    return 0;
}

void worker_stop(struct fs *fs)
{
    fs_lock(fs);
    fs->workers_end = true;
    pthread_cond_broadcast(&fs->jobs.wake);
    pthread_cond_broadcast(&fs->syncs.wake);
    fs_unlock(fs);
    for (; fs->n_workers > 0; fs->n_workers--)
        pthread_join(fs->workers[fs->n_workers - 1].thread, NULL);
}

void worker_done(struct fs *fs)
{
    pthread_cond_destroy(&fs->jobs.wake);
    pthread_cond_destroy(&fs->syncs.wake);
}

static void submit(struct job_line *line, struct job *job)
{
    job->next = NULL;
    *line->end = job;
    line->end = &job->next;
    pthread_cond_signal(&line->wake);
}

void worker_submit_locked(struct fs *fs, struct job *job)
{
    submit(&fs->jobs, job);
}

bool worker_submit_sync_locked(struct fs *fs, struct job *job)
{
    if (fs->workers_end)
        return false;
    submit(&fs->syncs, job);
    return true;
}
