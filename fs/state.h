// SPDX-License-Identifier: Apache-2.0
/* state - what a mount looks after in its state directory when it begins
 *
 * Role        Other state directories of the same bucket with unfinished work (the endpoint or the
 *             prefix was written differently then) are named in the log, or taken over with
 *             adopt_state. Compares the clocks with those of the last mount: after a jump nothing
 *             expires.
 */
#ifndef OBSM_FS_STATE_H
#define OBSM_FS_STATE_H

#include "fs/fs.h"

/* After the directory was opened and the service has told its time (fs->server_s). -errno with a
 * sentence if adopt_state cannot be done. Blocks on the disk. */
int state_begin(struct fs *fs, struct err *err);

/* At the end: the clocks as they stand now. */
void state_end(struct fs *fs);

#endif
