// SPDX-License-Identifier: Apache-2.0
/* stats - what the mount has done so far, as numbers
 *
 * Role        Collects the counters of the client, the engine, the read cache and the core into one
 *             text in the exposition format of Prometheus (version 0.0.4). The control file `stats`
 *             shows it.
 */
#ifndef OBSM_FS_STATS_H
#define OBSM_FS_STATS_H

#include "fs/fs.h"
#include "net/base/buf.h"

/* Appends the text; needs fs->lock. The first failure of `out`, or 0. */
int stats_dump_locked(struct fs *fs, struct buf *out);

#endif
