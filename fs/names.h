// SPDX-License-Identifier: Apache-2.0
/* names - keys of a bucket and names of a filesystem
 *
 * Role        Which keys can be shown, which names can be created, and how one becomes the other.
 *             Pure.
 * Keys        prefix + components joined by '/', a directory's with a trailing '/'; at most
 *             OBS_KEY_MAX bytes. A key that has an empty component, "." or "..", or one of over 255
 *             bytes cannot be shown. Bytes that are not UTF-8 can be shown but not created.
 */
#ifndef OBSM_FS_NAMES_H
#define OBSM_FS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/err.h"
#include "net/obs.h"

enum { NAMES_COMPONENT_MAX = 255 };

/* A key below the mount's prefix, taken apart; points into it. */
struct names_key {
    const char *parent; /* parent_len bytes: "" or "a/b/", with its trailing '/' */
    size_t parent_len;
    const char *name; /* the last component, without a trailing '/' */
    size_t name_len;
    bool is_dir; /* the key ends in '/' */
};

/* True for n bytes of well-formed UTF-8 (no surrogates, nothing over U+10FFFF, shortest forms). */
bool names_utf8(const char *p, size_t n);

/* May a name of n bytes be created? -ENOENT: empty; -EINVAL: contains '/' or NUL; -EEXIST: "." or
 * ".."; -ENAMETOOLONG: over 255 bytes; -EILSEQ: not UTF-8. */
int names_check(const char *name, size_t n);

/* Can one component of n bytes be shown? */
bool names_component_ok(const char *name, size_t n);

/* Can a key of n bytes (relative to the prefix, as listed; a common prefix ends in '/') be shown?
 * The empty key, the marker of the mount's root, cannot: it is no entry of anything. */
bool names_key_ok(const char *key, size_t n);

/* Takes a key relative to the prefix apart. -EINVAL if it cannot be shown. */
int names_split(const char *key, size_t n, struct names_key *ret);

/* For a listing of directory `dir` (relative, "" or ending in '/'): the component of `key` right
 * below it. 0 and *ret; -ENOENT: the key is the directory itself or not below it; -EINVAL: it
 * cannot be shown. ret->is_dir: something follows the component, if only a '/'. */
int names_child(const char *dir, const char *key, struct names_key *ret);

/* prefix + path [+ "/"]; `path` is relative, without a leading or trailing '/'; path "" with as_dir
 * is the prefix itself. -ENAMETOOLONG over OBS_KEY_MAX; out is then "". */
int names_make_key(const char *prefix, const char *path, bool as_dir, char out[OBS_KEY_MAX + 1]);

/* A prefix as the user writes it -> "" or "a/b/": slashes at the ends are optional, doubled ones
 * count once. Caller frees *ret. -EINVAL: "." or ".." in it, or not UTF-8; -ENAMETOOLONG; -ENOMEM.
 */
int names_prefix(const char *text, char **ret, struct err *err);

/* A stable inode number of a path inside the mount ("a/b", any leading or trailing '/' ignored):
 * the same in every mount; never 0 or 1, and "" (the root) is not special. */
uint64_t names_ino(const char *path);

#endif
