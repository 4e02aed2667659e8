// SPDX-License-Identifier: Apache-2.0
// The codec of journal records, driven by one table; see record.h.
#include "checkpoint/record.h"

#include "checkpoint/crc32c.h"

#include <errno.h>
#include <string.h>

static const char magic[8] = {'O', 'B', 'S', 'M', 'J', 'N', 'L', '\n'};

enum { VERSION = 1, FLAG_OPTIONAL = 1 };

enum field_kind { F_END = 0, F_BOOL, F_U32, F_U64, F_I64, F_STR, F_BLOB, F_MD5, F_RANGES };

struct field {
    enum field_kind kind;
    uint16_t at;  // offset within struct record
    uint64_t max; // largest value, longest string or blob, most ranges
    bool later;   // added at the end of a type: a journal from before does not have it
};

enum { FIELDS_MAX = 15 };

struct layout {
    const char *name;
    struct field fields[FIELDS_MAX];
    bool sync_store; // wants a sync at durability=store
    bool sync_stage; // .. at durability=stage
};

#define AT(m) offsetof(struct record, m)
#define STR(m, max_)                                                                               \
    {                                                                                              \
        F_STR, AT(m), max_, false                                                                  \
    }
#define KEY(m)                                                                                     \
    {                                                                                              \
        F_STR, AT(m), RECORD_KEY_MAX, false                                                        \
    }
#define U32(m, max_)                                                                               \
    {                                                                                              \
        F_U32, AT(m), max_, false                                                                  \
    }
#define OFF(m)                                                                                     \
    {                                                                                              \
        F_U64, AT(m), RECORD_OFFSET_MAX, false                                                     \
    }
#define TIME(m)                                                                                    \
    {                                                                                              \
        F_I64, AT(m), 0, false                                                                     \
    }
#define BOOL(m)                                                                                    \
    {                                                                                              \
        F_BOOL, AT(m), 1, false                                                                    \
    }
#define MD5(m)                                                                                     \
    {                                                                                              \
        F_MD5, AT(m), 0, false                                                                     \
    }
#define ATTRS(m)                                                                                   \
    {                                                                                              \
        F_BLOB, AT(m), RECORD_ATTRS_MAX, false                                                     \
    }
#define U64(m)                                                                                     \
    {                                                                                              \
        F_U64, AT(m), UINT64_MAX, false                                                            \
    }

/* The layout of every type, and when it must be durable before the next step.
 *
 * INITIATING  never: without INITIATED, which is synced before the first part is sent, a power cut
 *             leaves an upload without parts at most.
 * INITIATED   both: else a power cut leaves an upload with parts on the server that nobody knows.
 * PUNCHED     both: afterwards the server alone has those bytes, and PART says where.
 * COMPLETING  both: Complete cannot be taken back, the final attributes must survive it. A single
 *             PUT at store does not: it carries its attributes.
 * SEALED, KEY, ATTRS, SIZE, ABANDONED
 *             stage only: there they change what was already acknowledged; at store the answer to
 *             the user comes when the object is stored.
 * CHANGED     stage only: at store a change that gathers outlives the driver, not the machine.
 * MOVE, MOVE_DELETE
 *             both: afterwards nobody could tell which of two trees is the right one. Not those of
 *             a file, of which both names may stay.
 * PART        never: ListParts is the truth, and a lost one costs one part sent again. */
static const struct layout layouts[] = {
    [RECORD_OPEN] = {.name = "OPEN",
                     .fields = {U64(open.id), KEY(open.key), KEY(open.temp_name),
                                BOOL(open.predicted), U32(open.durability, DURABILITY_STAGE),
                                TIME(open.server_s), TIME(open.real_s), STR(open.boot_id, 63),
                                U32(open.writer_pid, UINT32_MAX), U64(open.writer_time),
                                U32(open.writer_uid, UINT32_MAX), KEY(open.base_key),
                                STR(open.base_etag, RECORD_ETAG_MAX), OFF(open.base_size),
                                TIME(open.seen_s)}},
    [RECORD_KEY] = {.name = "KEY", .fields = {KEY(key.key), BOOL(key.held)}, .sync_stage = true},
    [RECORD_ATTRS] = {.name = "ATTRS", .fields = {ATTRS(attrs.attrs)}, .sync_stage = true},
    [RECORD_HELD] = {.name = "HELD", .fields = {TIME(held.server_s)}},
    [RECORD_INITIATING] = {.name = "INITIATING",
                           .fields = {KEY(initiating.key), TIME(initiating.server_s),
                                      U32(initiating.window_s, UINT32_MAX)}},
    [RECORD_INITIATED] = {.name = "INITIATED",
                          .fields = {KEY(initiated.key),
                                     STR(initiated.upload_id, RECORD_UPLOAD_ID_MAX),
                                     STR(initiated.nonce, RECORD_NONCE_MAX),
                                     OFF(initiated.part_size),
                                     TIME(initiated.server_s),
                                     ATTRS(initiated.attrs),
                                     {F_BOOL, AT(initiated.adopted), 1, .later = true}},
                          .sync_store = true,
                          .sync_stage = true},
    [RECORD_PLANNED] = {.name = "PLANNED",
                        .fields = {U32(planned.part_no, RECORD_PART_MAX),
                                   U32(planned.generation, UINT32_MAX), OFF(planned.offset),
                                   OFF(planned.size), BOOL(planned.has_md5), MD5(planned.md5)}},
    [RECORD_PART] = {.name = "PART",
                     .fields = {U32(part.part_no, RECORD_PART_MAX),
                                U32(part.generation, UINT32_MAX),
                                OFF(part.offset),
                                OFF(part.size),
                                BOOL(part.has_md5),
                                MD5(part.md5),
                                STR(part.etag, RECORD_ETAG_MAX),
                                BOOL(part.copied),
                                {F_BOOL, AT(part.has_crc64), 1, .later = true},
                                {F_U64, AT(part.crc64), UINT64_MAX, .later = true}}},
    [RECORD_REWRITTEN] = {.name = "REWRITTEN",
                          .fields = {U32(rewritten.part_no, RECORD_PART_MAX),
                                     U32(rewritten.generation, UINT32_MAX)}},
    [RECORD_MAP] = {.name = "MAP",
                    .fields = {BOOL(map.reset), {F_RANGES, AT(map.ranges), RECORD_MAP_MAX, false}}},
    [RECORD_PUNCHED] = {.name = "PUNCHED",
                        .fields = {OFF(punched.offset), OFF(punched.length)},
                        .sync_store = true,
                        .sync_stage = true},
    [RECORD_SIZE] = {.name = "SIZE", .fields = {OFF(size.size)}, .sync_stage = true},
    [RECORD_SEALED] = {.name = "SEALED",
                       .fields = {OFF(sealed.size), U32(sealed.reason, SEAL_PUBLISH),
                                  BOOL(sealed.synced), TIME(sealed.server_s), ATTRS(sealed.attrs)},
                       .sync_stage = true},
    [RECORD_REOPENED] = {.name = "REOPENED", .fields = {{0}}},
    [RECORD_COMPLETING] = {.name = "COMPLETING",
                           .fields = {KEY(completing.key), STR(completing.etag, RECORD_ETAG_MAX),
                                      STR(completing.nonce, RECORD_NONCE_MAX),
                                      U32(completing.n_parts, RECORD_PART_MAX),
                                      U64(completing.parts_digest), TIME(completing.server_s),
                                      ATTRS(completing.attrs)},
                           .sync_store = true,
                           .sync_stage = true},
    [RECORD_DONE] = {.name = "DONE",
                     .fields = {STR(done.etag, RECORD_ETAG_MAX),
                                STR(done.upload_id, RECORD_UPLOAD_ID_MAX)}},
    [RECORD_ABANDONED] = {.name = "ABANDONED",
                          .fields = {STR(abandoned.reason, RECORD_TEXT_MAX)},
                          .sync_stage = true},
    [RECORD_ABORTED] = {.name = "ABORTED",
                        .fields = {KEY(aborted.key), STR(aborted.upload_id, RECORD_UPLOAD_ID_MAX)}},
    [RECORD_STALE] = {.name = "STALE",
                      .fields = {KEY(stale.key), STR(stale.upload_id, RECORD_UPLOAD_ID_MAX)}},
    [RECORD_INTERRUPTED] = {.name = "INTERRUPTED",
                            .fields = {U32(interrupted.cause, INTERRUPT_UNLINKED),
                                       U32(interrupted.signal, 255), TIME(interrupted.server_s)}},
    [RECORD_FAILED] = {.name = "FAILED",
                       .fields = {U32(failed.eno, 4095), STR(failed.code, RECORD_TEXT_MAX),
                                  STR(failed.message, RECORD_TEXT_MAX),
                                  STR(failed.request_id, RECORD_TEXT_MAX), TIME(failed.server_s)}},
    [RECORD_PAUSED] = {.name = "PAUSED", .fields = {{0}}},
    [RECORD_RESUMED] = {.name = "RESUMED", .fields = {{0}}},
    [RECORD_CONFLICT] = {.name = "CONFLICT",
                         .fields = {STR(conflict.etag, RECORD_ETAG_MAX),
                                    STR(conflict.upload_id, RECORD_UPLOAD_ID_MAX),
                                    TIME(conflict.modified_s), TIME(conflict.server_s)}},
    [RECORD_SYNCED] = {.name = "SYNCED", .fields = {{0}}},
    [RECORD_CHANGED] = {.name = "CHANGED",
                        .fields = {KEY(changed.key), STR(changed.etag, RECORD_ETAG_MAX),
                                   TIME(changed.ctime_s), U32(changed.ctime_ns, 999999999),
                                   ATTRS(changed.attrs)},
                        .sync_stage = true},
    [RECORD_SENDING] = {.name = "SENDING",
                        .fields = {KEY(sending.key), TIME(sending.ctime_s),
                                   U32(sending.ctime_ns, 999999999)}},
    [RECORD_SETTLED] = {.name = "SETTLED", .fields = {KEY(settled.key)}},
    [RECORD_MOVE] = {.name = "MOVE",
                     .fields = {U64(move.id), KEY(move.from), KEY(move.to), BOOL(move.replaces),
                                TIME(move.server_s), ATTRS(move.attrs)},
                     .sync_store = true,
                     .sync_stage = true},
    [RECORD_MOVE_COPIED] = {.name = "MOVE_COPIED",
                            .fields = {U64(move_copied.id), KEY(move_copied.key),
                                       STR(move_copied.etag, RECORD_ETAG_MAX),
                                       STR(move_copied.copy_etag, RECORD_ETAG_MAX)}},
    [RECORD_MOVE_DELETE] = {.name = "MOVE_DELETE",
                            .fields = {U64(move_mark.id)},
                            .sync_store = true,
                            .sync_stage = true},
    [RECORD_CLONED] = {.name = "CLONED", .fields = {BOOL(cloned.any)}},
    [RECORD_MOVE_END] = {.name = "MOVE_END", .fields = {U64(move_mark.id)}},
};

static const struct layout *layout_of(unsigned type)
{
    if (type >= sizeof(layouts) / sizeof(layouts[0]) || !layouts[type].name)
        return NULL;
    return &layouts[type];
}

static void put_le(uint8_t *to, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)from[i] << (8 * i);
    return v;
}

void record_header_encode(uint8_t out[RECORD_HEADER_SIZE], uint64_t salt)
{
    memset(out, 0, RECORD_HEADER_SIZE);
    memcpy(out, magic, sizeof(magic));
    put_le(out + 8, VERSION, 2);
    put_le(out + 10, RECORD_HEADER_SIZE, 2);
    put_le(out + 16, salt, 8);
    put_le(out + 28, crc32c(0, out, 28), 4);
}

int record_header_decode(const uint8_t *p, size_t n, uint64_t *ret_salt)
{
    if (n < RECORD_HEADER_SIZE)
        return -ENODATA;
    static const uint8_t zeros[RECORD_HEADER_SIZE];
    if (memcmp(p, zeros, RECORD_HEADER_SIZE) == 0)
        return -ENODATA;
    if (memcmp(p, magic, sizeof(magic)) != 0 || get_le(p + 28, 4) != crc32c(0, p, 28))
        return -EBADMSG;
    if (get_le(p + 8, 2) != VERSION || get_le(p + 10, 2) != RECORD_HEADER_SIZE ||
        get_le(p + 12, 4) != 0)
        return -EPROTONOSUPPORT;
    *ret_salt = get_le(p + 16, 8);
    return 0;
}

static int put_number(struct buf *out, uint64_t v, size_t n)
{
    uint8_t bytes[8];
    put_le(bytes, v, n);
    return buf_add(out, bytes, n);
}

static int put_str(struct buf *out, const char *s, uint64_t max)
{
    size_t n = s ? strlen(s) : 0;
    if (n > max)
        return -EINVAL;
    (void)put_number(out, n, 2);
    return buf_add(out, s ? s : "", n + 1);
}

static int put_ranges(struct buf *out, const struct record_ranges *r, uint64_t max)
{
    if (r->n > max)
        return -EINVAL;
    int rc = put_number(out, r->n, 4);
    for (uint32_t i = 0; i < r->n && rc == 0; i++) {
        struct range one = record_range(r, i);
        if (one.off >= one.end || one.end > RECORD_OFFSET_MAX)
            return -EINVAL;
        (void)put_number(out, one.off, 8);
        rc = put_number(out, one.end, 8);
    }
    return rc;
}

static int put_field(struct buf *out, const struct field *f, const void *at)
{
    switch (f->kind) {
    case F_BOOL:
        return put_number(out, *(const bool *)at, 1);
    case F_U32:
        return *(const uint32_t *)at > f->max ? -EINVAL : put_number(out, *(const uint32_t *)at, 4);
    case F_U64:
        return *(const uint64_t *)at > f->max ? -EINVAL : put_number(out, *(const uint64_t *)at, 8);
    case F_I64:
        return put_number(out, (uint64_t) * (const int64_t *)at, 8);
    case F_STR:
        return put_str(out, *(const char *const *)at, f->max);
    case F_BLOB: {
        const struct record_blob *blob = at;
        if (blob->n > f->max)
            return -EINVAL;
        (void)put_number(out, blob->n, 4);
        return buf_add(out, blob->n ? blob->p : (const uint8_t *)"", blob->n);
    }
    case F_MD5:
        return buf_add(out, at, 16);
    case F_RANGES:
        return put_ranges(out, at, f->max);
    case F_END:
        break;
    }
    return -EINVAL;
}

static uint32_t frame_crc(uint64_t salt, const uint8_t *frame, size_t payload)
{
    uint8_t bytes[8];
    put_le(bytes, salt, 8);
    return crc32c(crc32c(0, bytes, 8), frame + 4, RECORD_FRAME_SIZE - 4 + payload);
}

int record_encode(struct buf *out, const struct record *r, const struct record_pos *pos)
{
    const struct layout *layout = layout_of(r->type);
    if (!layout)
        return -EINVAL;

    size_t start = out->n;
    uint8_t frame[RECORD_FRAME_SIZE] = {0};
    int rc = buf_add(out, frame, sizeof(frame));
    for (const struct field *f = layout->fields;
         rc == 0 && f < layout->fields + FIELDS_MAX && f->kind != F_END; f++)
        rc = put_field(out, f, (const uint8_t *)r + f->at);
    if (rc == 0)
        rc = out->eno; // a failure within a field sticks
    if (rc < 0)
        return rc;

    size_t payload = out->n - start - RECORD_FRAME_SIZE;
    if (payload > RECORD_PAYLOAD_MAX)
        return -EMSGSIZE;
    uint8_t *at = (uint8_t *)out->p + start;
    put_le(at + 4, payload, 4);
    put_le(at + 8, r->type, 2);
    put_le(at + 10, r->optional ? FLAG_OPTIONAL : 0, 2);
    put_le(at + 12, pos->seq, 4);
    put_le(at + 16, pos->durable, 8);
    put_le(at, frame_crc(pos->salt, at, payload), 4);
    return 0;
}

struct cursor {
    const uint8_t *p;
    size_t n;
};

// The next n bytes, or NULL if there are not so many.
static const uint8_t *take(struct cursor *c, size_t n)
{
    if (n > c->n)
        return NULL;
    const uint8_t *at = c->p;
    c->p += n;
    c->n -= n;
    return at;
}

static bool take_number(struct cursor *c, size_t n, uint64_t *ret)
{
    const uint8_t *at = take(c, n);
    if (at)
        *ret = get_le(at, n);
    return at != NULL;
}

static const char *take_str(struct cursor *c, uint64_t max)
{
    uint64_t n;
    if (!take_number(c, 2, &n) || n > max)
        return NULL;
    const uint8_t *at = take(c, (size_t)n + 1);
    if (!at || memchr(at, 0, (size_t)n + 1) != at + n)
        return NULL;
    return (const char *)at;
}

static bool take_ranges(struct cursor *c, uint64_t max, struct record_ranges *ret)
{
    uint64_t n;
    if (!take_number(c, 4, &n) || n > max)
        return false;
    *ret = (struct record_ranges){.raw = take(c, (size_t)n * 16), .n = (uint32_t)n};
    if (!ret->raw)
        return false;
    for (uint32_t i = 0; i < ret->n; i++) {
        struct range one = record_range(ret, i);
        if (one.off >= one.end || one.end > RECORD_OFFSET_MAX)
            return false;
    }
    return true;
}

static bool take_field(struct cursor *c, const struct field *f, void *at)
{
    uint64_t v = 0;
    const uint8_t *bytes;
    switch (f->kind) {
    case F_BOOL:
        if (!take_number(c, 1, &v) || v > 1)
            return false;
        *(bool *)at = v;
        return true;
    case F_U32:
        if (!take_number(c, 4, &v) || v > f->max)
            return false;
        *(uint32_t *)at = (uint32_t)v;
        return true;
    case F_U64:
        if (!take_number(c, 8, &v) || v > f->max)
            return false;
        *(uint64_t *)at = v;
        return true;
    case F_I64:
        if (!take_number(c, 8, &v))
            return false;
        *(int64_t *)at = (int64_t)v;
        return true;
    case F_STR:
        *(const char **)at = take_str(c, f->max);
        return *(const char **)at != NULL;
    case F_BLOB:
        if (!take_number(c, 4, &v) || v > f->max || !(bytes = take(c, (size_t)v)))
            return false;
        *(struct record_blob *)at = (struct record_blob){bytes, (uint32_t)v};
        return true;
    case F_MD5:
        bytes = take(c, 16);
        if (bytes)
            memcpy(at, bytes, 16);
        return bytes != NULL;
    case F_RANGES:
        return take_ranges(c, f->max, at);
    case F_END:
        break;
    }
    return false;
}

static int decode_payload(struct cursor c, const struct layout *layout, struct record *ret)
{
    for (const struct field *f = layout->fields;
         f < layout->fields + FIELDS_MAX && f->kind != F_END; f++)
        if (!(f->later && c.n == 0) && !take_field(&c, f, (uint8_t *)ret + f->at))
            return -EBADMSG;
    return 0;
}

// Length of the frame at p if it is whole and its checksum right, else 0.
static size_t valid_frame(const uint8_t *p, size_t n, uint64_t salt)
{
    if (n < RECORD_FRAME_SIZE)
        return 0;
    uint64_t payload = get_le(p + 4, 4);
    if (payload > RECORD_PAYLOAD_MAX || payload > n - RECORD_FRAME_SIZE)
        return 0;
    if (get_le(p, 4) != frame_crc(salt, p, (size_t)payload))
        return 0;
    return RECORD_FRAME_SIZE + (size_t)payload;
}

ssize_t record_decode(const uint8_t *p, size_t n, const struct record_pos *pos, struct record *ret)
{
    if (n == 0)
        return -ENODATA;
    size_t whole = valid_frame(p, n, pos->salt);
    if (whole == 0 || get_le(p + 12, 4) != pos->seq)
        return -EBADMSG;

    unsigned type = (unsigned)get_le(p + 8, 2);
    unsigned flags = (unsigned)get_le(p + 10, 2);
    const struct layout *layout = layout_of(type);
    *ret = (struct record){.optional = flags & FLAG_OPTIONAL};
    if (!layout)
        return ret->optional ? (ssize_t)whole : -EPROTONOSUPPORT;

    ret->type = type;
    struct cursor c = {p + RECORD_FRAME_SIZE, whole - RECORD_FRAME_SIZE};
    int rc = decode_payload(c, layout, ret);
    return rc < 0 ? rc : (ssize_t)whole;
}

struct range record_range(const struct record_ranges *r, uint32_t i)
{
    if (r->v)
        return r->v[i];
    const uint8_t *at = r->raw + (size_t)i * 16;
    return (struct range){get_le(at, 8), get_le(at + 8, 8)};
}

bool record_damaged(const uint8_t *file, size_t n, size_t bad, const struct record_pos *pos)
{
    for (size_t at = bad + 1; at + RECORD_FRAME_SIZE <= n; at++) {
        const uint8_t *p = file + at;
        // The cheap tests first: the checksum is computed for few places only.
        uint64_t seq = get_le(p + 12, 4);
        uint64_t durable = get_le(p + 16, 8);
        if (seq <= pos->seq || seq - pos->seq > n || durable <= bad || durable > at)
            continue;
        if (valid_frame(p, n - at, pos->salt))
            return true;
    }
    return false;
}

const char *record_type_name(enum record_type type)
{
    const struct layout *layout = layout_of(type);
    return layout ? layout->name : "?";
}

bool record_wants_sync(const struct record *r, enum durability durability)
{
    const struct layout *layout = layout_of(r->type);
    if (!layout)
        return false;
    if (r->type == RECORD_COMPLETING && r->completing.n_parts == 0)
        return durability == DURABILITY_STAGE;
    return durability == DURABILITY_STAGE ? layout->sync_stage : layout->sync_store;
}

int attrset_add(struct buf *b, uint8_t kind, const char *name, const void *value, size_t n)
{
    if (strlen(name) > UINT16_MAX || n > RECORD_ATTRS_MAX)
        return -EINVAL;
    (void)put_number(b, kind, 1);
    (void)put_str(b, name, UINT16_MAX);
    (void)put_number(b, n, 4);
    (void)buf_add(b, n ? value : "", n);
    return b->eno;
}

int attrset_next(const void *p, size_t n, size_t *pos, struct attrset_entry *ret)
{
    if (*pos >= n)
        return 0;
    struct cursor c = {(const uint8_t *)p + *pos, n - *pos};
    uint64_t kind;
    uint64_t value_n;
    if (!take_number(&c, 1, &kind))
        return -EBADMSG;
    const char *name = take_str(&c, UINT16_MAX);
    if (!name || !take_number(&c, 4, &value_n))
        return -EBADMSG;
    const uint8_t *value = take(&c, (size_t)value_n);
    if (!value)
        return -EBADMSG;
    *ret = (struct attrset_entry){(uint8_t)kind, name, value, (uint32_t)value_n};
    *pos = n - c.n;
    return 1;
}
