// SPDX-License-Identifier: Apache-2.0
/* A byte at a step; joined by powers of the matrix that appends a zero bit. See crc64.h. */
#include "tests/obs-local/crc64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ECMA-182, its bits in reverse order. */
static const uint64_t polynomial = 0xc96c5795d7870f42;

enum { BITS = 64 };

uint64_t crc_add(uint64_t crc, const void *p, size_t n)
{
    uint64_t table[256];
    const unsigned char *in = p;
    for (uint64_t i = 0; i < 256; i++) {
        uint64_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ polynomial : v >> 1;
        table[i] = v;
    }
    crc = ~crc;
    for (size_t i = 0; i < n; i++)
        crc = crc >> 8 ^ table[(crc ^ in[i]) & 255];
    return ~crc;
}

static uint64_t times(const uint64_t matrix[BITS], uint64_t v)
{
    uint64_t sum = 0;
    for (int i = 0; v; i++, v >>= 1)
        sum ^= v & 1 ? matrix[i] : 0;
    return sum;
}

static void square(uint64_t matrix[BITS])
{
    uint64_t result[BITS];
    for (int i = 0; i < BITS; i++)
        result[i] = times(matrix, matrix[i]);
    memcpy(matrix, result, sizeof(result));
}

uint64_t crc_join(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    uint64_t matrix[BITS] = {polynomial}; /* one zero bit */
    for (int i = 1; i < BITS; i++)
        matrix[i] = 1ULL << (i - 1);
    for (int i = 0; i < 3; i++) /* eight */
        square(matrix);
    for (; len_b; len_b >>= 1) {
        if (len_b & 1)
            crc_a = times(matrix, crc_a);
        square(matrix);
    }
    return crc_a ^ crc_b;
}

bool crc_read(const char *text, uint64_t *ret)
{
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *ret = strtoull(text, NULL, 10);
    return errno == 0;
}
