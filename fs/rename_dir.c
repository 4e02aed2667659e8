// SPDX-License-Identifier: Apache-2.0
// Renaming directories; see rename.h.
#include "fs/rename.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "fs/changes.h"
#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/file.h"
#include "fs/meta.h"
#include "fs/moves.h"
#include "fs/namespace.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/staged.h"
#include "fs/tree.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* An inode below `dir` whose changed attributes are being sent, or NULL. */
static struct inode *sending_below(struct inode *dir)
{
    if (dir->meta_sending)
        return dir;
    for (struct inode *c = dir->children; c; c = c->hh.next) {
        struct inode *found = sending_below(c);
        if (found)
            return found;
    }
    return NULL;
}

/* Changes of attributes that gather below the directory are sent now, so that the copies have them.
 */
static void send_changes_below(struct fs *fs, struct inode *dir)
{
    struct inode *inode, *tmp;
    dir->moving--;
    DL_FOREACH_SAFE2(fs->changed, inode, tmp, changed_next)
    {
        if (inode_below_locked(inode, dir))
            (void)meta_flush_now_locked(fs, inode);
    }
    dir->moving++;
}

/* What the user was told is safe is stored under the old name first; `dir` does not move yet. */
static int publish_safe(struct fs *fs, struct inode *dir, struct inode *inode, struct intr *intr)
{
    dir->moving--;
    int rc = file_publish_wait_locked(fs, inode, intr, fs->opt->rename_wait);
    dir->moving++;
    return rc;
}

/* Waits until what is sent for `busy` has ended; of `dir` itself, that it moves is no reason to wait. */
static int settle_one(struct fs *fs, struct inode *dir, struct inode *busy, struct intr *intr)
{
    unsigned ours = busy == dir;
    dir->moving -= ours;
    int rc = ns_settle_locked(fs, busy, intr);
    dir->moving += ours;
    return rc;
}

/* The journals of files below say their new names. */
static void note_keys_below(struct fs *fs, struct inode *dir)
{
    struct staged *st;
    DL_FOREACH (fs->staged, st) {
        if (st->state != STAGED_DEAD && inode_below_locked(st->inode, dir))
            note_key_locked(fs, st);
    }
}

/* Requests under way below the directory end first: they go to the old keys. Changes of attributes
 * that come later are sent to the new ones, afterwards. */
static int settle_below(struct fs *fs, struct inode *dir, struct intr *intr)
{
    send_changes_below(fs, dir);
    for (;;) {
        struct inode *busy = fs->changes_sending ? sending_below(dir) : NULL;
        struct staged *st, *safe = NULL;
        DL_FOREACH (fs->staged, st) {
            if (st->state != STAGED_DEAD && inode_below_locked(st->inode, dir) && st->final_request)
                busy = st->inode;
            else if (st->state != STAGED_DEAD && st->acknowledged && staged_dirty(st) &&
                     inode_below_locked(st->inode, dir))
                safe = st;
        }
        if (!busy && !safe)
            return 0;
        int rc = busy ? settle_one(fs, dir, busy, intr) : publish_safe(fs, dir, safe->inode, intr);
        if (rc < 0)
            return rc;
    }
}

/* The cached file whose object is `o`, or NULL. */
static struct inode *cached_file(const struct tree *t, const struct tree_object *o,
                                 struct inode *dir)
{
    struct inode *inode = dir;
    char path[OBS_KEY_MAX + 1];
    char *save = NULL;
    (void)snprintf(path, sizeof(path), "%s", o->key + strlen(t->prefix));
    for (char *p = strtok_r(path, "/", &save); p && inode; p = strtok_r(NULL, "/", &save))
        inode = inode_child_locked(inode, p);
    return inode && !inode->is_dir && inode->state == INODE_STORED && o->copy_etag ? inode : NULL;
}

/* What is open is read from the copies from now on; `back`: from the old objects again. */
static void read_from(const struct tree *t, const char *to, struct inode *dir, bool back)
{
    char key[OBS_KEY_MAX + 1];
    for (size_t i = 0; i < t->n; i++) {
        const struct tree_object *o = &t->v[i];
        struct inode *inode = cached_file(t, o, dir);
        if (inode && inode->fetch && tree_new_key(t, o, to, key) == 0)
            (void)fetch_file_rekey(inode->fetch, back ? o->key : key, back ? o->etag : o->copy_etag,
                                   encrypt_read_key_locked(inode));
    }
}

/* The cached names below the directory keep their inodes: the objects only have other ETags now. */
static void adopt_copies(const struct tree *t, struct inode *dir)
{
    for (size_t i = 0; i < t->n; i++) {
        struct inode *inode = cached_file(t, &t->v[i], dir);
        if (!inode)
            continue;
        struct fetch_file *fetch = inode->fetch;
        inode->fetch = NULL;
        (void)inode_set_version_locked(inode, t->v[i].copy_etag, inode->stored_size, 0);
        inode->fetch = fetch;
        inode->changed_ms = clock_ms();
    }
}

/* Changes of attributes that came while the directory moved belong to the new keys. */
static void rekey_changes(struct fs *fs, struct inode *dir)
{
    struct inode *inode;
    DL_FOREACH2(fs->changed, inode, changed_next)
    {
        if (inode_below_locked(inode, dir))
            changes_rekey_locked(fs, inode);
    }
}

/* Every copy stands in a listing, with the size of the old object and the ETag that was answered:
 * before that nothing is deleted. */
static int check_copies(struct fs *fs, const struct tree *t, const char *to, struct intr *intr)
{
    struct tree copies = {0};
    (void)snprintf(copies.prefix, sizeof(copies.prefix), "%s", to);
    int rc = tree_list_locked(fs, &copies, 0, intr);
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        const struct tree_object *o = &t->v[i], *copy = tree_twin(&copies, t, o);
        if (copy && o->copy_etag && copy->size == o->size && strcmp(copy->etag, o->copy_etag) == 0)
            continue;
        log_error(fs->log, "rename", "the copy of '%s' is not what was copied: %s", o->key,
                  copy ? "another size or ETag" : "it is not there");
        rc = -EIO;
    }
    tree_done(&copies);
    return rc;
}

static int delete_old(struct fs *fs, const struct tree *t, size_t *deleted)
{
    const char **keys = calloc(t->n + 1, sizeof(*keys));
    *deleted = 0;
    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < t->n; i++)
        keys[i] = t->v[i].key;
    int rc = tree_delete_locked(fs, keys, t->n, deleted);
    free(keys);
    return rc;
}

struct noting {
    struct fs *fs;
    struct move *mv;
};

static int note_copied(void *arg, const struct tree_object *o)
{
    const struct noting *n = arg;
    return moves_copied(n->fs, n->mv, o);
}

/* Copies, checks, deletes. After a failure the copies are gone, or a job removes them. Once all are
 * checked the rename has happened: what cannot be deleted then, a job deletes later. */
static int move_objects(struct fs *fs, struct tree *t, const char *to, struct inode *dir,
                        struct inode *target, struct intr *intr)
{
    struct noting noting = {.fs = fs};
    size_t deleted;
    int rc = moves_begin_locked(fs, t->prefix, to, target, &noting.mv);
    if (rc < 0)
        return rc;
    rc = tree_copy_locked(fs, t, to, note_copied, &noting, intr);
    CRASH_POINT("rename_dir.copied");
    if (rc == 0)
        rc = check_copies(fs, t, to, intr);
    if (rc == 0)
        rc = moves_delete_locked(fs, noting.mv);
    CRASH_POINT("rename_dir.checked");
    if (rc < 0) {
        moves_settle_locked(fs, noting.mv);
        return rc;
    }
    read_from(t, to, dir, false);
    dir->leaving_keys = true; /* whoever looks below it now waits for its new name */
    rc = delete_old(fs, t, &deleted);
    CRASH_POINT("rename_dir.deleted");
    if (rc == -EACCES && deleted == 0 && moves_back_locked(fs, noting.mv) == 0) {
        read_from(t, to, dir, true);
        moves_settle_locked(fs, noting.mv);
        return rc;
    }
    if (rc < 0)
        moves_settle_locked(fs, noting.mv);
    else
        moves_end_locked(fs, noting.mv);
    CRASH_POINT("rename_dir.ended");
    return 0;
}

int rename_dir_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                      struct inode *target, struct intr *intr)
{
    struct inode *from = inode->parent;
    char name[NAME_MAX + 1], to_key[OBS_KEY_MAX + 1], last[OBS_KEY_MAX + 1];
    (void)snprintf(name, sizeof(name), "%s", inode->name);
    struct tree t = {0};
    int rc = rename_keys_locked(fs, inode, to, new_name, t.prefix, to_key);
    if (rc == 0)
        rc = moves_clear_locked(fs, t.prefix, to_key, intr);
    if (rc == 0)
        rc = settle_below(fs, inode, intr);
    if (rc == 0) /* a directory above may have moved meanwhile */
        rc = rename_keys_locked(fs, inode, to, new_name, t.prefix, to_key);
    if (rc == 0)
        rc = tree_list_locked(fs, &t, (size_t)fs->opt->dir_rename_max, intr);
    for (size_t i = 0; rc == 0 && i < t.n; i++)
        rc = tree_new_key(&t, &t.v[i], to_key, last);
    if (rc == 0)
        rc = ns_keep_parent_locked(fs, from, inode, intr);
    if (rc == 0 && t.n) {
        rc = move_objects(fs, &t, to_key, inode, target, intr);
        from->list_start_ms = rc < 0 ? 0 : from->list_start_ms;
        to->list_start_ms = rc < 0 ? 0 : to->list_start_ms;
    }
    if (rc == 0)
        rc = inode_move_locked(fs, inode, to, new_name);
    inode->leaving_keys = false;
    inode->moved_ms = clock_ms();
    if (rc == 0)
        note_keys_below(fs, inode);
    if (rc == 0) {
        inode_tombstone_locked(fs, from, name);
        adopt_copies(&t, inode);
        rekey_changes(fs, inode);
    }
    tree_done(&t);
    return rc;
}
