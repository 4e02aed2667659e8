// SPDX-License-Identifier: Apache-2.0
// The interval map: cases by hand, and a long random comparison with a bitmap.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/imap.h"

static void assert_ranges(const struct imap *map, const struct imap_range *want, size_t n)
{
    size_t got_n;
    const struct imap_range *got = imap_ranges(map, &got_n);
    assert_true(imap_check(map));
    assert_int_equal(got_n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].from, want[i].from);
        assert_int_equal(got[i].to, want[i].to);
    }
}

#define ASSERT_RANGES(map, ...)                                                                    \
    do {                                                                                           \
        const struct imap_range want_[] = {__VA_ARGS__};                                           \
        assert_ranges(map, want_, sizeof(want_) / sizeof(*want_));                                 \
    } while (0)

static void test_empty(void **state)
{
    struct imap map;
    uint64_t a;
    uint64_t b;
    imap_init(&map);
    assert_true(imap_check(&map));
    assert_true(imap_covers(&map, 5, 5));
    assert_false(imap_covers(&map, 5, 6));
    assert_false(imap_touches(&map, 0, UINT64_MAX));
    assert_int_equal(imap_end(&map), 0);
    assert_true(imap_next_gap(&map, 3, 9, &a, &b));
    assert_int_equal(a, 3);
    assert_int_equal(b, 9);
    assert_false(imap_next_gap(&map, 9, 9, &a, &b));
    assert_false(imap_next_present(&map, 0, UINT64_MAX, &a, &b));
    assert_int_equal(imap_add(&map, 7, 7), 0);
    assert_int_equal(imap_add(&map, 8, 7), 0);
    assert_int_equal(imap_remove(&map, 0, UINT64_MAX), 0);
    imap_truncate(&map, 0);
    assert_int_equal(imap_total(&map), 0);
    imap_done(&map);
}

static void test_merge_and_split(void **state)
{
    struct imap map = {0};
    assert_int_equal(imap_add(&map, 10, 20), 0);
    assert_int_equal(imap_add(&map, 30, 40), 0);
    assert_int_equal(imap_add(&map, 50, 60), 0);
    ASSERT_RANGES(&map, {10, 20}, {30, 40}, {50, 60});

    assert_int_equal(imap_add(&map, 20, 25), 0); /* touches on the left */
    assert_int_equal(imap_add(&map, 28, 30), 0); /* touches on the right */
    ASSERT_RANGES(&map, {10, 25}, {28, 40}, {50, 60});
    assert_int_equal(imap_add(&map, 15, 55), 0); /* swallows one, joins two */
    ASSERT_RANGES(&map, {10, 60});
    assert_int_equal(imap_total(&map), 50);

    assert_int_equal(imap_remove(&map, 20, 30), 0);
    ASSERT_RANGES(&map, {10, 20}, {30, 60});
    assert_int_equal(imap_remove(&map, 5, 12), 0);
    assert_int_equal(imap_remove(&map, 58, 70), 0);
    assert_int_equal(imap_remove(&map, 20, 30), 0); /* nothing there */
    ASSERT_RANGES(&map, {12, 20}, {30, 58});
    assert_int_equal(imap_total_in(&map, 15, 35), 10);
    imap_truncate(&map, 33);
    ASSERT_RANGES(&map, {12, 20}, {30, 33});
    assert_int_equal(imap_end(&map), 33);
    imap_clear(&map);
    assert_int_equal(imap_end(&map), 0);
    imap_done(&map);
}

static void test_ends_of_the_world(void **state)
{
    struct imap map = {0};
    assert_int_equal(imap_add(&map, UINT64_MAX - 1, UINT64_MAX), 0);
    assert_int_equal(imap_add(&map, 0, 1), 0);
    ASSERT_RANGES(&map, {0, 1}, {UINT64_MAX - 1, UINT64_MAX});
    assert_int_equal(imap_add(&map, 0, UINT64_MAX), 0);
    ASSERT_RANGES(&map, {0, UINT64_MAX});
    assert_true(imap_total(&map) == UINT64_MAX);
    assert_int_equal(imap_remove(&map, 1, UINT64_MAX - 1), 0);
    assert_int_equal(imap_total(&map), 2);
    imap_truncate(&map, 1);
    ASSERT_RANGES(&map, {0, 1});
    imap_done(&map);
}

static void test_sequential_stays_small(void **state)
{
    struct imap map = {0};
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(imap_add(&map, i * 4096, (i + 1) * 4096), 0);
    ASSERT_RANGES(&map, {0, UINT64_C(100000) * 4096});
    assert_true(map.cap <= 8);
    imap_done(&map);
}

static void test_from_disk(void **state)
{
    static const struct imap_range good[] = {{0, 5}, {5, 9}, {12, 13}};
    static const struct imap_range empty[] = {{0, 5}, {7, 7}};
    static const struct imap_range inverted[] = {{9, 5}};
    static const struct imap_range unordered[] = {{10, 20}, {0, 5}};
    static const struct imap_range overlap[] = {{10, 20}, {19, 25}};
    struct imap map = {0};

    assert_int_equal(imap_set_ranges(&map, good, 3), 0);
    ASSERT_RANGES(&map, {0, 9}, {12, 13});
    assert_int_equal(imap_set_ranges(&map, empty, 2), -EINVAL);
    assert_int_equal(imap_set_ranges(&map, inverted, 1), -EINVAL);
    assert_int_equal(imap_set_ranges(&map, unordered, 2), -EINVAL);
    assert_int_equal(imap_set_ranges(&map, overlap, 2), -EINVAL);
    ASSERT_RANGES(&map, {0, 9}, {12, 13});
    assert_int_equal(imap_set_ranges(&map, NULL, 0), 0);
    assert_int_equal(imap_total(&map), 0);
    imap_done(&map);
}

enum { WORLD = 300, STEPS = 60000 };

/* The first run of bytes that are `value` in [from, to). */
static bool bitmap_run(const bool *bits, bool value, uint64_t from, uint64_t to, uint64_t *a,
                       uint64_t *b)
{
    while (from < to && bits[from] != value)
        from++;
    *a = from;
    while (from < to && bits[from] == value)
        from++;
    *b = from;
    return *a < *b;
}

static void compare(const struct imap *map, const bool *bits, uint64_t from, uint64_t to)
{
    uint64_t a = 0;
    uint64_t b = 0;
    uint64_t wa;
    uint64_t wb;
    uint64_t sum = 0;
    uint64_t end = 0;

    bool want = bitmap_run(bits, false, from, to, &wa, &wb);
    assert_int_equal(imap_next_gap(map, from, to, &a, &b), want);
    if (want)
        assert_true(a == wa && b == wb);
    assert_int_equal(imap_covers(map, from, to), !want);

    want = bitmap_run(bits, true, from, to, &wa, &wb);
    assert_int_equal(imap_next_present(map, from, to, &a, &b), want);
    if (want)
        assert_true(a == wa && b == wb);
    assert_int_equal(imap_touches(map, from, to), want);

    for (uint64_t i = from; i < to; i++)
        sum += bits[i];
    assert_int_equal(imap_total_in(map, from, to), sum);
    sum = 0;
    for (uint64_t i = 0; i < WORLD; i++) {
        sum += bits[i];
        end = bits[i] ? i + 1 : end;
    }
    assert_int_equal(imap_total(map), sum);
    assert_int_equal(imap_end(map), end);
}

static void test_against_bitmap(void **state)
{
    const char *given = getenv("OBSM_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10)
                          : (unsigned)time(NULL) ^ (unsigned)getpid() << 16;
    static bool bits[WORLD];
    struct imap map = {0};

    printf("seed %u (OBSM_SEED repeats it)\n", seed);
    for (int step = 0; step < STEPS; step++) {
        uint64_t from = (uint64_t)rand_r(&seed) % WORLD;
        uint64_t len = (uint64_t)rand_r(&seed) % (rand_r(&seed) % 8 ? 12 : WORLD);
        uint64_t to = from + len > WORLD ? WORLD : from + len;
        int what = rand_r(&seed) % 20;
        if (what < 10) {
            assert_int_equal(imap_add(&map, from, to), 0);
            memset(bits + from, true, to - from);
        } else if (what < 19) {
            assert_int_equal(imap_remove(&map, from, to), 0);
            memset(bits + from, false, to - from);
        } else {
            imap_truncate(&map, from);
            memset(bits + from, false, WORLD - from);
        }
        assert_true(imap_check(&map));
        from = (uint64_t)rand_r(&seed) % WORLD;
        to = from + (uint64_t)rand_r(&seed) % (WORLD - from + 1);
        compare(&map, bits, from, to);
    }
    imap_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_merge_and_split),
        cmocka_unit_test(test_ends_of_the_world),
        cmocka_unit_test(test_sequential_stays_small),
        cmocka_unit_test(test_from_disk),
        cmocka_unit_test(test_against_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
