// SPDX-License-Identifier: Apache-2.0
/* dir - what the bucket says of names: listings, single look-ups, attributes
 *
 * Role        Answers "what is NAME in this directory" and "what does this directory contain" with
 *             as few requests as possible, and keeps the inodes in step with the answers.
 * Cost        A complete listing is valid for meta_ttl after its last page and answers every name
 *             in the directory, existing or not. Without one, the first look-up is one page (prefix
 *             = name); the second within meta_ttl lists the directory, unless it is known to be of
 *             more than DIR_PAGES_MAX pages. One that was listed before by one page is listed at
 *             once: that is one request, too. A HEAD brings the attributes of an object the first
 *             time; they are kept as long as listings show the same ETag, size and Last-Modified.
 * Ahead       After two look-ups in a freshly listed directory, the attributes of its other objects
 *             are fetched ahead, PREFETCH_MAX at a time, in the order of the listing, and as long as
 *             somebody comes after: four for each that was asked for, and PREFETCH_MAX.
 * Merging     What was changed here after a listing began is not overridden by it. A changed ETag
 *             makes another inode (fs/inode.h). Keys that no path can name are hidden and counted.
 * Type        A listing does not say whether an object is a symbolic link or a special file. One of
 *             more than DIR_SPECIAL_MAX bytes is a regular file, whatever its metadata says.
 * Locking     All under fs->lock; functions that wait drop it on the way (the caller's directory
 *             must be referenced by the kernel or pinned).
 */
#ifndef OBSM_FS_DIR_H
#define OBSM_FS_DIR_H

#include <limits.h>

#include "fs/inode.h"

enum { DIR_PAGES_MAX = 10, PREFETCH_MAX = 64, PREFETCH_EACH = 4, DIR_SPECIAL_MAX = PATH_MAX - 1 };

/* What a look-up has to bring; less may cost a request less. */
enum dir_want {
    DIR_NAME, /* that the name exists, and whether it is a directory */
    DIR_TYPE, /* its type too: attributes stay open where that is certain without them */
    DIR_ATTR, /* all attributes */
};

/* Finds `name`: 0 with *ret a STORED or LOCAL inode whose attributes are known, -ENOENT, -EINTR, or
 * the errno of the request. On return the lock is held and *ret is attached; it is not pinned. */
int dir_lookup_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr,
                      struct inode **ret);

/* The same, but attributes may stay unknown as `want` says (then inode->attr_known is false). */
int dir_find_locked(struct fs *fs, struct inode *dir, const char *name, enum dir_want want,
                    struct intr *intr, struct inode **ret);

/* How long the kernel may believe what dir_lookup_locked() just said of `inode` (NULL: that the
 * name does not exist), in milliseconds. */
int64_t dir_valid_ms_locked(const struct fs *fs, const struct inode *dir,
                            const struct inode *inode);

/* Makes sure that the directory has a valid complete listing. */
int dir_list_locked(struct fs *fs, struct inode *dir, struct intr *intr);

/* True if the directory's listing is complete and valid. */
bool dir_listed_locked(const struct fs *fs, const struct inode *dir);

/* The directory was made by us a moment ago: it is empty, and that is its listing. */
void dir_set_empty_locked(struct inode *dir);

/* Forgets listings and negative entries below `dir`, so that the next look asks the service. */
void dir_refresh_locked(struct fs *fs, struct inode *dir);

/* Makes sure that the inode's attributes are known and, if it is STORED and was confirmed longer
 * than `max_age_ms` ago, confirms its version by a HEAD. -ESTALE: it is another object now (or
 * none): look it up again. */
int dir_attr_locked(struct fs *fs, struct inode *inode, int64_t max_age_ms, struct intr *intr);

/* Makes sure that the attributes are known, whatever their age; the second such question in a listed
 * directory starts to fetch those of its other objects ahead. */
int dir_attr_ahead_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* Somebody uses the attributes of an object: what is fetched ahead in its directory goes on. */
void dir_attr_wanted_locked(struct fs *fs, const struct inode *inode);

/* Does a directory have anything in it? What is known says yes, only the service says no: one
 * request. 1, 0, or -errno. */
int dir_has_entries_locked(struct fs *fs, struct inode *dir, struct intr *intr);

/* Takes the answer of a HEAD or GET for `inode` (also from open() of a small file): 0, or -ESTALE
 * if the version is another one. Exposed for fs/file.c. */
int dir_take_object_locked(struct fs *fs, struct inode *inode, const struct obs_object *object);

#endif
