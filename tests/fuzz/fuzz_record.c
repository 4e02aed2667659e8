// SPDX-License-Identifier: Apache-2.0
/* A journal of arbitrary bytes: replayed, folded, turned back into records, planned for. Input that
 * begins like a journal is taken as it is; any other is a list of records (u8 type, u16 length,
 * payload) that get a right frame first, since no mutation finds a checksum. */
#include "checkpoint/crc32c.h"
#include "checkpoint/journal.h"
#include "checkpoint/ledger.h"
#include "checkpoint/recover.h"
#include "tests/fuzz/fuzz.h"

enum { LISTED = 4 };

static void put_le(uint8_t *to, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static void add_frame(struct buf *b, uint32_t seq, uint8_t type, const uint8_t *payload, size_t n)
{
    uint8_t frame[RECORD_FRAME_SIZE] = {0};
    put_le(frame + 4, n, 4);
    frame[8] = type & 0x7f;
    frame[10] = type >> 7;
    put_le(frame + 12, seq, 4);
    uint8_t salt[8] = {0};
    uint32_t crc = crc32c(0, salt, 8);
    crc = crc32c(crc, frame + 4, sizeof(frame) - 4);
    put_le(frame, crc32c(crc, payload, n), 4);
    FUZZ_CHECK(buf_add(b, frame, sizeof(frame)) == 0);
    FUZZ_CHECK(buf_add(b, payload, n) == 0);
}

static void frame_records(struct buf *b, const uint8_t *data, size_t size)
{
    uint8_t header[RECORD_HEADER_SIZE];
    record_header_encode(header, 0);
    FUZZ_CHECK(buf_add(b, header, sizeof(header)) == 0);
    for (uint32_t seq = 0; size >= 3; seq++) {
        size_t n = data[1] | (size_t)data[2] << 8;
        if (n > size - 3)
            n = size - 3;
        add_frame(b, seq, data[0], data + 3, n);
        data += 3 + n;
        size -= 3 + n;
    }
}

static int put_record(void *arg, const struct record *r)
{
    return record_encode(arg, r, &(struct record_pos){0});
}

// What a state says of itself must give the same state again.
static void check_snapshot(const struct journal_state *s)
{
    struct journal_state copy = {0};
    struct buf a = BUF_INIT(64 << 20);
    struct buf b = BUF_INIT(64 << 20);
    // A generation at its very end cannot be written again.
    if (state_copy(&copy, s) == 0) {
        FUZZ_CHECK(state_snapshot(s, put_record, &a) == 0);
        FUZZ_CHECK(state_snapshot(&copy, put_record, &b) == 0);
        FUZZ_CHECK(a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
    }
    buf_done(&a);
    buf_done(&b);
    state_done(&copy);
}

static void check_plan(const struct journal_state *s, const struct journal_report *report,
                       unsigned chance)
{
    struct recover_listed_part listed[LISTED];
    for (uint32_t i = 0; i < LISTED; i++)
        listed[i] = (struct recover_listed_part){
            i + 1, i < s->n_parts ? s->parts[i].size : 0,
            i < s->n_parts && s->parts[i].etag ? s->parts[i].etag : "e", 0};
    struct recover_facts f = {
        .state = s,
        .report = report->damaged || report->unsupported ? report : NULL,
        .staging = {.exists = chance & 1, .size = s->size},
        .list = {(enum recover_answer)(chance >> 1 & 3), listed, LISTED},
        .head = {(enum recover_answer)(chance >> 3 & 3), "U", "n", "e", s->size, 1700000000},
        .server_s = 1800000000,
        .boot_id = "boot",
        .opt = {.keep_interrupted_s = 100,
                .on_conflict = (enum on_conflict)((chance >> 5) % 3),
                .expire = chance >> 7 & 1,
                .part_min = chance & 1 ? 102400 : 0},
    };
    struct recover_plan plan;
    FUZZ_CHECK(recover_plan(&f, &plan) == 0);
    uint64_t at = 0;
    for (uint32_t i = 0; i < plan.n_parts && !plan.restart; i++) {
        FUZZ_CHECK(plan.parts[i].offset == at && plan.parts[i].size > 0);
        FUZZ_CHECK(plan.action != RECOVER_COMPLETE || plan.parts[i].source == SOURCE_SERVER);
        at += plan.parts[i].size;
    }
    if (plan.action == RECOVER_COMPLETE)
        FUZZ_CHECK(at == s->size && at > 0);
    recover_plan_done(&plan);
}

static int count_record(void *arg, const struct record *r)
{
    *(uint32_t *)arg += r->type != 0;
    return 0;
}

// The same bytes as a ledger.
static void check_ledger(const uint8_t *p, size_t n)
{
    struct ledger_report report;
    struct record_pos pos = {0};
    uint32_t count = 0;
    size_t end = 0;
    int rc = ledger_replay(p, n, count_record, &count, &report, &pos, &end);
    FUZZ_CHECK(rc < 0 || (count <= report.n_records && end + report.lost == n) || end == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = BUF_INIT(64 << 20);
    bool raw = size >= 4 && memcmp(data, "OBSM", 4) == 0;
    if (!raw)
        frame_records(&b, data, size);

    struct journal_state s = {0};
    struct journal_report report = {0};
    const uint8_t *p = raw ? data : (const uint8_t *)b.p;
    size_t n = raw ? size : b.n;
    FUZZ_CHECK(journal_replay(p, n, &s, &report) == 0);
    FUZZ_CHECK(report.bytes + report.lost == n || report.bytes == 0);
    check_snapshot(&s);
    check_ledger(p, n);
    if (s.phase != PHASE_NONE)
        for (unsigned chance = 0; chance < 256; chance += 7)
            check_plan(&s, &report, chance);
    state_done(&s);
    buf_done(&b);
    return 0;
}
