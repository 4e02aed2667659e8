// SPDX-License-Identifier: Apache-2.0
/* transfer - one request of a staged file, from its start to its answer
 *
 * Role        Owns what a `struct obs_call` needs while it is under way (keys, lists, properties)
 *             and brings the answer back under fs->lock, to publish_answer_locked().
 * Ownership   A transfer is freed after its answer was taken. While it is under way it counts in
 *             st->inflight, which keeps the staged file.
 */
#ifndef OBSM_FS_TRANSFER_H
#define OBSM_FS_TRANSFER_H

#include <stdatomic.h>

#include "fs/staged.h"
#include "fs/worker.h"
#include "net/sse.h"

enum transfer_kind {
    TRANSFER_PUT,
    TRANSFER_INITIATE,
    TRANSFER_PART,
    TRANSFER_COPY_PART,
    TRANSFER_LOOK, /* HEAD before Complete: would it win? */
    TRANSFER_COMPLETE,
    TRANSFER_CHECK, /* HEAD after Complete: is ours what stands there? */
    TRANSFER_FILL,
    TRANSFER_COPY,       /* the whole content is that of another object */
    TRANSFER_COPY_CHECK, /* HEAD: the copy, where ETags do not tell */
    TRANSFER_DRESS_META, /* all metadata of an adopted upload's object (fs/adopt.h) */
    TRANSFER_DRESS_ACL,  /* and its ACL */
};

struct transfer {
    struct obs_call call;
    struct fs *fs;
    struct staged *st;
    struct transfer *next, *prev; /* st->transfers */
    enum transfer_kind kind;
    bool bulk;       /* counts in fs->transfers */
    size_t part;     /* PART, COPY_PART: index */
    uint64_t gen;    /* of the bytes sent */
    uint64_t offset; /* of the body, the fill, or in the source of a copy */
    uint64_t target; /* FILL: where the bytes go */
    bool cloned;     /* FILL, COPY_PART: from another object than the stored one */
    uint64_t size;
    int sink_error;
    _Atomic(uint64_t) progress; /* bytes of the body that were handed out */
    struct err cause;           /* CHECK: the error of Complete, which may have been executed */
    struct job job;             /* the journal is synced before it is sent, */
    struct journal *journal;    /* this one */
    bool syncing;               /* it is being done */
    bool cancelled;             /* meanwhile */
    bool listed;                /* LOOK, CHECK: by a listing, since HEAD was refused */
    /* owned */
    char *key;
    char read_key[SSE_MD5_TEXT];
    char *source_key;
    char *etag;
    char *upload_id;
    struct obs_props props;
    struct obs_part *list;
    size_t n_list;
    bool has_crc64; /* COMPLETE: crc64 is that of the whole */
    uint64_t crc64;
    char composite[OBS_ETAG_MAX]; /* COMPLETE, CHECK: the ETag that we expect, "" if it can't be
                                     known */
    char answered[OBS_ETAG_MAX];  /* CHECK: the ETag that Complete was answered with, or "" */
    bool opaque;                  /* CHECK: that one is no checksum */
};

/* A new transfer for `st` under `key` (copied). NULL: out of memory. */
struct transfer *transfer_new_locked(struct fs *fs, struct staged *st, enum transfer_kind kind,
                                     const char *key);
/* Sends it; `op` and the owned fields are put into the call here. Before Complete, and before the
 * first part of an upload, the journal is synced: a power cut must not leave parts on the server
 * that no journal knows, nor an object whose attributes nobody knows. */
void transfer_start_locked(struct transfer *t);
/* Frees one that was never started. */
void transfer_free_locked(struct transfer *t);

/* Fetches [from, to) into the staging file, of the stored object or of what `clone` says. The
 * caller then marks st->filling. */
int transfer_fill_locked(struct fs *fs, struct staged *st, uint64_t from, uint64_t to,
                         const struct clone *clone);

/* An answered Initiate may have opened an upload, or one more, whose id nobody was told. Pure. */
bool transfer_initiate_unclear(const struct obs_call *call);

void transfer_cancel_all_locked(struct fs *fs, struct staged *st);

/* Aborts an upload that nobody wants any more, in the background. `id`: the journal that knows of
 * it, which has to stay until the answer is there. `begun`: the properties that it was begun with,
 * or NULL. */
void transfer_abort_upload_locked(struct fs *fs, uint64_t id, const char *key,
                                  const char *upload_id, const struct obs_props *begun);
/* The same of an upload of `st`. */
void transfer_abort_staged_locked(struct fs *fs, struct staged *st, const char *key,
                                  const char *upload_id);

/* True if the journal of that id is still needed for an abort that is under way. */
bool transfer_aborting_locked(const struct fs *fs, uint64_t id);

/* True if the abort of that upload is under way. */
bool transfer_aborts_locked(const struct fs *fs, const char *upload_id);

/* Removes the journal and the staging file of that id: now, or when its last abort was answered. If
 * one fails they stay, and the next mount tries again. 0, -errno of the disk. */
int transfer_remove_files_locked(struct fs *fs, uint64_t id);

/* Implemented by publish.c: takes the answer. The transfer is freed by the caller afterwards. */
void publish_answer_locked(struct fs *fs, struct staged *st, struct transfer *t);

#endif
