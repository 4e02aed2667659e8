// SPDX-License-Identifier: Apache-2.0
// Ranges of other objects, compared with an array of bytes. See fs/clonemap.h.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/clonemap.h"
#include "fs/fetch.h"

enum { SIZE = 64 };

static void no_call(void *arg, struct obs_call *call)
{
    fail();
}

static struct fetch *new_fetch(void)
{
    const struct fetch_config config = {
        .source = {.submit = no_call, .cancel = no_call, .clear = no_call}};
    struct fetch *fetch;
    assert_int_equal(fetch_new(&config, &fetch), 0);
    return fetch;
}

static struct fetch_file *new_file(struct fetch *fetch)
{
    struct fetch_file *file;
    assert_int_equal(fetch_file_new(fetch, "key", "etag", 1000, NULL, &file), 0);
    return file;
}

static void ranges_go_on(void **state)
{
    struct fetch *fetch = new_fetch();
    struct fetch_file *file = new_file(fetch);
    struct clonemap map = {0};
    assert_null(clonemap_next(&map, 0, SIZE));
    assert_int_equal(clonemap_add(&map, 0, 10, file, 100), 0);
    assert_int_equal(clonemap_add(&map, 20, 30, file, 120), 0);
    assert_int_equal(map.n, 2);
    assert_int_equal(clonemap_add(&map, 10, 20, file, 110), 0);
    assert_int_equal(map.n, 1);
    assert_int_equal(map.v[0].to, 30);
    assert_int_equal(clonemap_add(&map, 30, 40, file, 200), 0); /* from elsewhere */
    assert_int_equal(map.n, 2);
    assert_ptr_equal(clonemap_of(&map, file), &map.v[0]);
    assert_int_equal(clonemap_add(&map, 5, 5, file, 0), 0);
    assert_int_equal(clonemap_remove(&map, 0, SIZE), 0);
    assert_int_equal(map.n, 0);
    assert_null(clonemap_of(&map, file));
    clonemap_done(&map);
    fetch_file_unref(file);
    fetch_free(fetch);
}

static void there_is_a_limit(void **state)
{
    struct fetch *fetch = new_fetch();
    struct fetch_file *file = new_file(fetch);
    struct clonemap map = {0};
    uint64_t i = 0;
    int rc;
    while ((rc = clonemap_add(&map, 2 * i, 2 * i + 1, file, 0)) == 0)
        i++;
    assert_int_equal(rc, -EFBIG);
    assert_in_range(map.n, CLONEMAP_MAX - 2, CLONEMAP_MAX);
    clonemap_done(&map);
    fetch_file_unref(file);
    fetch_free(fetch);
}

struct byte {
    struct fetch_file *file;
    uint64_t source;
};

static void compare(const struct clonemap *map, const struct byte *bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < map->n; i++) {
        assert_true(map->v[i].from >= end && map->v[i].from < map->v[i].to);
        end = map->v[i].to;
    }
    for (uint64_t off = 0; off < SIZE; off++) {
        const struct clone *c = clonemap_next(map, off, off + 1);
        assert_int_equal(c != NULL, bytes[off].file != NULL);
        if (!c)
            continue;
        assert_ptr_equal(c->file, bytes[off].file);
        assert_int_equal(c->source + (off - c->from), bytes[off].source);
    }
}

static void random_operations(void **state)
{
    struct fetch *fetch = new_fetch();
    struct fetch_file *files[2] = {new_file(fetch), new_file(fetch)};
    struct clonemap map = {0};
    struct byte bytes[SIZE] = {0};
    srand(7);
    for (unsigned n = 0; n < 20000; n++) {
        uint64_t from = (uint64_t)rand() % SIZE;
        uint64_t to = from + (uint64_t)rand() % (SIZE - from + 1);
        struct fetch_file *file = rand() % 3 ? files[rand() % 2] : NULL;
        uint64_t source = rand() % 2 ? from : (uint64_t)rand() % 100;
        int rc =
            file ? clonemap_add(&map, from, to, file, source) : clonemap_remove(&map, from, to);
        assert_int_equal(rc, 0);
        for (uint64_t i = from; i < to; i++)
            bytes[i] = (struct byte){file, source + (i - from)};
        compare(&map, bytes);
    }
    clonemap_done(&map);
    fetch_file_unref(files[0]);
    fetch_file_unref(files[1]);
    fetch_free(fetch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_go_on),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
