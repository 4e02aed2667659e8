// SPDX-License-Identifier: Apache-2.0
// Synchronising ModelArts; see control_service.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/control_path.h"
#include "fs/control_service.h"
#include "fs/kept.h"
#include "fs/staged.h"
#include "net/base/clock.h"
#include "net/modelarts.h"

struct command {
    bool wait;
    char *path; /* NULL: the whole mount */
};

/* "sync [wait] [PATH]"; the path may contain blanks. */
static int parse(char *text, struct command *ret, struct err *err)
{
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        text[--n] = '\0';
    char *p = text + strspn(text, " \t\r\n");
    if (strncmp(p, "sync", 4) != 0 || (p[4] && p[4] != ' ' && p[4] != '\t') || strchr(p, '\n'))
        return err_set(err, -EINVAL, "'sync', 'sync wait' or 'sync wait PATH' is expected");
    p += 4;
    p += strspn(p, " \t");
    if (strncmp(p, "wait", 4) == 0 && (!p[4] || p[4] == ' ' || p[4] == '\t')) {
        ret->wait = true;
        p += 4;
        p += strspn(p, " \t");
    }
    ret->path = *p ? p : NULL;
    return 0;
}

/* Files that have to be stored first, pinned, and those that are still being written. */
struct waiting {
    struct inode **files;
    size_t n;
    char **open;
    size_t n_open;
};

static void waiting_done(struct fs *fs, struct waiting *w)
{
    for (size_t i = 0; i < w->n; i++)
        inode_unpin_locked(fs, w->files[i]);
    for (size_t i = 0; i < w->n_open; i++)
        free(w->open[i]);
    free(w->files);
    free(w->open);
}

static void add_open(struct waiting *w, const struct inode *inode)
{
    char path[256];
    inode_path_locked(inode, path, sizeof(path));
    w->open[w->n_open] = strdup(path);
    w->n_open += w->open[w->n_open] != NULL;
}

static int collect(struct fs *fs, const struct inode *below, struct waiting *w)
{
    size_t max = 0;
    struct staged *st;
    DL_COUNT(fs->staged, st, max);
    w->files = calloc(max + 1, sizeof(*w->files));
    w->open = calloc(max + 1, sizeof(*w->open));
    if (!w->files || !w->open)
        return -ENOMEM;
    DL_FOREACH (fs->staged, st) {
        struct inode *inode = st->inode;
        if (st->state == STAGED_DEAD || !inode->parent || !inode_below_locked(inode, below))
            continue;
        if (control_is_open_locked(fs, inode)) {
            add_open(w, inode);
        } else if (inode->nwriters || staged_dirty(st)) {
            inode_pin_locked(inode);
            w->files[w->n++] = inode;
        }
    }
    return 0;
}

/* An upload below that was given up since the last synchronisation. */
static int look_for_failures(struct fs *fs, const struct control_target *target, const char *path,
                             struct err *err)
{
    size_t n = strlen(path), skip = strlen(fs->prefix);
    int64_t since = control_success_locked(target);
    const struct kept *k;
    DL_FOREACH (fs->kept, k) {
        const char *key = k->state.key;
        if (!k->state.failed || k->failed_ms < since || strncmp(key, fs->prefix, skip) != 0 ||
            strncmp(key + skip, path, n) != 0 || (n && key[skip + n] && key[skip + n] != '/'))
            continue;
        return err_set(err, -EIO, "'/%.128s' could not be stored: %.100s", key + skip,
                       k->state.failed_message ? k->state.failed_message : "");
    }
    return 0;
}

/* Everything below the path that was closed before now is stored. */
static int barrier(struct fs *fs, const struct control_target *target, const struct command *c,
                   struct waiting *w, struct intr *intr, struct err *err)
{
    char path[OBS_KEY_MAX + 1] = "";
    struct inode *below = fs->root;
    int rc = 0;
    if (c->path)
        rc = control_path_clean(fs, c->path, path, err);
    if (rc == 0)
        rc = control_path_walk_locked(fs, path, intr, &below, err);
    if (rc < 0)
        return rc;
    rc = look_for_failures(fs, target, path, err);
    if (rc == 0 && collect(fs, below, w) < 0)
        rc = err_set(err, -ENOMEM, "out of memory");
    if (rc == 0 && c->path && w->n_open)
        rc = err_set(err, -EBUSY, "'%.200s' is open for writing", w->open[0]);
    for (size_t i = 0; rc == 0 && i < w->n; i++) {
        rc = control_barrier_locked(fs, w->files[i], intr, err);
        if (rc == -EBUSY)
            add_open(w, w->files[i]);
        if ((rc == -EBUSY && !c->path) || rc == -ENOENT)
            rc = 0; /* written again, or removed, after the command */
    }
    inode_unpin_locked(fs, below);
    return rc;
}

static const char *state_name(const struct modelarts_job *job, int rc)
{
    if (rc < 0)
        return "FAILED";
    if (job->answer.state == SYNC_DONE)
        return "COMPLETED";
    return "RUNNING";
}

static void set_answer(struct control_target *target, const struct modelarts_job *job, int rc,
                       const struct waiting *w, const struct err *err)
{
    const struct control_answer answer = {.text = job->text,
                                          .n_text = job->n_text,
                                          .http = job->status,
                                          .request_id = job->request_id,
                                          .state = state_name(job, rc),
                                          .open_files = w->open,
                                          .n_open = w->n_open};
    control_set_answer_locked(target, control_answer_text(&answer, err));
}

static int synchronise(struct fs *fs, struct control_node *node, const struct command *c,
                       struct intr *intr, struct err *err)
{
    struct control_target *target = node->target;
    struct modelarts_job job = {.api = node->kind == CONTROL_ANNOTATION ? MODELARTS_ANNOTATION
                                                                        : MODELARTS_DATASET,
                                .id = control_target_name(target),
                                .wait = c->wait};
    struct waiting w = {0};
    int64_t start_ms = clock_ms();
    int rc = barrier(fs, target, c, &w, intr, err);
    if (rc == 0) {
        fs_unlock(fs);
        rc = modelarts_run(fs->cloud, &job, intr);
        fs_lock(fs);
        *err = job.err;
        if (rc < 0 && !err->eno)
            err_set(err, rc, "%s", err_text(rc));
    }
    if (rc == 0)
        control_set_success_locked(target, start_ms);
    set_answer(target, &job, rc, &w, err);
    modelarts_job_clear(&job);
    waiting_done(fs, &w);
    return rc;
}

int control_modelarts_locked(struct fs *fs, struct control_handle *h, const struct buf *text,
                             struct intr *intr, struct err *err)
{
    struct command c = {0};
    int rc = parse(text->p, &c, err);
    if (rc < 0)
        return rc;
    if (!control_begin_locked(h->node->target))
        return err_set(err, -EBUSY, "a synchronisation is under way already");
    rc = synchronise(fs, h->node, &c, intr, err);
    control_end_locked(h->node->target);
    return rc;
}
