// SPDX-License-Identifier: Apache-2.0
/* crc64 - the service's own CRC-64/XZ
 *
 * Role        What x-obs-checksum-crc64ecma states. Pure, and another implementation than
 *             net/crc64.c, which it is there to check.
 */
#ifndef OBSLOCAL_CRC64_H
#define OBSLOCAL_CRC64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The checksum of all that came before and n more bytes; begin with 0. */
uint64_t crc_add(uint64_t crc, const void *p, size_t n);

/* The checksum of A and then B, which has len_b bytes. */
uint64_t crc_join(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

/* A decimal number up to 2^64 - 1; false: it is none. */
bool crc_read(const char *text, uint64_t *ret);

#endif
