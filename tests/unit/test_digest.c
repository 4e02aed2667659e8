// SPDX-License-Identifier: Apache-2.0
// Hashes, hex, base64, ETags.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/digest.h"

static void hash_is(enum digest_kind kind, const char *text, const char *wanted)
{
    unsigned char out[DIGEST_SIZE_MAX];
    char hex[2 * DIGEST_SIZE_MAX + 1];
    size_t n = strlen(text);

    assert_int_equal(digest_once(kind, text, n, out), 0);
    hex_encode(out, digest_size(kind), hex);
    assert_string_equal(hex, wanted);

    struct digest *d = digest_new(kind);
    assert_non_null(d);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(digest_reset(d), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(digest_add(d, text + i, 1), 0);
        memset(out, 0, sizeof(out));
        assert_int_equal(digest_end(d, out), 0);
        hex_encode(out, digest_size(kind), hex);
        assert_string_equal(hex, wanted);
    }
    digest_free(d);
}

static void test_hashes(void **state)
{
    hash_is(DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e");
    hash_is(DIGEST_MD5, "hello", "5d41402abc4b2a76b9719d911017c592");
    hash_is(DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    hash_is(DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_is(DIGEST_SHA256, "{\"name\":\"test\",\"id\":1}",
            "8ed555081b9961769014bc1182c629bb0fe68d7b01c1fc1caab4dc791f377e8c");
    digest_free(NULL);
}

static void test_hmac(void **state)
{
    unsigned char out[DIGEST_SIZE_MAX];
    char hex[65];
    /* RFC 4231 case 2, RFC 2202 case 2 */
    assert_int_equal(digest_hmac(DIGEST_SHA256, "Jefe", 4, "what do ya want for nothing?", 28, out),
                     0);
    hex_encode(out, 32, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(digest_hmac(DIGEST_SHA1, "Jefe", 4, "what do ya want for nothing?", 28, out),
                     0);
    hex_encode(out, 20, hex);
    assert_string_equal(hex, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_int_equal(digest_hmac(DIGEST_SHA1, NULL, 0, "", 0, out), 0);
    hex_encode(out, 20, hex);
    assert_string_equal(hex, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

static void test_hex(void **state)
{
    unsigned char out[4] = {0};
    assert_int_equal(hex_decode("00fFA9", out, 3), 0);
    assert_memory_equal(out, "\x00\xff\xa9", 3);
    assert_int_equal(hex_decode("00ff", out, 3), -EINVAL);
    assert_int_equal(hex_decode("00ff0", out, 3), -EINVAL);
    assert_int_equal(hex_decode("00ff00a", out, 3), -EINVAL);
    assert_int_equal(hex_decode("00fg00", out, 3), -EINVAL);
    assert_int_equal(hex_decode("", out, 0), 0);
}

static void test_base64(void **state)
{
    static const struct {
        const char *raw, *text;
    } v[] = {{"", ""},
             {"f", "Zg=="},
             {"fo", "Zm8="},
             {"foo", "Zm9v"},
             {"foob", "Zm9vYg=="},
             {"fooba", "Zm9vYmE="},
             {"foobar", "Zm9vYmFy"},
             {"0123456789abcdef0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}};
    char text[64];
    unsigned char raw[64];
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        size_t n = strlen(v[i].raw);
        assert_int_equal(base64_encode(v[i].raw, n, text, sizeof(text)), 0);
        assert_string_equal(text, v[i].text);
        assert_int_equal(base64_decode(text, raw, sizeof(raw)), (int)n);
        assert_memory_equal(raw, v[i].raw, n);
        if (n) {
            assert_int_equal(base64_decode(text, raw, n - 1), -EMSGSIZE);
            assert_int_equal(base64_encode(v[i].raw, n, text, strlen(v[i].text)), -EMSGSIZE);
        }
    }
    static const char *const bad[] = {
        "Z", "Zg=", "Zg", "=", "====", "Z===", "Zg==Zg==", "Zm9 ", "Zm9v\n", "Z-_v"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (base64_decode(bad[i], raw, sizeof(raw)) != -EINVAL)
            fail_msg("taken: '%s'", bad[i]);
    }
}

static void test_etag_forms(void **state)
{
    char out[64];
    assert_int_equal(etag_clean("\"abc\"", out, sizeof(out)), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(etag_clean("W/\"abc\"", out, sizeof(out)), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(etag_clean("abc", out, 3), -EMSGSIZE);
    assert_string_equal(out, "");
    assert_int_equal(etag_clean("\"", out, sizeof(out)), 0);
    assert_string_equal(out, "\"");

    assert_true(
        etag_equal("\"5D41402ABC4B2A76B9719D911017C592\"", "5d41402abc4b2a76b9719d911017c592"));
    assert_true(etag_equal("W/\"a-2\"", "a-2"));
    assert_false(etag_equal("a", "ab"));
    assert_false(etag_equal("", ""));
    assert_false(etag_equal("\"\"", ""));

    assert_true(etag_is_composite("\"065947336a2f2a95ba8899f3675c3be6-2\""));
    assert_false(etag_is_composite("065947336a2f2a95ba8899f3675c3be6"));
    assert_false(etag_is_composite("065947336a2f2a95ba8899f3675c3be6-"));
    assert_false(etag_is_composite("065947336a2f2a95ba8899f3675c3be6-2x"));
    assert_false(etag_is_composite("x65947336a2f2a95ba8899f3675c3be6-2"));
    assert_false(etag_is_composite(""));

    unsigned char md5[DIGEST_MD5_SIZE];
    assert_int_equal(etag_md5("\"5d41402abc4b2a76b9719d911017c592\"", md5), 0);
    assert_int_equal(md5[0], 0x5d);
    assert_int_equal(etag_md5("065947336a2f2a95ba8899f3675c3be6-2", md5), -EINVAL);
    assert_int_equal(etag_md5("", md5), -EINVAL);
}

static void test_composite(void **state)
{
    unsigned char md5[2][DIGEST_MD5_SIZE];
    char etag[ETAG_COMPOSITE_MAX];
    assert_int_equal(digest_once(DIGEST_MD5, "hello", 5, md5[0]), 0);
    assert_int_equal(digest_once(DIGEST_MD5, "world", 5, md5[1]), 0);
    assert_int_equal(etag_composite(md5, 2, etag), 0);
    assert_string_equal(etag, "065947336a2f2a95ba8899f3675c3be6-2");
    assert_int_equal(etag_composite(md5, 0, etag), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hashes),     cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hex),        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_etag_forms), cmocka_unit_test(test_composite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
