// SPDX-License-Identifier: Apache-2.0
/* ledger - a file of records about what a mount has begun and not finished, beside the uploads
 *
 * Role        Uploads have a journal each (journal.h). What is small and short-lived (an attribute
 *             change that is about to be sent, the rename of a directory) stands in one file for
 *             all: records are appended, and when none of them matters any more, or the file has
 *             grown, it is replaced by one with those that do. What they mean is the caller's.
 * On disk     DIR/NAME (0600), in the format of record.h. A replacement is DIR/NAME.new until it is
 *             renamed.
 * Crash       Every record whose append returned is read again after the death of the process; what
 *             was appended before ledger_sync() was called also after a power cut. A torn tail is
 *             cut off. A replacement becomes durable with the next sync; until then a power cut may
 *             bring the file before it back.
 * Locking     One lock inside ("journal" in the order of fs/fs.h), not held during a sync. Any
 *             thread; ledger_replace() not beside ledger_append() of records that it should have.
 * Errors      A failed append is undone and may be tried again. A failed sync latches: every later
 *             append and sync returns it.
 */
#ifndef OBSM_CHECKPOINT_LEDGER_H
#define OBSM_CHECKPOINT_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint/io.h"
#include "checkpoint/record.h"
#include "net/base/err.h"

/* Longest file that is read. */
enum { LEDGER_SIZE_MAX = 64 << 20 };

struct ledger;

/* Takes one record of the file, whose strings are valid during the call. -errno ends the reading.
 */
typedef int ledger_each_fn(void *arg, const struct record *r);

/* What reading found. */
struct ledger_report {
    uint32_t n_records;
    uint64_t lost; /* bytes at the end that do not count */
};

/* Gives the records in the bytes of a file to fn. Pure. -EBADMSG: the header is no header;
 * -EPROTONOSUPPORT: written by a newer version; or what fn returned. ret_pos: of the next record;
 * ret_end: where it goes (both NULL allowed). */
int ledger_replay(const uint8_t *p, size_t n, ledger_each_fn *fn, void *arg,
                  struct ledger_report *ret_report, struct record_pos *ret_pos, size_t *ret_end);

/* Opens or creates DIR/NAME, after giving its records to fn. -EBADMSG, -EPROTONOSUPPORT: the file is
 * left as it is. Blocks on the disk. */
int ledger_open(const struct io *io, const char *dir, const char *name, ledger_each_fn *fn,
                void *arg, struct ledger_report *ret_report, struct ledger **ret, struct err *e);

/* Closes without a sync; `remove`: nothing in it matters, the file goes. NULL allowed. */
void ledger_close(struct ledger *l, bool remove);

/* Appends n records in one write. */
int ledger_append(struct ledger *l, const struct record *recs, size_t n);

/* Returns when what was appended before is on the disk. */
int ledger_sync(struct ledger *l);

/* Replaces the file by one with these records only. Not synced. On failure the old one stays. */
int ledger_replace(struct ledger *l, const struct record *recs, size_t n);

/* Length of the file. */
uint64_t ledger_bytes(struct ledger *l);

#endif
