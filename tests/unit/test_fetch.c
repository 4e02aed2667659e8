// SPDX-License-Identifier: Apache-2.0
// The read cache step by step, over a source whose answers the test plays by hand.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/fetch.h"
#include "fs/fetch_pool.h"
#include "net/base/clock.h"
#include "net/obs.h"

#define K (UINT64_C(1) << 10)
#define M (UINT64_C(1) << 20)

enum { CALLS = 256 };

struct fake {
    struct obs_call *calls[CALLS]; /* NULL: answered */
    bool cancelled[CALLS];
    int n;
};

static unsigned char byte_at(uint64_t off)
{
    return (unsigned char)(off * 31 + (off >> 8) * 7 + (off >> 16));
}

static void fake_submit(void *arg, struct obs_call *call)
{
    struct fake *fake = arg;
    assert_true(fake->n < CALLS);
    fake->calls[fake->n++] = call;
}

static void fake_cancel(void *arg, struct obs_call *call)
{
    struct fake *fake = arg;
    for (int i = 0; i < fake->n; i++)
        if (fake->calls[i] == call) {
            assert_false(fake->cancelled[i]);
            fake->cancelled[i] = true;
            return;
        }
    fail_msg("a call was cancelled that is not under way");
}

static int feed(struct fake *fake, int i, uint64_t off, uint64_t n)
{
    unsigned char *p = malloc(n);
    assert_non_null(p);
    for (uint64_t k = 0; k < n; k++)
        p[k] = byte_at(off + k);
    int rc = fake->calls[i]->sink(fake->calls[i]->sink_arg, off, p, n);
    free(p);
    return rc;
}

static void finish(struct fake *fake, int i, int eno, int status)
{
    struct obs_call *call = fake->calls[i];
    fake->calls[i] = NULL;
    call->status = status;
    if (eno)
        err_set(&call->err, eno, "played");
    call->done(call);
}

static void serve(struct fake *fake, int i)
{
    assert_int_equal(feed(fake, i, fake->calls[i]->offset, fake->calls[i]->length), 0);
    finish(fake, i, 0, 206);
}

struct bench {
    struct fake fake;
    struct fetch *fetch;
    struct fetch_file *file;
    struct fetch_stream *stream;
};

static void bench_open(struct bench *b, uint64_t memory, uint64_t size)
{
    memset(b, 0, sizeof(*b));
    struct fetch_config config = {
        .source = {.submit = fake_submit, .cancel = fake_cancel, .arg = &b->fake},
        .memory_max = memory,
        .parallel = 4,
    };
    assert_int_equal(fetch_new(&config, &b->fetch), 0);
    assert_int_equal(fetch_file_new(b->fetch, "a/key", "etag-1", size, NULL, &b->file), 0);
    assert_int_equal(fetch_stream_new(b->file, &b->stream), 0);
}

/* Ends what is left; every GET that nobody wants must have been cancelled. */
static void bench_close(struct bench *b)
{
    fetch_stream_free(b->stream);
    fetch_file_unref(b->file);
    for (int i = 0; i < b->fake.n; i++) {
        if (!b->fake.calls[i])
            continue;
        assert_true(b->fake.cancelled[i]);
        finish(&b->fake, i, -ECANCELED, 0);
    }
    struct fetch_stats stats;
    fetch_stats(b->fetch, &stats);
    assert_int_equal(stats.under_way, 0);
    fetch_free(b->fetch);
}

struct reader {
    struct fetch_read read;
    int done;
};

static void on_done(struct fetch_read *read, void *arg)
{
    struct reader *r = arg;
    assert_ptr_equal(read, &r->read);
    r->done++;
}

static int start(struct bench *b, struct reader *r, bool in_stream, uint64_t off, size_t n)
{
    r->done = 0;
    fetch_read_init(&r->read, b->file, in_stream ? b->stream : NULL, off, n, on_done, r);
    return fetch_read_start(&r->read);
}

static void expect_bytes(struct reader *r, uint64_t off, size_t n)
{
    assert_int_equal(r->read.eno, 0);
    assert_int_equal(r->read.n, n);
    for (int i = 0; i < r->read.n_iov; i++) {
        const unsigned char *p = r->read.iov[i].iov_base;
        for (size_t k = 0; k < r->read.iov[i].iov_len; k++, off++, n--)
            assert_int_equal(p[k], byte_at(off));
    }
    assert_int_equal(n, 0);
    fetch_read_release(&r->read);
}

static void a_random_read_fetches_its_bytes_once(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &r, true, 77 * M, 64 * K), 0);
    assert_int_equal(b.fake.n, 1);
    struct obs_call *call = b.fake.calls[0];
    assert_int_equal(call->op, OBS_GET);
    assert_string_equal(call->key, "a/key");
    assert_string_equal(call->if_match, "etag-1");
    assert_int_equal(call->offset, 77 * M);
    assert_int_equal(call->length, 64 * K);
    assert_false(call->urgent);
    assert_true(call->give_up_ms > 0);
    assert_int_equal(r.done, 0);
    serve(&b.fake, 0);
    assert_int_equal(r.done, 1);
    expect_bytes(&r, 77 * M, 64 * K);

    assert_int_equal(start(&b, &r, true, 77 * M + 100, 5000), 1);
    expect_bytes(&r, 77 * M + 100, 5000);
    assert_int_equal(b.fake.n, 1);
    bench_close(&b);
}

static void reads_go_before_what_is_ahead(void **state)
{
    struct bench b;
    struct reader r[24];

    bench_open(&b, 0, 1024 * M);
    for (unsigned i = 0; i < 24; i++) {
        assert_int_equal(start(&b, &r[i], false, i * M, 4096), 0);
        assert_int_equal(b.fake.calls[i]->urgent, i >= 4 && i < 20);
    }
    for (unsigned i = 0; i < 24; i++) {
        serve(&b.fake, (int)i);
        expect_bytes(&r[i], i * M, 4096);
    }
    bench_close(&b);
}

static void a_read_waits_only_for_its_own_bytes(void **state)
{
    struct bench b;
    struct reader early, late;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &early, true, 0, 128 * K), 0);
    assert_int_equal(b.fake.calls[0]->length, M);
    assert_int_equal(start(&b, &late, false, 512 * K, 128 * K), 0);
    assert_int_equal(b.fake.n, 1);
    assert_int_equal(feed(&b.fake, 0, 0, 128 * K - 1), 0);
    assert_int_equal(early.done, 0);
    assert_int_equal(feed(&b.fake, 0, 128 * K - 1, 1), 0);
    assert_int_equal(early.done, 1);
    assert_int_equal(late.done, 0);
    expect_bytes(&early, 0, 128 * K);
    assert_int_equal(feed(&b.fake, 0, 128 * K, M - 128 * K), 0);
    assert_int_equal(late.done, 1);
    expect_bytes(&late, 512 * K, 128 * K);
    finish(&b.fake, 0, 0, 206);
    bench_close(&b);
}

static void the_end_of_the_file(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 10000);
    assert_int_equal(start(&b, &r, true, 10000, 100), 1);
    expect_bytes(&r, 10000, 0);
    assert_int_equal(start(&b, &r, true, UINT64_MAX - 5, 100), 1);
    expect_bytes(&r, 0, 0);
    assert_int_equal(start(&b, &r, true, 9000, 4096), 0);
    serve(&b.fake, 0);
    expect_bytes(&r, 9000, 1000);
    assert_int_equal(start(&b, &r, true, 0, FETCH_READ_MAX + 1), -EINVAL);
    fetch_read_release(&r.read);
    bench_close(&b);
}

static void a_repeated_attempt_begins_anew(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &r, false, 8192, 65536), 0);
    assert_int_equal(feed(&b.fake, 0, 8192, 40000), 0);
    assert_int_equal(feed(&b.fake, 0, 8192, 30000), 0);
    assert_int_equal(feed(&b.fake, 0, 38192, 35536), 0);
    finish(&b.fake, 0, 0, 206);
    expect_bytes(&r, 8192, 65536);
    bench_close(&b);
}

static void bytes_outside_the_range_are_refused(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &r, false, 8192, 4096), 0);
    assert_int_equal(feed(&b.fake, 0, 8191, 10), -EIO);
    assert_int_equal(feed(&b.fake, 0, 8193, 10), -EIO);
    assert_int_equal(feed(&b.fake, 0, 8192, 4097), -EIO);
    finish(&b.fake, 0, -EIO, 206);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.read.eno, -EIO);
    fetch_read_release(&r.read);
    bench_close(&b);
}

static void failures(void **state)
{
    static const struct {
        int eno, status, want;
    } cases[] = {{-EIO, 500, -EIO},      {-EACCES, 403, -EACCES}, {-ETIMEDOUT, 0, -ETIMEDOUT},
                 {-EBUSY, 412, -ESTALE}, {-ENOENT, 404, -ESTALE}, {0, 206, -EIO /* too short */}};
    struct bench b;
    struct reader r[2];

    bench_open(&b, 0, 1024 * M);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int k = 0; k < 2; k++)
            assert_int_equal(start(&b, &r[k], false, M, 4096), 0);
        assert_int_equal(b.fake.n, i + 1);
        finish(&b.fake, (int)i, cases[i].eno, cases[i].status);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(r[k].done, 1);
            assert_int_equal(r[k].read.eno, cases[i].want);
            assert_int_equal(r[k].read.err.eno, cases[i].want);
            assert_int_equal(r[k].read.n_iov, 0);
            fetch_read_release(&r[k].read);
        }
    }
    assert_int_equal(start(&b, &r[0], false, M, 4096), 0);
    serve(&b.fake, b.fake.n - 1);
    expect_bytes(&r[0], M, 4096);
    bench_close(&b);
}

static void what_came_before_a_failure_is_answered(void **state)
{
    struct bench b;
    struct reader early, late;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &early, true, 0, 4096), 0);
    assert_int_equal(start(&b, &late, false, 8192, 4096), 0);
    assert_int_equal(feed(&b.fake, 0, 0, 10000), 0);
    finish(&b.fake, 0, -ECONNRESET, 0);
    assert_int_equal(late.read.eno, -ECONNRESET);
    fetch_read_release(&late.read);
    expect_bytes(&early, 0, 4096);
    bench_close(&b);
}

static void gaps_between_cached_pieces(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    /* one gap before and one after a large piece: two GETs, the piece is used */
    assert_int_equal(start(&b, &r, false, 2 * M, 256 * K), 0);
    serve(&b.fake, 0);
    expect_bytes(&r, 2 * M, 256 * K);
    assert_int_equal(start(&b, &r, false, 2 * M - 64 * K, 512 * K), 0);
    assert_int_equal(b.fake.n, 3);
    assert_int_equal(b.fake.calls[1]->offset, 2 * M - 64 * K);
    assert_int_equal(b.fake.calls[1]->length, 64 * K);
    assert_int_equal(b.fake.calls[2]->offset, 2 * M + 256 * K);
    assert_int_equal(b.fake.calls[2]->length, 192 * K);
    serve(&b.fake, 2);
    assert_int_equal(r.done, 0);
    serve(&b.fake, 1);
    assert_int_equal(r.done, 1);
    expect_bytes(&r, 2 * M - 64 * K, 512 * K);

    /* many small pieces: fetched again as one */
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(start(&b, &r, false, 9 * M + i * 8 * K, 4 * K), 0);
        serve(&b.fake, b.fake.n - 1);
        expect_bytes(&r, 9 * M + i * 8 * K, 4 * K);
    }
    int n = b.fake.n;
    assert_int_equal(start(&b, &r, false, 9 * M, 64 * K), 0);
    assert_int_equal(b.fake.n, n + 1);
    assert_int_equal(b.fake.calls[n]->length, 64 * K);
    serve(&b.fake, n);
    expect_bytes(&r, 9 * M, 64 * K);

    /* many pieces in use: each gap by itself, more segments than fit without an allocation */
    struct reader held[8];
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(start(&b, &held[i], false, 20 * M + i * 8 * K, 4 * K), 0);
    n = b.fake.n;
    assert_int_equal(start(&b, &r, false, 20 * M, 64 * K), 0);
    assert_int_equal(b.fake.n, n + 8);
    for (int i = n - 8; i < n + 8; i++)
        serve(&b.fake, i);
    expect_bytes(&r, 20 * M, 64 * K);
    for (uint64_t i = 0; i < 8; i++)
        expect_bytes(&held[i], 20 * M + i * 8 * K, 4 * K);
    bench_close(&b);
}

static void reading_in_order_fetches_ahead(void **state)
{
    struct bench b;
    struct reader r;
    struct fetch_stats stats;

    bench_open(&b, 64 * M, 100 * M);
    int served = 0;
    for (uint64_t off = 0; off < 100 * M; off += 128 * K) {
        int rc = start(&b, &r, true, off, 128 * K);
        while (rc == 0 && !r.done) {
            assert_true(served < b.fake.n);
            serve(&b.fake, served++);
        }
        expect_bytes(&r, off, 128 * K);
        fetch_stats(b.fetch, &stats);
        assert_true(stats.under_way <= 5);
        assert_true(stats.memory <= 64 * M);
    }
    assert_int_equal(stats.bytes_fetched, 100 * M);
    assert_int_equal(stats.bytes_asked, 100 * M);
    assert_true(stats.gets < 40);
    assert_true(stats.gets_ahead > stats.gets / 2);
    bench_close(&b);
}

static void cancelling(void **state)
{
    struct bench b;
    struct reader r, other;

    bench_open(&b, 0, 1024 * M);
    /* before it starts */
    fetch_read_init(&r.read, b.file, NULL, 0, 10, on_done, &r);
    assert_false(fetch_read_cancel(&r.read));
    assert_int_equal(fetch_read_start(&r.read), -EINTR);
    fetch_read_release(&r.read);
    assert_int_equal(b.fake.n, 0);

    /* while it waits; the other reader of the same bytes goes on */
    assert_int_equal(start(&b, &r, false, M, 4096), 0);
    assert_int_equal(start(&b, &other, false, M, 4096), 0);
    assert_true(fetch_read_cancel(&r.read));
    assert_int_equal(r.read.eno, -EINTR);
    assert_false(fetch_read_cancel(&r.read));
    fetch_read_release(&r.read);
    serve(&b.fake, 0);
    assert_int_equal(r.done, 0);
    assert_int_equal(other.done, 1);
    assert_false(fetch_read_cancel(&other.read));
    expect_bytes(&other, M, 4096);
    bench_close(&b);
}

static void without_room_reads_queue_in_order(void **state)
{
    struct bench b;
    struct reader r[8];
    struct fetch_stats stats;

    bench_open(&b, 4 * M, 1024 * M);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(start(&b, &r[i], false, i * 8 * M, M), 0);
    assert_int_equal(b.fake.n, 4);
    fetch_stats(b.fetch, &stats);
    assert_int_equal(stats.memory, 4 * M);
    assert_int_equal(stats.memory_waits, 4);

    serve(&b.fake, 2); /* answered, but not given back: no room yet */
    assert_int_equal(r[2].done, 1);
    assert_int_equal(b.fake.n, 4);
    expect_bytes(&r[2], 2 * 8 * M, M);
    assert_int_equal(b.fake.n, 5);
    assert_int_equal(b.fake.calls[4]->offset, 4 * 8 * M);

    /* the next in the queue is cancelled: the one behind it is served */
    assert_true(fetch_read_cancel(&r[5].read));
    fetch_read_release(&r[5].read);
    serve(&b.fake, 0);
    expect_bytes(&r[0], 0, M);
    assert_int_equal(b.fake.n, 6);
    assert_int_equal(b.fake.calls[5]->offset, 6 * 8 * M);

    /* a cancelled reader's GET goes on and its room is not free before it ends */
    assert_true(fetch_read_cancel(&r[1].read));
    fetch_read_release(&r[1].read);
    assert_int_equal(b.fake.n, 6);
    finish(&b.fake, 1, -EIO, 500);
    assert_int_equal(b.fake.n, 7);
    for (int i = 3; i < 7; i++)
        serve(&b.fake, i);
    for (unsigned i = 0; i < 8; i++)
        if (i == 3 || i == 4 || i >= 6)
            expect_bytes(&r[i], i * 8 * M, M);
    fetch_stats(b.fetch, &stats);
    assert_true(stats.memory_peak <= 4 * M);
    bench_close(&b);
}

/* Reads in the queue whose bytes came meanwhile for others end one after the other. */
static void the_queue_is_answered_without_new_gets(void **state)
{
    struct bench b;
    struct reader hold[4], same[3];

    bench_open(&b, 4 * M, 1024 * M);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(start(&b, &hold[i], false, i * 8 * M, M), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(start(&b, &same[i], false, 99 * M, M), 0);
    assert_int_equal(b.fake.n, 4);
    serve(&b.fake, 0);
    expect_bytes(&hold[0], 0, M);
    assert_int_equal(b.fake.n, 5);
    serve(&b.fake, 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(same[i].done, 1);
        expect_bytes(&same[i], 99 * M, M);
    }
    for (int i = 1; i < 4; i++) {
        serve(&b.fake, i);
        expect_bytes(&hold[i], (uint64_t)i * 8 * M, M);
    }
    assert_int_equal(b.fake.n, 5);
    bench_close(&b);
}

static void a_small_object_is_seeded(void **state)
{
    struct bench b;
    struct reader r;
    unsigned char text[5000];

    bench_open(&b, 0, sizeof(text));
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = byte_at(i);
    assert_int_equal(fetch_file_put(b.file, text, sizeof(text) - 1), -EINVAL);
    assert_int_equal(fetch_file_put(b.file, text, sizeof(text)), 0);
    assert_int_equal(start(&b, &r, true, 0, 128 * K), 1);
    expect_bytes(&r, 0, sizeof(text));
    fetch_file_drop(b.file);
    assert_int_equal(start(&b, &r, true, 0, 128 * K), 0);
    assert_int_equal(fetch_file_put(b.file, text, sizeof(text)), -ENOBUFS);
    serve(&b.fake, 0);
    expect_bytes(&r, 0, sizeof(text));
    bench_close(&b);
}

static void a_rename_pins_the_new_name(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    assert_int_equal(start(&b, &r, false, 0, 4096), 0);
    assert_int_equal(feed(&b.fake, 0, 0, 1000), 0);
    assert_int_equal(fetch_file_rekey(b.file, "b/key", "etag-2", NULL), 0);
    assert_string_equal(b.fake.calls[0]->key, "a/key");
    finish(&b.fake, 0, -ENOENT, 404);
    assert_int_equal(r.done, 0);
    assert_int_equal(b.fake.n, 2);
    assert_string_equal(b.fake.calls[1]->key, "b/key");
    assert_string_equal(b.fake.calls[1]->if_match, "etag-2");
    serve(&b.fake, 1);
    expect_bytes(&r, 0, 4096);

    assert_int_equal(fetch_file_rekey(b.file, "c/key", "", NULL), 0);
    assert_int_equal(start(&b, &r, false, 8192, 4096), 0);
    assert_null(b.fake.calls[2]->if_match);
    finish(&b.fake, 2, -ENOENT, 404);
    assert_int_equal(r.read.eno, -ESTALE);
    fetch_read_release(&r.read);
    bench_close(&b);
}

static void closing_a_handle_cancels_what_was_ahead(void **state)
{
    struct bench b;
    struct reader r;

    bench_open(&b, 0, 1024 * M);
    for (uint64_t off = 0; off < 4 * M; off += 256 * K) {
        int rc = start(&b, &r, true, off, 256 * K);
        if (rc == 0)
            for (int i = 0; i < b.fake.n && !r.done; i++)
                if (b.fake.calls[i])
                    serve(&b.fake, i);
        expect_bytes(&r, off, 256 * K);
    }
    struct fetch_stats stats;
    fetch_stats(b.fetch, &stats);
    assert_true(stats.under_way > 0);
    fetch_stream_free(b.stream);
    b.stream = NULL;
    for (int i = 0; i < b.fake.n; i++)
        if (b.fake.calls[i]) {
            assert_true(b.fake.cancelled[i]);
            assert_int_equal(feed(&b.fake, i, b.fake.calls[i]->offset, 10), -ECANCELED);
        }
    /* a new read does not wait for what was cancelled */
    int n = b.fake.n;
    assert_int_equal(start(&b, &r, false, 5 * M, 4096), 0);
    assert_int_equal(b.fake.n, n + 1);
    serve(&b.fake, n);
    expect_bytes(&r, 5 * M, 4096);
    bench_close(&b);
}

static void a_prepared_read_keeps_its_version(void **state)
{
    struct bench b;
    struct reader r = {0};

    bench_open(&b, 0, 1024 * M);
    fetch_read_init(&r.read, b.file, b.stream, 0, 4096, on_done, &r);
    fetch_stream_free(b.stream);
    fetch_file_unref(b.file);
    b.stream = NULL;
    b.file = NULL;
    assert_int_equal(fetch_read_start(&r.read), 0);
    serve(&b.fake, 0);
    assert_int_equal(r.done, 1);
    expect_bytes(&r, 0, 4096);
    fetch_read_release(&r.read);
    bench_close(&b);
}

static void the_pool_keeps_its_budget(void **state)
{
    static const size_t sizes[] = {1,       4096,    4097,     131072,   131073,
                                   163840,  163841,  1 << 20,  1 << 21,  (1 << 20) + 1,
                                   5 << 20, 8 << 20, 11 << 20, 48 << 20, 777777};
    struct fetch_pool pool;
    unsigned char *p;

    fetch_pool_init(&pool, 64 << 20);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t capacity = fetch_pool_capacity(sizes[i]);
        assert_true(capacity >= sizes[i]);
        assert_true(capacity <= sizes[i] + 4096 || capacity <= sizes[i] + sizes[i] / 4);
        assert_int_equal(fetch_pool_capacity(capacity), capacity);
        assert_int_equal(fetch_pool_take(&pool, capacity, &p), 0);
        memset(p, 1, capacity);
        assert_true(pool.used + pool.spare <= pool.max);
        bool kept = capacity > 131072 && pool.spare + capacity <= pool.max / 4;
        fetch_pool_give(&pool, p, capacity);
        assert_int_equal(fetch_pool_has(&pool, capacity), kept);
        assert_true(pool.spare <= pool.max / 4);
        assert_true(pool.used + pool.spare <= pool.max);
    }
    assert_int_equal(fetch_pool_take(&pool, fetch_pool_capacity(65 << 20), &p), -ENOBUFS);
    assert_int_equal(pool.used, 0);
    fetch_pool_done(&pool);
    assert_int_equal(pool.spare, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_read_fetches_its_bytes_once),
        cmocka_unit_test(reads_go_before_what_is_ahead),
        cmocka_unit_test(a_read_waits_only_for_its_own_bytes),
        cmocka_unit_test(the_end_of_the_file),
        cmocka_unit_test(a_repeated_attempt_begins_anew),
        cmocka_unit_test(bytes_outside_the_range_are_refused),
        cmocka_unit_test(failures),
        cmocka_unit_test(what_came_before_a_failure_is_answered),
        cmocka_unit_test(gaps_between_cached_pieces),
        cmocka_unit_test(reading_in_order_fetches_ahead),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(without_room_reads_queue_in_order),
        cmocka_unit_test(the_queue_is_answered_without_new_gets),
        cmocka_unit_test(a_small_object_is_seeded),
        cmocka_unit_test(a_rename_pins_the_new_name),
        cmocka_unit_test(closing_a_handle_cancels_what_was_ahead),
        cmocka_unit_test(a_prepared_read_keeps_its_version),
        cmocka_unit_test(the_pool_keeps_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
