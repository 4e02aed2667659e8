// SPDX-License-Identifier: Apache-2.0
/* fetch_int - what the files of the read cache share; nobody else includes this
 *
 * Files       fetch.c          cache, files, streams
 *             fetch_read.c     reads: plan, wait, answer, cancel
 *             fetch_segment.c  segments: index, room, eviction
 *             fetch_get.c      GETs: send, fill, end; reading ahead
 *             fetch_pool.c     buffers
 * Segment     state     | GET under way | in the index   | freed by
 *             NEW       | no            | yes            | the first unpin, if no GET was started
 *             FILLING   | yes           | yes, or orphan | the end of the GET
 *             FULL      | no            | yes            | eviction, when it has no pins
 *             FULL, orphan | no         | no             | the last pin
 *             A segment becomes an orphan when its file goes, or when its GET failed.
 * Lists       A segment is on one of the two lists of struct fetch exactly if it is FULL, indexed
 *             and without pins: on `passed` if all its bytes were delivered, else on `idle`.
 * Work        What must not happen under the lock (sending, answering) is collected in a struct
 *             fetch_todo and done by fetch_todo_run() after the lock was dropped.
 */
#ifndef OBSM_FS_FETCH_INT_H
#define OBSM_FS_FETCH_INT_H

#include "fs/fetch.h"
#include "fs/fetch_pool.h"
#include "fs/window.h"
#include "net/base/lock.h"
#include "net/obs.h"
#include "net/sse.h"

#define FETCH_OF(link_, type_, member_)                                                            \
    ((type_ *)(void *)((char *)(link_)-offsetof(type_, member_)))

static inline void fetch_link_init(struct fetch_link *head)
{
    head->prev = head->next = head;
}

static inline bool fetch_link_empty(const struct fetch_link *head)
{
    return head->next == head;
}

/* Puts `link` right before `at`; before the head is the end of the list. */
static inline void fetch_link_add(struct fetch_link *at, struct fetch_link *link)
{
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}

static inline void fetch_link_remove(struct fetch_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    fetch_link_init(link);
}

/* Where a version lies; immutable, shared by the file and the GETs that were sent with it. */
struct fetch_name {
    unsigned refs; /* under the lock */
    char etag[OBS_ETAG_MAX];
    char read_key[SSE_MD5_TEXT]; /* of obs_call, if it is known */
    bool read_key_known;
    char key[];
};

struct fetch {
    /* constant after fetch_new() */
    struct fetch_config config;
    struct lock lock;
    pthread_cond_t quiet; /* gets_alive became 0, or draining ended */

    /* under ->lock */
    struct fetch_pool pool;
    struct fetch_link passed;  /* segments, newest first */
    struct fetch_link idle;    /* segments, least recently used first */
    struct fetch_link queue;   /* reads that wait for room, oldest first */
    struct fetch_link ready;   /* reads that ended when room came, to be answered */
    struct fetch_link streams; /* all */
    unsigned gets_alive;       /* struct fetch_get that exist */
    unsigned under_way;        /* GETs sent, or about to be, and not ended */
    unsigned urgent;           /* of them: sent as urgent */
    uint64_t ahead_bytes;      /* capacity of segments that GETs ahead are filling */
    bool draining;             /* a thread answers `ready` */
    unsigned active;           /* streams that read lately, at least 1 */
    int64_t active_ms;         /* when that was counted */
    struct fetch_stats stats;
};

struct fetch_file {
    struct fetch *fetch;
    uint64_t size;

    /* under the fetch's lock */
    unsigned refs;
    struct fetch_name *name;
    struct fetch_segment **segments; /* in order, not overlapping */
    size_t n_segments, cap_segments;
    struct fetch_link streams;
};

struct fetch_stream {
    struct fetch_file *file;

    /* under the fetch's lock */
    unsigned refs; /* the handle's, and one for each read */
    bool closed;   /* the handle has gone: nothing is fetched ahead any more */
    struct window window;
    int64_t used_ms; /* last read */
    struct fetch_link in_file, in_fetch;
};

struct fetch_get {
    struct obs_call call;
    struct fetch *fetch;
    struct fetch_segment *segment;
    struct fetch_name *name;
    struct fetch_get *next; /* in a todo */

    /* under the fetch's lock */
    bool ahead;
    bool sent;   /* submit() has returned */
    bool ended;  /* done() has run; freed when both are set */
    bool cancel; /* cancel it as soon as it was sent */
};

struct fetch_segment {
    struct fetch *fetch;
    uint64_t off;
    size_t len;
    size_t capacity;
    unsigned char *p;

    /* under the fetch's lock */
    struct fetch_file *file; /* NULL: an orphan */
    struct fetch_get *get;   /* NULL: FULL */
    size_t filled;           /* bytes from the start that may be read */
    size_t delivered;        /* bytes that reads have taken, twice counted twice */
    unsigned pins;
    bool in_order;             /* fetched for a reader in order */
    int64_t idle_ms;           /* since when on a list */
    struct fetch_link link;    /* on a list of struct fetch */
    struct fetch_link waiting; /* pins that wait, least need first */
};

struct fetch_todo {
    struct fetch_get *send, **send_end;
    struct fetch_link done; /* reads */
    bool drain;             /* look at fetch->ready */
};

/* Bytes that may be fetched ahead, over all streams. The chunks are at most an eighth of it: with
 * the default budget eight whole ones are under way, and a ninth is being read. */
static inline uint64_t fetch_ahead_max(const struct fetch *f)
{
    return f->config.memory_max / 9 * 8;
}

/* --- fetch.c --- */
void fetch_name_unref_locked(struct fetch_name *name);
void fetch_file_unref_locked(struct fetch_file *file);
void fetch_stream_unref_locked(struct fetch_stream *stream);

/* What the window of the stream may take at this moment. */
void fetch_limits_locked(struct fetch_stream *stream, struct window_limits *ret_limits);

/* --- fetch_segment.c --- */

/* Index of the first segment that ends after `off`. */
size_t fetch_find_locked(const struct fetch_file *file, uint64_t off);

/* An empty segment in the index, with room for len bytes; no GET yet. A segment ahead evicts
 * nothing that somebody still wants. -ENOBUFS: no room; -ENOMEM. */
int fetch_segment_new_locked(struct fetch_file *file, uint64_t off, size_t len, bool ahead,
                             struct fetch_segment **ret_segment);
void fetch_segment_pin_locked(struct fetch_segment *s);

/* May free the segment. */
void fetch_segment_unpin_locked(struct fetch_segment *s);

/* Puts a segment that has become FULL and has no pins where eviction finds it. */
void fetch_segment_rest_locked(struct fetch_segment *s);

/* Takes a segment out of the index; frees it if nobody uses it, else it becomes an orphan. */
void fetch_segment_drop_locked(struct fetch_segment *s);

/* Frees every segment of [off, end) that nobody uses and that is at most `len_max` long. */
void fetch_drop_idle_locked(struct fetch_file *file, uint64_t off, uint64_t end, size_t len_max);

/* --- fetch_get.c --- */
void fetch_todo_init(struct fetch_todo *todo);
void fetch_todo_run(struct fetch *f, struct fetch_todo *todo);

/* Lets a GET fill the new segment. -ENOMEM. */
int fetch_get_start_locked(struct fetch_segment *s, bool ahead, struct fetch_todo *todo);

/* Asks for the early end of the segment's GET, if it has one. */
void fetch_get_cancel_locked(struct fetch_segment *s);

/* Asks for what the stream should have ahead of it. */
void fetch_ahead_locked(struct fetch_stream *stream, struct fetch_todo *todo);

/* --- fetch_read.c --- */

/* The waiting pins of s whose bytes are there now; ended reads go to the todo. */
void fetch_wake_locked(struct fetch_segment *s, struct fetch_todo *todo);
void fetch_fail_locked(struct fetch_segment *s, const struct err *err, struct fetch_todo *todo);

/* Room may have come: reads in the queue go on. */
void fetch_queue_locked(struct fetch *f, struct fetch_todo *todo);

#endif
