// SPDX-License-Identifier: Apache-2.0
/* moves - renames that a crash must not leave half done
 *
 * Role        A stored file is renamed by a copy, a directory object by object (fs/rename.h). What is
 *             begun stands in a ledger of the state directory (checkpoint/ledger.h, file `moves`), so
 *             that the next mount, or a job of this one if the service failed, finishes or undoes it.
 * Phases      copying   MOVE was written before the first copy. Then it is undone: the copies are
 *                       deleted. A file that had replaced another one is the exception: that other
 *                       one is gone, so the rename is finished if the copy is there.
 *             deleting  MOVE_DELETE was written when all copies were there and had been checked. From
 *                       here on the rename has happened: the old objects are deleted.
 *             MOVE_END  nothing is left to do.
 *             Of a directory both records are synced; of a file they are not: a power cut that takes
 *             them leaves both names, each whole.
 * Ours        Undoing deletes an object only if the old one is still there with the same content:
 *             the same ETag, or the ETag that MOVE_COPIED tells of the copy, or the same size and
 *             metadata; and if it was not stored before the rename began. Finishing deletes an old
 *             object only if its copy is there. What is neither stays, and is said in the log and
 *             in `errors`. As long as the copy of a file was not checked, its metadata must be the
 *             same, too: two files may have the same content.
 *             An empty directory that was replaced gets its own attributes back.
 * Names       When a rename has happened, journals of the file, or of files below the old name, and
 *             changes of attributes (fs/changes.h) are given the new one before they are acted on.
 * Again       A rename of a name that an unsettled one had, or of one above or below it, settles that
 *             one first.
 * Refused     A job that gets EACCES ends the move: it would get it for ever.
 * Locking     everything under fs->lock, which functions that wait drop. checkpoint=off: no ledger,
 *             a rename is undone by this mount only.
 */
#ifndef OBSM_FS_MOVES_H
#define OBSM_FS_MOVES_H

#include "fs/inode.h"
#include "fs/tree.h"

enum { MOVES_RETRY_MS = 30000 };

struct move;

/* Reads the ledger. Before the mount serves, after changes_open(). */
int moves_open(struct fs *fs, struct err *err);
void moves_close(struct fs *fs);

/* Finishes and undoes what an earlier mount has left. Needs the workers. */
void moves_start(struct fs *fs);
/* The timer: tries again; when that is due, or INT64_MAX. */
int64_t moves_run_locked(struct fs *fs, int64_t now_ms);

/* Before a rename: settles what is left of an earlier one of these names. -EBUSY: that cannot be
 * done now; -EINTR, -ETIMEDOUT: another one is at work. */
int moves_clear_locked(struct fs *fs, const char *from, const char *to, struct intr *intr);

/* A directory's rename begins; `target` is the empty directory that it replaces, or NULL. -EBUSY:
 * another one of these names is not settled. */
int moves_begin_locked(struct fs *fs, const char *from, const char *to, struct inode *target,
                       struct move **ret);
/* A file's; `replaces`: an object stands at `to`. */
int moves_begin_file_locked(struct fs *fs, const char *from, const char *to, bool replaces,
                            struct move **ret);
/* One object was copied. With or without the lock. */
int moves_copied(struct fs *fs, struct move *mv, const struct tree_object *o);
/* All copies are there: the rename has happened when this returns 0. */
int moves_delete_locked(struct fs *fs, struct move *mv);
/* The service refuses to delete, nothing was deleted: it is to be undone after all. */
int moves_back_locked(struct fs *fs, struct move *mv);
/* It is finished. */
void moves_end_locked(struct fs *fs, struct move *mv);
/* Finishes or undoes it now; if that fails, a job goes on. `mv` is gone afterwards. */
void moves_settle_locked(struct fs *fs, struct move *mv);
/* A job does that, later: a request that was not awaited may still be carried out. */
void moves_leave_locked(struct fs *fs, struct move *mv);

#endif
