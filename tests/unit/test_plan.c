// SPDX-License-Identifier: Apache-2.0
// The part plan: contiguous, monotone, inside every limit, up to the largest file.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/plan.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static void init(struct plan *plan, enum obs_dialect dialect, uint64_t part_size)
{
    struct err err = {0};
    if (plan_init(plan, dialect, part_size, 0, &err) != 0)
        fail_msg("part size %llu: %s", (unsigned long long)part_size, err.msg);
}

/* The part at a byte, checked against plan_part(). */
static uint32_t part_at(const struct plan *plan, uint64_t byte)
{
    uint32_t part_no;
    uint64_t off, size, off2, size2;
    assert_int_equal(plan_find(plan, byte, &part_no, &off, &size), 0);
    assert_true(off <= byte && byte - off < size);
    assert_int_equal(plan_part(plan, part_no, &off2, &size2), 0);
    assert_true(off == off2 && size == size2);
    return part_no;
}

/* All 10,000 parts, one after the other. */
static void check_all(const struct plan *plan, bool monotone)
{
    uint64_t end = 0, last = 0;
    for (uint32_t no = 1; no <= PLAN_PARTS_MAX; no++) {
        uint64_t off, size;
        assert_int_equal(plan_part(plan, no, &off, &size), 0);
        assert_true(off == end);
        assert_true(size >= plan->min_part && size <= PLAN_PART_MAX);
        assert_true(!monotone || size >= last);
        assert_int_equal(part_at(plan, off), no);
        assert_int_equal(part_at(plan, off + size - 1), no);
        end = off + size;
        last = size;
    }
    assert_true(plan_capacity(plan) == end);
    assert_int_equal(plan_find(plan, end, NULL, NULL, NULL), -EFBIG);
    assert_int_equal(plan_find(plan, UINT64_MAX, NULL, NULL, NULL), -EFBIG);
    assert_int_equal(plan_part(plan, 0, &end, &end), -EINVAL);
    assert_int_equal(plan_part(plan, PLAN_PARTS_MAX + 1, &end, &end), -EINVAL);
}

static void test_rule(void **state)
{
    static const uint64_t sizes[] = {0,       100 * KIB, 100 * KIB + 1, 1000003,
                                     5 * MIB, 9 * MIB,   10 * MIB + 7,  512 * MIB,
                                     GIB,     3 * GIB,   5 * GIB - 1,   5 * GIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int d = 0; d < 2; d++) {
            struct plan plan;
            if (d == OBS_DIALECT_S3 && sizes[i] && sizes[i] < 5 * MIB)
                continue;
            init(&plan, (enum obs_dialect)d, sizes[i]);
            check_all(&plan, true);
            assert_true(plan_capacity(&plan) >= plan.reach);
            plan_done(&plan);
        }
    }
}

static void test_default_obs(void **state)
{
    struct plan plan;
    uint32_t count;
    uint64_t off, size;
    init(&plan, OBS_DIALECT_OBS, 0);
    assert_true(plan.reach == UINT64_C(48800000000000));

    assert_int_equal(plan_part(&plan, 1, &off, &size), 0);
    assert_true(off == 0 && size == 9 * MIB);
    assert_int_equal(plan_count(&plan, 0, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(plan_count(&plan, 9 * MIB, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(plan_count(&plan, 9 * MIB + 1, &count), 0);
    assert_int_equal(count, 2);
    /* The beginning is even: 2 GiB in parts of 9 MiB. */
    assert_int_equal(plan_count(&plan, 2 * GIB, &count), 0);
    assert_int_equal(count, 228);
    assert_int_equal(plan_count(&plan, 100 * GIB, &count), 0);
    assert_in_range(count, 500, 10000);
    assert_int_equal(plan_count(&plan, plan.reach, &count), 0);
    assert_in_range(count, 9000, 10000);
    assert_int_equal(plan_count(&plan, 50000 * GIB, &count), -EFBIG);
    plan_done(&plan);
}

/* Where less has to be reached, parts stay small for longer. */
static void test_reach(void **state)
{
    struct plan plan;
    uint64_t off, size;
    uint32_t count;
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 0, (uint64_t)5 << 40, NULL), 0);
    check_all(&plan, true);
    assert_int_equal(plan_part(&plan, 3000, &off, &size), 0);
    assert_true(size == 9 * MIB);
    plan_done(&plan);

    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 0, 80 * GIB, NULL), 0);
    assert_int_equal(plan_count(&plan, 80 * GIB, &count), 0);
    assert_int_equal(plan_part(&plan, PLAN_PARTS_MAX, &off, &size), 0);
    assert_true(size == 9 * MIB);
    plan_done(&plan);

    /* The service's own maximum can only be had with the largest parts throughout. */
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 0, 50000 * GIB, NULL), -EINVAL);
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 5 * GIB, 50000 * GIB, NULL), 0);
    assert_true(plan_capacity(&plan) == 50000 * GIB);
    plan_done(&plan);
}

static void test_refused_sizes(void **state)
{
    struct plan plan;
    struct err err = {0};
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 100 * KIB - 1, 0, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "100 KiB"));
    assert_int_equal(plan_init(&plan, OBS_DIALECT_S3, 5 * MIB - 1, 0, NULL), -EINVAL);
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 5 * GIB + 1, 0, NULL), -EINVAL);
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, UINT64_MAX, 0, NULL), -EINVAL);
    assert_int_equal(plan_init(&plan, OBS_DIALECT_OBS, 0, UINT64_MAX, NULL), -EINVAL);
}

static void test_mark(void **state)
{
    struct plan plan, copy = {0};
    uint64_t off, size;
    uint32_t count;
    init(&plan, OBS_DIALECT_OBS, 0);

    /* Part 3 sealed after 1 MiB: part 4 begins there and has its full size. */
    assert_int_equal(plan_mark(&plan, 3, 19 * MIB), 0);
    assert_int_equal(plan_part(&plan, 3, &off, &size), 0);
    assert_true(off == 18 * MIB && size == MIB);
    assert_int_equal(plan_part(&plan, 4, &off, &size), 0);
    assert_true(off == 19 * MIB && size == 9 * MIB);
    assert_int_equal(part_at(&plan, 19 * MIB - 1), 3);
    assert_int_equal(part_at(&plan, 19 * MIB), 4);
    assert_int_equal(plan_count(&plan, 19 * MIB, &count), 0);
    assert_int_equal(count, 3);
    check_all(&plan, false);

    assert_int_equal(plan_mark(&plan, 5, 30 * MIB), 0);
    assert_int_equal(plan_mark(&plan, 4, 28 * MIB), 0); /* the rule's own end */
    assert_int_equal(plan_mark(&plan, 4, 27 * MIB), -EINVAL);
    assert_int_equal(plan_mark(&plan, 5, 28 * MIB), -EINVAL); /* empty */
    assert_int_equal(plan_mark(&plan, 5, 28 * MIB + 100 * KIB - 1), -EINVAL);
    assert_int_equal(plan_mark(&plan, 5, 28 * MIB + 100 * KIB), 0);
    assert_int_equal(plan_mark(&plan, 6, 28 * MIB + 100 * KIB + 5 * GIB + 1), -EINVAL);
    assert_int_equal(plan_mark(&plan, 0, MIB), -EINVAL);
    check_all(&plan, false);

    assert_int_equal(plan_copy(&copy, &plan), 0);
    assert_int_equal(plan_mark(&copy, 7, plan_capacity(&plan)), -EINVAL);
    check_all(&copy, false);
    assert_true(plan_capacity(&copy) == plan_capacity(&plan));
    plan_done(&copy);
    plan_done(&plan);
}

/* A part longer than the rule's swallows what the rule would give to the next ones. */
static void test_long_part(void **state)
{
    struct plan plan;
    init(&plan, OBS_DIALECT_OBS, 0);
    assert_int_equal(plan_mark(&plan, 2, 100 * MIB), 0);
    assert_int_equal(part_at(&plan, 99 * MIB), 2);
    assert_int_equal(part_at(&plan, 100 * MIB), 3);
    check_all(&plan, false);
    plan_done(&plan);
}

static void test_set_ends(void **state)
{
    struct plan plan;
    static uint64_t ends[PLAN_PARTS_MAX];
    init(&plan, OBS_DIALECT_OBS, 0);

    for (uint32_t i = 0; i < 4; i++)
        ends[i] = (i + 1) * 9 * MIB;
    assert_int_equal(plan_set_ends(&plan, ends, 4), 0);
    assert_int_equal(plan.n_marks, 0);

    ends[3] = 27 * MIB + 5; /* the file ended here */
    assert_int_equal(plan_set_ends(&plan, ends, 4), 0);
    assert_int_equal(plan.n_marks, 1);
    ends[2] = 18 * MIB + 5; /* but not here */
    assert_int_equal(plan_set_ends(&plan, ends, 4), -EINVAL);
    assert_int_equal(plan.n_marks, 1);
    ends[2] = 17 * MIB;
    assert_int_equal(plan_set_ends(&plan, ends, 4), -EINVAL);

    for (uint32_t i = 0; i < PLAN_PARTS_MAX; i++)
        ends[i] = (i + 1) * 20 * MIB;
    assert_int_equal(plan_set_ends(&plan, ends, PLAN_PARTS_MAX), 0);
    check_all(&plan, false);
    assert_true(plan_capacity(&plan) == PLAN_PARTS_MAX * 20 * MIB);
    assert_int_equal(plan_set_ends(&plan, ends, PLAN_PARTS_MAX + 1), -EINVAL);
    assert_int_equal(plan_set_ends(&plan, NULL, 0), 0);
    check_all(&plan, true);
    plan_done(&plan);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Random part sizes and random short parts. */
static void test_random(void **state)
{
    const char *given = getenv("OBSM_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20241015;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 20; round++) {
        struct plan plan;
        init(&plan, OBS_DIALECT_OBS, 100 * KIB + next_random(&seed) % (64 * MIB));
        uint32_t no = 0;
        for (int i = 0; i < 30; i++) {
            uint64_t off, size;
            no += 1 + (uint32_t)(next_random(&seed) % 300);
            assert_int_equal(plan_part(&plan, no, &off, &size), 0);
            uint64_t shorter = plan.min_part + next_random(&seed) % (size - plan.min_part + 1);
            assert_int_equal(plan_mark(&plan, no, off + shorter), 0);
        }
        check_all(&plan, false);
        plan_done(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),     cmocka_unit_test(test_default_obs),
        cmocka_unit_test(test_reach),    cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_mark),     cmocka_unit_test(test_long_part),
        cmocka_unit_test(test_set_ends), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
