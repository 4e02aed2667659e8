// SPDX-License-Identifier: Apache-2.0
/* range - byte ranges and conditions of a GET, pure
 *
 * Source      OBS API: downloading an object. A range that cannot be read, or whose end is before
 *             its begin, is ignored; one that begins past the end is refused.
 */
#ifndef OBSLOCAL_RANGE_H
#define OBSLOCAL_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/obs-local/text.h"

enum range_kind {
    RANGE_WHOLE,   /* none, or one to ignore */
    RANGE_PART,    /* off and len are set, len > 0 */
    RANGE_INVALID, /* 416 */
};

/* `text` is the header's value, or NULL. */
enum range_kind range_parse(const char *text, uint64_t size, uint64_t *ret_off, uint64_t *ret_len);

/* The form of x-obs-copy-source-range: "bytes=A-B" with both ends inside. False: anything else. */
bool range_parse_exact(const char *text, uint64_t size, uint64_t *ret_off, uint64_t *ret_len);

/* The four conditions; `prefix` is "" or "x-obs-copy-source-" in front of the names.
 * 0: go on, 304 or 412. `etag` without quotes. A date in the future (after `now`) is ignored. */
int range_condition(const struct pairs *headers, const char *prefix, const char *etag,
                    int64_t mtime_s, int64_t now_s);

#endif
