// SPDX-License-Identifier: Apache-2.0
// Read-ahead decisions as tables: reads in, requests out.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/window.h"

#define K (UINT64_C(1) << 10)
#define M (UINT64_C(1) << 20)
#define G (UINT64_C(1) << 30)

static const struct window_limits LIMITS = {
    .size = G,
    .share = 64 * M,
    .first = M,
    .chunk_min = 256 * K,
    .chunk_max = 8 * M,
    .parallel = 8,
};

/* One read that misses: how much is requested for it. */
static uint64_t miss(struct window *w, const struct window_limits *l, uint64_t off, uint64_t n)
{
    window_note(w, off, n);
    window_starved(w, l);
    uint64_t want = window_demand(w, l, off, n);
    if (want > n)
        window_reached(w, off + want);
    return want;
}

/* Takes everything that is wanted ahead; returns the bytes, with the number of requests. */
static uint64_t take_ahead(struct window *w, const struct window_limits *l, unsigned *ret_requests)
{
    uint64_t off, n, sum = 0;

    *ret_requests = 0;
    while (window_next(w, l, &off, &n)) {
        assert_true(n > 0);
        assert_true(off >= w->current->end);
        assert_true(off + n <= l->size);
        assert_true(off + n <= w->current->end + l->share);
        window_reached(w, off + n);
        sum += n;
        (*ret_requests)++;
    }
    return sum;
}

static void random_reads_are_exact(void **state)
{
    static const struct {
        uint64_t off, n;
    } reads[] = {{700 * M, 64 * K}, {3 * M, 64 * K},    {900 * M, 4 * K},          {0, 64 * K},
                 {8 * K, 4 * K},    {G - 4 * K, 4 * K}, {700 * M + 64 * K, 64 * K}};
    struct window w;
    unsigned requests;

    window_init(&w);
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        assert_int_equal(miss(&w, &LIMITS, reads[i].off, reads[i].n), reads[i].n);
        assert_int_equal(take_ahead(&w, &LIMITS, &requests), 0);
    }
}

static void the_first_read_of_a_file_takes_one_mebibyte(void **state)
{
    static const struct {
        uint64_t size, n, want;
    } cases[] = {
        {G, 4 * K, M}, {G, 128 * K, M}, {G, M, M}, {300 * K, 16 * K, 300 * K}, {10, 10, 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct window w;
        struct window_limits l = LIMITS;
        unsigned requests;
        l.size = cases[i].size;
        window_init(&w);
        assert_int_equal(miss(&w, &l, 0, cases[i].n), cases[i].want);
        assert_int_equal(take_ahead(&w, &l, &requests), 0);
    }
}

static void a_reader_in_order_gets_a_growing_window(void **state)
{
    struct window w;
    unsigned requests, total = 0;
    uint64_t before = 0;

    window_init(&w);
    for (uint64_t off = 0; off < 64 * M; off += 128 * K) {
        window_note(&w, off, 128 * K);
        window_starved(&w, &LIMITS);
        if (off == 0)
            window_reached(&w, window_demand(&w, &LIMITS, 0, 128 * K));
        (void)take_ahead(&w, &LIMITS, &requests);
        total += requests;
        assert_true(w.current->window >= before);
        before = w.current->window;
    }
    assert_int_equal(before, LIMITS.share);
    assert_true(w.current->ahead > w.current->end + 48 * M);
    assert_true(total < 60); /* the pieces grow as well */
}

static void who_never_waits_gets_no_more(void **state)
{
    struct window w;
    unsigned requests;

    window_init(&w);
    assert_int_equal(miss(&w, &LIMITS, 0, 128 * K), M);
    for (uint64_t off = 128 * K; off < 2 * M; off += 128 * K) {
        window_note(&w, off, 128 * K);
        assert_int_equal(take_ahead(&w, &LIMITS, &requests), 0);
    }
}

static void a_little_disorder_is_order(void **state)
{
    static const unsigned order[] = {1, 0, 2, 4, 3, 6, 7, 5, 8, 11, 9, 10, 12, 13, 15, 14};
    struct window w;
    unsigned requests;

    window_init(&w);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        (void)miss(&w, &LIMITS, order[i] * 128 * K, 128 * K);
    assert_int_equal(w.current->start, 0);
    assert_int_equal(w.current->end, 2 * M);
    assert_int_equal(w.current->reads, 16);
    assert_true(take_ahead(&w, &LIMITS, &requests) >= 4 * M);
    unsigned used = 0;
    for (int i = 0; i < WINDOW_RUNS; i++)
        used += w.run[i].used != 0;
    assert_int_equal(used, 1);
}

/* The pages that a file written in pieces of 10,240 bytes lacks, a little out of order as well. */
static void missing_pages_of_a_written_file_are_a_run(void **state)
{
    static const unsigned orders[][4] = {{0, 1, 2, 3}, {1, 0, 2, 3}, {0, 2, 1, 3}};

    for (size_t k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
        struct window w;
        struct window_limits l = LIMITS;
        unsigned requests, misses = 0;
        l.size = 40 * M;
        window_init(&w);
        for (uint64_t i = 0; i + 4 <= 40 * M / (20 * K); i++) {
            uint64_t off = (i / 4 * 4 + orders[k][i % 4]) * 20 * K + 8 * K;
            bool known = w.current && off + 4 * K <= w.current->ahead;
            misses += !known;
            if (known)
                window_note(&w, off, 4 * K);
            else
                (void)miss(&w, &l, off, 4 * K);
            (void)take_ahead(&w, &l, &requests);
        }
        assert_true(misses < 20);
        assert_int_equal(w.current->ahead, l.size);
    }
}

static void random_reads_of_a_small_file_are_exact(void **state)
{
    struct window w;
    struct window_limits l = LIMITS;
    unsigned seed = 20261130;
    uint64_t asked = 0, fetched = 0;

    print_message("seed %u\n", seed);
    l.size = 4 * M;
    window_init(&w);
    for (int i = 0; i < 20000; i++) {
        uint64_t off = (uint64_t)rand_r(&seed) % 1024 * 4 * K;
        asked += 4 * K;
        fetched += miss(&w, &l, off, 4 * K);
    }
    assert_true(fetched < asked + asked / 10);
}

static void two_readers_of_one_handle_are_two_runs(void **state)
{
    struct window w;
    unsigned requests;

    window_init(&w);
    for (uint64_t i = 0; i < 32; i++) {
        (void)miss(&w, &LIMITS, i * 128 * K, 128 * K);
        if (i > 10)
            assert_int_equal(w.current->end, (i + 1) * 128 * K);
        (void)take_ahead(&w, &LIMITS, &requests);
        (void)miss(&w, &LIMITS, 500 * M + i * 128 * K, 128 * K);
        if (i > 10) {
            assert_int_equal(w.current->end, 500 * M + (i + 1) * 128 * K);
            assert_true(w.current->window >= M);
        }
        (void)take_ahead(&w, &LIMITS, &requests);
    }
}

static void a_second_pass_is_recognised(void **state)
{
    struct window w;
    unsigned requests;

    window_init(&w);
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t off = 0; off < 32 * M; off += M) {
            (void)miss(&w, &LIMITS, off, M);
            (void)take_ahead(&w, &LIMITS, &requests);
        }
        assert_int_equal(w.current->end, 32 * M);
        assert_true(w.current->window >= 32 * M);
    }
}

static void the_end_of_the_file_ends_it(void **state)
{
    struct window w;
    struct window_limits l = LIMITS;
    unsigned requests;
    uint64_t end = 0;

    l.size = 5 * M + 123;
    window_init(&w);
    while (end < l.size) {
        uint64_t n = l.size - end < 128 * K ? l.size - end : 128 * K;
        (void)miss(&w, &l, end, n);
        (void)take_ahead(&w, &l, &requests);
        end += n;
    }
    assert_int_equal(w.current->ahead, l.size);
    assert_int_equal(window_demand(&w, &l, l.size, 10), 0);
}

static void a_small_share_is_kept(void **state)
{
    static const uint64_t shares[] = {0, 100 * K, 256 * K, 300 * K, M, 5 * M};

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        struct window w;
        struct window_limits l = LIMITS;
        unsigned requests;
        l.share = shares[i];
        window_init(&w);
        for (uint64_t off = 0; off < 32 * M; off += 128 * K) {
            (void)miss(&w, &l, off, 128 * K);
            (void)take_ahead(&w, &l, &requests); /* checks the share */
        }
    }
}

/* Any reads: nothing outside the file, demand at least what is missing, limits kept. */
static void any_reads(void **state)
{
    unsigned seed = 20240917;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 200; round++) {
        struct window w;
        struct window_limits l = LIMITS;
        l.size = 1 + (uint64_t)rand_r(&seed) % (40 * M);
        l.share = (uint64_t)rand_r(&seed) % (8 * M);
        l.parallel = 1 + (unsigned)rand_r(&seed) % 16;
        window_init(&w);
        uint64_t at = 0;
        for (int i = 0; i < 300; i++) {
            if (rand_r(&seed) % 8 == 0)
                at = (uint64_t)rand_r(&seed) % l.size;
            uint64_t n = 1 + (uint64_t)rand_r(&seed) % (256 * K);
            n = n < l.size - at ? n : l.size - at;
            unsigned requests;
            uint64_t want = miss(&w, &l, at, n);
            assert_true(want >= n && at + want <= l.size);
            assert_true(want <= n || want <= M || want <= l.chunk_max);
            (void)take_ahead(&w, &l, &requests);
            at = at + n < l.size ? at + n : 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_reads_are_exact),
        cmocka_unit_test(the_first_read_of_a_file_takes_one_mebibyte),
        cmocka_unit_test(a_reader_in_order_gets_a_growing_window),
        cmocka_unit_test(who_never_waits_gets_no_more),
        cmocka_unit_test(a_little_disorder_is_order),
        cmocka_unit_test(missing_pages_of_a_written_file_are_a_run),
        cmocka_unit_test(random_reads_of_a_small_file_are_exact),
        cmocka_unit_test(two_readers_of_one_handle_are_two_runs),
        cmocka_unit_test(a_second_pass_is_recognised),
        cmocka_unit_test(the_end_of_the_file_ends_it),
        cmocka_unit_test(a_small_share_is_kept),
        cmocka_unit_test(any_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
