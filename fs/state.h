// SPDX-License-Identifier: Apache-2.0
/* state - what a mount looks after in its state directory when it begins
 *
 * Role        Other state directories of the same bucket with unfinished work (the endpoint or the
 *             prefix was written differently then) are named in the log and in the list of uploads, or taken over with
 *             adopt_state: uploads, and the ledgers of attribute changes and renames, which their
 *             owners read (fs/changes.h, fs/moves.h). Compares the clocks with those of the last mount: after a jump nothing
 *             expires.
 */
#ifndef OBSM_FS_STATE_H
#define OBSM_FS_STATE_H

#include "checkpoint/ledger.h"
#include "fs/fs.h"

/* After the directory was opened and the service has told its time (fs->server_s). -errno with a
 * sentence if adopt_state cannot be done. Blocks on the disk. */
int state_begin(struct fs *fs, struct err *err);

/* Opens a ledger of the state directory (checkpoint/ledger.h), after giving its records to fn. A
 * damaged one is put aside, said with what is `lost`, and begun anew. 1: it had records; 0; -errno
 * with a sentence. */
int state_ledger_open(struct fs *fs, const char *name, const char *lost, ledger_each_fn *fn,
                      void *arg, struct ledger **ret, struct err *err);

/* Calls `merge` with each file that adopt_state has made of another directory's ledger NAME. It takes
 * into its own ledger what still matters there, syncs that, and removes the file; repeated after a
 * crash in between, it finds some of it there. Returns the first failure. */
typedef int state_merge_fn(struct fs *fs, const char *file, struct err *err);
int state_merge_taken(struct fs *fs, const char *name, state_merge_fn *merge, struct err *err);

/* At the end: the clocks as they stand now. */
void state_end(struct fs *fs);

#endif
