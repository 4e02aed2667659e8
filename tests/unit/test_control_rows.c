// SPDX-License-Identifier: Apache-2.0
// The list of uploads as another process reads and shows it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/control_rows.h"
#include "net/base/cleanup.h"

static const char two[] =
    "{\"uploads\": [{\"id\": 7, \"path\": \"/a\\u00fc\\u001b[2J\", \"state\": \"uploading\","
    " \"bytes_done\": 1048576, \"bytes_sending\": 524288, \"bytes_total\": 3145728, \"rate\": 2048,"
    " \"eta\": 3725, \"new\": [1], \"error\": null},"
    "{\"id\": 9, \"path\": \"/b\", \"state\": \"failed\", \"bytes_done\": 0, \"bytes_total\": null,"
    " \"error\": {\"errno\": \"EACCES\", \"error_code\": \"AccessDenied\", \"error_msg\": "
    "\"no\"}}]}";

static void parse(const char *text, struct rows *rows)
{
    assert_int_equal(rows_parse(text, strlen(text), rows), 0);
}

static void test_parse(void **state)
{
    struct rows rows;
    parse(two, &rows);
    assert_int_equal(rows.n, 2);
    assert_int_equal(rows.v[0].id, 7);
    assert_int_equal(rows.v[0].here, 1048576 + 524288);
    assert_int_equal(rows.v[0].total, 3145728);
    assert_string_equal(rows.v[0].path, "/a\xc3\xbc?[2J");
    assert_string_equal(rows.v[0].error, "");
    assert_true(row_moves(&rows.v[0]));
    assert_int_equal(rows.v[1].total, -1);
    assert_int_equal(rows.v[1].rate, -1);
    assert_string_equal(rows.v[1].error, "EACCES AccessDenied: no");
    assert_false(row_moves(&rows.v[1]));
    rows_done(&rows);
    parse("{\"uploads\":[]}", &rows);
    assert_int_equal(rows.n, 0);
    rows_done(&rows);
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"uploads\":{}}",
        "{\"uploads\":[1]}",
        "{\"uploads\":[{}",
        "{\"uploads\":[{\"bytes_done\":9223372036854775807,\"bytes_sending\":1}]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct rows rows;
        assert_int_equal(rows_parse(bad[i], strlen(bad[i]), &rows), -EBADMSG);
        assert_int_equal(rows.n, 0);
    }
}

static void test_lines(void **state)
{
    struct rows rows;
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    parse(two, &rows);
    assert_int_equal(row_plain(&rows.v[0], &out), 0);
    assert_string_equal(buf_str(&out), " 50%  1.5 MiB of 3.0 MiB  2.0 KiB/s  ETA 1:02:05  uploading"
                                       "  /a\xc3\xbc?[2J");
    buf_reset(&out);
    assert_int_equal(row_bar(&rows.v[0], 1000, &out), 0);
    assert_string_equal(buf_str(&out),
                        "[#####.....]  50%    1.5 MiB/3.0 MiB       2.0 KiB/s 1:02:05 "
                        "/a\xc3\xbc?[2J");
    buf_reset(&out);
    assert_int_equal(row_bar(&rows.v[1], 79, &out), 0);
    assert_string_equal(buf_str(&out),
                        "[..........]   -%        0 B/-                   -/s       - "
                        "/b (failed)  (EACC");
    buf_reset(&out);
    assert_int_equal(row_plain(&rows.v[1], &out), 0);
    assert_string_equal(buf_str(&out),
                        "  -%  0 B of -  -/s  ETA -  failed  /b  (EACCES AccessDenied: no)");
    rows_done(&rows);
}

/* Cut to the width, but never inside a character. */
static void test_width(void **state)
{
    struct rows rows;
    parse(two, &rows);
    CLEANUP_BUF struct buf full = BUF_INIT(4096);
    assert_int_equal(row_bar(&rows.v[0], 1000, &full), 0);
    size_t at = (size_t)(strstr(buf_str(&full), "\xc3\xbc") - buf_str(&full));
    for (size_t width = 0; width < full.n + 5; width++) {
        CLEANUP_BUF struct buf out = BUF_INIT(4096);
        assert_int_equal(row_bar(&rows.v[0], width, &out), 0);
        size_t expected = width > full.n ? full.n : width == at + 1 ? at : width;
        assert_int_equal(out.n, expected);
    }
    rows_done(&rows);
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } sizes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1 << 20, "1.0 MiB"},
                 {5ull << 30, "5.0 GiB"},
                 {48ull << 40, "48.0 TiB"},
                 {~0ull, "16777216.0 TiB"}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT(64);
        assert_int_equal(rows_size(&out, sizes[i].n), 0);
        assert_string_equal(buf_str(&out), sizes[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_refuses), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_width), cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
