// SPDX-License-Identifier: Apache-2.0
/* moves_impl - the inside of moves, shared by moves.c and moves_settle.c only */
#ifndef OBSM_FS_MOVES_IMPL_H
#define OBSM_FS_MOVES_IMPL_H

#include <uthash.h>

#include "checkpoint/ledger.h"
#include "fs/moves.h"
#include "fs/worker.h"

/* A ledger in which nothing matters begins anew at this length; one with live records when it has
 * grown to the second. */
enum { MOVES_RESTART_BYTES = 64 << 10, MOVES_REWRITE_BYTES = 4 << 20 };

/* An object whose copy has an ETag of its own. */
struct moved {
    UT_hash_handle hh; /* by key */
    char *key;         /* the old one */
    char *etag;
    char *copy_etag;
};

struct move {
    struct move *prev, *next;
    uint64_t id;
    char *from, *to;
    bool file; /* of one object: the keys have no slash at their end */
    bool replaces;
    int64_t server_s;
    uint8_t *attrs;
    uint32_t n_attrs;
    struct moved *copied;
    bool deleting;
    bool active;    /* an operation, or the job, works on it */
    unsigned round; /* in which the job tried it */
};

struct moves {
    struct job job;
    struct ledger *ledger;
    struct move *list;
    uint64_t next_id;
    struct waitlist ended; /* wait until a move is not worked on any more */
    bool queued;
    unsigned round;
    int64_t retry_ms;
};

/* One whose names are those of a rename of `from` to `to`, or above or below them; or NULL. */
struct move *moves_overlapping(struct moves *ms, const char *from, const char *to);

/* The ETag that the copy of that object has. */
const char *moves_copy_etag(const void *mv, const char *old_key, const char *etag);

#endif
