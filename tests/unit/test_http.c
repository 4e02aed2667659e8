// SPDX-License-Identifier: Apache-2.0
// The parts of requests and answers that need no connection.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/http.h"

static void check_redact(const char *in, const char *out)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    http_redact(in, strlen(in), &b);
    assert_string_equal(buf_str(&b), out);
}

static void test_redact(void **state)
{
    check_redact("Authorization: OBS A:b", "Authorization: [hidden]");
    check_redact("x-amz-security-token: t", "x-amz-security-token: [hidden]");
    check_redact("X-Auth-Token:t", "X-Auth-Token: [hidden]");
    check_redact("x-obs-server-side-encryption-customer-key: k",
                 "x-obs-server-side-encryption-customer-key: [hidden]");
    check_redact("ETag: \"x\"", "ETag: \"x\"");
    check_redact("GET /a?acl&Signature=s%3D&x=1 HTTP/1.1",
                 "GET /a?acl&Signature=[hidden]&x=1 HTTP/1.1");
    check_redact("Location: http://h/k?X-Amz-Credential=c", /* also inside a field */
                 "Location: http://h/k?X-Amz-Credential=[hidden]");
    check_redact("", "");
    check_redact("?&=&Signature", "?&=&Signature");
}

static void test_fields(void **state)
{
    struct http_fields f = {0};
    assert_int_equal(http_fields_add(&f, "A", "1"), 0);
    assert_int_equal(http_fields_add(&f, "B", "1\r\nC: 2"), -EINVAL);
    assert_int_equal(http_fields_add(&f, "B\n", "1"), -EINVAL);
    assert_int_equal(http_fields_add(&f, "", "1"), -EINVAL);
    assert_int_equal(http_fields_add_line(&f, "Xy:  z \r\n", 9), 0);
    assert_string_equal(http_fields_get(&f, "xY"), "z");
    assert_int_equal(http_fields_add_line(&f, "no colon", 8), 0);
    assert_int_equal(http_fields_add_line(&f, "empty:", 6), 0);
    assert_string_equal(http_fields_get(&f, "empty"), "");
    assert_null(http_fields_get(&f, "no"));
    assert_int_equal(f.n, 3);
    char big[1024];
    memset(big, 'v', sizeof(big));
    big[sizeof(big) - 1] = 0;
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = http_fields_add(&f, "big", big);
    assert_int_equal(rc, -EMSGSIZE);
    http_fields_clear(&f);
}

static void test_content_range(void **state)
{
    uint64_t a, b, n;
    assert_int_equal(http_content_range("bytes 0-0/1", &a, &b, &n), 0);
    assert_int_equal(http_content_range("bytes 5-9/18446744073709551615", &a, &b, &n), 0);
    assert_int_equal(a, 5);
    assert_int_equal(b, 9);
    assert_true(n == UINT64_MAX);
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes 1-0/9",
                                      "bytes 0-9/9",
                                      "bytes */9",
                                      "bytes 0-1/*",
                                      "bytes -1/2",
                                      "bytes 0-1/2 x",
                                      "octets 0-1/2",
                                      "bytes 0-1",
                                      "bytes +0-1/2",
                                      "bytes 0-1/18446744073709551616"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_content_range(bad[i], &a, &b, &n), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_content_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
