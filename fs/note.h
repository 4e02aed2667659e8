// SPDX-License-Identifier: Apache-2.0
/* note - what happens to a staged file, written into its journal
 *
 * Role        Connects staged files (fs/staged.h) to the journal (checkpoint/journal.h): every
 *             event that a recovery has to know becomes a record, and the two files of an upload
 *             (ID.journal, ID.data) come and go with it.
 * Life        staged_get makes ID.data. The first change of the content makes ID.journal. When the
 *             content is stored, the journal goes; the staging file stays as long as somebody
 *             writes, and gets a journal (and an id) again with the next change.
 * Kept        A file that was interrupted or given up is closed without a trace in memory: its two
 *             files stay, and fs/kept.h knows of them.
 * Failures    A record that cannot be written (disk full) does not stop the upload: it is logged
 *             once, and the file cannot be resumed after a crash. Only the first record of a change
 *             is demanded: without it the write fails.
 * Cost        One write(2) a record, under fs->lock; nothing is synced here. At durability=store a
 *             file of one part costs no sync at all, since what was promised is in the bucket; an
 *             upload in parts costs two: before its first part and before Complete
 *             (fs/transfer.h). checkpoint=off: no journal; the staging file has no name.
 */
#ifndef OBSM_FS_NOTE_H
#define OBSM_FS_NOTE_H

#include "checkpoint/record.h"
#include "fs/staged.h"

/* Opens a staging file for st: st->fd, st->id. -errno of the disk. */
int note_staging(struct fs *fs, struct staged *st);

/* The content is about to change: makes sure that a journal exists and says so. -errno. */
int note_change_locked(struct fs *fs, struct staged *st);

void note_key_locked(struct fs *fs, struct staged *st);
void note_initiating_locked(struct fs *fs, struct staged *st, const char *key);
/* Nothing is left of an Initiate of that key whose end was unclear. */
void note_looked_through_locked(struct fs *fs, struct staged *st, const char *key);
struct obs_props;
void note_initiated_locked(struct fs *fs, struct staged *st, int64_t server_s,
                           const struct obs_props *sent);
void note_part_locked(struct fs *fs, struct staged *st, size_t idx);
void note_rewritten_locked(struct fs *fs, struct staged *st, size_t idx);
/* The digest of a part that is not sent yet, and that its bytes are about to change (fs/seal.h). */
void note_planned_locked(struct fs *fs, struct staged *st, size_t idx);
void note_broken_locked(struct fs *fs, struct staged *st, size_t idx);
void note_stale_locked(struct fs *fs, struct staged *st);

/* Ranges of it are about to be those of another object: until it is stored, a recovery cannot put
 * it together. -errno. */
int note_cloned_locked(struct fs *fs, struct staged *st);

/* The writer is done with this state; `held`: it waits for its rename; `synced`: the bytes are on
 * the disk. */
void note_sealed_locked(struct fs *fs, struct staged *st, enum seal_reason reason, bool held,
                        bool synced);

/* The attributes of a sealed file were changed before it was stored. */
void note_attrs_locked(struct fs *fs, struct staged *st);

/* Written again before it was stored. */
void note_reopened_locked(struct fs *fs, struct staged *st);

/* The staging of [off, off+n) is about to be released. Without the lock; returns when the journal
 * is on the disk. -errno. */
int note_punched(struct staged *st, uint64_t off, uint64_t n);

/* PUT or Complete is about to be sent. */
void note_completing_locked(struct fs *fs, struct staged *st, const char *key, const char *etag);

/* Stored: the journal goes. */
void note_done_locked(struct fs *fs, struct staged *st);

void note_interrupted_locked(struct fs *fs, struct staged *st, enum interrupt_cause cause,
                             unsigned signal);
/* A record without fields: PAUSED, RESUMED. */
void note_mark_locked(struct fs *fs, struct staged *st, enum record_type type);
void note_failed_locked(struct fs *fs, struct staged *st, const struct err *err);
/* Somebody else's object (NULL: a removal) is what everybody sees: it is not written over without a
 * command. */
void note_conflict_locked(struct fs *fs, struct staged *st, const struct obs_object *theirs);

/* The journal could not be written or synced: said once. */
void note_failure_locked(struct fs *fs, struct staged *st, const char *what, int rc);

/* Nobody wants it any more: a recovery must not bring it back. */
void note_abandoned_locked(struct fs *fs, struct staged *st, const char *reason);

/* The staged file goes: closes what is open and removes both files, unless they are kept. */
void note_close_locked(struct fs *fs, struct staged *st);

/* Properties <-> the attribute set of a record. */
int note_encode_props(const struct obs_props *props, struct buf *out);
int note_decode_props(const void *p, size_t n, struct obs_props *ret);

/* What the file's upload was begun with, else what the file has. -errno of a record. */
struct journal_state;
int note_begun_props(const struct journal_state *s, struct obs_props *ret);

#endif
