// SPDX-License-Identifier: Apache-2.0
/* adopt - an upload that only the server knows goes on
 *
 * Role        With adopt_uploads, when an upload of a new file was initiated and no journal here
 *             knows another one of its key: the service is asked for its uploads of that key
 *             (ListMultipartUploads), and one of them that nobody works on any more
 *             (recover_may_adopt()) and whose first part is the file's takes the place of ours, which
 *             is aborted. From then on it is as with a kept upload (fs/match.h): each part is hashed
 *             and sent only if it differs.
 * Who         Ours was begun a moment ago: its entry says who we are, what our storage class is, and
 *             the answer's date what time it is for the service.
 * Attributes  Nobody says with which ones it was begun. After Complete the whole set is sent with
 *             `?metadata` and the ACL with `?acl`, before the file counts as stored.
 * Never       with encryption, dialect s3, grants, or `expires`: they cannot be put right afterwards.
 */
#ifndef OBSM_FS_ADOPT_H
#define OBSM_FS_ADOPT_H

#include "fs/staged.h"
#include "fs/transfer.h"

/* True if uploads are being looked for: st->upload.state is INITIATING, and the answer goes on from
 * there. */
bool adopt_start_locked(struct fs *fs, struct staged *st);

/* What PUT ?metadata and PUT ?acl have to say of an adopted upload's object. `final`: all that the
 * object is to have; *meta and *acl are filled. -ENOMEM. */
int adopt_props(const struct obs_props *final, struct obs_props *meta, struct obs_props *acl);

/* Starts what follows the Complete of an adopted upload: true. */
bool adopt_dress_locked(struct fs *fs, struct staged *st, const struct obs_object *object);

/* Its answers; publish_answer.c. */
void adopt_dress_answer(struct fs *fs, struct staged *st, struct transfer *t);

#endif
