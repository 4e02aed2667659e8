// SPDX-License-Identifier: Apache-2.0
// CRC-64/XZ, eight bytes at a step; see crc64.h.
#include "net/crc64.h"

#include <errno.h>
#include <string.h>

/* The polynomial with its bits in reverse order. */
static const uint64_t poly = 0xc96c5795d7870f42;

/* Table k holds the checksum of one byte followed by k zero bytes. Such a table is linear: the
 * entry of a byte is the sum of the entries of its bits, so eight constants each give all 256 at
 * compile time. (Entry 1 << j of table k is the polynomial's remainder of x^(63 + 8 (k + 1) - j).)
 */
// clang-format off
#define BASIS_0(X, i) \
    X(i, 0xb32e4cbe03a75f6f, 0xf4843657a840a05b, 0x7bd0c384ff8f5e33, 0xf7a18709ff1ebc66, 0x7d9ba13851336649, 0xfb374270a266cc92, 0x64b62bcaebc387a1, 0xc96c5795d7870f42)
#define BASIS_1(X, i) \
    X(i, 0x54e979925cd0f10d, 0xa9d2f324b9a1e21a, 0xc17d4962dc4ddab1, 0x10223dee1795abe7, 0x20447bdc2f2b57ce, 0x4088f7b85e56af9c, 0x8111ef70bcad5f38, 0x90fb71cad654a0f5)
#define BASIS_2(X, i) \
    X(i, 0x3f0be14a916a6dcb, 0x7e17c29522d4db96, 0xfc2f852a45a9b72c, 0x6a87a57f245d70dd, 0xd50f4afe48bae1ba, 0x38c63ad73e7bddf1, 0x718c75ae7cf7bbe2, 0xe318eb5cf9ef77c4)
#define BASIS_3(X, i) \
    X(i, 0x1dee8a5e222ca1dc, 0x3bdd14bc445943b8, 0x77ba297888b28770, 0xef7452f111650ee0, 0x4c300ac98dc40345, 0x986015931b88068a, 0xa218840d981e1391, 0xd6e9a7309f3239a7)
#define BASIS_4(X, i) \
    X(i, 0x5c2d776033c4205e, 0xb85aeec0678840bc, 0xe26d72ab601e9ffd, 0x56024a7d6f33217f, 0xac0494fade6642fe, 0xcad186de13c29b79, 0x077ba297888b2877, 0x0ef7452f111650ee)
#define BASIS_5(X, i) \
    X(i, 0x6184d55f721267c6, 0xc309aabee424cf8c, 0x14cbfa566747819d, 0x2997f4acce8f033a, 0x532fe9599d1e0674, 0xa65fd2b33a3c0ce8, 0xde670a4ddb760755, 0x2e16bbb019e2102f)
#define BASIS_6(X, i) \
    X(i, 0x22ef0d5934f964ec, 0x45de1ab269f2c9d8, 0x8bbc3564d3e593b0, 0x85a0c5e208c539e5, 0x999924efbe846d4f, 0xa1eae6f4d206c41b, 0xd10d62c20b0396b3, 0x30c26aafb90933e3)
#define BASIS_7(X, i) \
    X(i, 0xdabe95afc7875f40, 0x27a584742000a005, 0x4f4b08e84001400a, 0x9e9611d080028014, 0xaff48c8aaf0b1ead, 0xcd31b63ef11823df, 0x08bbc3564d3e593b, 0x117786ac9a7cb276)
// clang-format on

#define BIT(i, j, c) ((i) >> (j)&1 ? UINT64_C(c) : 0)
#define ENTRY(i, c0, c1, c2, c3, c4, c5, c6, c7)                                                   \
    (BIT(i, 0, c0) ^ BIT(i, 1, c1) ^ BIT(i, 2, c2) ^ BIT(i, 3, c3) ^ BIT(i, 4, c4) ^               \
     BIT(i, 5, c5) ^ BIT(i, 6, c6) ^ BIT(i, 7, c7))
#define ROW4(B, i) B(ENTRY, i), B(ENTRY, i + 1), B(ENTRY, i + 2), B(ENTRY, i + 3)
#define ROW16(B, i) ROW4(B, i), ROW4(B, i + 4), ROW4(B, i + 8), ROW4(B, i + 12)
#define ROW64(B, i) ROW16(B, i), ROW16(B, i + 16), ROW16(B, i + 32), ROW16(B, i + 48)
#define TABLE(B)                                                                                   \
    {                                                                                              \
        ROW64(B, 0), ROW64(B, 64), ROW64(B, 128), ROW64(B, 192)                                    \
    }

static const uint64_t table[8][256] = {
    TABLE(BASIS_0), TABLE(BASIS_1), TABLE(BASIS_2), TABLE(BASIS_3),
    TABLE(BASIS_4), TABLE(BASIS_5), TABLE(BASIS_6), TABLE(BASIS_7),
};

static uint64_t load_le(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

uint64_t crc64_update(uint64_t crc, const void *p, size_t n)
{
    const unsigned char *in = p;
    crc = ~crc;
    for (; n >= 8; n -= 8, in += 8) {
        uint64_t v = crc ^ load_le(in);
        crc = table[7][v & 255] ^ table[6][v >> 8 & 255] ^ table[5][v >> 16 & 255] ^
              table[4][v >> 24 & 255] ^ table[3][v >> 32 & 255] ^ table[2][v >> 40 & 255] ^
              table[1][v >> 48 & 255] ^ table[0][v >> 56];
    }
    for (; n > 0; n--, in++)
        crc = crc >> 8 ^ table[0][(crc ^ *in) & 255];
    return ~crc;
}

/* a * b modulo the polynomial; bit 63 is x^0. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ poly : b >> 1;
    }
    return product;
}

uint64_t crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    /* crc(AB) = crc(A) * x^(8 len_b) + crc(B); start and final values cancel out. */
    uint64_t power = UINT64_C(1) << 63;        /* x^0 */
    uint64_t square = UINT64_C(1) << (63 - 8); /* x^8 */
    for (; len_b; len_b >>= 1) {
        if (len_b & 1)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return multiply(crc_a, power) ^ crc_b;
}

int crc64_parse(const char *text, uint64_t *ret_crc)
{
    uint64_t v = 0;
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        unsigned digit = (unsigned)(*text - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return -EINVAL;
        v = v * 10 + digit;
    }
    *ret_crc = v;
    return 0;
}
