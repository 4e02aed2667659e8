// SPDX-License-Identifier: Apache-2.0
/* store - buckets, objects and unfinished uploads, kept in a folder
 *
 * Role        DIR/journal has one line for each change; DIR/blobs/XX/ID has the bytes of an object
 *             or a part. All names and properties are in memory, in key order. An object is a list
 *             of segments of blobs, so that completing an upload or copying an object moves no
 *             bytes. At the start the journal is read, written anew without what is gone, and blobs
 *             that nothing refers to are removed.
 * Invariants  A blob is complete before a journal line names it: a process killed at any moment
 *             leaves the state after some prefix of the changes that it made. A half last line is
 *             dropped. (The machine losing power is another matter: nothing is fsynced.)
 *             A struct object never changes once it is in the store: a change of metadata is a new
 *             one that shares the blobs.
 * Locking     One lock, store->lock, for the memory and the journal; never held while bodies move.
 *             Functions that return an object or an upload return a reference of the caller's.
 * Errors      -errno; -ENOENT for a missing bucket, object, upload.
 */
#ifndef OBSLOCAL_STORE_H
#define OBSLOCAL_STORE_H

#include <errno.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "net/base/err.h"
#include "net/base/lock.h"
#include "tests/obs-local/index.h"
#include "tests/obs-local/text.h"

enum { STORE_ID_MAX = 40, STORE_ETAG_MAX = 48 };

struct store;

struct blob {
    atomic_uint refs;
    uint64_t id; /* 0: zeros, nothing is stored */
    struct store *store;
};

struct seg {
    struct blob *blob; /* a reference */
    uint64_t off;      /* in the blob */
    uint64_t len;
};

struct segs {
    struct seg *v;
    size_t n;
};

/* Property names: "content-type" and the other five entity headers; "x-meta-NAME"; "x-NAME" for
 * what is sent as x-obs-NAME or x-amz-NAME; "acl-xml". "x-checksum-crc64ecma" is the CRC-64 of the content,
 * if it is known. */
struct object {
    atomic_uint refs;
    uint64_t size;
    int64_t mtime_ms;
    int64_t since_us; /* when it was put, or its upload initiated: the later one wins */
    char etag[STORE_ETAG_MAX];
    char upload_id[STORE_ID_MAX]; /* "": not by a multipart upload */
    struct pairs props;
    struct segs segs;
};

struct part {
    unsigned number;
    uint64_t size;
    int64_t mtime_ms;
    char etag[STORE_ETAG_MAX];
    unsigned char md5[16];
    bool has_crc64; /* it came along */
    uint64_t crc64;
    struct segs segs;
};

struct upload {
    char id[STORE_ID_MAX];
    char *bucket;
    char *key;
    char *initiator;
    int64_t since_us;
    struct pairs props;
    struct part *parts; /* ascending */
    size_t n_parts;
};

struct bucket {
    char *name;
    int64_t created_ms;
    struct pairs props; /* "x-acl", .. */
    struct index *objects;
    struct index *uploads; /* key NUL upload id */
};

struct store_config {
    const char *dir;
    bool null_store;     /* keep sizes and MD5 but no bytes */
    bool complete_last;  /* the last complete wins instead of the last initiate */
    bool metadata_mtime; /* changing metadata sets Last-Modified */
    int64_t clock_offset_s;
};

struct store {
    struct lock lock;
    struct store_config config;
    struct index *buckets; /* under lock, with all that is below them */
    struct index *uploads; /* by id, under lock */
    int journal;           /* under lock */
    int dir;
    uint64_t journal_lines, journal_live; /* under lock */
    _Atomic int64_t clock_s;              /* ahead of real time */
    _Atomic uint64_t next_blob;
    _Atomic uint64_t serial;
};

int store_open(const struct store_config *config, struct store **ret, struct err *err);
void store_close(struct store *s);

/* The service's clock: real time plus the configured offset, and what it was advanced since. */
int64_t store_now_us(const struct store *s);

/* --- buckets --- */
bool store_bucket_valid(const char *name); /* the naming rules */
int store_bucket_create(struct store *s, const char *name, const struct pairs *props); /* -EEXIST */
int store_bucket_delete(struct store *s, const char *name); /* -ENOTEMPTY */
bool store_bucket_exists(struct store *s, const char *name);
int store_bucket_props(struct store *s, const char *name, struct pairs *ret);
int store_bucket_set(struct store *s, const char *name, const char *prop, const char *value);
int store_bucket_usage(struct store *s, const char *name, uint64_t *ret_bytes, uint64_t *ret_n);
/* Under store->lock; NULL: none. */
struct bucket *store_bucket_locked(struct store *s, const char *name);

/* --- bytes --- */
struct blob_writer {
    struct blob *blob;
    int fd;
    uint64_t size;
};
int blob_begin(struct store *s, struct blob_writer *w);
int blob_write(struct blob_writer *w, const void *p, size_t n);
/* Hands the segment (none for no bytes) to *segs, or drops everything. */
void blob_finish(struct blob_writer *w, struct segs *segs);
void blob_abort(struct blob_writer *w);
int blob_open(const struct blob *b); /* an fd or -errno; never for id 0 */

void segs_done(struct segs *s);
/* Adds bytes off..off+len of `from`. */
void segs_add(struct segs *to, const struct segs *from, uint64_t off, uint64_t len);

/* Reads segments in order, keeping the file of the one that was read last open. */
struct segs_reader {
    const struct segs *segs;
    size_t at;      /* segment that `fd` and `start` belong to */
    uint64_t start; /* offset of that segment in the whole */
    int fd;         /* -1: not open */
};
void segs_reader_init(struct segs_reader *r, const struct segs *segs);
ssize_t segs_read(struct segs_reader *r, uint64_t off, void *p, size_t n);
void segs_reader_done(struct segs_reader *r);

/* --- objects --- */
struct object *object_new(void); /* one reference */
struct object *object_ref(struct object *o);
void object_unref(struct object *o); /* NULL allowed */

int store_get(struct store *s, const char *bucket, const char *key, struct object **ret);
/* Takes the reference. since_us 0: now. *ret_lost (may be NULL): an object of a later initiate
 * stays, this one is dropped. */
int store_put(struct store *s, const char *bucket, const char *key, struct object *o,
              bool *ret_lost);
/* Replaces `old` by `o` (its reference is taken) if it is still the current one, else -EAGAIN. */
int store_replace(struct store *s, const char *bucket, const char *key, struct object *old,
                  struct object *o);
int store_delete(struct store *s, const char *bucket, const char *key); /* a missing key is fine */

/* --- multipart uploads --- */
/* `u` has bucket, key, initiator, props; id and since_us are set here. Takes it over on success. */
int upload_create(struct store *s, struct upload *u);
void upload_free(struct upload *u);
/* Under store->lock; NULL: no such upload of this key. */
struct upload *upload_find_locked(struct store *s, const char *bucket, const char *key,
                                  const char *id);
/* Takes p->segs over on success. */
int upload_put_part(struct store *s, const char *bucket, const char *key, const char *id,
                    struct part *p);
int upload_abort(struct store *s, const char *bucket, const char *key, const char *id);
/* Ends the upload and stores the object, in one line of the journal. Takes the reference. */
int upload_complete_locked(struct store *s, struct upload *u, struct object *o, bool *ret_lost);

/* --- the journal, for store.c --- */
int journal_load(struct store *s, struct err *err);
void journal_bucket_locked(struct store *s, const struct bucket *b);
void journal_bucket_gone_locked(struct store *s, const char *name);
void journal_object_locked(struct store *s, const char *bucket, const char *key,
                           const struct object *o, const char *ended_upload);
void journal_object_gone_locked(struct store *s, const char *bucket, const char *key);
void journal_upload_locked(struct store *s, const struct upload *u);
void journal_part_locked(struct store *s, const struct upload *u, const struct part *p);
void journal_upload_gone_locked(struct store *s, const char *id);
struct blob *blob_new(struct store *s, uint64_t id);
void blob_unref(struct blob *b);
void blob_path(uint64_t id, char out[32]);
void upload_set_part(struct upload *u, struct part *p);
void upload_insert_locked(struct store *s, struct bucket *b, struct upload *u);
struct upload *upload_remove_locked(struct store *s, const char *id);
struct bucket *bucket_new_locked(struct store *s, const char *name);
void bucket_free(struct bucket *b);

#endif
