// SPDX-License-Identifier: Apache-2.0
// Files that wait for their rename; see hold.h.
#include "fs/hold.h"

#include <string.h>
#include <utlist.h>

#include "fs/options.h"
#include "fs/publish.h"
#include "fs/tempname.h"
#include "fs/timer.h"
#include "net/base/clock.h"

/* rsync --delay-updates renames each file twice: DIR/.NAME.XXXXXX to DIR/.~tmp~/NAME when it is whole, and
 * that to DIR/NAME when all are. Is this one between the two? */
static bool is_delayed(const struct inode *inode)
{
    const struct inode *dir = inode->parent;
    return inode->staged && inode->staged->held && dir && dir->parent && dir->name &&
           strcmp(dir->name, ".~tmp~") == 0;
}

static enum temp_kind kind_of(const struct fs *fs, const struct inode *inode,
                              struct temp_guess *guess)
{
    if (!inode->parent || inode->state != INODE_LOCAL)
        return TEMP_NONE;
    if (is_delayed(inode))
        return TEMP_RSYNC;
    return tempname_classify(inode->name, inode->excl_0600, fs->hold_patterns, guess);
}

/* The likelier of the names that the temp name can stand for: one that exists, else the first. */
static const char *predict(const struct inode *inode, const struct temp_guess *guess)
{
    if (is_delayed(inode))
        return inode->name;
    for (unsigned i = 0; i < guess->n_finals; i++) {
        const struct inode *there = inode_child_locked(inode->parent, guess->finals[i]);
        if (there && there->state != INODE_GONE)
            return guess->finals[i];
    }
    return guess->n_finals ? guess->finals[0] : NULL;
}

bool hold_wanted_locked(const struct fs *fs, const struct inode *inode)
{
    struct temp_guess guess = {0};
    const struct staged *st = inode->staged;
    if (!st || st->expired || st->cloned || fs->opt->hold_max == 0 || fs->stopping ||
        kind_of(fs, inode, &guess) == TEMP_NONE)
        return false;
    if (st->upload.state == UPLOAD_NONE && staged_part_count(fs, st, st->size) == 1)
        return true;
    return predict(inode, &guess) && obs_dialect_of(fs->obs) == OBS_DIALECT_OBS;
}

int hold_key_locked(const struct fs *fs, const struct inode *inode, char key[OBS_KEY_MAX + 1])
{
    struct temp_guess guess = {0};
    const struct staged *st = inode->staged;
    bool may_hold = fs->opt->hold_max && !fs->stopping && (!st || !st->expired) &&
                    obs_dialect_of(fs->obs) == OBS_DIALECT_OBS;
    const char *name =
        may_hold && kind_of(fs, inode, &guess) == TEMP_RSYNC ? predict(inode, &guess) : NULL;
    struct inode *dir = is_delayed(inode) ? inode->parent->parent : inode->parent;
    if (name)
        return inode_child_key_locked(fs, dir, name, false, key);
    return inode_key_locked(fs, inode, key);
}

bool hold_goes_on_locked(const struct fs *fs, const struct inode *inode)
{
    return is_delayed(inode) && hold_wanted_locked(fs, inode);
}

void hold_start_locked(struct fs *fs, struct staged *st)
{
    st->held = true;
    st->hold_due_ms = clock_ms() + fs->opt->hold_max;
    timer_wake_locked(fs, st->hold_due_ms);
}

int64_t hold_run_locked(struct fs *fs, int64_t now_ms, bool all)
{
    int64_t next = INT64_MAX;
    struct staged *st, *tmp;
    DL_FOREACH_SAFE (fs->staged, st, tmp) {
        if (!st->held || st->state != STAGED_OPEN)
            continue;
        if (all || st->hold_due_ms <= now_ms) {
            st->expired = true;
            (void)publish_locked(fs, st->inode, NULL);
        } else if (st->hold_due_ms < next) {
            next = st->hold_due_ms;
        }
    }
    return next;
}
