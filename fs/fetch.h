// SPDX-License-Identifier: Apache-2.0
/* fetch - cached, parallel, ranged reading of stored objects
 *
 * Role        The read side of the mount: bytes of one version of one object, from a bounded cache
 *             or by ranged GETs, many at a time and ahead of a reader that goes in order. It knows
 *             neither inodes nor FUSE. What is staged locally is looked at before, by the caller.
 * Words       fetch         the cache of the whole mount: memory budget, limit of parallel GETs.
 *             fetch_file    one version of one object (key, ETag, size); reference counted. A new
 *                           ETag is a new fetch_file. Every GET carries If-Match.
 *             fetch_stream  one open handle: recognises reading in order (fs/window.h).
 *             fetch_read    one read. The caller owns the struct (inside its own request), it is
 *                           private while the read is under way.
 *             segment       a range of a file, filled from its start by one GET. The segments of a
 *                           file do not overlap; streams share them.
 * A read      fetch_read_init, fetch_read_start; if that says "later", done() once, unless
 *             fetch_read_cancel() was faster; in every case fetch_read_release() at the end.
 *             A read waits only for its own bytes, not for the end of the GETs that bring them.
 * Memory      Buffers handed out plus spare buffers never exceed memory_max. Segments that a
 *             reader in order has passed go first, then the least recently used. A read that finds
 *             no room waits, first come first served; it then holds no segment, so that two such
 *             reads cannot block each other. Reading ahead never waits and takes at most eight
 *             ninths of the budget.
 * Locking     One lock in struct fetch, below the filesystem's own locks and above those of net/.
 *             done() is called without it, and only by engine threads and by release and
 *             cancel of other reads. Sinks copy without it: a segment that is being
 *             filled stays, and nobody reads above its mark of filled bytes.
 * Errors      -ESTALE: the object is no longer that version (412 or 404). -EINTR: cancelled before
 *             it started. Else the errno of the GET. A failed segment is dropped: the next read of
 *             it tries again.
 */
#ifndef OBSM_FS_FETCH_H
#define OBSM_FS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/base/err.h"
#include "net/base/intr.h"

struct obs;
struct obs_call;
struct log;
struct fetch;
struct fetch_file;
struct fetch_stream;
struct fetch_segment;

enum {
    FETCH_READ_MAX = 1 << 20,   /* bytes of one read */
    FETCH_MEMORY_MIN = 4 << 20, /* least budget */
    FETCH_PINS = 4,             /* segments of a read that need no allocation */
};

/* Where the bytes come from: obs_submit(), obs_cancel() and obs_call_clear() of net/obs.h. cancel
 * is called with fetch's lock held; done() of the call has then not returned. `clear` may be NULL.
 */
struct fetch_source {
    void (*submit)(void *arg, struct obs_call *call);
    void (*cancel)(void *arg, struct obs_call *call);
    void (*clear)(void *arg, struct obs_call *call);
    void *arg;
};

/* The bucket as a source; `obs` must outlive the fetch. */
struct fetch_source fetch_source_obs(struct obs *obs);

struct fetch_config {
    struct fetch_source source;
    uint64_t memory_max; /* bytes; 0: 96 MiB; at least FETCH_MEMORY_MIN */
    unsigned parallel;   /* GETs under way before reading ahead stops adding more; 0: 8 */
    size_t first_size;   /* first GET of a file read from its start; 0: 1 MiB */
    size_t chunk_max;    /* largest GET; 0: 8 MiB */
    int64_t give_up_ms;  /* a GET is repeated so long (obs_call.give_up_ms); 0: 60 s */
    struct log *log;     /* debug messages; may be NULL; must outlive the fetch */
};

struct fetch_stats {
    uint64_t reads;         /* started */
    uint64_t hits;          /* of them: answered at once */
    uint64_t waits;         /* answered when data came */
    uint64_t memory_waits;  /* of them: had to wait for room first */
    uint64_t cancelled;     /* ended by fetch_read_cancel() */
    uint64_t failed;        /* ended with an error */
    uint64_t bytes_asked;   /* by reads, clipped at the end of the file */
    uint64_t bytes_fetched; /* arrived by GETs, repeated attempts included */
    uint64_t gets;          /* sent */
    uint64_t gets_ahead;    /* of them: ahead of any read */
    uint64_t evicted;       /* segments given up to make room */
    uint64_t memory;        /* bytes of buffers at this moment, spare ones included */
    uint64_t memory_peak;
    uint64_t under_way; /* GETs at this moment */
};

/* A cache. Starts no thread, sends nothing. -EINVAL (a source without functions), -ENOMEM. */
int fetch_new(const struct fetch_config *config, struct fetch **ret_fetch);

/* Waits until the last GETs have ended (they are cancelled), so the engine must still run. Every
 * file, stream and read has been given back before. NULL is allowed. */
void fetch_free(struct fetch *fetch);

void fetch_stats(struct fetch *fetch, struct fetch_stats *ret_stats);

/* One version of an object, with one reference for the caller; strings are copied. An `etag` of ""
 * means unknown: then no If-Match is sent. `read_key`: obs_call.read_key of its GETs. -ENOMEM. */
int fetch_file_new(struct fetch *fetch, const char *key, const char *etag, uint64_t size,
                   const char *read_key, struct fetch_file **ret_file);
struct fetch_file *fetch_file_ref(struct fetch_file *file);

/* With the last reference its cached bytes go and its GETs are cancelled. NULL is allowed. A
 * stream, and a read that was prepared and not released, hold a reference themselves. */
void fetch_file_unref(struct fetch_file *file);

/* The same content has another name and ETag now (renamed on the server). GETs under way that fail
 * because the old name is gone are sent again. -ENOMEM: nothing changed. */
int fetch_file_rekey(struct fetch_file *file, const char *key, const char *etag,
                     const char *read_key);

/* Copies of the key and the ETag ("": unknown) that it has now; the caller frees. -ENOMEM. */
int fetch_file_name(struct fetch_file *file, char **ret_key, char **ret_etag);
uint64_t fetch_file_size(const struct fetch_file *file);

/* Seeds the cache with the whole object, which the caller has read already (`n` must be the file's
 * size: else -EINVAL). -ENOBUFS: no room, nothing cached; harmless. */
int fetch_file_put(struct fetch_file *file, const void *p, size_t n);

/* Gives up every cached byte that nobody is using. */
void fetch_file_drop(struct fetch_file *file);

/* The state of a handle that reads `file`. Reads of one stream may run in parallel. -ENOMEM. */
int fetch_stream_new(struct fetch_file *file, struct fetch_stream **ret_stream);

/* Its reads may still be under way. GETs ahead that no other stream of the file can want are
 * cancelled. NULL is allowed. */
void fetch_stream_free(struct fetch_stream *stream);

struct fetch_read;

/* The read has ended, look at read->eno. Called once, without a lock, on an engine thread, or in
 * fetch_read_release() or fetch_read_cancel() of another read whose room it was waiting for: call
 * these without locks that done() takes. It may call any function here except fetch_free(), and
 * must not block. */
typedef void fetch_done_fn(struct fetch_read *read, void *arg);

/* Private to fetch: an element of a ring whose head is one too. */
struct fetch_link {
    struct fetch_link *prev, *next;
};

/* Private to fetch: a part of a read that lies in one segment. */
struct fetch_pin {
    struct fetch_segment *segment;
    struct fetch_read *read;
    struct fetch_link link; /* among the waiting pins of the segment, least need first */
    size_t need;            /* filled bytes of the segment that the read waits for */
    bool waiting;
};

struct fetch_read {
    /* --- the result, from the end of the read to fetch_read_release() --- */
    int eno;           /* 0 or -errno */
    size_t n;          /* bytes; fewer than asked for only at the end of the file */
    struct iovec *iov; /* where they lie, in order: cached memory, read only */
    int n_iov;
    struct err err; /* the reason if eno is set */

    /* --- private to fetch --- */
    struct fetch_file *file;
    struct fetch_stream *stream;
    uint64_t off;
    size_t asked;
    fetch_done_fn *done;
    void *arg;
    int state;
    unsigned n_pins, n_waiting;
    struct fetch_pin *pins; /* pins_own, or allocated if there are more */
    struct fetch_pin pins_own[FETCH_PINS];
    struct iovec iov_own[FETCH_PINS];
    struct fetch_link link; /* in the queue for memory, or among those to be answered */
};

/* Prepares *read; nothing happens yet. `stream` may be NULL: the read is then taken as random. The
 * read refers to file and stream until fetch_read_release(), which has to follow in every case. */
void fetch_read_init(struct fetch_read *read, struct fetch_file *file, struct fetch_stream *stream,
                     uint64_t off, size_t n, fetch_done_fn *done, void *arg);

/* 1: ended, the result is there (a hit, the end of the file), done() will not be called.
 * 0: done() will be called, perhaps before this returns.
 * -errno: ended without a result (-EINTR: cancelled before; -EINVAL: more than FETCH_READ_MAX;
 * -ENOMEM); done() will not be called. Never blocks. */
int fetch_read_start(struct fetch_read *read);

/* Ends a read early; from any thread, between fetch_read_init() and fetch_read_release().
 * True: the read is over, done() was not and will not be called; the caller answers (EINTR) and
 *       releases.
 * False: it has not been started (fetch_read_start() will then return -EINTR), or has ended: done()
 *       was called or is about to be. */
bool fetch_read_cancel(struct fetch_read *read);

/* Gives the segments of the result back: iov is invalid from now. After the end of the read
 * (result, error or true from fetch_read_cancel()); again is allowed. */
void fetch_read_release(struct fetch_read *read);

/* Copies up to n bytes (any number, in pieces) at `off` to p, waiting for them. Returns their
 * number, fewer only at the end of the file, or -errno with *err (may be NULL). `intr` (may be
 * NULL) ends the wait with -EINTR. Not on an engine thread. */
ssize_t fetch_copy(struct fetch_file *file, uint64_t off, void *p, size_t n, struct intr *intr,
                   struct err *err);

#endif
