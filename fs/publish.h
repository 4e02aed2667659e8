// SPDX-License-Identifier: Apache-2.0
/* publish - from a staged file to an object
 *
 * Role        Decides the next request of every staged file, sends it, and takes the answer. One
 *             part: a single PUT. More: a multipart upload, whose parts go out while the
 *             application writes; ranges that did not change are copied by the server.
 * Steps       publish_step_locked() looks at the staged file and starts what can be started; every
 *             answer and every change calls it again. Nothing in here waits.
 * Checks      A part counts only if the ETag is the MD5 of the bytes sent (net/obs.h does that) and
 *             its generation is still the same. The composite ETag of Complete is compared with
 *             ours. After Complete, whatever its answer, a HEAD (x-obs-uploadId; with S3 a
 *             number of ours in the metadata, or the ETag) tells whether ours is what everybody sees: of two writers the one wins whose
 *             upload was initiated later (OBS API: completing a multipart upload), and our answer
 *             is a success nevertheless. Who may not HEAD is answered by a listing; who may not
 *             list either believes a Complete whose answer had the composite ETag, or any of an
 *             encrypted object.
 * Conflict    Another object, or none: as on_conflict says. Without a command the other one is
 *             never written over, not even by what durability=stage has promised: that is kept.
 *             If staging was punched, the key is looked at before Complete too.
 * Failure     The publication ends, waiters get the errno, the handles that are open have it
 *             latched, the content stays staged; the next close or fsync tries again.
 * Keys        An upload is bound to the key it was initiated under. If the file has another name by
 *             the time it is completed, it is aborted and the parts are sent again from staging.
 * Attributes  What was set before Initiate (or PUT) goes along; what came later is one SET_META
 *             after Complete (S3 dialect: one copy onto itself).
 */
#ifndef OBSM_FS_PUBLISH_H
#define OBSM_FS_PUBLISH_H

#include "fs/staged.h"

/* Publishes the present content of the inode. Returns 0 if nothing has to be stored; -EINPROGRESS
 * when `w` was queued (it gets the result); or an errno that made it impossible. */
int publish_locked(struct fs *fs, struct inode *inode, struct waiter *w);

/* Sends all parts of a held file but does not publish: `w` is finished when they are stored.
 * Returns as above. If it is being sent or published already, `w` waits for the end of that. */
int publish_hold_locked(struct fs *fs, struct inode *inode, struct waiter *w);

/* The file takes the place of `target`. If that was stored after the file's upload was initiated,
 * the upload is of no use: among several writers the last to begin wins, whoever completes last
 * (OBS API: completing a multipart upload). */
void publish_replaces_locked(struct staged *st, const struct inode *target);

/* Looks for the next thing to do. Called after every change. */
void publish_step_locked(struct fs *fs, struct staged *st);

/* Its upload was opened under a guessed key and is to go on under the file's own: everything is
 * sent again, now or when the requests under way have ended. */
void publish_rekey_locked(struct fs *fs, struct staged *st);

/* A part is full and the writer has moved on: send it when there is room. */
void publish_part_ready_locked(struct fs *fs, struct staged *st);

/* Starts bulk transfers while there is room. */
void publish_pump_locked(struct fs *fs);

/* Tries files again that were promised to be stored; when the next one is due, or INT64_MAX. */
int64_t publish_run_locked(struct fs *fs, int64_t now_ms);

/* The last publication failed and nobody writes any more. */
void publish_give_up_locked(struct fs *fs, struct inode *inode);

/* The attributes that came after the content have been sent (or refused). */
void publish_attributes_sent_locked(struct fs *fs, struct inode *inode);

/* Takes the success of a part, also of a file that is kept. */
void publish_part_stored_locked(struct fs *fs, struct staged *st, const struct transfer *t);

/* After a rename: what could not go on meanwhile goes on. */
void publish_resume_locked(struct fs *fs);

/* True while anything is to be stored without anybody having to ask for it. */
bool publish_busy_locked(const struct fs *fs);

#endif
