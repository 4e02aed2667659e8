// SPDX-License-Identifier: Apache-2.0
/* imap - which bytes of a file are present
 *
 * Role        A set of uint64_t offsets, kept as half-open ranges [from, to). Pure.
 * Invariants  1. each range has from < to   2. ascending, and a gap of at least one byte between
 *             two of them   3. `total` is the sum of their lengths.  imap_check() tests them.
 * Cost        Appending at the end and asking near the end: constant, amortised. Everything else:
 *             a binary search, plus moving the ranges behind the place. 16 bytes a range.
 * Locking     the caller's.
 * Ownership   The caller owns the struct; imap_done() frees the ranges. A zeroed struct is the
 *             empty map.
 * Errors      -ENOMEM only; the map is then unchanged. An empty range (from >= to) is no error and
 *             no bytes.
 */
#ifndef OBSM_FS_IMAP_H
#define OBSM_FS_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imap_range {
    uint64_t from, to;
};

struct imap {
    struct imap_range *v;
    size_t n;
    size_t cap;
    uint64_t total;
};

void imap_init(struct imap *map);
void imap_done(struct imap *map);

/* Makes it empty, memory kept. */
void imap_clear(struct imap *map);

/* The bytes of [from, to) are present. -ENOMEM. */
int imap_add(struct imap *map, uint64_t from, uint64_t to);

/* The bytes of [from, to) are absent. -ENOMEM is possible only where a hole is made inside one
 * range. */
int imap_remove(struct imap *map, uint64_t from, uint64_t to);

/* Nothing at or behind `size` is present. Never fails. */
void imap_truncate(struct imap *map, uint64_t size);

/* True if every byte of [from, to) is present; true for an empty range. */
bool imap_covers(const struct imap *map, uint64_t from, uint64_t to);

/* True if any byte of [from, to) is present. */
bool imap_touches(const struct imap *map, uint64_t from, uint64_t to);

/* The first run of absent bytes in [from, to), cut to it. False: there is none. */
bool imap_next_gap(const struct imap *map, uint64_t from, uint64_t to, uint64_t *ret_from,
                   uint64_t *ret_to);

/* The first run of present bytes in [from, to), cut to it. False: there is none. */
bool imap_next_present(const struct imap *map, uint64_t from, uint64_t to, uint64_t *ret_from,
                       uint64_t *ret_to);

/* How many bytes are present: of all, and in [from, to). */
uint64_t imap_total(const struct imap *map);
uint64_t imap_total_in(const struct imap *map, uint64_t from, uint64_t to);

/* One past the last present byte, 0 if none is. */
uint64_t imap_end(const struct imap *map);

/* The ranges in order, for iterating and for writing them down; valid until the next change. */
const struct imap_range *imap_ranges(const struct imap *map, size_t *ret_n);

/* Replaces the content by ranges that came from a disk. -EINVAL: one is empty, or they are not
 * ascending and disjoint (touching is allowed); -ENOMEM. The map is then unchanged. */
int imap_set_ranges(struct imap *map, const struct imap_range *ranges, size_t n);

/* True if the invariants hold. */
bool imap_check(const struct imap *map);

#endif
