// SPDX-License-Identifier: Apache-2.0
// Notifications to the kernel; see notify.h.
#include "fs/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ops.h"

struct notice {
    struct notice *next;
    fuse_ino_t ino;
    char *name; /* NULL: the attributes of ino; else: this name in ino */
};

struct notifier {
    struct fuse_session *se;
    pthread_t thread;
    /* below: under fs->lock */
    pthread_cond_t wake;
    struct notice *head, **tail;
    bool end;
};

static void tell(struct notifier *n, const struct notice *notice)
{
    /* What the kernel does not know (any more) needs no telling. */
    if (notice->name)
        (void)fuse_lowlevel_notify_inval_entry(n->se, notice->ino, notice->name,
                                               strlen(notice->name));
    else
        (void)fuse_lowlevel_notify_inval_inode(n->se, notice->ino, -1, 0);
}

static void *run(void *arg)
{
    struct fs *fs = arg;
    struct notifier *n = fs->notifier;
    fs_lock(fs);
    while (!n->end || n->head) {
        struct notice *notice = n->head;
        if (!notice) {
            (void)lock_wait(&fs->lock, &n->wake, NULL);
            continue;
        }
        n->head = notice->next;
        if (!n->head)
            n->tail = &n->head;
        bool tells = !n->end;
        fs_unlock(fs);
        if (tells)
            tell(n, notice);
        free(notice->name);
        free(notice);
        fs_lock(fs);
    }
    fs_unlock(fs);
    return NULL;
}

int notify_start(struct fs *fs, struct fuse_session *se)
{
    struct notifier *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->se = se;
    n->tail = &n->head;
    lock_cond_init(&n->wake);
    fs->notifier = n;
    int rc = pthread_create(&n->thread, NULL, run, fs);
    if (rc) {
        fs->notifier = NULL;
        pthread_cond_destroy(&n->wake);
        free(n);
    }
    return -rc;
}

void notify_stop(struct fs *fs)
{
    struct notifier *n = fs->notifier;
    if (!n)
        return;
    fs_lock(fs);
    n->end = true;
    pthread_cond_signal(&n->wake);
    fs_unlock(fs);
    pthread_join(n->thread, NULL);
    fs->notifier = NULL;
    pthread_cond_destroy(&n->wake);
    free(n);
}

static void queue(struct fs *fs, const struct inode *inode, const char *name)
{
    struct notifier *n = fs->notifier;
    struct notice *notice = n && !n->end ? calloc(1, sizeof(*notice)) : NULL;
    if (!notice)
        return; /* the kernel's time-outs do it a little later */
    notice->ino = op_node_id(fs, inode);
    notice->name = name ? strdup(name) : NULL;
    if (name && !notice->name) {
        free(notice);
        return;
    }
    *n->tail = notice;
    n->tail = &notice->next;
    pthread_cond_signal(&n->wake);
}

void notify_entry_locked(struct fs *fs, const struct inode *dir, const char *name)
{
    queue(fs, dir, name);
}

void notify_attr_locked(struct fs *fs, const struct inode *inode)
{
    if (inode->nlookup)
        queue(fs, inode, NULL);
}
