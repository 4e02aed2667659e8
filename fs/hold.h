// SPDX-License-Identifier: Apache-2.0
/* hold - files that wait for their rename
 *
 * Role        Many programs write a temporary name, close it, set its attributes and rename it.
 *             Such a file is not published at close: of one part at most, it is kept in staging and
 *             stored once, under its final name; a larger one of rsync's form is uploaded under the
 *             key that its name predicts, and completed by the rename. hold_max after the last
 *             close it is stored under its own name.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_HOLD_H
#define OBSM_FS_HOLD_H

#include "fs/inode.h"

/* Is this file, by its name and the way it was created, to be held at close? */
bool hold_wanted_locked(const struct fs *fs, const struct inode *inode);

/* A held file was renamed: will it be renamed once more (rsync --delay-updates), and wait for that? */
bool hold_goes_on_locked(const struct fs *fs, const struct inode *inode);

/* The key under which an upload of this file is to be opened: the predicted one, else its own. */
int hold_key_locked(const struct fs *fs, const struct inode *inode, char key[OBS_KEY_MAX + 1]);

/* The last writer has closed a file that is held: from now on its time runs. */
void hold_start_locked(struct fs *fs, struct staged *st);

/* Publishes held files whose time is over; returns when the next one is due, or INT64_MAX. `all`:
 * every one. */
int64_t hold_run_locked(struct fs *fs, int64_t now_ms, bool all);

#endif
