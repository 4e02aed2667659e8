// SPDX-License-Identifier: Apache-2.0
// Encoding, targets, endpoints, bucket names.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/url.h"

static void encodes(const char *raw, enum url_set set, const char *wanted)
{
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    assert_int_equal(url_encode(&out, raw, strlen(raw), set), 0);
    assert_string_equal(buf_str(&out), wanted);
}

static void test_encode(void **state)
{
    encodes("a~b!c'd(e)*f/g@h:i,j;k=l&m$n%o", URL_KEY,
            "a~b%21c%27d%28e%29%2Af/g%40h%3Ai%2Cj%3Bk%3Dl%26m%24n%25o");
    encodes("dir a/r\xc3\xa9sum\xc3\xa9+v1(2).txt", URL_KEY,
            "dir%20a/r%C3%A9sum%C3%A9%2Bv1%282%29.txt");
    encodes("dir a/", URL_VALUE, "dir%20a%2F");
    encodes("AZaz09-_.~", URL_VALUE, "AZaz09-_.~");
    encodes("\x01\x7f\xff", URL_KEY, "%01%7F%FF");
    encodes("", URL_KEY, "");
}

static void test_every_byte_comes_back(void **state)
{
    unsigned char raw[256];
    CLEANUP_BUF struct buf text = BUF_INIT(4096);
    CLEANUP_BUF struct buf back = BUF_INIT(4096);
    for (int i = 0; i < 256; i++)
        raw[i] = (unsigned char)i;
    assert_int_equal(url_encode(&text, raw, sizeof(raw), URL_VALUE), 0);
    assert_int_equal(url_decode(&back, text.p, text.n, true), 0);
    assert_int_equal(back.n, sizeof(raw));
    assert_memory_equal(back.p, raw, sizeof(raw));
}

static void decodes(const char *text, bool plus, int rc, const char *wanted)
{
    CLEANUP_BUF struct buf out = BUF_INIT(64);
    assert_int_equal(url_decode(&out, text, strlen(text), plus), rc);
    assert_string_equal(buf_str(&out), wanted);
}

static void test_decode(void **state)
{
    decodes("a%20b+c", true, 0, "a b c");
    decodes("a%20b+c", false, 0, "a b+c");
    decodes("%c3%A9", false, 0, "\xc3\xa9");
    decodes("x%", true, -EINVAL, "");
    decodes("x%4", true, -EINVAL, "");
    decodes("x%4g", true, -EINVAL, "");
    decodes("x%%41", true, -EINVAL, "");
    CLEANUP_BUF struct buf small = BUF_INIT(3);
    assert_int_equal(url_decode(&small, "abcd", 4, false), -EMSGSIZE);
}

static void test_path_and_target(void **state)
{
    const struct url_param query[] = {
        {"prefix", "dir a/"}, {"uploads", NULL}, {"marker", ""}, {"x&y", "1=2"}};
    CLEANUP_BUF struct buf path = BUF_INIT(256);
    CLEANUP_BUF struct buf target = BUF_INIT(256);
    assert_int_equal(url_path(&path, "bkt", "a b/c", false), 0);
    assert_string_equal(buf_str(&path), "/a%20b/c");
    assert_int_equal(url_target(&target, buf_str(&path), query, 4), 0);
    assert_string_equal(buf_str(&target), "/a%20b/c?prefix=dir%20a%2F&uploads&marker=&x%26y=1%3D2");

    buf_reset(&path);
    assert_int_equal(url_path(&path, "bkt", "/k", true), 0);
    assert_string_equal(buf_str(&path), "/bkt//k");
    buf_reset(&path);
    assert_int_equal(url_path(&path, "bkt", NULL, true), 0);
    assert_string_equal(buf_str(&path), "/bkt/");
    buf_reset(&path);
    assert_int_equal(url_path(&path, "bkt", NULL, false), 0);
    assert_string_equal(buf_str(&path), "/");
}

static void endpoint(const char *text, bool tls, const char *host, int port, bool ip,
                     const char *header)
{
    struct url_endpoint ep;
    char value[300];
    assert_int_equal(url_endpoint_parse(text, &ep, NULL), 0);
    assert_int_equal(ep.tls, tls);
    assert_string_equal(ep.host, host);
    assert_int_equal(ep.port, port);
    assert_int_equal(ep.ip, ip);
    assert_int_equal(url_host(&ep, ip ? NULL : "bkt", value, sizeof(value)), 0);
    assert_string_equal(value, header);
}

static void test_endpoint(void **state)
{
    endpoint("obs.cn-north-4.myhuaweicloud.com", true, "obs.cn-north-4.myhuaweicloud.com", 443,
             false, "bkt.obs.cn-north-4.myhuaweicloud.com");
    endpoint("https://OBS.Example/", true, "obs.example", 443, false, "bkt.obs.example");
    endpoint("http://localhost:8080", false, "localhost", 8080, false, "bkt.localhost:8080");
    endpoint("http://127.0.0.1", false, "127.0.0.1", 80, true, "127.0.0.1");
    endpoint("HTTP://[::1]:81", false, "::1", 81, true, "[::1]:81");
    endpoint("https://h:80", true, "h", 80, false, "bkt.h:80");
}

static void test_bad_endpoints(void **state)
{
    static const char *const bad[] = {
        "",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:65536",
        "http://h:",
        "http://h:8x",
        "http://h/x",
        "http://h?x",
        "http://u@h",
        "http://a..b",
        "http://.a",
        "http://a b",
        "http://[::1",
        "http://[zz]",
        "http://[1]x",
        "http://h\r\nX:y",
        "h#f",
        "http://[::1]80",
    };
    struct url_endpoint ep;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err err = {0};
        if (url_endpoint_parse(bad[i], &ep, &err) != -EINVAL)
            fail_msg("taken: '%s'", bad[i]);
        assert_int_not_equal(strlen(err.msg), 0);
    }
    char label[70];
    memset(label, 'a', 64);
    label[64] = 0;
    assert_int_equal(url_endpoint_parse(label, &ep, NULL), -EINVAL);
    label[63] = 0;
    assert_int_equal(url_endpoint_parse(label, &ep, NULL), 0);
}

static void test_parse_url(void **state)
{
    struct url_endpoint ep;
    const char *target;
    assert_int_equal(url_parse("https://b.obs.x:444/k?a=b@c", &ep, &target, NULL), 0);
    assert_string_equal(ep.host, "b.obs.x");
    assert_int_equal(ep.port, 444);
    assert_string_equal(target, "/k?a=b@c");
    assert_int_equal(url_parse("http://h", &ep, &target, NULL), 0);
    assert_string_equal(target, "");
    assert_int_equal(url_parse("/relative", &ep, &target, NULL), -EINVAL);
    assert_int_equal(url_parse("https://evil@host/", &ep, &target, NULL), -EINVAL);
}

static void test_host_limit(void **state)
{
    struct url_endpoint ep;
    char small[8];
    assert_int_equal(url_endpoint_parse("abcdefgh", &ep, NULL), 0);
    assert_int_equal(url_host(&ep, NULL, small, sizeof(small)), -ENAMETOOLONG);
    assert_string_equal(url_scheme(&ep), "https");
}

static void region_is(const char *endpoint, const char *expected)
{
    struct url_endpoint ep;
    char region[32] = "";
    assert_int_equal(url_endpoint_parse(endpoint, &ep, NULL), 0);
    assert_int_equal(url_region(&ep, region, sizeof(region)), expected ? 0 : -ENOENT);
    assert_string_equal(region, expected ? expected : "");
}

static void test_region(void **state)
{
    struct url_endpoint ep;
    char small[4];
    region_is("obs.cn-north-4.myhuaweicloud.com", "cn-north-4");
    region_is("https://OBS.af-south-1.myhuaweicloud.com:443/", "af-south-1");
    region_is("obs.myhuaweicloud.com", NULL);
    region_is("obs.a.b.myhuaweicloud.com", NULL);
    region_is("s3.cn-north-4.myhuaweicloud.com", NULL);
    region_is("obs.cn-north-4.example.com", NULL);
    region_is("127.0.0.1", NULL);
    assert_int_equal(url_endpoint_parse("obs.abcd.myhuaweicloud.com", &ep, NULL), 0);
    assert_int_equal(url_region(&ep, small, sizeof(small)), -ENAMETOOLONG);
}

static void test_bucket(void **state)
{
    static const char *const good[] = {
        "abc", "a-b",       "a.b.c",
        "123", "1.2.3.400", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"};
    static const char *const bad[] = {
        "ab",   "",
        "Abc",  "a_b",
        "-ab",  "ab-",
        ".ab",  "ab.",
        "a..b", "a.-b",
        "a-.b", "1.2.3.4",
        "a/b",  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(url_bucket_check(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err err = {0};
        if (url_bucket_check(bad[i], &err) != -EINVAL)
            fail_msg("taken: '%s'", bad[i]);
        assert_int_not_equal(strlen(err.msg), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),    cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_decode),    cmocka_unit_test(test_path_and_target),
        cmocka_unit_test(test_endpoint),  cmocka_unit_test(test_bad_endpoints),
        cmocka_unit_test(test_parse_url), cmocka_unit_test(test_host_limit),
        cmocka_unit_test(test_region),    cmocka_unit_test(test_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
