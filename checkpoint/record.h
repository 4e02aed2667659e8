// SPDX-License-Identifier: Apache-2.0
/* record - what a journal consists of, byte for byte
 *
 * Role        Encoding and decoding of journal records. Pure: no file, no clock, no allocation
 *             beyond the caller's buffer. Everything read here is untrusted.
 *
 * On disk     A journal is one file: a header, then records one behind the other. Numbers are
 *             little endian.
 *
 *             Header, 32 bytes
 *               0   8  magic "OBSMJNL\n"
 *               8   2  version, 1. A reader refuses a higher one.
 *              10   2  length of the header, 32
 *              12   4  flags, 0. A reader refuses a bit that it does not know.
 *              16   8  salt: random, another one in each file
 *              24   4  0
 *              28   4  CRC-32C of bytes 0 to 27
 *
 *             Record, 24 bytes and the payload
 *               0   4  CRC-32C of the salt (8 bytes), then bytes 4 to the end of the payload
 *               4   4  length of the payload, at most RECORD_PAYLOAD_MAX
 *               8   2  type (enum record_type)
 *              10   2  flags: bit 0 = optional, a reader that does not know the type skips it.
 *                      An unknown type without that bit is refused.
 *              12   4  number of the record in this file, from 0
 *              16   8  durable: so many bytes of the file were synced when this was written
 *              24   .  payload: the fields of the type in the order of its struct below, without
 *                      padding. bool u8; u32; u64; i64 (two's complement); string: u16 length,
 *                      the bytes, a 0; blob: u32 length, the bytes; md5: 16 bytes; ranges: u32
 *                      number, then u64 offset and u64 end each. Bytes behind the last known
 *                      field are ignored: a later version may add fields at the end. Where they
 *                      are missing they count as 0.
 *
 * Validity    A record counts if it is whole, its CRC is right, its number is the one that
 *             follows, its type is known or optional, and its fields are within their limits.
 *             Reading ends at the first that does not count. The salt keeps out what an earlier
 *             file left in the same blocks.
 *
 * Torn or damaged
 *             After a power cut any bytes that were not synced may be missing or wrong: a torn
 *             tail, ignored, nothing was promised by it. If however a valid record stands further
 *             on whose `durable` lies beyond the bad place, the bad bytes had been synced: they
 *             rotted, and record_damaged() says so. So that the last record has such a witness
 *             too, a SYNCED record follows a sync and a compaction (itself not synced).
 *             Assumed of the disk: writing behind the synced bytes of a sector does not hurt them.
 *
 * Errors      -ENODATA the bytes end (nothing, or less than a whole); -EBADMSG they are wrong;
 *             -EPROTONOSUPPORT they are of a newer version; -EMSGSIZE, -EINVAL on encoding.
 */
#ifndef OBSM_CHECKPOINT_RECORD_H
#define OBSM_CHECKPOINT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "checkpoint/ranges.h"
#include "net/base/buf.h"

enum {
    RECORD_HEADER_SIZE = 32,
    RECORD_FRAME_SIZE = 24,
    RECORD_PAYLOAD_MAX = 1 << 20,
    RECORD_KEY_MAX = 1024,       /* bytes of a key */
    RECORD_ETAG_MAX = 127,       /* bytes of an ETag, without quotes */
    RECORD_UPLOAD_ID_MAX = 255,  /* bytes of an upload id */
    RECORD_NONCE_MAX = 63,       /* bytes of our mark in the user metadata */
    RECORD_TEXT_MAX = 255,       /* bytes of a message, a code, a request id */
    RECORD_ATTRS_MAX = 64 << 10, /* bytes of an attribute set */
    RECORD_MAP_MAX = 60000,      /* ranges in one MAP record; a larger map takes several */
    RECORD_PART_MAX = 10000,     /* highest part number */
};

/* Highest offset or size that a record may name. */
#define RECORD_OFFSET_MAX ((uint64_t)1 << 50)

/* The numbers stand in files: they are never given to something else. */
enum record_type {
    RECORD_OPEN = 1,         /* first record of every journal */
    RECORD_KEY = 2,          /* the final key is another one: rename, or the guess was wrong */
    RECORD_ATTRS = 3,        /* the attributes are now these */
    RECORD_HELD = 4,         /* closed under a temp name: waits for its rename */
    RECORD_INITIATING = 5,   /* an Initiate is about to be sent */
    RECORD_INITIATED = 6,    /* it was answered */
    RECORD_PLANNED = 7,      /* a part was sealed: its boundaries, and its digest if known */
    RECORD_PART = 8,         /* a part is stored: written before it counts */
    RECORD_REWRITTEN = 9,    /* a sealed part was written again: what is stored is old */
    RECORD_MAP = 10,         /* which bytes are in staging */
    RECORD_PUNCHED = 11,     /* staging of a stored range is released: synced before it is */
    RECORD_SIZE = 12,        /* the file's size is now this (truncation drops parts) */
    RECORD_SEALED = 13,      /* the writer is done: this is the file */
    RECORD_REOPENED = 14,    /* written again before it was stored */
    RECORD_COMPLETING = 15,  /* Complete (or the single PUT) is about to be sent */
    RECORD_DONE = 16,        /* stored and verified, attributes sent */
    RECORD_ABANDONED = 17,   /* nobody wants it: abort on the server, drop staging */
    RECORD_ABORTED = 18,     /* an upload is gone from the server, or never was */
    RECORD_INTERRUPTED = 19, /* the writer was killed: kept, not published */
    RECORD_FAILED = 20,      /* given up after an error: kept for a retry */
    RECORD_PAUSED = 21,
    RECORD_RESUMED = 22,  /* goes on: ends PAUSED, FAILED, INTERRUPTED and CONFLICT */
    RECORD_CONFLICT = 23, /* somebody else's object stands there */
    RECORD_STALE = 24,    /* an upload is not used any more and is to be aborted */
    RECORD_SYNCED = 25,   /* says nothing: its `durable` vouches for what stands before it */

    /* of the ledgers of a mount (ledger.h), never in the journal of an upload */
    RECORD_CHANGED = 26,     /* attributes of a stored object were changed, the bucket lacks them */
    RECORD_SENDING = 27,     /* a copy of that object onto itself is about to be sent */
    RECORD_SETTLED = 28,     /* the bucket has them, or nobody wants them any more */
    RECORD_MOVE = 29,        /* a rename has begun: the objects are being copied */
    RECORD_MOVE_COPIED = 30, /* one was copied, and the copy has an ETag of its own */
    RECORD_MOVE_DELETE = 31, /* all are copied and checked: the old ones are being deleted */
    RECORD_MOVE_END = 32,    /* the rename is finished, or undone */

    RECORD_CLONED = 33 /* of an upload: ranges of the file are another object's, and not here */
};

/* When is a success a success: design, promise 1. */
enum durability { DURABILITY_STORE = 0, DURABILITY_STAGE = 1 };

enum seal_reason { SEAL_CLOSE = 0, SEAL_FSYNC = 1, SEAL_PUBLISH = 2 };

enum interrupt_cause { INTERRUPT_SIGNAL = 0, INTERRUPT_CRASH = 1, INTERRUPT_UNLINKED = 2 };

struct record_blob {
    const uint8_t *p;
    uint32_t n;
};

/* To encode, fill v and n. After decoding v is NULL: record_range() gives the ranges. */
struct record_ranges {
    const struct range *v;
    const uint8_t *raw;
    uint32_t n;
};

/* Times called server_s are seconds since 1970 by the server's clock, 0 if not yet known. */
struct record_open {
    uint64_t id;
    const char *key;       /* the whole key in the bucket */
    const char *temp_name; /* whole key of a temp name that waits for its rename, "" if none */
    bool predicted;        /* `key` was guessed from temp_name */
    uint32_t durability;   /* enum durability */
    int64_t server_s;
    int64_t real_s;       /* our clock */
    const char *boot_id;  /* of the running kernel: whether its page cache is still there */
    uint32_t writer_pid;  /* process that opened it */
    uint64_t writer_time; /* its start time, field 22 of /proc/PID/stat: a pid comes again */
    uint32_t writer_uid;
    const char *base_key;  /* object that is being modified, "" if the file is new */
    const char *base_etag; /* its ETag */
    uint64_t base_size;
    int64_t seen_s; /* latest server time known: carried over by compaction */
};

struct record_key {
    const char *key;
    bool held; /* still waits for its rename */
};

struct record_attrs {
    struct record_blob attrs; /* see attrset_add() */
};

struct record_held {
    int64_t server_s;
};

struct record_initiating {
    const char *key;
    int64_t server_s;
    uint32_t window_s; /* after so many seconds the request had certainly ended */
};

struct record_initiated {
    const char *key;
    const char *upload_id;
    const char *nonce; /* our mark in the metadata, "" if none */
    uint64_t part_size;
    int64_t server_s;         /* the server's Date when it answered */
    struct record_blob attrs; /* as they were sent */
    bool adopted;             /* it was found on the server: nobody knows with which */
};

struct record_planned {
    uint32_t part_no; /* 1 to RECORD_PART_MAX */
    uint32_t generation;
    uint64_t offset;
    uint64_t size;
    bool has_md5;
    uint8_t md5[16];
};

struct record_part {
    uint32_t part_no;
    uint32_t generation;
    uint64_t offset;
    uint64_t size;
    bool has_md5; /* false for a range that the server copied */
    uint8_t md5[16];
    const char *etag; /* as the server gave it, without quotes */
    bool copied;
    bool has_crc64; /* of what was sent; these two are not in journals of before */
    uint64_t crc64;
};

struct record_rewritten {
    uint32_t part_no;
    uint32_t generation; /* of the content that is being written now */
};

struct record_map {
    bool reset; /* forget the map so far (false: add to it) */
    struct record_ranges ranges;
};

struct record_punched {
    uint64_t offset;
    uint64_t length;
};

struct record_cloned {
    bool any; /* false: none of it any more */
};

struct record_size {
    uint64_t size;
};

struct record_sealed {
    uint64_t size;
    uint32_t reason; /* enum seal_reason */
    bool synced;     /* staging was synced before: it can be trusted after a power cut */
    int64_t server_s;
    struct record_blob attrs;
};

struct record_completing {
    const char *key;
    const char *etag;      /* the ETag that the object must get; "" if it cannot be known */
    const char *nonce;     /* of a single PUT; "" for a multipart upload */
    uint32_t n_parts;      /* 0: a single PUT */
    uint64_t parts_digest; /* state_parts_digest() of the list that is sent */
    int64_t server_s;
    struct record_blob attrs; /* the final attributes: recovery sends them */
};

struct record_done {
    const char *etag;
    const char *upload_id;
};

struct record_abandoned {
    const char *reason;
};

struct record_aborted {
    const char *key;
    const char *upload_id; /* "": every Initiate of that key whose answer was lost is cleared up */
};

struct record_stale {
    const char *key;
    const char *upload_id;
};

struct record_interrupted {
    uint32_t cause; /* enum interrupt_cause */
    uint32_t signal;
    int64_t server_s;
};

struct record_failed {
    uint32_t eno; /* positive errno */
    const char *code;
    const char *message;
    const char *request_id;
    int64_t server_s;
};

struct record_conflict {
    const char *etag;      /* of the object that stands there */
    const char *upload_id; /* of it, "" if none */
    int64_t modified_s;    /* its Last-Modified */
    int64_t server_s;
};

struct record_changed {
    const char *key;
    const char *etag; /* of the object that was changed, "" for a directory */
    int64_t ctime_s;  /* of the change: a later one in the bucket is newer */
    uint32_t ctime_ns;
    struct record_blob attrs; /* the properties to be sent */
};

struct record_sending {
    const char *key;
    int64_t ctime_s; /* of the attributes that the copy will have: by them it is known as ours */
    uint32_t ctime_ns;
};

struct record_settled {
    const char *key;
};

struct record_move {
    uint64_t id;
    const char *from; /* prefix of the old keys, with its slash; or the key of a file */
    const char *to;   /* .. of the new ones */
    bool replaces;    /* an empty directory, or a file, stood at `to` as an object */
    int64_t server_s;
    struct record_blob attrs; /* its properties: undoing gives them back */
};

struct record_move_copied {
    uint64_t id;
    const char *key;  /* the old one */
    const char *etag; /* of the old object */
    const char *copy_etag;
};

struct record_move_mark { /* MOVE_DELETE, MOVE_END */
    uint64_t id;
};

struct record {
    enum record_type type;
    bool optional;
    union {
        struct record_open open;
        struct record_key key;
        struct record_attrs attrs;
        struct record_held held;
        struct record_initiating initiating;
        struct record_initiated initiated;
        struct record_planned planned;
        struct record_part part;
        struct record_rewritten rewritten;
        struct record_map map;
        struct record_punched punched;
        struct record_cloned cloned;
        struct record_size size;
        struct record_sealed sealed;
        struct record_completing completing;
        struct record_done done;
        struct record_abandoned abandoned;
        struct record_aborted aborted;
        struct record_stale stale;
        struct record_interrupted interrupted;
        struct record_failed failed;
        struct record_conflict conflict;
        struct record_changed changed;
        struct record_sending sending;
        struct record_settled settled;
        struct record_move move;
        struct record_move_copied move_copied;
        struct record_move_mark move_mark;
    };
};

/* Where a record stands: the file's salt, the record's number, the bytes synced so far. */
struct record_pos {
    uint64_t salt;
    uint32_t seq;
    uint64_t durable;
};

/* The header of a new file. */
void record_header_encode(uint8_t out[RECORD_HEADER_SIZE], uint64_t salt);

/* Reads the header. -ENODATA if it is not whole or nothing but zeros (the file was being created
 * when the power went), -EBADMSG, -EPROTONOSUPPORT. */
int record_header_decode(const uint8_t *p, size_t n, uint64_t *ret_salt);

/* Appends one record. NULL strings count as "". -EINVAL for an unknown type, a value out of its
 * limits or a string with a 0 in it; -EMSGSIZE, -ENOMEM from the buffer. After a failure the
 * buffer's content is undefined behind its old length. */
int record_encode(struct buf *out, const struct record *r, const struct record_pos *pos);

/* Reads the record at p and returns its length on disk. Strings and blobs in *ret point into p.
 * `pos` gives salt and expected number. ret->type is 0 for an optional record of an unknown type:
 * skip it. -ENODATA (n == 0), -EBADMSG (torn or damaged), -EPROTONOSUPPORT. */
ssize_t record_decode(const uint8_t *p, size_t n, const struct record_pos *pos, struct record *ret);

/* Range i of a decoded list (i < r->n). */
struct range record_range(const struct record_ranges *r, uint32_t i);

/* True if the bytes at `bad` (from the start of the file, where decoding stopped) had once been
 * synced: see "Torn or damaged" above. `pos` is the position at which decoding stopped. */
bool record_damaged(const uint8_t *file, size_t n, size_t bad, const struct record_pos *pos);

/* The name of a type such as "INITIATED", "?" for an unknown one. */
const char *record_type_name(enum record_type type);

/* True if a journal of that durability must be synced before what the record announces is done or
 * answered: the table stands in record.c. */
bool record_wants_sync(const struct record *r, enum durability durability);

/* An attribute set as a blob: entries of u8 kind, string name, u32 length, value bytes. What the
 * kinds mean is the caller's. */
struct attrset_entry {
    uint8_t kind;
    const char *name;
    const uint8_t *value;
    uint32_t value_n;
};

int attrset_add(struct buf *b, uint8_t kind, const char *name, const void *value, size_t n);

/* The entry at *pos (0 at the start), which is moved on. 1: there is one, 0: the end, -EBADMSG. */
int attrset_next(const void *p, size_t n, size_t *pos, struct attrset_entry *ret);

#endif
