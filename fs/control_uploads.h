// SPDX-License-Identifier: Apache-2.0
/* control_uploads - what is being stored, as a list, and the commands about it
 *
 * Role        One view of everything that has local content: staged files (fs/staged.h) and kept
 *             uploads (fs/kept.h). Each has an id, the number of its files in the state directory.
 *
 * States      writing      somebody has it open for writing; full parts go out already
 *             waiting      closed, its turn has not come
 *             uploading    closed, its content is under way
 *             publishing   the request that makes it visible is under way
 *             held         a temporary name that waits for its rename
 *             paused       by the command `pause`; its writer waits
 *             failed       its upload was given up; `retry`, `abort`
 *             interrupted  its writer was killed, or the driver was; `publish`, `abort`
 * Elsewhere   Unfinished work in other state directories of the bucket, as it was at mount, is named
 *             at the end (adopt_state).
 * Locking     Everything under fs->lock.
 */
#ifndef OBSM_FS_CONTROL_UPLOADS_H
#define OBSM_FS_CONTROL_UPLOADS_H

#include "fs/fs.h"
#include "net/base/buf.h"
#include "net/base/err.h"

/* A table for people / one JSON object for programs. */
int uploads_text_locked(struct fs *fs, struct buf *out);
int uploads_json_locked(struct fs *fs, struct buf *out);

/* What is on its way to the bucket, for people: "3 files (12 MiB): '/a', '/b'". */
int uploads_left_locked(struct fs *fs, struct buf *out);

/* What was closed and is not sent before a command says so, for people: "'/a' (paused), '/b' (failed)".
 * 0: there is nothing like that. -EIO: one has failed; -EBUSY: they are all paused; -ENOMEM. */
int uploads_stuck_locked(struct fs *fs, struct buf *out);

/* The JSON object of one staged file; -ENODATA if nothing of it is to be stored. */
struct staged;
int uploads_one_locked(struct fs *fs, const struct staged *st, struct buf *out);

/* -ENOENT: no such id; -EINVAL: it is in no state for that. `publish` and `retry` return as soon
 * as it is under way. */
int uploads_pause_locked(struct fs *fs, uint64_t id, struct err *err);
int uploads_resume_locked(struct fs *fs, uint64_t id, struct err *err);
int uploads_retry_locked(struct fs *fs, uint64_t id, struct err *err);
int uploads_publish_locked(struct fs *fs, uint64_t id, struct err *err);
int uploads_abort_locked(struct fs *fs, uint64_t id, struct err *err);

/* Waits until nothing is left to be stored (drops the lock meanwhile); what is held or gathered
 * goes out at once. -EINTR; -EIO, -EBUSY: what uploads_stuck_locked() then says. */
int uploads_drain_locked(struct fs *fs, struct intr *intr, struct err *err);

#endif
