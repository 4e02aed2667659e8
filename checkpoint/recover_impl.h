// SPDX-License-Identifier: Apache-2.0
/* recover_impl - the inside of recovery, shared by recover*.c only */
#ifndef OBSM_CHECKPOINT_RECOVER_IMPL_H
#define OBSM_CHECKPOINT_RECOVER_IMPL_H

#include "checkpoint/recover.h"

/* Fills parts and action (RESUME, COMPLETE, WAIT for a re-hash, KEEP for lack of data) from the
 * upload that ListParts showed. -EAGAIN: its boundaries cannot be continued, start over; -ENOMEM.
 */
int recover_resume_parts(const struct recover_facts *f, struct recover_plan *plan);

/* The same for a new upload of everything: RESUME with `restart`, WAIT, KEEP. */
int recover_restart_parts(const struct recover_facts *f, struct recover_plan *plan);

/* The listed part that has this number, size and ETag, or NULL. */
const struct recover_listed_part *recover_listed(const struct recover_listparts *list,
                                                 uint32_t part_no, uint64_t size, const char *etag);

#endif
