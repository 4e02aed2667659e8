// SPDX-License-Identifier: Apache-2.0
/* props - properties of an object as header lines
 *
 * Role        obs_props_* of net/obs.h, and the way between a property and a header in both
 *             dialects. Pure.
 * Metadata    Values are percent-encoded so that every byte comes back: printable ASCII stays as it
 *             is apart from '%' and the characters outside the SDK's literal set
 *             " ;/?:@&=+$,'*" plus A-Z a-z 0-9 - _ . ~; blanks at the ends are encoded too. A
 *             foreign value that is not valid percent-encoding is read as it is.
 */
#ifndef OBSM_NET_PROPS_H
#define OBSM_NET_PROPS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/base/buf.h"
#include "net/base/err.h"
#include "net/obs.h"

enum { PROPS_META_MAX = 8192 }; /* names and values as sent, OBS API: uploading an object */

int props_encode_value(struct buf *out, const char *raw);
/* Never fails but for -ENOMEM, -EMSGSIZE. A value that decodes to a NUL is taken as it is. */
int props_decode_value(struct buf *out, const char *wire);

/* "x-obs-" or "x-amz-" */
const char *props_prefix(enum obs_dialect dialect);

/* The header's name and its value as sent, appended to the two buffers; names in lower case but for
 * OBS_PROP_RAW. Storage classes get the dialect's names. */
int props_to_header(const struct obs_prop *prop, enum obs_dialect dialect, struct buf *name,
                    struct buf *value);

/* Takes a header of an answer if it states a property of the object: user metadata (decoded),
 * a header with the dialect's prefix (but for the ones of the answer itself, such as request-id),
 * or Content-Type, Content-Encoding, Content-Disposition, Content-Language, Cache-Control, Expires.
 * 1 taken, 0 not one of these, -ENOMEM. */
int props_take_header(struct obs_props *props, enum obs_dialect dialect, const char *name,
                      const char *value);

/* True for a header that is stored with an object and given back: Content-Type, Cache-Control, .. */
bool props_is_entity(const char *name);

/* Can these be sent? -EINVAL: a name or value that no header can have; -E2BIG: more metadata than
 * PROPS_META_MAX. */
int props_check(const struct obs_props *props, struct err *err);

#endif
