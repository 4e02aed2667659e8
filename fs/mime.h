// SPDX-License-Identifier: Apache-2.0
/* mime - the content type of an object by the suffix of its key
 *
 * Role        The system's table (Debian: /etc/mime.types of media-types), read once; constant
 *             afterwards, so that any thread may ask.
 * Format      A line is "type/subtype suffix suffix ..", '#' begins a comment. For a suffix that
 *             stands in two lines the first holds. Lines that are no such thing are skipped.
 * Limits      A file of 4 MiB, 65,536 suffixes, 127 bytes a type and 63 a suffix; what is beyond is
 *             left out.
 */
#ifndef OBSM_FS_MIME_H
#define OBSM_FS_MIME_H

#include <stddef.h>

#include "net/base/err.h"

struct mime;

/* Reads the table. A missing file, or path NULL or "", is an empty table and no error. -errno when
 * it is there and cannot be read (the caller may go on with an empty one), -ENOMEM. */
int mime_load(const char *path, struct mime **ret, struct err *err);

/* The same from memory. -ENOMEM. */
int mime_parse(const char *text, size_t n, struct mime **ret);

void mime_free(struct mime *mime);

/* Never NULL. The longest suffix of the last component that is known decides, without regard to
 * case: of "a.tar.gz" first "tar.gz", then "gz". A key that ends in '/' is
 * application/x-directory; what is unknown (mime NULL: everything) application/octet-stream. The
 * answer lives as long as `mime`. */
const char *mime_type(const struct mime *mime, const char *key);

/* How many suffixes are known. */
size_t mime_count(const struct mime *mime);

#endif
