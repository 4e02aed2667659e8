// SPDX-License-Identifier: Apache-2.0
/* seal - staged content on the local disk, and the word given that it is safe
 *
 * Role        durability=stage: close and fsync wait until the staging file and its journal are on
 *             the disk; then the file is published in the background. O_SYNC: the same for fsync
 *             without that word.
 * Digests     What the service does not have yet is hashed, part by part, before the word is given,
 *             and the MD5s go into the journal (PLANNED): a bit that flips in staging until it is
 *             sent, also over a crash, is found out, and nothing wrong is completed. One pass over
 *             bytes that were just written, while the disk already takes them; what is not wholly
 *             in staging (a part of a changed object) has no digest.
 * Changes     A part that is written again loses its digest first, in the journal too
 *             (seal_broken_locked). If somebody writes while a file is being sealed it is hashed
 *             and synced again, a few times; then without the parts that change.
 * Locking     The work is a worker's job and drops fs->lock while it hashes and syncs. It has a
 *             reference to the journal of its own: when the file is published meanwhile, new
 *             content begins a new one.
 */
#ifndef OBSM_FS_SEAL_H
#define OBSM_FS_SEAL_H

#include "fs/staged.h"

enum seal_kind {
    SEAL_NOT,  /* sync only */
    SEAL_NOW,  /* the word is given, and the file is published */
    SEAL_HELD, /* .. when it has been renamed */
};

/* Starts it. -EINPROGRESS: `w` gets the result; -ENOMEM. */
int seal_start_locked(struct fs *fs, struct staged *st, enum seal_kind kind, struct waiter *w);

/* Bytes of [off, end) are about to change: digests of the parts there do not hold any more. Before
 * st->size changes. */
void seal_broken_locked(struct fs *fs, struct staged *st, uint64_t off, uint64_t end);

/* The journal begins a new upload: what is known of the parts is written into it again. */
void seal_note_again_locked(struct fs *fs, struct staged *st);

#endif
