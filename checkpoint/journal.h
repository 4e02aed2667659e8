// SPDX-License-Identifier: Apache-2.0
/* journal - the file that remembers one unfinished upload
 *
 * Role        Appends records, makes them durable, keeps the state that they add up to, and reads
 *             a journal back after a crash. The bytes are record.h's, their meaning state.h's.
 *
 * On disk     DIR/ID.journal (0600). While it is rewritten: DIR/ID.journal.new, which counts only
 *             once it has been renamed, and is removed by store_open().
 *
 * Order       Records are in one file, so that a record that is durable makes all before it
 *             durable. What a record announces (parts, Complete, a punch, an answer to close)
 *             must wait for journal_sync() where record_wants_sync() says so: journal_write() does
 *             both. At durability=store that is two syncs for each upload in parts (before its
 *             first part is sent, and before Complete) and none for a single PUT. Who holds a lock
 *             appends, and syncs when it was dropped. Staging is synced by its owner before
 *             SEALED{synced} is written.
 *             The name of a new journal becomes durable with its first sync.
 *
 * Compaction  When the file is much longer than its state, journal_compact() writes the state to
 *             a new file, syncs it, appends what came in the meantime, renames it over the old
 *             one and syncs the directory. Appends go on meanwhile and are never lost: after a
 *             crash either file gives a state that has everything that was synced.
 *
 * Locking     One lock per journal ("journal" in the order of fs/fs.h). It is not held during a
 *             sync. Appends from any thread; concurrent syncs share one fdatasync.
 *
 * Errors      A failed fdatasync cannot be repeated meaningfully (the kernel may have dropped the
 *             pages): it latches, and every later append and sync returns it. A failed write
 *             (-ENOSPC) is undone and may be tried again.
 */
#ifndef OBSM_CHECKPOINT_JOURNAL_H
#define OBSM_CHECKPOINT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "checkpoint/io.h"
#include "checkpoint/record.h"
#include "checkpoint/state.h"
#include "net/base/err.h"

/* Longest journal that is read. A compacted one with 10,000 parts has about 2 MiB. */
enum { JOURNAL_SIZE_MAX = 64 << 20, JOURNAL_NAME_MAX = 32 };

struct journal;

/* What reading a journal found. */
struct journal_report {
    uint64_t bytes;     /* that count */
    uint64_t lost;      /* at the end that do not */
    uint32_t n_records; /* that count */
    bool damaged;       /* bytes that had been synced are wrong: the state is of an earlier time */
    bool unsupported;   /* written by a newer version */
};

/* Creates DIR/ID.journal with `open_rec` as first record. Nothing is synced. -EEXIST if it is
 * there. */
int journal_create(const struct io *io, const char *dir, uint64_t id, const struct record *open_rec,
                   struct journal **ret, struct err *e);

/* Reads DIR/ID.journal and makes it ready for more. A torn tail is cut off and the cut synced.
 * -EBADMSG damaged, -EPROTONOSUPPORT newer, -ENODATA no record counts; *ret_report (NULL allowed)
 * is filled then too. Blocks on the disk. */
int journal_open(const struct io *io, const char *dir, uint64_t id, struct journal **ret,
                 struct journal_report *ret_report, struct err *e);

/* Reads DIR/ID.journal into *ret (which the caller gives to state_done() in any case) and changes
 * nothing on disk. Returns 0 also for a damaged journal: the state then has what stands before
 * the damage. -ENOENT, -ENODATA as above. */
int journal_read(const struct io *io, const char *dir, uint64_t id, struct journal_state *ret,
                 struct journal_report *ret_report, struct err *e);

/* Folds the bytes of a journal into *ret: what journal_read() does after reading. Pure. */
int journal_replay(const uint8_t *p, size_t n, struct journal_state *ret,
                   struct journal_report *ret_report);

/* Another owner, such as a thread that syncs: each gives its own back with journal_close(). NULL
 * allowed. */
struct journal *journal_ref(struct journal *j);

/* Closes without a sync when the last owner does. NULL allowed. */
void journal_close(struct journal *j);

/* Appends n records in one write: all of them or none count in the running state, and after a
 * crash a later one only with those before it. Does not wait for the disk. -EINVAL, -EPROTO,
 * -E2BIG: nothing was written. */
int journal_append(struct journal *j, const struct record *recs, size_t n);

/* Returns when everything appended before the call is durable. Blocks on the disk. */
int journal_sync(struct journal *j);

/* journal_append(), then journal_sync() if one of the records wants it. */
int journal_write(struct journal *j, const struct record *recs, size_t n);

/* Worth compacting now. */
bool journal_wants_compact(struct journal *j);

/* Rewrites the file. Blocks on the disk; one at a time (-EBUSY). On failure the old file stays in
 * use and is whole. */
int journal_compact(struct journal *j);

/* A copy of the state; the caller gives it to state_done(). -ENOMEM. */
int journal_state(struct journal *j, struct journal_state *ret);

uint64_t journal_id(const struct journal *j);
uint64_t journal_bytes(struct journal *j);

#endif
