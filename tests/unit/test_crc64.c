// SPDX-License-Identifier: Apache-2.0
// CRC-64/XZ against its check value and a bit-by-bit computation.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/crc64.h"

static uint64_t slow(const unsigned char *p, size_t n)
{
    uint64_t crc = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT64_C(0xc96c5795d7870f42) : crc >> 1;
    }
    return ~crc;
}

static void fill(unsigned char *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        p[i] = (unsigned char)(seed >> 33);
    }
}

static void test_check_value(void **state)
{
    assert_true(crc64_update(0, "123456789", 9) == UINT64_C(0x995DC9BBDF1939FA));
    assert_true(crc64_update(0, "", 0) == 0);
}

static void test_every_entry(void **state)
{
    /* Each byte at each of eight places: every entry of every table is used. */
    for (int at = 0; at < 8; at++) {
        for (int v = 0; v < 256; v++) {
            unsigned char p[8] = {0};
            p[at] = (unsigned char)v;
            assert_true(crc64_update(0, p, 8) == slow(p, 8));
        }
    }
}

static void test_lengths_and_pieces(void **state)
{
    unsigned char p[200];
    fill(p, sizeof(p), 7);
    for (size_t n = 0; n <= sizeof(p); n++) {
        uint64_t whole = crc64_update(0, p, n);
        assert_true(whole == slow(p, n));
        for (size_t cut = 0; cut <= n; cut += 13) {
            assert_true(crc64_update(crc64_update(0, p, cut), p + cut, n - cut) == whole);
            assert_true(crc64_combine(slow(p, cut), slow(p + cut, n - cut), n - cut) == whole);
        }
    }
}

static void test_combine_large(void **state)
{
    /* A part of zeros of 5 GiB, made by doubling one of 5 bytes thirty times. */
    unsigned char zeros[5] = {0};
    uint64_t crc = slow(zeros, 5), len = 5;
    for (int i = 0; i < 30; i++, len *= 2)
        crc = crc64_combine(crc, crc, len);
    uint64_t other = crc64_update(0, zeros, 1), total = 1;
    for (uint64_t need = len - 1, piece = crc64_update(0, zeros, 1), size = 1; need; need >>= 1) {
        if (need & 1) {
            other = crc64_combine(other, piece, size);
            total += size;
        }
        piece = crc64_combine(piece, piece, size);
        size *= 2;
    }
    assert_true(total == len);
    assert_true(other == crc);
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t crc;
    } good[] = {{"0", 0},
                {"00012", 12},
                {"11051210869376104954", UINT64_C(0x995DC9BBDF1939FA)},
                {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "-1",
                                      "+1",
                                      "0x1",
                                      "18446744073709551616",
                                      "1,2",
                                      "99999999999999999999",
                                      "184467440737095516150"};
    uint64_t crc = 5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(crc64_parse(bad[i], &crc), -EINVAL);
    assert_int_equal(crc, 5);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(crc64_parse(good[i].text, &crc), 0);
        assert_true(crc == good[i].crc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_value),
        cmocka_unit_test(test_every_entry),
        cmocka_unit_test(test_lengths_and_pieces),
        cmocka_unit_test(test_combine_large),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
