// SPDX-License-Identifier: Apache-2.0
/* obs - the object service, one request at a time
 *
 * Role        Every request that the mount sends to the bucket is one `struct obs_call`: the caller
 *             fills the request half, obs_submit() hands it to the engine, and `done` is called
 *             once with the answer half filled. Retries, signing, redirects and clock skew happen
 *             in between.
 * Dialects    OBS_DIALECT_OBS: OBS signature, "x-obs-" headers. OBS_DIALECT_S3: AWS signature V4,
 *             "x-amz-" headers. Callers speak of properties and metadata without a prefix.
 * Keys        Raw bytes, NUL-terminated, as stored in the bucket, at most OBS_KEY_MAX; encoding is
 *             done here.
 * Encryption  Properties may ask for server-side encryption (net/sse.h); they go along where the
 *             service wants them: all of them with PUT, Initiate and COPY, the customer's key also
 *             with parts, nothing of them with other operations. A customer's key is never sent
 *             but over TLS. What is read and refused for want of its key is asked for again with
 *             each of the client's keys in turn.
 * CRC-64      x-obs-checksum-crc64ecma (OBS SDKs, isAttachCrc64; the API pages do not have it) is
 *             sent if the client was made so, and compared where the service answers with one.
 * Ownership   The request half (strings, arrays, body) belongs to the caller and must stay until
 *             `done` was called. The answer half belongs to the call; obs_call_clear() frees it.
 * Threads     obs_submit() and obs_cancel() from any thread, never blocking. `done`, `body.read`
 *             and `sink` run on an engine thread with no lock of net/ held; they must not block on
 *             the network. `done` is always asynchronous: never from within obs_submit().
 * Errors      call->err; class and errno by the table in net/error.h.
 * Source      reference: OBS API, sections named at each operation below.
 */
#ifndef OBSM_NET_OBS_H
#define OBSM_NET_OBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/base/err.h"
#include "net/base/intr.h"

enum { OBS_KEY_MAX = 1024, OBS_ETAG_MAX = 128, OBS_UPLOAD_ID_MAX = 256, OBS_OWNER_MAX = 256 };

enum obs_dialect { OBS_DIALECT_OBS, OBS_DIALECT_S3 };

enum obs_op {
    OBS_HEAD_BUCKET,  /* fields: - */
    OBS_LIST,         /* prefix, delimiter, marker, max_keys                      -> list */
    OBS_HEAD,         /* key                                                      -> object */
    OBS_GET,          /* key, offset+length (0: whole), if_match, sink            -> object */
    OBS_PUT,          /* key, props, body                                         -> object.etag */
    OBS_DELETE,       /* key; a missing key is a success */
    OBS_DELETE_BATCH, /* keys (at most 1000)                                      -> failed keys in
                         list */
    OBS_COPY,     /* source_key -> key, if_match = source's ETag, replace+props -> object.etag */
    OBS_SET_META, /* key, props, replace; OBS dialect only: PUT ?metadata */
    OBS_GET_ACL,  /* key                                                      -> acl */
    OBS_GET_BUCKET_ACL, /* -                                                     -> acl */
    OBS_SET_ACL,        /* key, props (acl), or owner and grants; grants: OBS dialect only */
    OBS_MP_INITIATE, /* key, props                                               -> upload_id_out */
    OBS_MP_PART,     /* key, upload_id, part_no, body                            -> object.etag */
    OBS_MP_COPY_PART,  /* source_key, offset+length, if_match -> key, upload_id, part_no ->
                          object.etag */
    OBS_MP_LIST_PARTS, /* key, upload_id, part_marker, max_keys                    -> parts */
    OBS_MP_COMPLETE,   /* key, upload_id, complete                                 -> object.etag */
    OBS_MP_ABORT,      /* key, upload_id; NoSuchUpload is a success */
    OBS_MP_LIST_UPLOADS, /* prefix, delimiter, marker, upload_id_marker, max_keys    -> list */
    OBS_OP_COUNT
};

/* A property that is sent with an object or came with one. */
enum obs_prop_kind {
    OBS_PROP_META,   /* user metadata: name in lower case without prefix, value raw (encoded on the
                        wire) */
    OBS_PROP_HEADER, /* service header without its prefix: "acl", "storage-class", "grant-read", ..
                      */
    OBS_PROP_RAW,    /* a header under exactly this name: "Content-Type", "Cache-Control", .. */
};

struct obs_prop {
    enum obs_prop_kind kind;
    char *name;
    char *value;
};

struct obs_props {
    struct obs_prop *v;
    size_t n;
};

/* Adds a copy (replacing one of the same kind and name, compared without case). -ENOMEM. */
int obs_props_set(struct obs_props *props, enum obs_prop_kind kind, const char *name,
                  const char *value);
/* The value, or NULL. */
const char *obs_props_get(const struct obs_props *props, enum obs_prop_kind kind, const char *name);
/* Replaces *to by a copy of *from. -ENOMEM. */
int obs_props_copy(struct obs_props *to, const struct obs_props *from);
void obs_props_clear(struct obs_props *props);

/* The bytes of a PUT or part. `read` fills up to n bytes from offset `off` and returns their
 * number, or -errno; it may be asked for the same bytes again (retry). `size` is exact. */
typedef ssize_t obs_read_fn(void *arg, uint64_t off, void *p, size_t n);

struct obs_body {
    uint64_t size;
    obs_read_fn *read;
    void *arg;
    bool content_md5; /* hash first and send Content-MD5 (where ETags are opaque) */
};

/* Takes the next n bytes of a GET, in order from the first byte of the range; `off` counts from the
 * start of the object. An attempt that fails half-way is continued where it ended, pinned to the
 * same version; only if the version is not known the bytes come again from the start of the range
 * (`off` tells). Returns 0, or -errno to give up. */
typedef int obs_sink_fn(void *arg, uint64_t off, const void *p, size_t n);

/* A right of one account, or with `id` NULL of everyone, on an object. */
struct obs_grant {
    const char *id;
    const char *permission; /* READ, READ_ACP, WRITE_ACP, FULL_CONTROL */
};

/* A right as GET ?acl tells it. */
struct obs_right {
    char *id; /* of an account; NULL: everyone, or a group that has no name here */
    bool everyone;
    char permission[16]; /* READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL */
};

struct obs_acl {
    char owner[OBS_OWNER_MAX]; /* "": there was no answer */
    struct obs_right *v;
    size_t n;
};

struct obs_call;
typedef void obs_done_fn(struct obs_call *call);

struct obs_part {
    uint32_t part_no; /* 1 to 10000 */
    uint64_t size;
    char etag[OBS_ETAG_MAX]; /* without quotes */
    int64_t mtime_ms;        /* of a listed one, 0 if not said */
};

struct obs_parts {
    struct obs_part *v;
    size_t n;
    bool truncated;
    uint32_t next_marker;
};

struct obs_entry {
    char *key;      /* decoded; of a common prefix: with the trailing delimiter */
    bool is_prefix; /* a common prefix */
    uint64_t size;
    int64_t mtime_ms;    /* Last-Modified / Initiated, ms since 1970 */
    char *etag;          /* without quotes, "" if none */
    char *upload_id;     /* OBS_MP_LIST_UPLOADS only, else NULL */
    char *initiator;     /* the same: the ID of who has begun it; NULL: not said */
    char *storage_class; /* the same */
    char *code;          /* OBS_DELETE_BATCH only: the error code, else NULL */
    char *message;       /* the same: the error message */
};

struct obs_list {
    struct obs_entry *v; /* keys and common prefixes together, in key order */
    size_t n;
    bool truncated;
    char *next_marker;           /* set if truncated */
    char *next_upload_id_marker; /* OBS_MP_LIST_UPLOADS */
};

struct obs_object {
    uint64_t size;                     /* of the whole object, also for a range */
    int64_t mtime_ms;                  /* Last-Modified */
    char etag[OBS_ETAG_MAX];           /* without quotes, "" if none */
    char upload_id[OBS_UPLOAD_ID_MAX]; /* x-obs-uploadId, "" if none */
    char version_id[128];
    bool encrypted;         /* a server-side-encryption header was seen: the ETag is opaque */
    bool key_missing;       /* HEAD, GET: refused, since we have not the customer's key (-EACCES) */
    struct obs_props props; /* metadata and headers of the object */
};

struct obs_call {
    /* --- request: the caller's --- */
    enum obs_op op;
    const char *key;
    const struct obs_props *props;
    const char *read_key;   /* SSE-C: MD5 of the key of what is read (HEAD, GET, a copy's
                                      source); "": it is not encrypted so; NULL: not known, the
                                      client's keys are tried */
    const char *if_match;   /* ETag without quotes, or NULL */
    const char *source_key; /* of a copy, in the same bucket */
    uint64_t offset;
    uint64_t length;
    bool replace;
    const char *upload_id;
    uint32_t part_no;
    const struct obs_part *complete; /* ascending */
    size_t n_complete;
    const uint64_t *whole_crc64; /* COMPLETE: CRC-64 of the object, to go along; or NULL */
    const char *owner;
    const struct obs_grant *grants;
    size_t n_grants;
    const char *const *keys;
    size_t n_keys;
    const char *prefix;
    const char *delimiter;
    const char *marker;
    const char *upload_id_marker;
    uint32_t part_marker;
    unsigned max_keys; /* 0: 1000 */
    struct obs_body body;
    obs_sink_fn *sink;
    void *sink_arg;
    bool want_fields;   /* the answer's header fields are wanted */
    bool urgent;        /* goes before waiting bulk transfers */
    int64_t give_up_ms; /* stop repeating after this time; 0: obs_config.retry_ms */
    obs_done_fn *done;
    void *arg;

    /* --- answer: filled before done(), freed by obs_call_clear() --- */
    struct err err; /* err.eno 0: success */
    int status;
    unsigned attempts;
    unsigned sent; /* requests that were begun: at least as many as attempts that got so far, since
                      libcurl repeats one on a kept connection that turns out dead */
    int64_t server_time; /* the answer's Date, seconds since 1970; 0 if none */
    struct obs_object object;
    struct obs_list list;
    struct obs_parts parts;
    char upload_id_out[OBS_UPLOAD_ID_MAX];
    struct obs_acl acl;
    char *fields;          /* want_fields: "name: value" lines of the last answer, or NULL */
    char host_id[128];     /* of the last Error document */
    char resource[256];    /* the same */
    unsigned char md5[16]; /* of the body that was sent; of a single PUT or part */
    uint64_t crc64;        /* the same, if obs_config.crc64 */
    bool crc64_differs;    /* COMPLETE: the service states another one than whole_crc64 */
    struct err wire;       /* the last attempt that failed, also if a later one succeeded */

    /* --- private to net/ --- */
    void *state;
};

struct obs;
struct engine;
struct cred_source;
struct log;
struct sse_keys;

struct obs_config {
    const char *endpoint; /* host[:port] or scheme://host[:port]; https if no scheme is given */
    const char *bucket;
    const char *region; /* SigV4 only; "" or NULL: taken from the endpoint, else us-east-1 */
    enum obs_dialect dialect;
    bool path_style;                  /* forced where the endpoint is an IP address */
    int64_t connect_ms;               /* 0: default 10 s */
    int64_t stall_ms;                 /* no byte moved for so long ends an attempt; 0: 30 s */
    int64_t retry_ms;                 /* default for give_up_ms; 0: 10 minutes */
    const struct sse_keys *sse_keys;  /* the customer's keys, or NULL; outlive the client */
    int sse_first;                    /* which of them is tried first, -1: none */
    bool crc64;                       /* PUTs and parts are hashed first; their CRC-64 goes along */
    const char *const *extra_headers; /* NULL or NULL-terminated "Name: value": sent with PUT,
                                         initiate, complete, abort, copy; Content-.. not with
                                         complete and abort */
};

/* A client for one bucket. Strings are copied; engine and cred outlive it. Makes no request.
 * -EINVAL with a message for a bad endpoint or bucket name (reference 1.1, 1.3). */
int obs_new(const struct obs_config *config, struct engine *engine, struct cred_source *cred,
            struct log *log, struct obs **ret_obs, struct err *err);

/* Only after every call has been answered. */
void obs_free(struct obs *obs);

/* Starts a call. The result always comes by call->done; also what cannot be sent (-ENAMETOOLONG,
 * ..). */
void obs_submit(struct obs *obs, struct obs_call *call);

/* Asks for an early end of a submitted call whose done() has not run yet; done() comes with
 * -ECANCELED unless the answer was faster. The caller makes sure that the call is still under way.
 */
void obs_cancel(struct obs *obs, struct obs_call *call);

/* Submits and waits. `intr` (already initialised, may be NULL) lets another thread end the wait:
 * the call is then cancelled and -EINTR returned. Returns call->err.eno. call->done and arg are
 * overwritten. */
int obs_run(struct obs *obs, struct obs_call *call, struct intr *intr);

/* Frees the answer half and zeroes it, so that the call may be used again. */
void obs_call_clear(struct obs_call *call);

/* The public address of an object, as DLI wants it: https://bucket.endpoint/key. Caller frees;
 * NULL: out of memory. */
char *obs_url(const struct obs *obs, const char *key);

const char *obs_op_name(enum obs_op op); /* "HEAD", "LIST", "PUT", "UploadPart", .. */
enum obs_dialect obs_dialect_of(const struct obs *obs);

/* Counters since obs_new(). */
struct obs_stats {
    uint64_t calls[OBS_OP_COUNT];    /* answered, any result */
    uint64_t failures[OBS_OP_COUNT]; /* answered with an error */
    uint64_t attempts;               /* HTTP requests, retries included */
    uint64_t retries;
    uint64_t bytes_sent, bytes_received; /* bodies */
    uint64_t latency_us[OBS_OP_COUNT];   /* sum over calls */
};
void obs_stats(const struct obs *obs, struct obs_stats *ret_stats);

#endif
