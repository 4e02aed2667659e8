// SPDX-License-Identifier: Apache-2.0
// Renaming files; see rename.h. Stored objects are in rename_object.c, directories in rename_dir.c.
#include "fs/rename.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "fs/attrcache.h"
#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/file.h"
#include "fs/hold.h"
#include "fs/meta.h"
#include "fs/names.h"
#include "fs/namespace.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/space.h"
#include "fs/staged.h"
#include "net/base/clock.h"

/* Publishes a file under the name that it has now, and waits no longer than rename_wait. */
static int publish_renamed(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct staged *st = inode->staged;
    int rc = publish_locked(fs, inode, NULL);
    if (rc == -EINPROGRESS)
        rc = inode->staged == st && st->state != STAGED_DEAD && staged_dirty(st)
                 ? fs_wait_locked(fs, &st->published, intr, fs->opt->rename_wait)
                 : 0;
    return rc;
}

/* Not stored yet: the name changes here, and what was closed already is published now. */
static int rename_local(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                        struct intr *intr)
{
    struct inode *from = inode->parent;
    char name[NAMES_COMPONENT_MAX + 1];
    (void)snprintf(name, sizeof(name), "%s", inode->name);

    struct staged *st = inode->staged;
    if (st && inode->nwriters && hold_wanted_locked(fs, inode) && file_is_flushed_locked(fs, inode))
        hold_start_locked(fs, st); /* closed, but the last descriptor is not released yet */
    int rc = inode_move_locked(fs, inode, to, new_name);
    if (rc < 0)
        return rc;
    CRASH_POINT("rename.moved");
    if (st)
        note_key_locked(fs, st);
    CRASH_POINT("rename.noted");
    if (!st || (inode->nwriters && !st->held) || hold_goes_on_locked(fs, inode))
        return 0;
    inode->moving--; /* only the publication is awaited now */
    rc = publish_renamed(fs, inode, intr);
    inode->moving++;
    if (rc < 0 && inode->state == INODE_LOCAL && inode->parent == to) {
        /* The kernel believes the old name. What stands under the new one, the service knows. */
        if (inode_move_locked(fs, inode, from, name) == 0)
            to->list_start_ms = 0;
    }
    return rc;
}

/* Attributes that were changed and not sent are sent first: the copy has them then. If they are
 * refused, the next change or open of the inode is told. */
static int send_attributes(struct fs *fs, struct inode *inode, struct intr *intr)
{
    int rc = 0;
    inode_pin_locked(inode);
    if (inode->state == INODE_STORED && meta_flush_now_locked(fs, inode))
        rc = fs_wait_locked(fs, &inode->meta_waiters, intr, fs->opt->rename_wait);
    inode_unpin_locked(fs, inode);
    return rc == -EINTR || rc == -ETIMEDOUT ? rc : 0;
}

/* What stands under the new name: may it be replaced? */
static int check_target(struct fs *fs, struct inode *inode, struct inode *target, unsigned flags,
                        struct intr *intr)
{
    if (flags & RENAME_NOREPLACE)
        return -EEXIST;
    if (!inode->is_dir)
        return target->is_dir ? -EISDIR : ns_prepare_removal_locked(fs, target, intr);
    if (!target->is_dir)
        return -ENOTDIR;
    int rc = dir_has_entries_locked(fs, target, intr);
    if (rc == 0)
        rc = send_attributes(fs, target, intr); /* its object gets those of `inode` */
    return rc > 0 ? -ENOTEMPTY : rc;
}

/* `replaces`: an object stands under the new name. */
static int rename_file(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                       bool replaces, struct intr *intr)
{
    struct inode *from = inode->parent;
    char name[NAMES_COMPONENT_MAX + 1];
    (void)snprintf(name, sizeof(name), "%s", inode->name);

    int rc;
    if (inode->state == INODE_LOCAL) {
        bool covers = inode->covers;
        rc = ns_uncover_locked(fs, inode, intr);
        if (rc == 0)
            rc = rename_local(fs, inode, to, new_name, intr);
        if (rc == 0 && covers)
            inode_tombstone_locked(fs, from, name);
        return rc;
    }
    rc = ns_keep_parent_locked(fs, from, inode, intr);
    if (rc == 0)
        rc = rename_object_locked(fs, inode, to, new_name, replaces, intr);
    if (rc == 0)
        rc = inode_move_locked(fs, inode, to, new_name);
    if (rc == 0 && inode->staged)
        note_key_locked(fs, inode->staged);
    if (rc == 0) {
        attrcache_store_locked(fs, inode);
        inode_tombstone_locked(fs, from, name);
    }
    return rc;
}

int rename_locked(struct fs *fs, struct inode *from, const char *name, struct inode *to,
                  const char *new_name, unsigned flags, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    struct inode *inode, *target = NULL;
    if (flags & ~(unsigned)RENAME_NOREPLACE)
        return -EINVAL;
    int rc = names_check(new_name, strlen(new_name));
    if (rc == 0)
        rc = dir_lookup_locked(fs, from, name, intr, &inode);
    if (rc < 0)
        return rc;
    inode_pin_locked(inode); /* perhaps the kernel knows another one by that name */
    rc = inode_child_key_locked(fs, to, new_name, inode->is_dir, key);
    if (rc == 0)
        rc = space_move_locked(fs, inode, intr);
    /* What the user was told is safe is stored under the old name first: a crash must find either
     * of the names with all of it. */
    if (rc == 0 && !inode->is_dir && inode->state == INODE_STORED && inode->staged &&
        inode->staged->acknowledged)
        rc = file_publish_wait_locked(fs, inode, intr, fs->opt->rename_wait);
    if (rc == 0 && !inode->is_dir)
        rc = send_attributes(fs, inode, intr);
    if (rc < 0) {
        inode_unpin_locked(fs, inode);
        return rc;
    }
    ns_hold_locked(inode);
    inode->pins--;   /* ns_release_locked() looks whether it may go */
    inode->moving--; /* settle waits for others, not for us */
    rc = ns_settle_locked(fs, inode, intr);
    inode->moving++;
    bool covers = false;
    int found = rc == 0 ? dir_lookup_locked(fs, to, new_name, intr, &target) : rc;
    if (found == 0 && target == inode) {
        ns_release_locked(fs, inode);
        return 0;
    }
    if (rc == 0 && found < 0 && found != -ENOENT)
        rc = found;
    if (found == 0)
        inode_pin_locked(target);
    bool replaces = false;
    if (rc == 0 && found == 0) {
        rc = check_target(fs, inode, target, flags, intr);
        replaces = rc == 0 && !target->is_dir;
        if (rc == 0 && inode->staged)
            publish_replaces_locked(inode->staged, target);
        covers = target->state == INODE_STORED || target->covers;
    }
    if (rc == 0 && inode->parent != from)
        rc = -ENOENT; /* somebody else was faster while we waited */
    if (rc == 0 && replaces && inode->state == INODE_LOCAL) {
        ns_end_removal_locked(fs, target, true); /* it takes the name here and now */
        replaces = false;
    }
    if (rc == 0)
        rc = inode->is_dir ? rename_dir_locked(fs, inode, to, new_name, target, intr)
                           : rename_file(fs, inode, to, new_name, covers, intr);
    if (rc == 0) {
        inode->changed_ms = clock_ms();
        inode->covers = covers && inode->state == INODE_LOCAL;
    }
    if (replaces)
        ns_end_removal_locked(fs, target, rc == 0);
    if (found == 0 && rc == 0)
        target->removed = true;
    if (found == 0)
        inode_unpin_locked(fs, target);
    ns_release_locked(fs, inode);
    return rc;
}
