// SPDX-License-Identifier: Apache-2.0
/* revive - an unfinished file of an earlier driver, back in the mount
 *
 * Role        Makes the inode and the staged file that the journal describes, with the parts that
 *             the service has, and publishes it. From then on it is like a file that was just
 *             closed.
 * Conflict    If something was written under that name since the mount, the newer content stands,
 *             and the older one is dropped.
 */
#ifndef OBSM_FS_REVIVE_H
#define OBSM_FS_REVIVE_H

#include "checkpoint/recover.h"
#include "fs/fs.h"

/* Takes the journal and staging file `id` over. 0; -EAGAIN: try again later; else -errno, files
 * left. */
int revive_file(struct fs *fs, uint64_t id, const struct journal_state *s,
                const struct recover_plan *plan);

#endif
