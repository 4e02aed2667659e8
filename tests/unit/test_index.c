// SPDX-License-Identifier: Apache-2.0
// The attribute index: versions, age, directories, bounds, damage.
#include "checkpoint/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/obsm-index-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    return snprintf(path, sizeof(path), "%s/index.db", dir) > 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static int remove_files(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -f '%s'*", path);
    return system(command);
}

static struct index *open_index(uint64_t entries_max)
{
    struct index_params p = {.path = path, .ttl_s = 1000, .entries_max = entries_max};
    struct index *ix = NULL;
    struct err e = {0};
    if (index_open(&p, &ix, &e) < 0)
        fail_msg("%s", e.msg);
    return ix;
}

static const struct index_version v1 = {"etag1", 1700000000123, 42};

static void put(struct index *ix, const char *key, const char *attrs, int64_t now_s)
{
    index_put(ix, key, &v1, attrs, strlen(attrs), now_s);
}

static bool has(struct index *ix, const char *key, const struct index_version *v, int64_t now_s)
{
    void *attrs = NULL;
    size_t n = 0;
    int found = index_get(ix, key, v, now_s, &attrs, &n);
    free(attrs);
    return found == 1;
}

static void found_again_by_its_version_only(void **state)
{
    struct index *ix = open_index(0);
    index_put(ix, "d/f", &v1, "mode\0x", 6, 5000);
    void *attrs = NULL;
    size_t n = 0;
    assert_int_equal(index_get(ix, "d/f", &v1, 5000, &attrs, &n), 1);
    assert_int_equal(n, 6);
    assert_memory_equal(attrs, "mode\0x", 6);
    free(attrs);

    struct index_version other = v1;
    other.etag = "etag2";
    assert_false(has(ix, "d/f", &other, 5000));
    other = v1;
    other.mtime_ms++;
    assert_false(has(ix, "d/f", &other, 5000));
    other = v1;
    other.size = 1;
    assert_false(has(ix, "d/f", &other, 5000));
    assert_false(has(ix, "d/g", &v1, 5000));
    assert_false(has(ix, "f", &v1, 5000));

    assert_true(has(ix, "d/f", &v1, 6000));
    assert_false(has(ix, "d/f", &v1, 6001)); // too old

    other.etag = "";
    index_put(ix, "d/f", &other, "", 0, 5000); // replaces
    assert_false(has(ix, "d/f", &v1, 5000));
    assert_true(has(ix, "d/f", &other, 5000));
    assert_int_equal(index_count(ix), 1);
    index_forget(ix, "d/f");
    assert_int_equal(index_count(ix), 0);
    index_close(ix);
}

static void stored_by_us_and_not_changed_since(void **state)
{
    struct index *ix = open_index(0);
    const struct index_version ours = {"etag1", -1700000000000, 42};
    index_put(ix, "d/f", &ours, "x", 1, 5000);
    struct index_version shown = {"etag1", 1700000000000, 42};
    assert_true(has(ix, "d/f", &shown, 5000));
    assert_true(index_same_version(&shown, &ours));
    shown.mtime_ms = 1600000000000; // a multipart upload shows when it was begun
    assert_true(has(ix, "d/f", &shown, 5000));
    assert_true(index_same_version(&shown, &ours));
    shown.mtime_ms = 1700000000001;
    assert_false(has(ix, "d/f", &shown, 5000));
    assert_false(index_same_version(&shown, &ours));
    shown = (struct index_version){"etag2", 1700000000000, 42};
    assert_false(has(ix, "d/f", &shown, 5000));
    assert_false(index_same_version(&shown, &ours));
    index_close(ix);
}

static void kept_across_mounts(void **state)
{
    struct index *ix = open_index(0);
    put(ix, "a", "1", 5000);
    index_flush(ix, 5000);
    put(ix, "b", "2", 5000);
    index_close(ix); // commits too
    struct stat sb;
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    ix = open_index(0);
    assert_true(has(ix, "a", &v1, 5000));
    assert_true(has(ix, "b", &v1, 5000));
    char wal[80];
    (void)snprintf(wal, sizeof(wal), "%s-wal", path);
    put(ix, "c", "3", 5000);
    index_flush(ix, 5000);
    assert_int_equal(stat(wal, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    index_close(ix);
}

struct seen {
    char names[256];
    int stop_after;
};

static int note(void *arg, const char *name, const struct index_version *v, const void *attrs,
                size_t n)
{
    struct seen *s = arg;
    assert_string_equal(v->etag, "etag1");
    assert_int_equal(v->size, 42);
    assert_int_equal(n, 1);
    size_t have = strlen(s->names);
    (void)snprintf(s->names + have, sizeof(s->names) - have, "%s=%c ", name, *(const char *)attrs);
    return --s->stop_after == 0;
}

static void a_directory_at_once(void **state)
{
    struct index *ix = open_index(0);
    put(ix, "d/b", "2", 5000);
    put(ix, "d/a", "1", 5000);
    put(ix, "d/sub/", "3", 5000); // a marker is an entry of its parent
    put(ix, "d/sub/x", "4", 5000);
    put(ix, "d/old", "5", 3000);
    put(ix, "da", "6", 5000);
    put(ix, "d/", "7", 5000);
    struct seen s = {0};
    assert_int_equal(index_each(ix, "d/", 5000, note, &s), 3);
    assert_string_equal(s.names, "a=1 b=2 sub/=3 ");
    s = (struct seen){0};
    assert_int_equal(index_each(ix, "", 5000, note, &s), 2);
    assert_string_equal(s.names, "d/=7 da=6 ");
    s = (struct seen){.stop_after = 1};
    assert_int_equal(index_each(ix, "d/", 5000, note, &s), 1);
    assert_string_equal(s.names, "a=1 ");
    assert_int_equal(index_each(ix, "none/", 5000, note, &s), 0);
    index_close(ix);
}

static void dropping_prefixes(void **state)
{
    static const char *const keys[] = {"a", "d", "d/", "d/a", "d/s/", "d/s/x", "d0", "dx/y", "e/f"};
    enum { N = sizeof(keys) / sizeof(keys[0]) };
    static const char *const prefixes[] = {"d/", "d", "d/s", "d/s/", "e/f", "z", "", "d/a"};
    struct index *ix = open_index(0);
    for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
        for (int i = 0; i < N; i++)
            put(ix, keys[i], "1", 5000);
        index_drop(ix, prefixes[p]);
        for (int i = 0; i < N; i++) {
            bool begins = strncmp(keys[i], prefixes[p], strlen(prefixes[p])) == 0;
            if (has(ix, keys[i], &v1, 5000) == begins)
                fail_msg("'%s' after drop of '%s'", keys[i], prefixes[p]);
        }
    }
    index_close(ix);
}

static void bounded(void **state)
{
    struct index *ix = open_index(100);
    for (int i = 0; i < 250; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%d", i);
        put(ix, key, "1", 5000 + i);
    }
    index_flush(ix, 5250);
    assert_int_equal(index_count(ix), 100);
    assert_true(has(ix, "k249", &v1, 5250));
    assert_true(has(ix, "k150", &v1, 5250));
    assert_false(has(ix, "k149", &v1, 5250));
    put(ix, "new", "1", 6500); // flushing also drops what is too old
    index_flush(ix, 6500);
    assert_int_equal(index_count(ix), 1);
    index_close(ix);
}

static void limits(void **state)
{
    struct index *ix = open_index(0);
    static char big[INDEX_ATTRS_MAX + 1];
    char key[1100];
    memset(key, 'k', sizeof(key));
    key[1025] = 0;
    index_put(ix, "big", &v1, big, sizeof(big), 5000);
    index_put(ix, key, &v1, "1", 1, 5000);
    assert_int_equal(index_count(ix), 0);
    index_put(ix, "big", &v1, big, sizeof(big) - 1, 5000);
    key[1024] = 0;
    index_put(ix, key, &v1, "1", 1, 5000);
    assert_true(has(ix, key, &v1, 5000));
    assert_true(has(ix, "big", &v1, 5000));
    index_close(ix);

    void *attrs = NULL;
    size_t n;
    index_put(NULL, "a", &v1, "1", 1, 1);
    index_drop(NULL, "");
    index_forget(NULL, "a");
    index_flush(NULL, 1);
    index_close(NULL);
    assert_int_equal(index_get(NULL, "a", &v1, 1, &attrs, &n), 0);
    assert_int_equal(index_each(NULL, "", 1, note, NULL), 0);
    assert_int_equal(index_count(NULL), 0);
}

static void overwrite(const char *name, off_t at, size_t n)
{
    int fd = open(name, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pwrite(fd, "\x5a", 1, at + (off_t)i), 1);
    close(fd);
}

// A database that is damaged in any place never costs more than its content.
static void damage_is_survived(void **state)
{
    for (int place = 0; place < 12; place++) {
        assert_int_equal(remove_files(NULL), 0);
        struct index *ix = open_index(0);
        for (int i = 0; i < 300; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "d%d/k%d", i % 7, i);
            put(ix, key, "attributes", 5000);
        }
        index_close(ix);
        if (place == 0)
            assert_int_equal(truncate(path, 1000), 0);
        else if (place == 1)
            overwrite(path, 0, 100);
        else
            overwrite(path, 100 + (place - 2) * 2000, 3000);
        ix = open_index(0);
        for (int i = 0; i < 300; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "d%d/k%d", i % 7, i);
            (void)has(ix, key, &v1, 5000);
        }
        index_drop(ix, "");
        put(ix, "after/wards", "1", 5000);
        put(ix, "after/wards", "1", 5000);
        index_flush(ix, 5000);
        assert_true(has(ix, "after/wards", &v1, 5000));
        index_close(ix);
    }
}

static void another_schema_is_replaced(void **state)
{
    struct index *ix = open_index(0);
    put(ix, "a", "1", 5000);
    index_close(ix);
    overwrite(path, 60, 4); // user_version in the header
    ix = open_index(0);
    assert_int_equal(index_count(ix), 0);
    put(ix, "a", "1", 5000);
    assert_true(has(ix, "a", &v1, 5000));
    index_close(ix);
}

static void a_second_process_is_no_obstacle(void **state)
{
    struct index *writer = open_index(0);
    struct index *reader = open_index(0); // as a read-only mount beside it would
    put(writer, "a", "1", 5000);
    put(reader, "b", "1", 5000); // the other one writes: forgotten
    assert_false(has(reader, "a", &v1, 5000));
    index_flush(writer, 5000);
    assert_true(has(reader, "a", &v1, 5000));
    put(reader, "b", "1", 5000);
    index_flush(reader, 5000);
    assert_true(has(writer, "b", &v1, 5000));
    index_close(reader);
    index_close(writer);
}

static void *churn(void *arg)
{
    struct index *ix = arg;
    for (int i = 0; i < 300; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "t/k%d", i % 50);
        put(ix, key, "1", 5000);
        (void)has(ix, key, &v1, 5000);
        if (i % 40 == 0)
            index_flush(ix, 5000);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct index *ix = open_index(0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, ix), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(index_count(ix), 50);
    index_close(ix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(found_again_by_its_version_only, remove_files),
        cmocka_unit_test_teardown(stored_by_us_and_not_changed_since, remove_files),
        cmocka_unit_test_teardown(kept_across_mounts, remove_files),
        cmocka_unit_test_teardown(a_directory_at_once, remove_files),
        cmocka_unit_test_teardown(dropping_prefixes, remove_files),
        cmocka_unit_test_teardown(bounded, remove_files),
        cmocka_unit_test_teardown(limits, remove_files),
        cmocka_unit_test_teardown(damage_is_survived, remove_files),
        cmocka_unit_test_teardown(another_schema_is_replaced, remove_files),
        cmocka_unit_test_teardown(a_second_process_is_no_obstacle, remove_files),
        cmocka_unit_test_teardown(many_threads, remove_files),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
