// SPDX-License-Identifier: Apache-2.0
/* clock - the two clocks, in the units this project uses
 *
 * Monotonic milliseconds for every deadline and age; real time (nanoseconds since 1970 in a
 * `struct timespec`) only for what a user or the service sees.
 */
#ifndef OBSM_BASE_CLOCK_H
#define OBSM_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in milliseconds / nanoseconds. */
int64_t clock_ms(void);
int64_t clock_ns(void);

/* CLOCK_REALTIME. */
struct timespec clock_real(void);

/* RFC 1123 date ("Tue, 15 Oct 2024 07:20:09 GMT", 30 bytes with the 0) of seconds since 1970. */
void clock_http_date(time_t t, char out[30]);

/* Parses an RFC 1123 date in GMT. -EINVAL for anything else. */
int clock_parse_http_date(const char *text, time_t *ret_t);

/* Parses "2024-10-15T07:20:09.123Z" (fraction optional) into milliseconds since 1970. */
int clock_parse_iso(const char *text, int64_t *ret_ms);

#endif
