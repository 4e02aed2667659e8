// SPDX-License-Identifier: Apache-2.0
/* journal_disk - a disk in memory that loses power
 *
 * Role        An io (checkpoint/io.h) whose files live in memory twice: as a process sees them, and
 *             as they are on the medium. Writes and truncations wait in a list per file until a
 *             datasync; creations, renames and removals until a sync_dir.
 * Power cut   disk_cut() decides about everything that waits: each write, in pieces of 512 bytes,
 *             is kept, dropped or garbled; of the waiting directory changes a first part is kept
 *             (they are applied in order). What results is what a process sees afterwards.
 * Trigger     With `cut_at` = k the k-th sync (from 1, of either kind) and everything after it
 *             fails with -EIO: the caller then cuts.
 */
#ifndef OBSM_TESTS_CRASH_JOURNAL_DISK_H
#define OBSM_TESTS_CRASH_JOURNAL_DISK_H

#include <stdbool.h>

#include "checkpoint/io.h"

enum disk_fate { FATE_DROP, FATE_KEEP, FATE_GARBLE, FATE_RANDOM };

struct disk;

struct disk *disk_new(unsigned seed);
void disk_free(struct disk *d);
const struct io *disk_io(struct disk *d);

/* 0: never. Counting starts here. */
void disk_cut_at(struct disk *d, unsigned k);
bool disk_is_off(const struct disk *d);
unsigned disk_syncs(const struct disk *d);

/* Power goes and comes back: open descriptors are void. */
void disk_cut(struct disk *d, enum disk_fate fate);

/* Direct access to what a process sees: NULL if there is no such file. */
unsigned char *disk_bytes(struct disk *d, const char *path, size_t *ret_n);

/* From now on writes fail with -ENOSPC once so many bytes were written. SIZE_MAX: never. */
void disk_fill_after(struct disk *d, size_t bytes);

#endif
