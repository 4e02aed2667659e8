// SPDX-License-Identifier: Apache-2.0
/* encrypt - which server-side encryption a file gets, and with which key it is read
 *
 * Role        Between the options `sse` and `sse_c_keys`, the inodes, and net/sse.h, which knows the
 *             words, the keys and the properties.
 * What is asked for
 *             inode->other holds the properties about encryption that go along when the object is
 *             written anew: those of the stored object, so that a file that is changed, renamed or
 *             truncated stays encrypted as it was; where it is not encrypted, the mount's default.
 *             The property `sse` (fs/properties.h), the file's own or the one that it has got from
 *             its directory, comes before both; it stands in inode->settings until then, "none"
 *             also afterwards.
 *             A marker of a directory has no content: it gets SSE-KMS of the default (a bucket's
 *             policy may demand it), never a customer's key.
 * What is there
 *             inode->read_key is about the stored version: the MD5 of the customer's key that it
 *             was stored with. A copy or a fill needs it while the new content may have another.
 * Lookups     Nothing but the object's own answer tells its key, and without the key it does not
 *             answer: net/obs.h tries the mount's keys. An object that answers to none of them is
 *             shown (inode->key_missing), with default attributes if they were never told; it can
 *             be removed, and everything else is EACCES.
 * Locking     _locked: fs->lock.
 */
#ifndef OBSM_FS_ENCRYPT_H
#define OBSM_FS_ENCRYPT_H

#include "fs/inode.h"

/* Reads the keys and the default of a mount into fs->sse_keys and fs->sse. -EACCES, -EINVAL,
 * -ENOENT, .. with a sentence. Blocks on the disk. */
int encrypt_init(struct fs *fs, struct err *err);
void encrypt_done(struct fs *fs);
/* The key of the default, to be tried first; -1: none. */
int encrypt_first_key(const struct fs *fs);

/* The options are consistent: the word of `sse`, and https for a customer's keys. -EINVAL. Pure. */
struct options;
int encrypt_check(const struct options *opt, bool tls, struct err *err);

/* Decides what the content that is about to be stored is encrypted with. -EACCES (logged): the key
 * that its property names is not here; -ENOMEM. */
int encrypt_choose_locked(const struct fs *fs, struct inode *inode);

/* For obs_call.read_key: NULL if nothing is known of the stored object. */
const char *encrypt_read_key_locked(const struct inode *inode);
/* The stored version was written with, or answered with, these properties. */
void encrypt_stored_locked(const struct fs *fs, struct inode *inode, const struct obs_props *props);

/* The answer to a HEAD was that the key is missing: what the inode shows then. */
void encrypt_set_unreadable_locked(const struct fs *fs, struct inode *inode);

/* --- the property, in encrypt_change.c --- */

#define ENCRYPT_PROPERTY "sse" /* its name (fs/property.h) */

/* A word that property_set() has taken names a key that is here. -EACCES with a sentence, -ENOMEM. */
int encrypt_check_value(const struct fs *fs, const char *value, struct err *err);

/* What `user.obs.sse` answers, appended to `out`. -ENODATA: not encrypted, and nothing is set. */
struct buf;
int encrypt_get_locked(const struct fs *fs, const struct inode *inode, struct buf *out);

/* Encrypts a stored file anew, by a copy onto itself on the server; value NULL: with the mount's
 * default. Drops the lock. -EOPNOTSUPP above 5 GiB, -EACCES, the errno of the request. */
int encrypt_change_stored_locked(struct fs *fs, struct inode *inode, const char *value,
                                 struct intr *intr, struct err *err);

/* 0, or -EACCES if the key is missing; the reason goes into the log and the list of errors under
 * `what`. */
int encrypt_check_key_locked(struct fs *fs, const struct inode *inode, const char *what);

#endif
