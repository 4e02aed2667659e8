// SPDX-License-Identifier: Apache-2.0
/* crc64 - CRC-64/XZ
 *
 * Role        The checksum of OBS's x-obs-checksum-crc64ecma: polynomial 0x42F0E1EBA9EA3693
 *             (ECMA-182), reflected, start and final value all ones; "123456789" gives
 *             0x995DC9BBDF1939FA. Pure; the tables are constants.
 */
#ifndef OBSM_NET_CRC64_H
#define OBSM_NET_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of everything so far followed by n bytes; begin with 0. */
uint64_t crc64_update(uint64_t crc, const void *p, size_t n);

/* The checksum of A followed by B, from crc(A), crc(B) and the length of B. */
uint64_t crc64_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

/* A header's value: decimal digits and nothing else. -EINVAL. */
int crc64_parse(const char *text, uint64_t *ret_crc);

#endif
