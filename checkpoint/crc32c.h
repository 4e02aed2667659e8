// SPDX-License-Identifier: Apache-2.0
/* crc32c - the checksum of the journal's records (Castagnoli polynomial, reflected, as iSCSI) */
#ifndef OBSM_CHECKPOINT_CRC32C_H
#define OBSM_CHECKPOINT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over n bytes. crc32c(0, "123456789", 9) == 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
