// SPDX-License-Identifier: Apache-2.0
/* runtime - which mounts there are, and which process serves them
 *
 * Role        Reads the kernel's list of mounts, and keeps one small file for each mount of ours,
 *             so that the umount helper finds the process to wait for.
 * On disk     RUNTIME/MAJOR:MINOR, mode 0600, three lines: "PID STARTTIME" (field 22 of
 *             /proc/PID/stat, which tells a process from a later one of the same number), the mount
 *             point, and the name of its control directory. RUNTIME is /run/obsmount for root, else
 *             $XDG_RUNTIME_DIR/obsmount, else /run/user/UID/obsmount. A kernel device number is in
 *             use as long as the mount lives, so no two living mounts share a file; a stale file is
 *             recognised by its process. RUNTIME/lock is held while one is written or removed.
 *             RUNTIME/PID.left, mode 0600: what a driver whose mount has gone still has to store,
 *             one line for people.
 * Trust       A file is believed only if it belongs to the user who mounted. It leads to nothing
 *             but waiting for a process, a line that is shown, and a name below the mount.
 * Errors      -errno. A mount works without its file (the helper then does not wait), so writing
 *             one is best effort.
 */
#ifndef OBSM_FS_RUNTIME_H
#define OBSM_FS_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/base/buf.h"
#include "net/base/err.h"

/* One line of /proc/self/mountinfo; the strings are the entry's own. */
struct mount_entry {
    unsigned major, minor;
    uint32_t user_id; /* of a FUSE mount: who mounted; else 0 */
    char *mountpoint;
    char *type; /* such as "fuse.obsmount" */
    char *source;
};

void mount_entry_done(struct mount_entry *entry);

/* True if its type says that it is one of ours. */
bool mount_entry_is_ours(const struct mount_entry *entry);

/* Finds the topmost mount at `where`; if there is none and `by_source`, the last one whose source
 * is `where`. `text` is the content of a mountinfo file. Pure. -ENOENT. */
int mounts_find_in(const char *text, const char *where, bool by_source, struct mount_entry *ret);

/* The same with the present mounts of this process. */
int mounts_find(const char *where, bool by_source, struct mount_entry *ret);

/* The mounts of ours whose source is `bucket` or a prefix in it, each once: how many, and the first
 * of them in *ret; their mount points in quotes are appended to `names`. Pure. -ENOMEM. */
int mounts_of_bucket_in(const char *text, const char *bucket, struct mount_entry *ret,
                        struct buf *names);

/* The same with the present mounts of this process. */
int mounts_of_bucket(const char *bucket, struct mount_entry *ret, struct buf *names);

/* Checks that `path` can be mounted on: it is there, is a directory, carries no mount of ours.
 * Does not touch a mount that hangs. Replaces *path by its canonical form. /dev/fd/N (a descriptor
 * of /dev/fuse that mount.fuse has opened) is taken as it is. */
int mountpoint_check(char **path, struct err *err);

/* Field 22 of /proc/PID/stat, 0 if there is no such process or it has ended. */
uint64_t process_start(pid_t pid);

/* Writes the file for the mount at `mountpoint`, served by this process. *ret_path (caller frees)
 * is its path for runtime_remove(). */
int runtime_write(const char *mountpoint, const char *control_dir, char **ret_path);
/* Only what this process wrote: once its mount has gone, the kernel may have given the number that
 * the file is named by to the mount of another driver. NULL is allowed. */
void runtime_remove(const char *path);

/* The process that serves the mount. -ESRCH if it is gone, -ENOENT if no file tells. */
int runtime_driver(const struct mount_entry *entry, pid_t *ret_pid);

/* The name of the mount's control directory, "none" if it has none; appended. -errno as above. */
int runtime_control_dir(const struct mount_entry *entry, struct buf *out);

/* What this process still has to store, one line, beside the file `path` of runtime_write(); NULL:
 * there is nothing more to say. Best effort. */
void runtime_left_write(const char *path, const char *text);
/* What the driver `pid` of that mount has written there; appends nothing if it has not. */
void runtime_left_read(const struct mount_entry *entry, pid_t pid, struct buf *out);
/* Removes that; runtime_write() does it for drivers that have ended a day ago. */
void runtime_left_remove(const struct mount_entry *entry, pid_t pid);

#endif
