// SPDX-License-Identifier: Apache-2.0
// The record codec, the ranges and the checksum.
#include "checkpoint/crc32c.h"
#include "checkpoint/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <errno.h>

static const struct record_pos first = {.salt = 0x1122334455667788u, .seq = 7, .durable = 4096};

static void crc_known_values(void **state)
{
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aau);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

static void header_round_trip(void **state)
{
    uint8_t h[RECORD_HEADER_SIZE];
    uint64_t salt = 0;
    record_header_encode(h, 42);
    assert_int_equal(record_header_decode(h, sizeof(h), &salt), 0);
    assert_int_equal(salt, 42);
    for (size_t n = 0; n < sizeof(h); n++)
        assert_int_equal(record_header_decode(h, n, &salt), -ENODATA);
    uint8_t zeros[RECORD_HEADER_SIZE] = {0};
    assert_int_equal(record_header_decode(zeros, sizeof(zeros), &salt), -ENODATA);
}

static void header_bit_flips(void **state)
{
    uint8_t h[RECORD_HEADER_SIZE];
    uint64_t salt;
    record_header_encode(h, 42);
    for (size_t bit = 0; bit < 8 * sizeof(h); bit++) {
        h[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(record_header_decode(h, sizeof(h), &salt), -EBADMSG);
        h[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void header_of_newer_version(void **state)
{
    uint8_t h[RECORD_HEADER_SIZE];
    uint64_t salt;
    record_header_encode(h, 42);
    h[8] = 2;
    uint32_t crc = crc32c(0, h, 28);
    for (int i = 0; i < 4; i++)
        h[28 + i] = (uint8_t)(crc >> (8 * i));
    assert_int_equal(record_header_decode(h, sizeof(h), &salt), -EPROTONOSUPPORT);
}

// The documented layout of one record, byte by byte.
static void bytes_as_documented(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    struct record r = {.type = RECORD_REWRITTEN, .rewritten = {.part_no = 3, .generation = 0x102}};
    assert_int_equal(record_encode(&b, &r, &first), 0);
    static const uint8_t want[] = {8, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0, 16,
                                   0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0};
    assert_int_equal(b.n, 4 + sizeof(want));
    assert_memory_equal(b.p + 4, want, sizeof(want));
    uint8_t sum[8 + sizeof(want)] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    memcpy(sum + 8, want, sizeof(want));
    uint32_t crc = crc32c(0, sum, sizeof(sum));
    for (int i = 0; i < 4; i++)
        assert_int_equal((uint8_t)b.p[i], (uint8_t)(crc >> (8 * i)));
    buf_done(&b);
}

static const struct range some_ranges[] = {{0, 10}, {4096, 8192}, {1 << 20, 1 << 21}};

/* The later types; most stand in the ledgers of a mount. */
static void sample_of_later(struct record *r)
{
    struct record_blob blob = {(const uint8_t *)"a\0b", 3};
    switch (r->type) {
    case RECORD_CLONED:
        r->cloned.any = true;
        break;
    case RECORD_CONFLICT:
        r->conflict = (struct record_conflict){"other", "U2", 22, 23};
        break;
    case RECORD_CHANGED:
        r->changed = (struct record_changed){"d/f", "etag", -3, 999999999, blob};
        break;
    case RECORD_SENDING:
        r->sending = (struct record_sending){"d/f", 24, 25};
        break;
    case RECORD_SETTLED:
        r->settled.key = "d/f";
        break;
    case RECORD_MOVE:
        r->move = (struct record_move){1, "a/", "b/", true, 26, blob};
        break;
    case RECORD_MOVE_COPIED:
        r->move_copied = (struct record_move_copied){1, "a/f", "e1", "e2"};
        break;
    case RECORD_MOVE_DELETE:
    case RECORD_MOVE_END:
        r->move_mark.id = 1;
        break;
    default:
        fail_msg("type %d has no sample", r->type);
    }
}

static struct record sample(enum record_type type)
{
    struct record_blob blob = {(const uint8_t *)"a\0b", 3};
    struct record r = {.type = type};
    switch (type) {
    case RECORD_OPEN:
        r.open = (struct record_open){1,          "d/f", "d/.f.ab12CD", true, DURABILITY_STAGE,
                                      1700000000, -5,    "boot",        77,   UINT64_MAX,
                                      1000,       "d/f", "etag",        99,   12};
        break;
    case RECORD_KEY:
        r.key = (struct record_key){"x/y", true};
        break;
    case RECORD_ATTRS:
        r.attrs.attrs = blob;
        break;
    case RECORD_HELD:
        r.held.server_s = 5;
        break;
    case RECORD_INITIATING:
        r.initiating = (struct record_initiating){"d/f", 1700000001, 120};
        break;
    case RECORD_INITIATED:
        r.initiated = (struct record_initiated){"d/f", "UPLOAD", "nonce", 9 << 20, 17, blob, true};
        break;
    case RECORD_PLANNED:
        r.planned = (struct record_planned){10000, 1, 9 << 20, 9 << 20, true, "0123456789abcde"};
        break;
    case RECORD_PART:
        r.part = (struct record_part){1,      2,     0,    9 << 20,   true, "0123456789abcde",
                                      "00ff", false, true, UINT64_MAX};
        break;
    case RECORD_REWRITTEN:
        r.rewritten = (struct record_rewritten){1, 3};
        break;
    case RECORD_MAP:
        r.map = (struct record_map){true, {.v = some_ranges, .n = 3}};
        break;
    case RECORD_PUNCHED:
        r.punched = (struct record_punched){4096, 4096};
        break;
    case RECORD_SIZE:
        r.size.size = RECORD_OFFSET_MAX;
        break;
    case RECORD_SEALED:
        r.sealed = (struct record_sealed){123, SEAL_FSYNC, true, 18, blob};
        break;
    case RECORD_COMPLETING:
        r.completing =
            (struct record_completing){"d/f", "e-2", "", 2, 0xfedcba9876543210u, 19, blob};
        break;
    case RECORD_DONE:
        r.done = (struct record_done){"e-2", "UPLOAD"};
        break;
    case RECORD_ABANDONED:
        r.abandoned.reason = "unlinked";
        break;
    case RECORD_ABORTED:
        r.aborted = (struct record_aborted){"d/f", "UPLOAD"};
        break;
    case RECORD_INTERRUPTED:
        r.interrupted = (struct record_interrupted){INTERRUPT_SIGNAL, 9, 20};
        break;
    case RECORD_FAILED:
        r.failed = (struct record_failed){5, "InternalError", "no", "0001", 21};
        break;
    case RECORD_STALE:
        r.stale = (struct record_stale){"d/f", "U1"};
        break;
    case RECORD_PAUSED:
    case RECORD_RESUMED:
    case RECORD_REOPENED:
    case RECORD_SYNCED:
        break;
    default:
        sample_of_later(&r);
    }
    return r;
}

// decode(encode(r)) encodes to the same bytes again.
static void every_type_round_trips(void **state)
{
    for (unsigned type = RECORD_OPEN; type <= RECORD_CLONED; type++) {
        struct record r = sample(type);
        struct record back;
        struct buf b = BUF_INIT(1 << 20);
        struct buf again = BUF_INIT(1 << 20);
        assert_int_equal(record_encode(&b, &r, &first), 0);
        assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), b.n);
        assert_int_equal(back.type, type);
        assert_string_not_equal(record_type_name(type), "?");
        assert_int_equal(record_encode(&again, &back, &first), 0);
        assert_int_equal(again.n, b.n);
        assert_memory_equal(again.p, b.p, b.n);
        buf_done(&b);
        buf_done(&again);
    }
}

static void every_bit_flip_is_seen(void **state)
{
    for (unsigned type = RECORD_OPEN; type <= RECORD_CLONED; type++) {
        struct record r = sample(type);
        struct record back;
        struct buf b = BUF_INIT(1 << 20);
        assert_int_equal(record_encode(&b, &r, &first), 0);
        for (size_t bit = 0; bit < 8 * b.n; bit++) {
            b.p[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), -EBADMSG);
            b.p[bit / 8] ^= (char)(1 << bit % 8);
        }
        for (size_t n = 1; n < b.n; n++)
            assert_int_equal(record_decode((uint8_t *)b.p, n, &first, &back), -EBADMSG);
        assert_int_equal(record_decode((uint8_t *)b.p, 0, &first, &back), -ENODATA);
        buf_done(&b);
    }
}

static void salt_and_number_must_fit(void **state)
{
    struct record r = sample(RECORD_PART);
    struct record back;
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(record_encode(&b, &r, &first), 0);
    struct record_pos other = first;
    other.salt++;
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &other, &back), -EBADMSG);
    other = first;
    other.seq++;
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &other, &back), -EBADMSG);
    buf_done(&b);
}

// Sets type and flags of an encoded record and repairs its checksum.
static void retype(struct buf *b, unsigned type, unsigned flags)
{
    b->p[8] = (char)type;
    b->p[9] = (char)(type >> 8);
    b->p[10] = (char)flags;
    uint8_t salt[8];
    for (int i = 0; i < 8; i++)
        salt[i] = (uint8_t)(first.salt >> (8 * i));
    uint32_t crc = crc32c(crc32c(0, salt, 8), b->p + 4, b->n - 4);
    for (int i = 0; i < 4; i++)
        b->p[i] = (char)(crc >> (8 * i));
}

static void unknown_types(void **state)
{
    struct record r = sample(RECORD_PAUSED);
    struct record back;
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(record_encode(&b, &r, &first), 0);
    retype(&b, 999, 1);
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), b.n);
    assert_int_equal(back.type, 0);
    retype(&b, 999, 0);
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), -EPROTONOSUPPORT);
    buf_done(&b);
}

static void later_fields_are_ignored(void **state)
{
    struct record r = sample(RECORD_SIZE);
    struct record back;
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(record_encode(&b, &r, &first), 0);
    assert_int_equal(buf_add(&b, "later", 5), 0);
    b.p[4] = (char)(b.p[4] + 5);
    retype(&b, RECORD_SIZE, 0);
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), b.n);
    assert_int_equal(back.size.size, r.size.size);
    buf_done(&b);
}

// A part as journals had it before it had a CRC-64.
static void fields_of_later_may_be_missing(void **state)
{
    struct record r = sample(RECORD_PART);
    struct record back;
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(record_encode(&b, &r, &first), 0);
    for (int cut = 0; cut < 9; cut++) { // a whole number of fields, or it is wrong
        b.n--;
        b.p[4]--;
        retype(&b, RECORD_PART, 0);
        ssize_t n = record_decode((uint8_t *)b.p, b.n, &first, &back);
        assert_int_equal(n, cut == 7 || cut == 8 ? (ssize_t)b.n : -EBADMSG);
    }
    assert_false(back.part.has_crc64);
    assert_true(back.part.crc64 == 0);
    assert_string_equal(back.part.etag, r.part.etag);
    b.n--;
    b.p[4]--;
    retype(&b, RECORD_PART, 0);
    assert_int_equal(record_decode((uint8_t *)b.p, b.n, &first, &back), -EBADMSG);
    buf_done(&b);
}

static void limits_on_encoding(void **state)
{
    char key[RECORD_KEY_MAX + 2];
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = 0;
    struct buf b = BUF_INIT(4 << 20);
    struct record r = {.type = RECORD_KEY, .key = {.key = key}};
    assert_int_equal(record_encode(&b, &r, &first), -EINVAL);
    key[RECORD_KEY_MAX] = 0;
    buf_reset(&b);
    assert_int_equal(record_encode(&b, &r, &first), 0);
    buf_reset(&b);

    r = (struct record){.type = RECORD_SIZE, .size = {RECORD_OFFSET_MAX + 1}};
    assert_int_equal(record_encode(&b, &r, &first), -EINVAL);
    buf_reset(&b);
    struct range backwards = {9, 9};
    r = (struct record){.type = RECORD_MAP, .map = {.ranges = {.v = &backwards, .n = 1}}};
    assert_int_equal(record_encode(&b, &r, &first), -EINVAL);
    buf_reset(&b);
    r = (struct record){.type = 0};
    assert_int_equal(record_encode(&b, &r, &first), -EINVAL);
    buf_done(&b);
}

static void sync_policy(void **state)
{
    struct record put = {.type = RECORD_COMPLETING};
    struct record multi = {.type = RECORD_COMPLETING, .completing = {.n_parts = 1}};
    struct record seal = {.type = RECORD_SEALED};
    struct record part = {.type = RECORD_PART};
    struct record punched = {.type = RECORD_PUNCHED};
    struct record initiating = {.type = RECORD_INITIATING};
    struct record initiated = {.type = RECORD_INITIATED};
    assert_false(record_wants_sync(&put, DURABILITY_STORE));
    assert_true(record_wants_sync(&put, DURABILITY_STAGE));
    assert_true(record_wants_sync(&multi, DURABILITY_STORE));
    assert_false(record_wants_sync(&seal, DURABILITY_STORE));
    assert_true(record_wants_sync(&seal, DURABILITY_STAGE));
    assert_false(record_wants_sync(&part, DURABILITY_STAGE));
    assert_true(record_wants_sync(&punched, DURABILITY_STORE));
    assert_false(record_wants_sync(&initiating, DURABILITY_STORE));
    assert_true(record_wants_sync(&initiated, DURABILITY_STORE));
}

// Three records; the second rots. Only a later record that was written after a sync proves it.
static void torn_or_damaged(void **state)
{
    for (int synced = 0; synced <= 1; synced++) {
        struct buf b = BUF_INIT(1 << 20);
        size_t starts[4] = {0};
        uint8_t header[RECORD_HEADER_SIZE];
        record_header_encode(header, first.salt);
        assert_int_equal(buf_add(&b, header, sizeof(header)), 0);
        struct record_pos pos = {.salt = first.salt};
        for (uint32_t i = 0; i < 3; i++) {
            starts[i] = b.n;
            struct record r = {.type = RECORD_SIZE, .size = {i}};
            pos.seq = i;
            pos.durable = synced && i == 2 ? b.n : 0;
            assert_int_equal(record_encode(&b, &r, &pos), 0);
        }
        b.p[starts[1] + 25] ^= 4;
        pos.seq = 1;
        assert_int_equal(record_damaged((uint8_t *)b.p, b.n, starts[1], &pos), synced == 1);
        buf_done(&b);
    }
}

static void attribute_sets(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(attrset_add(&b, 0, "mode", "33188", 5), 0);
    assert_int_equal(attrset_add(&b, 1, "acl", "", 0), 0);
    assert_int_equal(attrset_add(&b, 2, "Content-Type", "a\0b", 3), 0);
    size_t pos = 0;
    struct attrset_entry e;
    assert_int_equal(attrset_next(b.p, b.n, &pos, &e), 1);
    assert_string_equal(e.name, "mode");
    assert_memory_equal(e.value, "33188", 5);
    assert_int_equal(attrset_next(b.p, b.n, &pos, &e), 1);
    assert_int_equal(e.kind, 1);
    assert_int_equal(e.value_n, 0);
    assert_int_equal(attrset_next(b.p, b.n, &pos, &e), 1);
    assert_memory_equal(e.value, "a\0b", 3);
    assert_int_equal(attrset_next(b.p, b.n, &pos, &e), 0);
    for (size_t n = 1; n < b.n; n++) {
        pos = 0;
        int rc = 1;
        while (rc == 1)
            rc = attrset_next(b.p, n, &pos, &e);
        assert_true(rc == -EBADMSG || pos == n);
    }
    buf_done(&b);
}

enum { SPACE = 200 };

static void check_ranges(const struct ranges *r, const bool *model)
{
    for (size_t i = 0; i < r->n; i++) {
        assert_true(r->v[i].off < r->v[i].end);
        if (i > 0)
            assert_true(r->v[i - 1].end < r->v[i].off);
    }
    unsigned from = (unsigned)rand() % SPACE;
    unsigned to = from + (unsigned)rand() % (SPACE - from + 1);
    uint64_t bytes = 0;
    unsigned gap = to;
    for (unsigned i = from; i < to; i++) {
        bytes += model[i];
        if (!model[i] && gap == to)
            gap = i;
    }
    assert_int_equal(ranges_bytes(r, from, to), bytes);
    assert_int_equal(ranges_covers(r, from, to), bytes == to - from);
    assert_int_equal(ranges_touches(r, from, to), bytes > 0);
    struct range g;
    bool has = ranges_gap(r, from, to, &g);
    assert_int_equal(has, gap < to);
    if (has) {
        assert_int_equal(g.off, gap);
        for (uint64_t i = g.off; i < g.end; i++)
            assert_false(model[i]);
        assert_true(g.end == to || model[g.end]);
    }
}

static void ranges_against_a_model(void **state)
{
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    struct ranges r = {0};
    bool model[SPACE + 1] = {false};
    for (int step = 0; step < 20000; step++) {
        unsigned from = (unsigned)rand() % SPACE;
        unsigned to = from + (unsigned)rand() % 20;
        if (to > SPACE)
            to = SPACE;
        bool add = rand() % 2;
        assert_int_equal(add ? ranges_add(&r, from, to) : ranges_sub(&r, from, to), 0);
        for (unsigned i = from; i < to; i++)
            model[i] = add;
        check_ranges(&r, model);
    }
    ranges_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_known_values),
        cmocka_unit_test(header_round_trip),
        cmocka_unit_test(header_bit_flips),
        cmocka_unit_test(header_of_newer_version),
        cmocka_unit_test(bytes_as_documented),
        cmocka_unit_test(every_type_round_trips),
        cmocka_unit_test(every_bit_flip_is_seen),
        cmocka_unit_test(salt_and_number_must_fit),
        cmocka_unit_test(unknown_types),
        cmocka_unit_test(later_fields_are_ignored),
        cmocka_unit_test(fields_of_later_may_be_missing),
        cmocka_unit_test(limits_on_encoding),
        cmocka_unit_test(sync_policy),
        cmocka_unit_test(torn_or_damaged),
        cmocka_unit_test(attribute_sets),
        cmocka_unit_test(ranges_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
