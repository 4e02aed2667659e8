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

/* The monotonic clocks show this much when the machine starts: longer than any age that an option
 * can name, so that 0 stands for "long ago" from the first second on. */
#define CLOCK_START_S ((int64_t)10 * 365 * 86400)

/* CLOCK_MONOTONIC + CLOCK_START_S in milliseconds / nanoseconds. */
int64_t clock_ms(void);
int64_t clock_ns(void);

/* The moment `ms` of clock_ms() as the time of CLOCK_MONOTONIC, for waits that end then; a moment
 * before the machine's start is its start. */
struct timespec clock_deadline(int64_t ms);

/* CLOCK_REALTIME. */
struct timespec clock_real(void);

/* RFC 1123 date ("Tue, 15 Oct 2024 07:20:09 GMT", 30 bytes with the 0) of seconds since 1970. */
void clock_http_date(time_t t, char out[30]);

/* Parses an RFC 1123 date in GMT. -EINVAL for anything else. */
int clock_parse_http_date(const char *text, time_t *ret_t);

/* Parses "2024-10-15T07:20:09.123Z" (fraction optional) into milliseconds since 1970. */
int clock_parse_iso(const char *text, int64_t *ret_ms);

#endif
