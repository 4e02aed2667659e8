// SPDX-License-Identifier: Apache-2.0
/* properties - what an inode has of the properties that a user can name
 *
 * Role        Between the table (fs/property.h) and inodes: where a new file gets its properties
 *             from, which headers they make, and what `user.obs.NAME` answers and changes.
 * Files       What a HEAD tells of a file stands among its other headers and metadata
 *             (inode->other), the rest in inode->settings, which is stored with the object as
 *             PROPERTY_META, so that it can be sent again whenever the object is written anew.
 * Directories Everything is in inode->settings: defaults for files that are made below. The marker
 *             object itself has none of them.
 * New files   get the mount's options, then what the directories above say, the nearest last. What
 *             is written anew gets the options that it lacks.
 * Changes     Of a file that will be stored anyway: they go along with it; an upload that was begun
 *             without them is begun anew (-EBUSY if staging_max has released its local data). Of a
 *             stored object: by one or two requests, whose result is returned (in property_change.c).
 *             Of a directory: like chmod (fs/meta.h).
 * Locking     everything under fs->lock; `intr` means that it may be dropped meanwhile.
 */
#ifndef OBSM_FS_PROPERTIES_H
#define OBSM_FS_PROPERTIES_H

#include "fs/inode.h"
#include "fs/property.h"

/* `inode` was made in `dir` a moment ago. Drops the lock if attributes of a directory are not known.
 * -ENOMEM, -EINTR, the errno of a request. */
int properties_inherit_locked(struct fs *fs, struct inode *dir, struct inode *inode,
                              struct intr *intr);

/* The content of a stored file is about to be sent anew: options that it lacks. -ENOMEM. */
int properties_renew_locked(struct fs *fs, struct inode *inode);

/* The value that the nearest directory from `dir` up says, or NULL. */
const char *properties_of_dirs_locked(const struct inode *dir, const char *name);

/* Takes PROPERTY_META of an object ("" if it has none) into inode->settings. -ENOMEM. */
int properties_take_locked(struct inode *inode, const char *text);

/* Adds what inode->settings are in headers (`headers`) and the metadata that keeps them, also of an
 * emptied set (`emptied`). -ENOMEM, -EMSGSIZE. */
int properties_to_headers_locked(const struct inode *inode, bool headers, bool emptied,
                                 struct obs_props *out);

/* True if two uploads of the same file may be one: apart from owner, mode, times and extended
 * attributes they were begun with the same properties. */
bool properties_same(const struct obs_props *a, const struct obs_props *b);

/* Leaves only what PUT ?metadata may be sent for an object that was stored with all of them. */
void properties_keep_metadata(struct obs_props *props);

/* The headers (header.NAME) that go along with the end of an upload too, its Complete or abort, from
 * all properties that it was begun with. Content-.. would speak of that request's own body. -ENOMEM. */
int properties_for_end(const struct obs_props *begun, struct obs_props *out);

/* What a copy of an object does not get by itself (OBS API: copying an object): access, class,
 * redirection, expiry, encryption and headers, from all properties of the source. -ENOMEM. */
int properties_for_copy(const struct obs_props *source, struct obs_props *out);

/* The value of user.obs.NAME (`name` without the prefix), appended to `out`. -ENODATA, -ENOMEM, the
 * errno of a request. */
int properties_get_locked(struct fs *fs, struct inode *inode, const char *name, struct intr *intr,
                          struct buf *out);

/* setxattr (value, n, flags) or, with value NULL, removexattr. Failures are in `errors` and the
 * log. What a directory has now is still to be sent: the caller says meta_changed_locked(). */
int properties_change_locked(struct fs *fs, struct inode *inode, const char *name,
                             const char *value, size_t n, int flags, struct intr *intr);

/* property_change.c: changes a file that is stored. `name` is canonical; value NULL: take it away. */
int property_change_stored_locked(struct fs *fs, struct inode *inode, const char *name,
                                  const char *value, struct intr *intr, struct err *err);

/* What is set, of a file or a directory; NULL: nothing. A file's content type: also the one that it
 * has by its suffix. */
const char *properties_value_locked(const struct fs *fs, const struct inode *inode,
                                    const char *name);

/* Puts a value that was checked into a file / takes it away. -ENOMEM, -ENODATA. */
int properties_put_locked(struct inode *inode, const char *name, const char *value);
int properties_drop_locked(struct inode *inode, const char *name);

#endif
