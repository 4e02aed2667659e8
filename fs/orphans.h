// SPDX-License-Identifier: Apache-2.0
/* orphans - uploads that an Initiate has left behind without anybody knowing their id
 *
 * Role        An Initiate whose answer was lost, or that was sent more than once, may have opened
 *             an upload that no part ever comes to, and the service keeps it for ever. When it is
 *             clear what became of the request (in the running mount) or that there was one (in
 *             recovery: INITIATING without INITIATED), the uploads of that key are listed.
 * Rule        Aborted is only an upload of exactly that key, initiated in the window of the request,
 *             without a part, that is in no journal and no inode of this mount
 *             (recover_unknown_upload()). Nothing else that is not in the journal is ever touched.
 *             While an Initiate of the same key is under way it waits.
 * Failures    Listing is tried again every ORPHANS_RETRY_MS as long as the mount runs; the journal
 *             keeps the window (RECORD_INITIATING) until it was looked through (RECORD_ABORTED).
 */
#ifndef OBSM_FS_ORPHANS_H
#define OBSM_FS_ORPHANS_H

#include "checkpoint/state.h"
#include "fs/fs.h"

enum { ORPHANS_RETRY_MS = 30000, ORPHANS_MAX = 64 };

/* Somebody's Initiate of `key`, sent at `since_s` (server time, 0: unknown, then nothing is done),
 * has an unclear end. `id`: the journal that has its window. In the background. */
void orphans_add_locked(struct fs *fs, uint64_t id, const char *key, int64_t since_s);

/* Looks through all windows of a journal, waiting for the service. 0: done, and noted unless the
 * journal has gone; -errno: they stay. Without the lock. */
int orphans_recover(struct fs *fs, uint64_t id, const struct journal_state *s);

/* The timer: starts what is due; when the next one is, or INT64_MAX. */
int64_t orphans_run_locked(struct fs *fs, int64_t now_ms);

/* Something that was just added is still being looked for. */
bool orphans_busy_locked(const struct fs *fs);

/* Frees what waits. */
void orphans_done(struct fs *fs);

#endif
