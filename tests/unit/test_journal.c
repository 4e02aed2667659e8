// SPDX-License-Identifier: Apache-2.0
// The journal on a real file system, and the fold under random records.
#include "checkpoint/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/obsm-journal-XXXXXX";

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

static void remove_journal(uint64_t id)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%llu.journal", dir, (unsigned long long)id);
    assert_int_equal(unlink(path), 0);
}

static struct record open_record(uint64_t id)
{
    return (struct record){.type = RECORD_OPEN,
                           .open = {.id = id, .key = "d/f", .durability = DURABILITY_STAGE}};
}

static struct record part_record(uint32_t part_no, uint32_t generation)
{
    return (struct record){.type = RECORD_PART,
                           .part = {.part_no = part_no,
                                    .generation = generation,
                                    .offset = (uint64_t)(part_no - 1) << 20,
                                    .size = 1 << 20,
                                    .has_md5 = true,
                                    .etag = "0123456789abcdef0123456789abcdef"}};
}

static struct journal *fresh(uint64_t id)
{
    struct journal *j = NULL;
    struct record o = open_record(id);
    struct err e;
    assert_int_equal(journal_create(&io_real, dir, id, &o, &j, &e), 0);
    return j;
}

static void create_append_read_back(void **state)
{
    struct journal *j = fresh(1);
    char path[256];
    struct stat sb;
    (void)snprintf(path, sizeof(path), "%s/1.journal", dir);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0600);

    struct record recs[] = {part_record(1, 1), part_record(2, 1)};
    assert_int_equal(journal_write(j, recs, 2), 0);
    struct record init = {.type = RECORD_INITIATED, .initiated = {.key = "d/f", .upload_id = "U"}};
    assert_int_equal(journal_write(j, &init, 1), 0);
    journal_close(j);

    struct journal_state s = {0};
    struct journal_report report;
    assert_int_equal(journal_read(&io_real, dir, 1, &s, &report, NULL), 0);
    assert_int_equal(report.n_records, 5); // the last vouches for the sync
    assert_int_equal(report.lost, 0);
    assert_int_equal(s.n_parts, 2);
    assert_string_equal(s.upload_id, "U");
    assert_true(state_part_stored(&s.parts[1]));
    state_done(&s);

    struct record o = open_record(1);
    struct err e;
    assert_int_equal(journal_create(&io_real, dir, 1, &o, &j, &e), -EEXIST);
    assert_int_equal(journal_read(&io_real, dir, 99, &s, NULL, &e), -ENOENT);
    remove_journal(1);
}

// Who syncs it may go on when the others have closed it, and its file is gone.
static void owners_close_one_by_one(void **state)
{
    struct journal *j = fresh(1);
    struct record size = {.type = RECORD_SIZE, .size = {100}};
    assert_int_equal(journal_append(j, &size, 1), 0);
    struct journal *mine = journal_ref(j);
    journal_close(j);
    remove_journal(1);
    assert_int_equal(journal_sync(mine), 0);
    journal_close(mine);
    assert_null(journal_ref(NULL));
}

static void torn_tail_is_cut(void **state)
{
    struct journal *j = fresh(2);
    struct record size = {.type = RECORD_SIZE, .size = {100}};
    assert_int_equal(journal_append(j, &size, 1), 0);
    uint64_t whole = journal_bytes(j);
    size.size.size = 200;
    assert_int_equal(journal_append(j, &size, 1), 0);
    journal_close(j);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/2.journal", dir);
    assert_int_equal(truncate(path, (off_t)whole + 20), 0);

    struct journal_report report;
    assert_int_equal(journal_open(&io_real, dir, 2, &j, &report, NULL), 0);
    assert_int_equal(report.lost, 20);
    assert_false(report.damaged);
    size.size.size = 300;
    assert_int_equal(journal_append(j, &size, 1), 0);
    journal_close(j);
    struct journal_state s = {0};
    assert_int_equal(journal_read(&io_real, dir, 2, &s, &report, NULL), 0);
    assert_int_equal(report.lost, 0);
    assert_int_equal(s.size, 300);
    state_done(&s);
    remove_journal(2);
}

static void an_empty_file_is_no_journal(void **state)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/3.journal", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    struct journal *j = NULL;
    struct journal_state s = {0};
    struct err e;
    assert_int_equal(journal_open(&io_real, dir, 3, &j, NULL, &e), -ENODATA);
    assert_int_equal(journal_read(&io_real, dir, 3, &s, NULL, &e), -ENODATA);
    remove_journal(3);
}

static void nonsense_is_refused_and_not_written(void **state)
{
    struct journal *j = fresh(4);
    uint64_t before = journal_bytes(j);
    struct record again = open_record(4);
    assert_int_equal(journal_append(j, &again, 1), -EPROTO);
    struct record part = part_record(10001, 1);
    assert_int_equal(journal_append(j, &part, 1), -EINVAL);
    part = part_record(1, 0);
    assert_int_equal(journal_append(j, &part, 1), -EINVAL);
    struct record seal = {.type = RECORD_SEALED, .sealed = {.size = UINT64_MAX}};
    assert_int_equal(journal_append(j, &seal, 1), -EINVAL);
    assert_int_equal(journal_bytes(j), before);
    part = part_record(1, 1);
    assert_int_equal(journal_append(j, &part, 1), 0);
    journal_close(j);
    remove_journal(4);
}

// 10,000 parts, rewritten again and again: the file stays near the size of its state.
static void compaction_bounds_the_file(void **state)
{
    struct journal *j = fresh(5);
    uint64_t largest = 0;
    for (uint32_t gen = 1; gen <= 12; gen++) {
        for (uint32_t no = 1; no <= RECORD_PART_MAX; no += 3) {
            struct record r = part_record(no, gen);
            assert_int_equal(journal_append(j, &r, 1), 0);
            if (journal_wants_compact(j))
                assert_int_equal(journal_compact(j), 0);
        }
        if (journal_bytes(j) > largest)
            largest = journal_bytes(j);
    }
    assert_true(largest < 5u * 10000 / 3 * 130);
    assert_int_equal(journal_compact(j), 0);
    uint64_t compact = journal_bytes(j);
    journal_close(j);

    struct journal_state s = {0};
    struct journal_report report;
    assert_int_equal(journal_read(&io_real, dir, 5, &s, &report, NULL), 0);
    assert_int_equal(report.bytes, compact);
    assert_int_equal(report.lost, 0);
    assert_int_equal(s.n_parts, 10000);
    assert_int_equal(s.parts[9999].stored_gen, 12);
    assert_int_equal(s.parts[9998].stored_gen, 0);
    state_done(&s);
    remove_journal(5);
}

enum { WRITERS = 4, PER_WRITER = 300 };

struct writer {
    struct journal *j;
    uint32_t first;
};

static void *write_parts(void *arg)
{
    struct writer *w = arg;
    for (uint32_t i = 0; i < PER_WRITER; i++) {
        struct record r = part_record(w->first + i, 1);
        if (journal_append(w->j, &r, 1) < 0 || (i % 16 == 0 && journal_sync(w->j) < 0))
            return (void *)1;
    }
    return journal_sync(w->j) < 0 ? (void *)1 : NULL;
}

static void *compact_often(void *arg)
{
    for (int i = 0; i < 40; i++)
        if (journal_compact(arg) < 0)
            return (void *)1;
    return NULL;
}

static void many_threads_and_compaction(void **state)
{
    struct journal *j = fresh(6);
    pthread_t threads[WRITERS + 1];
    struct writer writers[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){j, 1 + i * PER_WRITER};
        assert_int_equal(pthread_create(&threads[i], NULL, write_parts, &writers[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[WRITERS], NULL, compact_often, j), 0);
    for (int i = 0; i <= WRITERS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    struct journal_state live = {0};
    assert_int_equal(journal_state(j, &live), 0);
    journal_close(j);

    struct journal_state s = {0};
    struct journal_report report;
    assert_int_equal(journal_read(&io_real, dir, 6, &s, &report, NULL), 0);
    assert_int_equal(report.lost, 0);
    assert_int_equal(s.n_parts, WRITERS * PER_WRITER);
    for (uint32_t i = 0; i < s.n_parts; i++)
        assert_true(state_part_stored(&s.parts[i]));
    assert_int_equal(state_parts_digest(&s), state_parts_digest(&live));
    state_done(&s);
    state_done(&live);
    remove_journal(6);
}

// An io whose writes or syncs fail on demand; everything else is the real one.
struct broken {
    struct io io;
    struct io_ops ops;
    size_t room;
    int sync_rc;
    unsigned syncs;
};

static ssize_t broken_pwrite(const struct io *io, int fd, const void *p, size_t n, uint64_t off)
{
    struct broken *b = io->ctx;
    if (b->room == 0)
        return -ENOSPC;
    ssize_t put = io_real.ops->pwrite(&io_real, fd, p, n < b->room ? n : b->room, off);
    if (put > 0 && b->room != SIZE_MAX)
        b->room -= (size_t)put;
    return put;
}

static int broken_datasync(const struct io *io, int fd)
{
    struct broken *b = io->ctx;
    b->syncs++;
    return b->sync_rc;
}

static void init_broken(struct broken *b)
{
    *b = (struct broken){.ops = *io_real.ops, .room = SIZE_MAX};
    b->ops.pwrite = broken_pwrite;
    b->ops.datasync = broken_datasync;
    b->io = (struct io){&b->ops, b};
}

static void full_disk(void **state)
{
    struct broken b;
    init_broken(&b);
    struct journal *j = NULL;
    struct record o = open_record(7);
    assert_int_equal(journal_create(&b.io, dir, 7, &o, &j, NULL), 0);
    uint64_t before = journal_bytes(j);
    struct record part = part_record(1, 1);
    b.room = 10; // a torn write
    assert_int_equal(journal_append(j, &part, 1), -ENOSPC);
    assert_int_equal(journal_compact(j), -ENOSPC);
    assert_int_equal(journal_bytes(j), before);
    b.room = SIZE_MAX;
    part = part_record(2, 1);
    assert_int_equal(journal_append(j, &part, 1), 0);
    journal_close(j);
    struct journal_state s = {0};
    struct journal_report report;
    assert_int_equal(journal_read(&io_real, dir, 7, &s, &report, NULL), 0);
    assert_int_equal(report.lost, 0);
    assert_int_equal(s.parts[0].generation, 0);
    assert_true(state_part_stored(&s.parts[1]));
    state_done(&s);
    remove_journal(7);
}

static void a_failed_sync_latches(void **state)
{
    struct broken b;
    init_broken(&b);
    struct journal *j = NULL;
    struct record o = open_record(8);
    assert_int_equal(journal_create(&b.io, dir, 8, &o, &j, NULL), 0);
    assert_int_equal(b.syncs, 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_sync(j), 0); // nothing new
    assert_int_equal(b.syncs, 1);
    struct record part = part_record(1, 1);
    assert_int_equal(journal_append(j, &part, 1), 0);
    b.sync_rc = -EIO;
    assert_int_equal(journal_sync(j), -EIO);
    b.sync_rc = 0;
    assert_int_equal(journal_sync(j), -EIO);
    assert_int_equal(journal_append(j, &part, 1), -EIO);
    journal_close(j);
    remove_journal(8);
}

static void fold(struct journal_state *s, struct record r)
{
    assert_int_equal(state_fold(s, &r), 0);
}

static void what_the_records_mean(void **state)
{
    struct journal_state s = {0};
    fold(&s, open_record(1));
    fold(&s, part_record(1, 1));
    fold(&s, part_record(2, 1));
    fold(&s, (struct record){.type = RECORD_REWRITTEN, .rewritten = {2, 2}});
    assert_false(state_part_stored(&s.parts[1]));
    fold(&s, part_record(2, 1)); // late answer for the old content
    assert_false(state_part_stored(&s.parts[1]));
    fold(&s, part_record(2, 2));
    assert_true(state_part_stored(&s.parts[1]));

    // a truncation within part 2 makes it new and shorter
    fold(&s, part_record(3, 1));
    fold(&s, (struct record){.type = RECORD_SIZE, .size = {(1 << 20) + 5}});
    assert_int_equal(s.n_parts, 2);
    assert_int_equal(s.parts[1].size, 5);
    assert_false(state_part_stored(&s.parts[1]));
    assert_true(state_part_stored(&s.parts[0]));

    // another upload: nothing of the first is stored, and the first is stale
    fold(&s, (struct record){.type = RECORD_INITIATING, .initiating = {"d/f", 5, 60}});
    fold(&s,
         (struct record){.type = RECORD_INITIATED, .initiated = {.key = "d/f", .upload_id = "A"}});
    assert_true(state_part_stored(&s.parts[0]));
    fold(&s, (struct record){.type = RECORD_INITIATING, .initiating = {"d/f", 9, 60}});
    fold(&s, (struct record){.type = RECORD_INITIATING, .initiating = {"d/f", 11, 60}});
    fold(&s,
         (struct record){.type = RECORD_INITIATED, .initiated = {.key = "d/f", .upload_id = "B"}});
    assert_int_equal(s.n_parts, 0);
    assert_int_equal(s.n_stale, 1);
    assert_int_equal(s.n_windows, 1); // the Initiate whose answer was lost
    assert_int_equal(s.windows[0].server_s, 9);
    fold(&s, (struct record){.type = RECORD_ABORTED, .aborted = {"d/f", "A"}});
    fold(&s, (struct record){.type = RECORD_ABORTED, .aborted = {"d/f", ""}});
    assert_int_equal(s.n_stale + s.n_windows, 0);
    assert_int_equal(s.last_server_s, 11);

    // seal, complete, reopen
    fold(&s, (struct record){.type = RECORD_HELD});
    fold(&s, (struct record){.type = RECORD_SEALED, .sealed = {.size = 5}});
    assert_false(state_acknowledged(&s)); // held
    fold(&s, (struct record){.type = RECORD_KEY, .key = {"d/g", false}});
    assert_true(state_acknowledged(&s));
    assert_string_equal(s.key, "d/g");
    fold(&s,
         (struct record){.type = RECORD_COMPLETING, .completing = {.key = "d/g", .n_parts = 1}});
    assert_int_equal(s.phase, PHASE_COMPLETING);
    fold(&s, (struct record){.type = RECORD_REOPENED});
    assert_null(s.final_key);
    assert_true(state_acknowledged(&s));
    state_done(&s);
}

static struct record random_record(void)
{
    static const char *const keys[] = {"a", "b", "dir/c"};
    static const char *const ids[] = {"U1", "U2", "U3"};
    static const uint8_t bytes[16] = "attributes of it";
    static struct range ranges[4];
    const char *key = keys[rand() % 3];
    const char *id = ids[rand() % 3];
    uint32_t no = 1 + (uint32_t)rand() % 8;
    uint32_t gen = 1 + (uint32_t)rand() % 4;
    struct record_blob blob = {bytes, (uint32_t)rand() % 16};
    int64_t t = rand() % 1000;
    struct record r = {.type = (enum record_type)(RECORD_KEY + rand() % (RECORD_SYNCED - 1))};
    switch (r.type) {
    case RECORD_KEY:
        r.key = (struct record_key){key, rand() % 2};
        break;
    case RECORD_ATTRS:
        r.attrs.attrs = blob;
        break;
    case RECORD_INITIATING:
        r.initiating = (struct record_initiating){key, t, 60};
        break;
    case RECORD_INITIATED:
        r.initiated = (struct record_initiated){key, id, "n", 10, t, blob, rand() % 2};
        break;
    case RECORD_PLANNED:
        r.planned =
            (struct record_planned){no, gen, no * 10, (uint64_t)rand() % 11, rand() % 2, "m"};
        break;
    case RECORD_PART:
        r.part = (struct record_part){no,    gen, no * 10,    10,         rand() % 2,
                                      "md5", id,  rand() % 2, rand() % 2, (uint64_t)rand()};
        break;
    case RECORD_REWRITTEN:
        r.rewritten = (struct record_rewritten){no, gen};
        break;
    case RECORD_MAP:
        for (size_t i = 0; i < 4; i++)
            ranges[i] = (struct range){i * 25, i * 25 + 1 + (uint64_t)rand() % 25};
        r.map = (struct record_map){rand() % 2, {.v = ranges, .n = (uint32_t)rand() % 5}};
        break;
    case RECORD_PUNCHED:
        r.punched = (struct record_punched){no * 10, 10};
        break;
    case RECORD_SIZE:
        r.size.size = (uint64_t)rand() % 100;
        break;
    case RECORD_SEALED:
        r.sealed = (struct record_sealed){(uint64_t)rand() % 100, SEAL_CLOSE, rand() % 2, t, blob};
        break;
    case RECORD_COMPLETING:
        r.completing = (struct record_completing){key, "e", "n2", (uint32_t)rand() % 2, 7, t, blob};
        break;
    case RECORD_DONE:
        r.done = (struct record_done){"e", id};
        break;
    case RECORD_ABANDONED:
        r.abandoned.reason = "gone";
        break;
    case RECORD_ABORTED:
        r.aborted = (struct record_aborted){key, rand() % 2 ? id : ""};
        break;
    case RECORD_STALE:
        r.stale = (struct record_stale){key, id};
        break;
    case RECORD_INTERRUPTED:
        r.interrupted = (struct record_interrupted){INTERRUPT_SIGNAL, 15, t};
        break;
    case RECORD_FAILED:
        r.failed = (struct record_failed){5, "c", "m", "r", t};
        break;
    case RECORD_CONFLICT:
        r.conflict = (struct record_conflict){"e", id, t, t};
        break;
    default:
        break;
    }
    return r;
}

static int put_record(void *arg, const struct record *r)
{
    return record_encode(arg, r, &(struct record_pos){0});
}

// What compaction relies on: snapshot(fold(snapshot(s))) == snapshot(s), and folding on from the
// copy gives the same as folding on from the original.
static void snapshots_are_faithful(void **state)
{
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int life = 0; life < 300; life++) {
        struct journal_state s = {0};
        struct journal_state copy = {0};
        fold(&s, open_record(1));
        for (int step = 0; step < 60; step++) {
            struct record r = random_record();
            if (rand() % 30 == 0)
                r = (struct record){.type = RECORD_CLONED, .cloned = {rand() % 2}};
            if (state_check(&s, &r) < 0)
                continue;
            assert_int_equal(state_fold(&s, &r), 0);
            if (copy.phase != PHASE_NONE)
                assert_int_equal(state_fold(&copy, &r), 0);
            if (copy.phase == PHASE_NONE || rand() % 4 == 0)
                assert_int_equal(state_copy(&copy, &s), 0);
            struct buf a = BUF_INIT(1 << 20);
            struct buf b = BUF_INIT(1 << 20);
            assert_int_equal(state_snapshot(&s, put_record, &a), 0);
            assert_int_equal(state_snapshot(&copy, put_record, &b), 0);
            if (a.n != b.n || memcmp(a.p, b.p, a.n) != 0)
                fail_msg("life %d step %d: %s", life, step, record_type_name(r.type));
            buf_done(&a);
            buf_done(&b);
        }
        state_done(&s);
        state_done(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_append_read_back),
        cmocka_unit_test(owners_close_one_by_one),
        cmocka_unit_test(torn_tail_is_cut),
        cmocka_unit_test(an_empty_file_is_no_journal),
        cmocka_unit_test(nonsense_is_refused_and_not_written),
        cmocka_unit_test(compaction_bounds_the_file),
        cmocka_unit_test(many_threads_and_compaction),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(a_failed_sync_latches),
        cmocka_unit_test(what_the_records_mean),
        cmocka_unit_test(snapshots_are_faithful),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
