// SPDX-License-Identifier: Apache-2.0
/* namespace - making and removing names
 *
 * Role        create, mkdir, mknod, symlink, unlink, rmdir, readlink. Each takes the lock held,
 *             drops it while a request is under way, and returns with it held.
 * Cost        create: nothing until the file is published. mkdir, symlink, special files: one PUT.
 *             unlink: one DELETE if the name is stored. rmdir: one DELETE if there is a marker, and
 *             a listing unless a valid one is known. The last entry of a directory without a
 *             marker: one PUT more, since the directory would vanish with it.
 * Open files  An unlinked file stays readable for those who have it open: what is staged stays, a
 *             stored file of at most unlink_keep is fetched first, a larger one is read as far as
 *             it is cached.
 * Renames     What is made or removed below a directory that is being renamed waits for that
 *             (fs/moves.h), and then has the new key.
 * Interrupted A request whose end was not awaited leaves the name unknown: the next look asks the
 *             service.
 */
#ifndef OBSM_FS_NAMESPACE_H
#define OBSM_FS_NAMESPACE_H

#include "fs/inode.h"

/* Who makes something, and how. */
struct maker {
    uid_t uid;
    gid_t gid;
    mode_t mode; /* with its type */
    dev_t rdev;
};

/* A new, empty regular file, LOCAL, with a staged file; nothing is sent. -EEXIST. */
int ns_create_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                     struct intr *intr, struct inode **ret);

int ns_mkdir_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                    struct intr *intr, struct inode **ret);

/* A fifo, socket, device, or an empty regular file that is stored at once. */
int ns_mknod_locked(struct fs *fs, struct inode *dir, const char *name, const struct maker *m,
                    struct intr *intr, struct inode **ret);

int ns_symlink_locked(struct fs *fs, struct inode *dir, const char *name, const char *target,
                      const struct maker *m, struct intr *intr, struct inode **ret);

/* The target, valid until the lock is dropped. */
int ns_readlink_locked(struct fs *fs, struct inode *inode, struct intr *intr, const char **ret);

int ns_unlink_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr);
int ns_rmdir_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr);

/* Nothing of the inode is published or changed on the server until ns_release_locked(), after which what
 * waited for that goes on. It is pinned meanwhile. */
void ns_hold_locked(struct inode *inode);
void ns_release_locked(struct fs *fs, struct inode *inode);

/* Before the object of an inode goes (unlink, rename over it): keeps the content for open handles, and
 * waits for requests that cannot be recalled. After 0 the inode is held
 * until ns_end_removal_locked() says how it ended: only what has really gone loses what is
 * staged, which may be more than the object had, and promised. */
int ns_prepare_removal_locked(struct fs *fs, struct inode *inode, struct intr *intr);
void ns_end_removal_locked(struct fs *fs, struct inode *inode, bool removed);

/* Before a LOCAL inode leaves its name: the object that it had replaced there is deleted. */
int ns_uncover_locked(struct fs *fs, struct inode *inode, struct intr *intr);

/* Before an entry leaves `dir`: if it is the last one of a directory without a marker, puts the
 * marker. */
int ns_keep_parent_locked(struct fs *fs, struct inode *dir, const struct inode *leaving,
                          struct intr *intr);

/* Waits until no PUT, Complete or attribute change of this inode is under way. */
int ns_settle_locked(struct fs *fs, struct inode *inode, struct intr *intr);

#endif
