// SPDX-License-Identifier: Apache-2.0
/* obs-local's listing, ranges and conditions */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/obs-local/index.h"
#include "tests/obs-local/range.h"

struct page {
    struct buf text;
    unsigned n;
};

static void emit(void *arg, const char *key, size_t n, void *value)
{
    struct page *p = arg;
    if (!value)
        buf_addc(&p->text, '[');
    buf_add(&p->text, key, n);
    buf_adds(&p->text, value ? " " : "] ");
    p->n++;
}

static struct index *index_of(const char *const *keys)
{
    static char something;
    struct index *ix = index_new();
    for (; *keys; keys++)
        index_put(ix, *keys, strlen(*keys), &something);
    return ix;
}

/* All pages of a listing, joined with '|'. */
static char *list_all(const struct index *ix, const char *prefix, const char *delimiter,
                      const char *marker, unsigned max)
{
    struct arena a = {0};
    struct page p = {.text = BUF_INIT(1 << 20)};
    struct list_args args = {prefix, delimiter, marker, strlen(marker), max};
    char *last = NULL;
    size_t last_n = 0;
    while (list_page(ix, &args, emit, &p, &a, &last, &last_n)) {
        args.marker = last;
        args.marker_n = last_n;
        buf_adds(&p.text, "| ");
    }
    arena_done(&a);
    char *text = buf_steal(&p.text);
    return text ? text : calloc(1, 1);
}

static void check_list(const struct index *ix, const char *prefix, const char *delimiter,
                       const char *marker, unsigned max, const char *want)
{
    char *got = list_all(ix, prefix, delimiter, marker, max);
    assert_string_equal(got, want);
    free(got);
}

static void test_list(void **state)
{
    const char *keys[] = {"z",       "a/1",  "a/2",      "a",  "a/b/3", "b\xff/1",
                          "b\xff/2", "c//d", "\xff\xff", "a0", NULL};
    struct index *ix = index_of(keys);
    assert_int_equal(index_count(ix), 10);
    check_list(ix, "", "", "", 1000, "a a/1 a/2 a/b/3 a0 b\xff/1 b\xff/2 c//d z \xff\xff ");
    check_list(ix, "", "", "", 3, "a a/1 a/2 | a/b/3 a0 b\xff/1 | b\xff/2 c//d z | \xff\xff ");
    check_list(ix, "", "/", "", 1000, "a [a/] a0 [b\xff/] [c/] z \xff\xff ");
    check_list(ix, "", "/", "", 1, "a | [a/] | a0 | [b\xff/] | [c/] | z | \xff\xff ");
    check_list(ix, "a/", "/", "", 1, "a/1 | a/2 | [a/b/] ");
    check_list(ix, "a/", "", "a/1", 10, "a/2 a/b/3 ");
    check_list(ix, "c/", "/", "", 10, "[c//] ");
    check_list(ix, "", "/", "a/", 10, "a0 [b\xff/] [c/] z \xff\xff ");
    check_list(ix, "", "/", "a/1", 10, "[a/] a0 [b\xff/] [c/] z \xff\xff ");
    check_list(ix, "", "", "zz", 10, "\xff\xff ");
    check_list(ix, "b", "", "a", 10, "b\xff/1 b\xff/2 ");
    check_list(ix, "b", "", "c", 10, "");
    check_list(ix, "\xff", "", "", 10, "\xff\xff ");
    check_list(ix, "nothing", "/", "", 10, "");
    check_list(ix, "", "", "", 0, "");
    check_list(ix, "", "b\xff/", "a9", 10, "[b\xff/] c//d z \xff\xff ");
    index_free(ix);
}

/* Removing and finding, against a plain sorted table. */
static void test_index(void **state)
{
    enum { N = 3000 };
    static char there[N];
    unsigned seed = 12345;
    struct index *ix = index_new();
    memset(there, 0, sizeof(there));
    for (int i = 0; i < 4 * N; i++) {
        char key[16];
        int k = rand_r(&seed) % N;
        int n = snprintf(key, sizeof(key), "%06d", k);
        if (rand_r(&seed) % 3) {
            assert_ptr_equal(index_put(ix, key, (size_t)n, &there[k]), there[k] ? &there[k] : NULL);
            there[k] = 1;
        } else {
            assert_ptr_equal(index_remove(ix, key, (size_t)n), there[k] ? &there[k] : NULL);
            there[k] = 0;
        }
    }
    struct index_node *node = index_seek(ix, "", 0, false);
    for (int k = 0; k < N; k++) {
        char key[16];
        snprintf(key, sizeof(key), "%06d", k);
        assert_ptr_equal(index_get(ix, key, 6), there[k] ? &there[k] : NULL);
        if (!there[k])
            continue;
        assert_non_null(node);
        assert_string_equal(index_key(node, NULL), key);
        node = index_next(node);
    }
    assert_null(node);
    index_free(ix);
}

static void test_range(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
        enum range_kind kind;
        uint64_t off, len;
    } cases[] = {
        {NULL, 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-0", 10, RANGE_PART, 0, 1},
        {"bytes=2-5", 10, RANGE_PART, 2, 4},
        {"bytes=2-", 10, RANGE_PART, 2, 8},
        {"bytes=-3", 10, RANGE_PART, 7, 3},
        {"bytes=-30", 10, RANGE_PART, 0, 10},
        {"bytes=5-1000", 10, RANGE_PART, 5, 5},
        {"bytes=10-", 10, RANGE_INVALID, 0, 0},
        {"bytes=10-20", 10, RANGE_INVALID, 0, 0},
        {"bytes=0-", 0, RANGE_INVALID, 0, 0},
        {"bytes=-1", 0, RANGE_INVALID, 0, 0},
        {"bytes=-0", 10, RANGE_INVALID, 0, 0},
        {"bytes=5-2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 10, RANGE_WHOLE, 0, 0},
        {"bytes=-", 10, RANGE_WHOLE, 0, 0},
        {"bytes=1-2,4-5", 10, RANGE_WHOLE, 0, 0},
        {"lines=1-2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=99999999999999999999999-", 10, RANGE_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t off = 0, len = 0;
        assert_int_equal(range_parse(cases[i].text, cases[i].size, &off, &len), cases[i].kind);
        if (cases[i].kind == RANGE_PART) {
            assert_int_equal(off, cases[i].off);
            assert_int_equal(len, cases[i].len);
        }
    }
    uint64_t off, len;
    assert_true(range_parse_exact("bytes=1-9", 10, &off, &len));
    assert_false(range_parse_exact("bytes=1-10", 10, &off, &len));
    assert_false(range_parse_exact("bytes=1-", 10, &off, &len));
}

static int condition(const char *name, const char *value, const char *prefix)
{
    struct arena a = {0};
    struct pairs headers = {0};
    arena_pairs_add(&a, &headers, name, value);
    int status = range_condition(&headers, prefix, "abc", 1728976809, 1728980409);
    arena_done(&a);
    return status;
}

static void test_conditions(void **state)
{
    assert_int_equal(condition("if-match", "\"abc\"", ""), 0);
    assert_int_equal(condition("if-match", "abc", ""), 0);
    assert_int_equal(condition("if-match", "*", ""), 0);
    assert_int_equal(condition("if-match", "\"x\", \"abc\"", ""), 0);
    assert_int_equal(condition("if-match", "\"x\"", ""), 412);
    assert_int_equal(condition("if-none-match", "\"abc\"", ""), 304);
    assert_int_equal(condition("if-none-match", "\"x\"", ""), 0);
    assert_int_equal(condition("if-modified-since", "Tue, 15 Oct 2024 07:20:09 GMT", ""), 304);
    assert_int_equal(condition("if-modified-since", "Tue, 15 Oct 2024 07:20:08 GMT", ""), 0);
    assert_int_equal(condition("if-modified-since", "Tue, 15 Oct 2034 07:20:08 GMT", ""), 0);
    assert_int_equal(condition("if-unmodified-since", "Tue, 15 Oct 2024 07:20:08 GMT", ""), 412);
    assert_int_equal(condition("if-unmodified-since", "Tue, 15 Oct 2024 07:20:09 GMT", ""), 0);
    assert_int_equal(condition("x-obs-copy-source-if-none-match", "\"abc\"", "x-obs-copy-source-"),
                     412);
    assert_int_equal(condition("x-obs-copy-source-if-match", "\"x\"", "x-obs-copy-source-"), 412);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
