// SPDX-License-Identifier: Apache-2.0
/* clonemap - which bytes of a file are those of another object
 *
 * Role        Ranges of a staged file that copy_file_range(2) took from stored objects, and where
 *             there they stand. Nothing of them was fetched: the server copies them when the file
 *             is published, and who reads them before gets them from there. Pure, but for the
 *             references to versions.
 * Invariants  1. each range has from < to   2. ascending, not overlapping   3. neighbours that go
 *             on in the same version are one.
 * Ownership   Each range holds a reference of its version (fs/fetch.h); clonemap_done() gives them
 *             back. A zeroed struct is the empty map.
 * Locking     the caller's.
 */
#ifndef OBSM_FS_CLONEMAP_H
#define OBSM_FS_CLONEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_file;

/* No more ranges than this in a file. */
enum { CLONEMAP_MAX = 4096 };

struct clone {
    uint64_t from, to;
    uint64_t source; /* where `from` stands in the source */
    struct fetch_file *file;
    int lost; /* not 0: it cannot be fetched, -errno */
};

struct clonemap {
    struct clone *v;
    size_t n, cap;
};

void clonemap_done(struct clonemap *map);

/* [from, to) is that of `file` at `source`, whatever it was before. -ENOMEM, -EFBIG (too many
 * ranges): the map is then unchanged. */
int clonemap_add(struct clonemap *map, uint64_t from, uint64_t to, struct fetch_file *file,
                 uint64_t source);

/* [from, to) is of no object any more. -ENOMEM, -EFBIG only where a hole is made inside one range.
 */
int clonemap_remove(struct clonemap *map, uint64_t from, uint64_t to);

/* The first range that has bytes in [from, to), or NULL. */
struct clone *clonemap_next(const struct clonemap *map, uint64_t from, uint64_t to);

/* The first range of that version, or NULL. */
struct clone *clonemap_of(const struct clonemap *map, const struct fetch_file *file);

#endif
