// SPDX-License-Identifier: Apache-2.0
/* publish_impl - what the five files of publish.h share
 *
 * Role        publish.c chooses and starts requests, publish_answer.c takes their answers,
 *             publish_check.c finds out whether a completed upload is what everybody sees,
 *             publish_end.c ends a publication in success or failure;
 *             publish_copy.c stores a file that is the whole of another object.
 */
#ifndef OBSM_FS_PUBLISH_IMPL_H
#define OBSM_FS_PUBLISH_IMPL_H

#include "fs/publish.h"
#include "fs/transfer.h"

enum { PUBLISH_RESTARTS_MAX = 2 };

/* The publication ends without success; the content stays staged. `st` may be dead afterwards. */
void publish_failed(struct fs *fs, struct staged *st, const struct err *err);
void publish_failed_errno(struct fs *fs, struct staged *st, int eno, const char *why);

/* The object with the content of publish_gen is in the bucket, as the answer to `call` says; its
 * attributes are those of meta_gen. */
void publish_succeeded(struct fs *fs, struct staged *st, const struct obs_call *call,
                       const char *etag, unsigned meta_gen, bool encrypted);

/* The properties that go along with new content; which encryption it has is decided here. */
int publish_content_props(struct fs *fs, struct staged *st, const char *key, struct obs_props *out);

/* True: the content is that of one whole object, and the server has been asked to copy that. */
bool publish_copy_step(struct fs *fs, struct staged *st);
void publish_copy_answer(struct fs *fs, struct staged *st, struct transfer *t);
void publish_copy_check_answer(struct fs *fs, struct staged *st, struct transfer *t);

/* Looks at what stands under the key before Complete: where the parts on the server are the only
 * copy of the data, they are not spent on an upload that cannot win. */
void publish_look(struct fs *fs, struct staged *st);

/* Answers, see publish_answer.c. */
void publish_look_answer(struct fs *fs, struct staged *st, struct transfer *t);
void publish_complete_answer(struct fs *fs, struct staged *st, struct transfer *t);
void publish_check_answer(struct fs *fs, struct staged *st, struct transfer *t);

/* The upload cannot be completed under this key, or has vanished: everything is sent again. */
void publish_restart(struct fs *fs, struct staged *st, bool abort);

#endif
