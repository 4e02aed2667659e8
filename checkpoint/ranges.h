// SPDX-License-Identifier: Apache-2.0
/* ranges - a set of byte positions, as sorted ranges
 *
 * Role        Which bytes of a file are staged, punched, missing.
 * Invariants  v[i].off < v[i].end, and v[i].end < v[i+1].off: sorted, no two touch.
 * Bounds      At most RANGES_MAX ranges: beyond that -E2BIG, the set unchanged.
 * Ownership   Embedded; ranges_done() frees. A zeroed struct is the empty set.
 */
#ifndef OBSM_CHECKPOINT_RANGES_H
#define OBSM_CHECKPOINT_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGES_MAX = 1 << 20 };

/* [off, end) */
struct range {
    uint64_t off;
    uint64_t end;
};

struct ranges {
    struct range *v;
    size_t n;
    size_t cap;
};

void ranges_done(struct ranges *r);

/* Adds or takes out [off, end); nothing happens if off >= end. -ENOMEM, -E2BIG. */
int ranges_add(struct ranges *r, uint64_t off, uint64_t end);
int ranges_sub(struct ranges *r, uint64_t off, uint64_t end);

/* True if every byte of [off, end) is in the set (an empty range is). */
bool ranges_covers(const struct ranges *r, uint64_t off, uint64_t end);

/* True if at least one byte of [off, end) is in the set. */
bool ranges_touches(const struct ranges *r, uint64_t off, uint64_t end);

/* Number of bytes in the set within [off, end). */
uint64_t ranges_bytes(const struct ranges *r, uint64_t off, uint64_t end);

/* The first part of [off, end) that is not in the set. False if there is none. */
bool ranges_gap(const struct ranges *r, uint64_t off, uint64_t end, struct range *ret_gap);

/* Replaces *to by a copy of *from. -ENOMEM. */
int ranges_copy(struct ranges *to, const struct ranges *from);

#endif
