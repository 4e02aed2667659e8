// SPDX-License-Identifier: Apache-2.0
/* window - which bytes of a file to ask for before they are read
 *
 * Role        Looks at the offsets of the reads of one handle and decides how much to fetch:
 *             exactly what was asked while the reads are random, ever larger pieces ever further
 *             ahead while they go in order. Pure: no lock, no clock, no I/O; the caller knows what
 *             is cached already and does the requests.
 *
 * Runs        A handle may be read in order at several places at once, and the kernel sends the
 *             reads of one reader in parallel, so that they arrive a little out of order. So the
 *             last few runs are kept. A read that touches the end of a run lengthens it, a read
 *             that touches the start of a young one as well; a run that is proven may also be
 *             missed by as much as it is long, at most WINDOW_SLACK. Two runs that meet become one.
 *
 * Proof       A run counts as "in order" from its third read, or from the first one if the handle's
 *             first reads begin at offset 0. Random reads that touch each other by chance hence
 *             cost nothing.
 *
 * Gaps        What a program has just written stays in the kernel's pages, except for the pages
 *             that two of its writes met in (tar's of 10 KiB: every fifth). Who reads such a file
 *             in order asks for these pages only. So reads that go on behind each other with gaps
 *             of at most WINDOW_GAP, WINDOW_GAP_READS of them, are a proven run as well. One that
 *             is a little behind takes one of them back, so that random reads of a small file
 *             rarely come so far.
 *
 * Growth      Only a reader that had to wait gets a larger window: twice the length of the run,
 *             sixteen times from 512 KiB on, at most `share`. The window is requested in pieces of
 *             which `parallel` fill it, within chunk_min to chunk_max: a short run has many small
 *             requests under way, a long one many large ones, which get smaller again towards the
 *             end of the file.
 *
 * Invariants  start <= end; all results lie within the file; what window_next() returns begins at
 *             or after the end of the run and ends at most `window` after it.
 */
#ifndef OBSM_FS_WINDOW_H
#define OBSM_FS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WINDOW_RUNS = 4,
    WINDOW_SLACK = 2 << 20, /* bytes by which a read may miss the end of a proven run */
    WINDOW_YOUNG = 4 << 20, /* longer runs are not merged into others */
    WINDOW_GAP = 128 << 10, /* bytes of cached pages between two reads of a run with gaps */
    WINDOW_GAP_READS = 4,   /* reads of such a run that prove it */
};

struct window_limits {
    uint64_t size;  /* of the file */
    uint64_t share; /* bytes that may be ahead of a run */
    uint64_t first; /* first request of a file that is read from its start */
    uint64_t chunk_min, chunk_max;
    unsigned parallel; /* at least 1 */
};

struct window_run {
    uint64_t start, end; /* what was read */
    uint64_t ahead;      /* requested up to here */
    uint64_t window;     /* bytes to have ahead of `end` */
    uint64_t used;       /* tick of the last read; 0: the slot is free */
    unsigned reads;
};

/* Reads that may be a run with gaps. */
struct window_gaps {
    uint64_t start, end;
    unsigned reads;
};

struct window {
    struct window_run run[WINDOW_RUNS];
    struct window_gaps gaps;
    struct window_run *current; /* of the last read noted; NULL before the first */
    uint64_t tick;              /* reads noted */
};

void window_init(struct window *w);

/* A read of n bytes (at least 1) arrives. */
void window_note(struct window *w, uint64_t off, uint64_t n);

/* The read just noted finds bytes missing: the window may grow. */
void window_starved(struct window *w, const struct window_limits *limits);

/* The read just noted misses [off, off + n), up to its own end. How many bytes from `off` to
 * request: n or more, not beyond the file. */
uint64_t window_demand(const struct window *w, const struct window_limits *limits, uint64_t off,
                       uint64_t n);

/* The next piece to request ahead of the current run. False: enough for now. */
bool window_next(const struct window *w, const struct window_limits *limits, uint64_t *ret_off,
                 uint64_t *ret_n);

/* Everything of the current run up to `off` has been requested or is cached. */
void window_reached(struct window *w, uint64_t off);

#endif
