// SPDX-License-Identifier: Apache-2.0
/* xattr_codec - the extended attributes of one file, and their form in metadata
 *
 * Role        A small ordered set of (name, binary value), and the way between it and the one
 *             metadata value that s3fs keeps all of them in, named "xattr":
 *             {"user.name":"base64 of the value",...}. Pure.
 * Encoding    s3fs stores that JSON text percent-encoded. The layer below encodes every metadata
 *             value when it is sent (net/props.h), so the text here is the JSON itself; encoding it
 *             here as well would be twice, and s3fs could not read it. A value that still is
 *             percent-encoded is understood on reading.
 * Limits      A name has 1 to 255 bytes of valid UTF-8. All together, as sent, take at most
 *             XATTR_WIRE_MAX: user metadata of an object may have 8 KiB (OBS API: uploading an
 *             object), and the rest is left to the other attributes and names.
 * Ownership   The set owns copies of everything; xattr_set_clear() frees them. A zeroed struct is
 *             the empty set.
 */
#ifndef OBSM_FS_XATTR_CODEC_H
#define OBSM_FS_XATTR_CODEC_H

#include <stddef.h>
#include <sys/types.h>

#define XATTR_META "xattr" /* the name of the metadata */

enum { XATTR_SET_NAME_MAX = 255, XATTR_WIRE_MAX = 7168 };

struct xattr {
    char *name;
    unsigned char *value; /* never NULL */
    size_t len;
};

struct xattr_set {
    struct xattr *v; /* in the order in which the names came */
    size_t n;
};

void xattr_set_clear(struct xattr_set *set);

/* Replaces *to by a copy of *from. -ENOMEM; *to is then unchanged. */
int xattr_set_copy(struct xattr_set *to, const struct xattr_set *from);

/* Sets a value. `flags` as of setxattr(2): XATTR_CREATE gives -EEXIST for a name that is there,
 * XATTR_REPLACE -ENODATA for one that is not. -ERANGE: name empty or too long; -EILSEQ: name not
 * UTF-8; -ENOSPC: the set would pass XATTR_WIRE_MAX; -ENOMEM. After a failure nothing changed. */
int xattr_set_put(struct xattr_set *set, const char *name, const void *value, size_t len,
                  int flags);

/* Copies the value and returns its length; size 0: the length only. -ENODATA, -ERANGE. */
ssize_t xattr_set_get(const struct xattr_set *set, const char *name, void *out, size_t size);

/* -ENODATA if there is none. */
int xattr_set_remove(struct xattr_set *set, const char *name);

/* Writes the names, each with its final 0, and returns the number of bytes; size 0: the number
 * only. -ERANGE. */
ssize_t xattr_set_list(const struct xattr_set *set, void *out, size_t size);

/* The metadata value, "{}" for an empty set. Caller frees *ret. -ENOMEM, -ENOSPC. */
int xattr_set_encode(const struct xattr_set *set, char **ret);

/* Replaces *set by what `text` states. Entries that are no string, no base64 or have an impossible
 * name are left out; of two with one name the last holds. -EINVAL: not a JSON object, or longer
 * than 64 KiB; -ENOSPC: more than XATTR_WIRE_MAX; -ENOMEM. *set is then unchanged. */
int xattr_set_decode(struct xattr_set *set, const char *text);

#endif
