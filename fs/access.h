// SPDX-License-Identifier: Apache-2.0
/* access - the rights on stored objects, as the service tells them
 *
 * Role        Other tools change the access list of an object too, and no HEAD or listing tells. So it is
 *             asked for where it matters: when the properties acl and grant.* of a stored file are
 *             read or changed, and before an object is renamed by a copy, which has no rights but
 *             those that its request names.
 * Known       What was told stands in inode->access, and over what inode->settings has: it is sent
 *             again when the object is written anew, and kept in its metadata from the next
 *             change on.
 * Lost        Rights that no property can say (of groups, WRITE of an account) are shown by none
 *             and not carried over to a copy; the log says so.
 * Not told    A service or an account without the right to read lists (EACCES, EOPNOTSUPP): what
 *             was set through a mount is what is known.
 * Locking     everything under fs->lock, which is dropped while a request is awaited.
 */
#ifndef OBSM_FS_ACCESS_H
#define OBSM_FS_ACCESS_H

#include <stdbool.h>

#include "fs/inode.h"
#include "net/obs.h"

/* The properties of grants, and the permission that each one gives. */
enum { ACCESS_GRANTS = 4 };
extern const char *const access_grants[ACCESS_GRANTS][2];

/* Puts a list into `set` as properties: acl (private, public-read or public-read-write) and the
 * grants. *ret_lost: there are rights that they cannot say. Pure. -ENOMEM. */
int access_from_acl(const struct obs_acl *acl, struct obs_props *set, bool *ret_lost);

/* Replaces what `headers` of a copy say of rights by those of its source. Pure. -ENOMEM. */
int access_to_headers(const struct obs_acl *acl, struct obs_props *headers, bool *ret_lost);

/* An answer that says nothing of the list: it cannot be read here. */
bool access_untold(int rc);

/* Asks for the rights on the stored file and takes them. 0; also if it is not a stored file, or its
 * content is about to be sent anew. -EACCES, -EOPNOTSUPP: not told; the errno of the request. */
int access_refresh_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* The same before `inode` is copied from `key`, into the headers of the copy too. Not told: what is
 * known stands. */
int access_for_copy_locked(struct fs *fs, struct inode *inode, const char *key, struct intr *intr,
                           struct obs_props *headers);

/* Puts what was told over inode->settings, which were read anew. -ENOMEM. */
int access_overlay_locked(struct inode *inode);

#endif
