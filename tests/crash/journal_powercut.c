// SPDX-License-Identifier: Apache-2.0
// The life of an upload on a disk that loses power: at every sync, and after every step. What was
// synced must be there afterwards, what was not may be there as far as a prefix reaches, and
// nothing else ever.
#include "checkpoint/journal.h"
#include "tests/crash/journal_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

enum { RANDOM_CUTS = 25, ID = 7 };

#define DIR "/state"
#define FILE_NAME DIR "/7.journal"

enum step_kind { STEP_APPEND, STEP_WRITE, STEP_SYNC, STEP_COMPACT };

struct step {
    enum step_kind kind;
    struct record rec;
};

#define BLOB(s)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
#define PART(no, gen)                                                                              \
    {                                                                                              \
        STEP_WRITE,                                                                                \
        {                                                                                          \
            .type = RECORD_PART, .part = {                                                         \
                no,                                                                                \
                gen,                                                                               \
                (uint64_t)(no - 1) * 9437184,                                                      \
                9437184,                                                                           \
                true,                                                                              \
                "0123456789abcde",                                                                 \
                "e" #no,                                                                           \
                false,                                                                             \
                false,                                                                             \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

static const struct range staged[] = {{0, 30000000}, {40000000, 50000000}};

// stage: more records want a sync, among them SEALED
static const struct step life[] = {
    {STEP_APPEND, {.type = RECORD_ATTRS, .attrs = {BLOB("attributes, first")}}},
    {STEP_WRITE, {.type = RECORD_PLANNED, .planned = {1, 1, 0, 9437184, true, "0123456789abcde"}}},
    {STEP_WRITE, {.type = RECORD_INITIATING, .initiating = {"dir/file", 1000, 60}}},
    {STEP_WRITE,
     {.type = RECORD_INITIATED,
      .initiated = {"dir/file", "UPLOAD1", "nonce", 9437184, 1001, BLOB("attributes, sent"),
                    false}}},
    PART(1, 1),
    PART(2, 1),
    PART(3, 1),
    {STEP_COMPACT, {0}},
    PART(4, 1),
    {STEP_WRITE, {.type = RECORD_PUNCHED, .punched = {9437184, 9437184}}},
    {STEP_WRITE, {.type = RECORD_REWRITTEN, .rewritten = {2, 2}}},
    PART(2, 2),
    {STEP_SYNC, {0}},
    {STEP_APPEND, {.type = RECORD_REWRITTEN, .rewritten = {3, 2}}},
    {STEP_COMPACT, {0}},
    {STEP_APPEND, {.type = RECORD_MAP, .map = {.reset = true, .ranges = {.v = staged, .n = 2}}}},
    {STEP_WRITE, {.type = RECORD_SIZE, .size = {37748736}}},
    {STEP_WRITE,
     {.type = RECORD_SEALED, .sealed = {37748736, SEAL_CLOSE, true, 1010, BLOB("final")}}},
    PART(3, 2),
    {STEP_WRITE, {.type = RECORD_KEY, .key = {"dir/renamed", false}}},
    {STEP_WRITE,
     {.type = RECORD_COMPLETING,
      .completing = {"dir/renamed", "etag-4", "", 4, 12345, 1020, BLOB("final")}}},
    {STEP_COMPACT, {0}},
    {STEP_WRITE, {.type = RECORD_DONE, .done = {"etag-4", "UPLOAD1"}}},
    {STEP_SYNC, {0}},
};
enum { N_STEPS = sizeof(life) / sizeof(life[0]) };

struct history {
    struct journal_state expect; // after the last record that was handed over
    struct buf states[N_STEPS + 2];
    int n;      // states[0 .. n-1]: after 0 .. n-1 records
    int synced; // at least so many records are durable
};

static int put_record(void *arg, const struct record *r)
{
    return record_encode(arg, r, &(struct record_pos){0});
}

// A state as bytes, to be compared.
static void note_state(struct history *h)
{
    struct buf *b = &h->states[h->n++];
    *b = BUF_INIT(1 << 20);
    assert_int_equal(state_snapshot(&h->expect, put_record, b), 0);
}

static void free_history(struct history *h)
{
    for (int i = 0; i < h->n; i++)
        buf_done(&h->states[i]);
    state_done(&h->expect);
}

static struct record open_record(enum durability durability)
{
    return (struct record){.type = RECORD_OPEN,
                           .open = {.id = ID,
                                    .key = "dir/file",
                                    .temp_name = "dir/.file.ab12CD",
                                    .predicted = true,
                                    .durability = durability,
                                    .server_s = 999,
                                    .boot_id = "boot"}};
}

static int do_step(struct journal *j, const struct step *step, struct history *h)
{
    if (step->kind == STEP_SYNC || step->kind == STEP_COMPACT) {
        int rc = step->kind == STEP_SYNC ? journal_sync(j) : journal_compact(j);
        if (rc == 0)
            h->synced = h->n - 1;
        return rc;
    }
    assert_int_equal(state_fold(&h->expect, &step->rec), 0);
    note_state(h);
    if (step->kind == STEP_APPEND)
        return journal_append(j, &step->rec, 1);
    int rc = journal_write(j, &step->rec, 1);
    if (rc == 0 && record_wants_sync(&step->rec, h->expect.durability))
        h->synced = h->n - 1;
    return rc;
}

/* Lives until the disk fails or `steps` steps are done. */
static void live(struct disk *d, enum durability durability, int steps, struct history *h)
{
    *h = (struct history){0};
    note_state(h);
    struct journal *j = NULL;
    struct record open_rec = open_record(durability);
    assert_int_equal(journal_create(disk_io(d), DIR, ID, &open_rec, &j, NULL), 0);
    assert_int_equal(state_fold(&h->expect, &open_rec), 0);
    note_state(h);
    for (int i = 0; i < steps; i++)
        if (do_step(j, &life[i], h) < 0)
            break;
    journal_close(j);
}

static int find_state(const struct history *h, const struct journal_state *s)
{
    struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(state_snapshot(s, put_record, &b), 0);
    int found = -1;
    for (int i = 0; i < h->n; i++)
        if (h->states[i].n == b.n && (b.n == 0 || memcmp(h->states[i].p, b.p, b.n) == 0))
            found = i;
    buf_done(&b);
    return found;
}

// Returns how many records survived.
static int check_after_cut(struct disk *d, const struct history *h)
{
    struct journal_state s = {0};
    struct journal_report report = {0};
    int rc = journal_read(disk_io(d), DIR, ID, &s, &report, NULL);
    if (rc == -ENOENT || rc == -ENODATA || (rc == 0 && s.phase == PHASE_NONE)) {
        // Not even the header: allowed only while nothing was promised.
        assert_int_equal(h->synced, 0);
        state_done(&s);
        return 0;
    }
    assert_int_equal(rc, 0);
    assert_false(report.damaged);
    int found = find_state(h, &s);
    assert_in_range(found, h->synced, h->n - 1);
    state_done(&s);
    return found;
}

// What is left can be continued, and survives the next cut.
static void check_goes_on(struct disk *d, const struct history *h, int survived)
{
    struct journal *j = NULL;
    assert_int_equal(journal_open(disk_io(d), DIR, ID, &j, NULL, NULL), 0);
    struct record mark = {.type = RECORD_PAUSED};
    assert_int_equal(journal_append(j, &mark, 1), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_append(j, &(struct record){.type = RECORD_RESUMED}, 1), 0);
    journal_close(j);
    disk_cut(d, FATE_DROP);

    struct journal_state s = {0};
    assert_int_equal(journal_read(disk_io(d), DIR, ID, &s, NULL, NULL), 0);
    assert_true(s.paused);
    s.paused = false;
    assert_int_equal(find_state(h, &s), survived);
    state_done(&s);
}

static void one_cut(enum durability durability, unsigned k, int steps, enum disk_fate fate,
                    unsigned seed)
{
    struct disk *d = disk_new(seed);
    struct history h;
    disk_cut_at(d, k);
    live(d, durability, steps, &h);
    disk_cut(d, fate);
    int survived = check_after_cut(d, &h);
    if (survived > 0)
        check_goes_on(d, &h, survived);
    free_history(&h);
    disk_free(d);
}

static unsigned count_syncs(enum durability durability)
{
    struct disk *d = disk_new(1);
    struct history h;
    live(d, durability, N_STEPS, &h);
    assert_int_equal(h.synced, h.n - 1);
    assert_int_equal(h.expect.phase, PHASE_DONE);
    unsigned n = disk_syncs(d);
    free_history(&h);
    disk_free(d);
    return n;
}

static void all_fates(enum durability durability, unsigned k, int steps)
{
    for (enum disk_fate fate = FATE_DROP; fate <= FATE_GARBLE; fate++)
        one_cut(durability, k, steps, fate, k + 1);
    for (unsigned i = 0; i < RANDOM_CUTS; i++)
        one_cut(durability, k, steps, FATE_RANDOM, 1000 * k + 37 * (unsigned)steps + i);
}

static void cut_at_every_sync(void **state)
{
    for (enum durability level = DURABILITY_STORE; level <= DURABILITY_STAGE; level++) {
        unsigned n = count_syncs(level);
        print_message("durability %d: %u syncs\n", level, n);
        assert_true(n > 10);
        for (unsigned k = 1; k <= n; k++)
            all_fates(level, k, N_STEPS);
    }
}

static void cut_after_every_step(void **state)
{
    for (enum durability level = DURABILITY_STORE; level <= DURABILITY_STAGE; level++)
        for (int steps = 0; steps <= N_STEPS; steps++)
            all_fates(level, 0, steps);
}

/* What the server was asked for by the time of the cut. */
enum asked { ASKED_NOTHING, ASKED_INITIATE, ASKED_PART, ASKED_COMPLETE };

/* As the driver does it (fs/transfer.h): records are appended under its lock, and who is about to send
 * the first part, or Complete, syncs without it. */
static enum asked upload_as_the_driver(struct journal *j)
{
    static const struct record begun[] = {
        {.type = RECORD_INITIATING, .initiating = {"dir/file", 1000, 60}},
        {.type = RECORD_INITIATED,
         .initiated = {"dir/file", "UPLOAD1", "nonce", 9437184, 1001, BLOB("attributes, sent"),
                       false}}};
    static const struct record last[] = {
        {.type = RECORD_SEALED, .sealed = {18874368, SEAL_CLOSE, false, 1010, BLOB("final")}},
        {.type = RECORD_COMPLETING,
         .completing = {"dir/file", "etag-2", "", 2, 12345, 1020, BLOB("final")}}};
    if (journal_append(j, &begun[0], 1) < 0)
        return ASKED_NOTHING;
    if (journal_append(j, &begun[1], 1) < 0 || journal_sync(j) < 0)
        return ASKED_INITIATE;
    const struct step parts[] = {PART(1, 1), PART(2, 1)};
    for (int i = 0; i < 2; i++)
        if (journal_append(j, &parts[i].rec, 1) < 0)
            return ASKED_PART;
    for (int i = 0; i < 2; i++)
        if (journal_append(j, &last[i], 1) < 0)
            return ASKED_PART;
    return journal_sync(j) < 0 ? ASKED_PART : ASKED_COMPLETE;
}

/* At durability=store: no upload with parts that the journal does not know, no completed one whose
 * final attributes it does not know; and no more syncs than that takes. */
static void uploads_are_known(void **state)
{
    for (unsigned k = 0; k <= 4; k++)
        for (unsigned i = 0; i < 4 * RANDOM_CUTS; i++) {
            struct disk *d = disk_new(100 * k + i + 1);
            disk_cut_at(d, k);
            struct record open_rec = open_record(DURABILITY_STORE);
            struct journal *j = NULL;
            assert_int_equal(journal_create(disk_io(d), DIR, ID, &open_rec, &j, NULL), 0);
            enum asked asked = upload_as_the_driver(j);
            journal_close(j);
            if (k == 0)
                assert_int_equal(disk_syncs(d), 3); /* the journal twice, its name once */
            disk_cut(d, i <= FATE_RANDOM ? (enum disk_fate)i : FATE_RANDOM);

            struct journal_state s = {0};
            int rc = journal_read(disk_io(d), DIR, ID, &s, NULL, NULL);
            if (asked >= ASKED_PART) {
                assert_int_equal(rc, 0);
                assert_string_equal(s.upload_id, "UPLOAD1");
            }
            if (asked == ASKED_COMPLETE) {
                assert_int_equal(s.phase, PHASE_COMPLETING);
                assert_int_equal(s.final_attrs.n, strlen("final"));
            }
            state_done(&s);
            disk_free(d);
        }
}

static void one_more_record(struct disk *d, struct history *h)
{
    struct journal *j = NULL;
    assert_int_equal(journal_open(disk_io(d), DIR, ID, &j, NULL, NULL), 0);
    struct step more = {STEP_WRITE, {.type = RECORD_SIZE, .size = {37748736}}};
    assert_int_equal(do_step(j, &more, h), 0);
    journal_close(j);
}

/* Every bit of a synced journal in turn, with and without a compaction as its last act: what was
 * synced is never silently taken for something else. */
static void flip_all(int steps, bool more)
{
    struct disk *d = disk_new(1);
    struct history h;
    live(d, DURABILITY_STAGE, steps, &h);
    if (more)
        one_more_record(d, &h);
    size_t n = 0;
    unsigned char *bytes = disk_bytes(d, FILE_NAME, &n);
    assert_non_null(bytes);
    size_t silent = 0;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct journal_state s = {0};
        struct journal_report report = {0};
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(journal_replay(bytes, n, &s, &report), 0);
        assert_true(report.lost > 0);
        // Not damaged: then it was the witness itself, and nothing is missing.
        assert_true(report.damaged || find_state(&h, &s) == h.n - 1);
        silent += !report.damaged;
        state_done(&s);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    print_message("%zu bytes: %zu of %zu flips hit the last witness\n", n, silent, 8 * n);
    assert_int_equal(silent, 8 * RECORD_FRAME_SIZE);
    free_history(&h);
    disk_free(d);
}

static void every_flipped_bit(void **state)
{
    flip_all(N_STEPS - 3, false); // ends with COMPLETING, synced
    flip_all(N_STEPS - 2, false); // ends with a compaction
    flip_all(N_STEPS - 2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_sync),
        cmocka_unit_test(cut_after_every_step),
        cmocka_unit_test(uploads_are_known),
        cmocka_unit_test(every_flipped_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
