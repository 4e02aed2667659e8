// SPDX-License-Identifier: Apache-2.0
// Making and removing names; see namespace.h.
#include "fs/namespace.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attrcache.h"
#include "fs/clone.h"
#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/meta.h"
#include "fs/moves.h"
#include "fs/names.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/request.h"
#include "fs/staged.h"
#include "net/base/clock.h"

/* Checks that `name` may be made in dir and is free. */
static int check_new(struct fs *fs, struct inode *dir, const char *name, bool as_dir,
                     struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    int rc = names_check(name, strlen(name));
    if (rc == 0)
        rc = inode_child_key_locked(fs, dir, name, as_dir, key);
    if (rc < 0)
        return rc;
    struct inode *there;
    rc = dir_lookup_locked(fs, dir, name, intr, &there);
    if (rc == 0)
        return -EEXIST;
    return rc == -ENOENT ? 0 : rc;
}

/* A LOCAL inode with the maker's attributes; a directory's setgid bit hands on its group. */
static int add_new(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                   struct intr *intr, struct inode **ret)
{
    struct inode *gone = inode_child_locked(dir, name);
    if (gone)
        inode_detach_locked(fs, gone);
    struct inode *inode = inode_add_locked(fs, dir, name, INODE_LOCAL);
    if (!inode)
        return -ENOMEM;

    mode_t mode = m->mode;
    gid_t gid = m->gid;
    if (dir->attr_known && (dir->attr.mode & S_ISGID)) {
        gid = dir->attr.gid;
        if (S_ISDIR(mode))
            mode |= S_ISGID;
    }
    inode_set_new_locked(inode, mode, m->uid, gid, m->rdev);
    int rc = S_ISDIR(mode) ? 0 : properties_inherit_locked(fs, dir, inode, intr);
    if (rc < 0)
        inode_detach_locked(fs, inode);
    else
        *ret = inode;
    return rc;
}

int ns_create_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                     struct intr *intr, struct inode **ret)
{
    struct inode *inode = NULL;
    struct staged *st;
    int rc = check_new(fs, dir, name, false, intr);
    if (rc == 0)
        rc = add_new(fs, dir, name, m, intr, &inode);
    if (rc < 0)
        return rc;
    rc = staged_get_locked(fs, inode, false, &st);
    if (rc < 0) {
        inode_detach_locked(fs, inode);
        return rc;
    }
    *ret = inode;
    return 0;
}

void ns_hold_locked(struct inode *inode)
{
    inode->moving++;
    inode_pin_locked(inode);
}

/* `resume`: what waited meanwhile goes on; there is nothing of what has gone. */
static void end_hold(struct fs *fs, struct inode *inode, bool resume)
{
    inode->moving--;
    waitlist_finish_locked(fs, &inode->move_waiters, 0);
    if (resume) {
        publish_resume_locked(fs);
        meta_resume_locked(fs);
    }
    inode_unpin_locked(fs, inode);
}

void ns_release_locked(struct fs *fs, struct inode *inode)
{
    end_hold(fs, inode, true);
}

/* A rename of a directory above takes what was there when it began: what comes or goes meanwhile waits
 * for its end, and has another key then. */
static int await_moves(struct fs *fs, struct inode *inode, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    inode_pin_locked(inode);
    int rc = inode_key_locked(fs, inode, key);
    if (rc == 0)
        rc = moves_clear_locked(fs, key, key, intr);
    inode_unpin_locked(fs, inode);
    return rc;
}

struct memory_body {
    const char *p;
    size_t n;
};

static ssize_t read_memory(void *arg, uint64_t off, void *p, size_t n)
{
    const struct memory_body *body = arg;
    if (off >= body->n)
        return 0;
    if (n > body->n - off)
        n = body->n - (size_t)off;
    memcpy(p, body->p + off, n);
    return (ssize_t)n;
}

/* Stores a new inode that is no regular file: a marker, a link's target, an empty object. */
static int put_new(struct fs *fs, struct inode *inode, const char *body, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    struct memory_body memory = {.p = body, .n = strlen(body)};
    struct obs_props props = {0};
    inode_pin_locked(inode);
    int rc = await_moves(fs, inode, intr);
    if (rc == 0)
        rc = inode_key_locked(fs, inode, key);
    if (rc == 0)
        rc = encrypt_choose_locked(fs, inode);
    if (rc == 0)
        rc = inode_props_locked(fs, inode, key, true, &props);
    struct obs_call call = {.op = OBS_PUT,
                            .key = key,
                            .props = &props,
                            .body = {.size = memory.n,
                                     .read = read_memory,
                                     .arg = &memory,
                                     .content_md5 = sse_encrypted(&props)}};
    if (rc == 0) {
        inode->moving++;
        rc = request_run_locked(fs, &call, intr, "store");
        inode->moving--;
        waitlist_finish_locked(fs, &inode->move_waiters, 0);
        if (rc == 0)
            rc = inode_set_version_locked(inode, call.object.etag, memory.n, 0);
        if (rc == 0)
            encrypt_stored_locked(fs, inode, &props);
        if (rc == 0) {
            inode->state = INODE_STORED;
            inode->stored_s = call.server_time;
            attrcache_store_locked(fs, inode);
        }
        inode->seen_ms = inode->changed_ms = clock_ms();
        if (rc < 0 && inode->parent) {
            inode->parent->list_start_ms = 0; /* what became of it, the service knows */
            inode_detach_locked(fs, inode);
        }
    } else if (inode->parent) {
        inode_detach_locked(fs, inode);
    }
    inode_unpin_locked(fs, inode);
    obs_call_clear(&call);
    obs_props_clear(&props);
    return rc;
}

int ns_mkdir_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                    struct intr *intr, struct inode **ret)
{
    struct inode *inode = NULL;
    int rc = check_new(fs, dir, name, true, intr);
    if (rc == 0)
        rc = add_new(fs, dir, name, m, intr, &inode);
    const char *said = rc == 0 ? properties_of_dirs_locked(dir, "dir_markers") : NULL;
    bool marker = said ? strcmp(said, "on") == 0 : fs->opt->dir_markers;
    if (rc == 0 && marker)
        rc = put_new(fs, inode, "", intr);
    if (rc < 0)
        return rc;
    inode->implicit = !marker;
    dir_set_empty_locked(inode);
    *ret = inode;
    return 0;
}

/* Stores an empty regular file and waits. */
static int publish_wait(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct waitlist *list = &inode->staged->published;
    int rc = publish_locked(fs, inode, NULL);
    if (rc != -EINPROGRESS)
        return rc;
    inode_pin_locked(inode);
    rc = inode->staged ? fs_wait_locked(fs, list, intr, -1) : 0;
    inode_unpin_locked(fs, inode);
    return rc;
}

int ns_mknod_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                    struct intr *intr, struct inode **ret)
{
    struct inode *inode = NULL;
    int rc;
    if (S_ISREG(m->mode)) {
        rc = ns_create_locked(fs, dir, name, m, intr, &inode);
        if (rc == 0)
            rc = publish_wait(fs, inode, intr);
    } else {
        rc = check_new(fs, dir, name, false, intr);
        if (rc == 0)
            rc = add_new(fs, dir, name, m, intr, &inode);
        if (rc == 0)
            rc = put_new(fs, inode, "", intr);
    }
    if (rc == 0)
        *ret = inode;
    return rc;
}

int ns_symlink_locked(struct fs *fs, struct inode *dir, const char *name, const char *target,
                      const struct maker *m, struct intr *intr, struct inode **ret)
{
    struct inode *inode = NULL;
    int rc = check_new(fs, dir, name, false, intr);
    if (rc == 0)
        rc = add_new(fs, dir, name, m, intr, &inode);
    if (rc < 0)
        return rc;
    char *copy = strdup(target);
    if (!copy) {
        inode_detach_locked(fs, inode);
        return -ENOMEM;
    }
    inode->stored_size = strlen(target);
    rc = put_new(fs, inode, target, intr);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    free(inode->link_target);
    inode->link_target = copy;
    *ret = inode;
    return 0;
}

struct memory_sink {
    char text[PATH_MAX];
    uint64_t n;
};

static int take_memory(void *arg, uint64_t off, const void *p, size_t n)
{
    struct memory_sink *sink = arg;
    if (off + n >= sizeof(sink->text))
        return -ENAMETOOLONG;
    memcpy(sink->text + off, p, n);
    sink->n = off + n;
    return 0;
}

static int get_target(struct fs *fs, struct inode *inode, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;

    struct memory_sink sink = {.n = 0};
    char read_key[SSE_MD5_TEXT];
    memcpy(read_key, inode->read_key, sizeof(read_key));
    struct obs_call call = {.op = OBS_GET,
                            .key = key,
                            .read_key = encrypt_read_key_locked(inode) ? read_key : NULL,
                            .sink = take_memory,
                            .sink_arg = &sink};
    rc = request_run_locked(fs, &call, intr, "readlink");
    if (rc == 0 && !inode->link_target) {
        sink.text[sink.n] = 0;
        inode->link_target = strdup(sink.text);
        rc = inode->link_target ? 0 : -ENOMEM;
    }
    obs_call_clear(&call);
    return rc;
}

int ns_readlink_locked(struct fs *fs, struct inode *inode, struct intr *intr, const char **ret)
{
    if (!S_ISLNK(inode->attr.mode))
        return -EINVAL;
    int64_t start_ms = 0;
    int rc = 0;
    inode_pin_locked(inode);
    while (rc == 0 && !inode->link_target) {
        rc = inode_await_key_locked(fs, inode, intr);
        start_ms = clock_ms();
        if (rc == 0 && !inode->link_target)
            rc = get_target(fs, inode, intr);
        if (rc == -ENOENT && inode->parent && inode_rekeyed_locked(inode, start_ms))
            rc = 0; /* a directory above was renamed: it has another key now */
    }
    if (rc == 0)
        *ret = inode->link_target;
    inode_unpin_locked(fs, inode);
    return rc;
}

int ns_settle_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    int rc = 0;
    inode_pin_locked(inode);
    while (rc == 0 && (inode->moving || inode->meta_sending ||
                       (inode->staged && inode->staged->final_request)))
        rc = fs_wait_locked(fs, &inode->move_waiters, intr, fs->opt->rename_wait);
    inode_unpin_locked(fs, inode);
    return rc < 0 && (rc == -EINTR || rc == -ETIMEDOUT) ? rc : 0;
}

/* Copies a stored file into staging, for those who have it open. */
static int keep_content(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct staged *st;
    int rc = staged_get_locked(fs, inode, false, &st);
    while (rc == 0 && inode->staged == st) {
        rc = staged_fill_locked(fs, st, 0, st->size);
        if (rc == 0)
            break;
        if (rc == -EINPROGRESS)
            rc = fs_wait_locked(fs, &st->filled, intr, -1);
    }
    return rc == -ESTALE ? 0 : rc; /* somebody else was faster: nothing to keep */
}

/* A temporary file with parts under the name that it was to get (rsync removes its own when it is
 * interrupted): they are kept for the next try. */
static void keep_parts(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    char key[OBS_KEY_MAX + 1];
    if (st->keep || st->cloned || !st->journal || !fs->opt->keep_interrupted ||
        st->upload.state != UPLOAD_ACTIVE || inode_key_locked(fs, inode, key) < 0 ||
        strcmp(key, st->upload.key) == 0)
        return;
    for (size_t i = 0; i < st->n_parts && !st->keep; i++)
        st->keep = st->parts[i].state == PART_STORED;
    if (st->keep)
        note_interrupted_locked(fs, st, INTERRUPT_UNLINKED, 0);
}

int ns_prepare_removal_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    int rc = ns_settle_locked(fs, inode, intr);
    if (rc < 0)
        return rc;
    ns_hold_locked(inode);
    rc = clone_settle_locked(fs, inode, intr);
    if (rc == 0 && inode->nopen && inode->state == INODE_STORED && S_ISREG(inode->attr.mode) &&
        inode_size_locked(inode) <= fs->opt->unlink_keep)
        rc = keep_content(fs, inode, intr);
    if (rc < 0)
        ns_end_removal_locked(fs, inode, false);
    return rc;
}

void ns_end_removal_locked(struct fs *fs, struct inode *inode, bool removed)
{
    struct staged *st = removed ? inode->staged : NULL;
    if (st)
        keep_parts(fs, inode);
    if (st && !inode->nopen) {
        staged_drop_locked(fs, inode, 0);
    } else if (st && st->state == STAGED_PUBLISHING) {
        st->state = STAGED_OPEN; /* without a name there is nothing to publish */
        waitlist_finish_locked(fs, &st->published, 0);
        waitlist_finish_locked(fs, &st->writable, 0);
    }
    end_hold(fs, inode, !removed);
}

int ns_keep_parent_locked(struct fs *fs, struct inode *dir, const struct inode *leaving,
                          struct intr *intr)
{
    if (!dir->implicit || dir->is_root || dir->state == INODE_LOCAL || !fs->opt->dir_markers)
        return 0;
    for (const struct inode *c = dir->children; c; c = c->hh.next) {
        if (c != leaving && c->state == INODE_STORED)
            return 0;
    }
    char key[OBS_KEY_MAX + 1];
    struct obs_props props = {0};
    int rc = inode_key_locked(fs, dir, key);
    if (rc == 0)
        rc = encrypt_choose_locked(fs, dir);
    if (rc == 0)
        rc = inode_props_locked(fs, dir, key, true, &props);
    struct memory_body nothing = {.p = "", .n = 0};
    struct obs_call call = {.op = OBS_PUT,
                            .key = key,
                            .props = &props,
                            .body = {.size = 0, .read = read_memory, .arg = &nothing}};
    if (rc == 0)
        rc = request_run_locked(fs, &call, intr, "mkdir");
    if (rc == 0)
        dir->implicit = false;
    obs_call_clear(&call);
    obs_props_clear(&props);
    return rc;
}

/* Deletes the object of an inode that is about to lose its name. */
static int delete_object(struct fs *fs, struct inode *inode, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    struct obs_call call = {.op = OBS_DELETE, .key = key};
    ns_hold_locked(inode);
    rc = request_run_locked(fs, &call, intr, "delete");
    end_hold(fs, inode, rc < 0); /* it keeps its name */
    obs_call_clear(&call);
    if (rc < 0 && inode->parent) {
        inode->parent->list_start_ms = 0;
        inode->seen_ms = 0;
    }
    return rc;
}

int ns_uncover_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    if (inode->state != INODE_LOCAL || !inode->covers)
        return 0;
    int rc = await_moves(fs, inode, intr);
    if (rc == 0 && !inode->parent) /* given up meanwhile */
        rc = -ESTALE;
    if (rc == 0)
        rc = ns_keep_parent_locked(fs, inode->parent, inode, intr);
    if (rc == 0)
        rc = delete_object(fs, inode, intr);
    if (rc == 0)
        inode->covers = false;
    return rc;
}

int ns_unlink_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr)
{
    struct inode *inode = NULL;
    int rc = dir_find_locked(fs, dir, name, DIR_NAME, intr, &inode);
    if (rc < 0)
        return rc;
    if (inode->is_dir)
        return -EISDIR;

    inode_pin_locked(inode);
    rc = ns_prepare_removal_locked(fs, inode, intr);
    bool prepared = rc == 0;
    if (rc == 0)
        rc = ns_uncover_locked(fs, inode, intr);
    if (rc == 0 && inode->state == INODE_STORED)
        rc = await_moves(fs, inode, intr);
    if (rc == 0 && inode->state == INODE_STORED)
        rc = ns_keep_parent_locked(fs, dir, inode, intr);
    if (rc == 0 && inode->state == INODE_STORED)
        rc = delete_object(fs, inode, intr);
    bool removed = rc == 0 && inode->parent == dir && strcmp(inode->name, name) == 0;
    if (prepared)
        ns_end_removal_locked(fs, inode, removed);
    if (removed) {
        inode->removed = true;
        inode_tombstone_locked(fs, dir, name);
        inode->attr.ctime = clock_real();
        if (inode->staged && !inode->staged->keep) /* somebody has it open */
            note_abandoned_locked(fs, inode->staged, "removed");
    }
    inode_unpin_locked(fs, inode);
    return rc;
}

int ns_rmdir_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr)
{
    struct inode *inode = NULL;
    int rc = dir_lookup_locked(fs, dir, name, intr, &inode);
    if (rc < 0)
        return rc;
    if (!inode->is_dir)
        return -ENOTDIR;

    inode_pin_locked(inode);
    rc = await_moves(fs, inode, intr);
    if (rc == 0 && (inode->state != INODE_LOCAL || inode->children))
        rc = dir_has_entries_locked(fs, inode, intr);
    if (rc > 0)
        rc = -ENOTEMPTY;
    if (rc == 0)
        rc = ns_settle_locked(fs, inode, intr);
    if (rc == 0 && inode->state == INODE_STORED)
        rc = ns_keep_parent_locked(fs, dir, inode, intr);
    if (rc == 0 && inode->state == INODE_STORED && !inode->implicit)
        rc = delete_object(fs, inode, intr);
    if (rc == 0 && inode->parent == dir && strcmp(inode->name, name) == 0) {
        inode->removed = true;
        inode_tombstone_locked(fs, dir, name);
    }
    inode_unpin_locked(fs, inode);
    return rc;
}
