// SPDX-License-Identifier: Apache-2.0
/* recovery - what an earlier driver left behind
 *
 * Role        At mount, in the background, one journal after the other: what was sealed goes on
 *             where it stopped, is visible in the mount meanwhile with its staged content, and is
 *             published; what was not closed is kept (fs/kept.h); what is stored already, or empty,
 *             is cleared away. checkpoint/recover.h decides, this module asks the service and
 *             carries out.
 * Trust       Parts count only as ListParts shows them; staging is hashed before it is sent where
 *             the journal knows its MD5.
 * Later       What cannot be decided (no answer, 403, 5xx) is tried again every RECOVERY_RETRY_MS.
 */
#ifndef OBSM_FS_RECOVERY_H
#define OBSM_FS_RECOVERY_H

#include "fs/fs.h"
#include "net/base/err.h"

enum { RECOVERY_RETRY_MS = 30000 };

/* Queues the work; needs the workers. */
void recovery_start(struct fs *fs);

/* The timer: queues what has to be tried again; when that is due, or INT64_MAX. */
int64_t recovery_run_locked(struct fs *fs, int64_t now_ms);

/* Goes on with a kept upload (fs/kept.h), which leaves the list: what stopped it is taken back in
 * its journal; with `seal` a file whose writer never closed it ends where its staging does. The
 * rest happens in the background; fs->reviving counts it. -errno of the disk: it stays kept. */
struct kept;
int recovery_again_locked(struct fs *fs, struct kept *k, bool seal, struct err *err);

/* Frees what waits; the files stay. */
void recovery_done(struct fs *fs);

#endif
