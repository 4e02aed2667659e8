// SPDX-License-Identifier: Apache-2.0
/* journal_impl - the inside of a journal, shared by journal.c and compact.c only */
#ifndef OBSM_CHECKPOINT_JOURNAL_IMPL_H
#define OBSM_CHECKPOINT_JOURNAL_IMPL_H

#include <limits.h>
#include <stdatomic.h>

#include "checkpoint/journal.h"
#include "net/base/buf.h"
#include "net/base/lock.h"

enum { JOURNAL_COMPACT_MIN = 256 << 10 };

struct journal {
    /* constant after create */
    const struct io *io;
    char *dir;
    uint64_t id;

    _Atomic(unsigned) refs;

    struct lock lock;
    pthread_cond_t cond; /* a sync or a compaction has ended */

    /* below: under lock */
    struct journal_state state;
    int fd; /* used without the lock by the thread that set `syncing` */
    uint64_t salt;
    uint32_t seq;     /* number of the next record */
    uint64_t end;     /* length of the file */
    uint64_t needed;  /* end of the last record that says something */
    uint64_t durable; /* so much of it is synced */
    uint64_t epoch;   /* how often the file was replaced */
    uint64_t settled; /* the last of those that cannot be undone by a power cut */
    bool fresh_name;  /* the directory was not synced since the file was created */
    bool syncing;     /* one thread is in fdatasync, or replaces the file */
    int eno;          /* latched */

    bool compacting;       /* one thread is writing the new file */
    bool hold;             /* it wants to get done: appends wait */
    struct buf since;      /* records appended since its snapshot, salt 0; its eno: start over */
    uint32_t since_seq;    /* number of them */
    uint64_t next_compact; /* length at which it is worth looking again */
};

/* DIR/ID.journal and a suffix. -ENAMETOOLONG. */
int journal_path(const char *dir, uint64_t id, const char *suffix, char out[PATH_MAX]);

/* A random salt. -EIO. */
int journal_salt(uint64_t *ret);

#endif
