// SPDX-License-Identifier: Apache-2.0
/* control - the directory through which a mount is watched and commanded
 *
 * Role        The tree below the root's directory `control_dir`: what its files say when they are
 *             opened, and what a text written into one of them does. It is no part of the bucket:
 *             it is found by its name at the root, and not listed there.
 *
 * Nodes       Directories have one node each, for the life of the mount. A file gets a new node at
 *             each look-up: the kernel then takes them for different files, so that a command that
 *             waits (drain, sync wait) does not keep another process from writing the next one.
 *             What lasts of a file that stands for something outside (a group, an id) is its
 *             target: it has the answer of the last command, and is listed once it was used.
 *             Node ids are odd, the addresses of inodes even: control_owns().
 *
 * Reading     Gives what the file said when it was opened; a handle that reads and writes is
 *             brought up to date by each of its commands.
 * Writing     See fs/control_input.h for what is a command. It is executed within the write.
 * Access      Only the user of the driver's process, and root; also under allow_other.
 * Locking     Everything under fs->lock; a command may drop it on the way.
 */
#ifndef OBSM_FS_CONTROL_H
#define OBSM_FS_CONTROL_H

#include <sys/stat.h>

#include "fs/control_input.h"
#include "fs/fs.h"
#include "net/base/buf.h"
#include "net/base/err.h"

enum { CONTROL_NAME_MAX = 64, CONTROL_TARGETS_MAX = 4096, CONTROL_SNAPSHOT_MAX = 64 << 20 };

/* Directories first. The last five are files that stand for something with a name. */
enum control_kind {
    CONTROL_ROOT,
    CONTROL_DLI,
    CONTROL_DLI_JARS,
    CONTROL_DLI_PYFILES,
    CONTROL_DLI_FILES,
    CONTROL_MODELARTS,
    CONTROL_ANNOTATIONS,
    CONTROL_DATASETS,
    CONTROL_DIRS,
    CONTROL_README = CONTROL_DIRS,
    CONTROL_VERSION,
    CONTROL_CONFIG,
    CONTROL_STATS,
    CONTROL_UPLOADS,
    CONTROL_UPLOADS_JSON,
    CONTROL_ERRORS,
    CONTROL_CTL,
    CONTROL_JAR_GROUP,
    CONTROL_PYFILE_GROUP,
    CONTROL_FILE_GROUP,
    CONTROL_ANNOTATION,
    CONTROL_DATASET,
    CONTROL_KINDS
};

/* What a file GROUP or ID stands for. */
struct control_target;

struct control_node {
    enum control_kind kind;
    uint64_t nlookup;
    struct control_target *target; /* NULL: none */
    struct control_node *prev, *next;
};

struct control_handle {
    struct control_node *node;
    bool readable, writable;
    struct control_input input;
    struct buf snapshot;
    char **urls; /* DLI: what was registered through this handle so far */
    size_t n_urls;
};

struct control;

int control_new(struct fs *fs, struct control **ret);
void control_free(struct control *control);

/* Is this node id one of ours? Needs no lock. */
static inline bool control_owns(uint64_t ino)
{
    return (ino & 1) && ino != 1;
}
struct control_node *control_node_of(uint64_t ino);
uint64_t control_node_id(const struct control_node *node);

/* True if `name` at the root of the mount is the control directory's. */
bool control_is_name(const struct fs *fs, const char *name);

/* May this user use it? */
bool control_may(const struct fs *fs, uid_t uid);

/* The node of the directory itself; the look-up is counted. */
struct control_node *control_root_locked(struct fs *fs);

/* A look-up below a directory of the tree, counted. -ENOENT, -EINVAL (not a possible name of a
 * group or id), -ENAMETOOLONG, -ENFILE (too many of them), -ENOMEM. */
int control_lookup_locked(struct fs *fs, struct control_node *dir, const char *name,
                          struct control_node **ret);
void control_forget_locked(struct fs *fs, struct control_node *node, uint64_t n);

void control_stat_locked(const struct fs *fs, const struct control_node *node, struct stat *st);

/* Entry number i of a directory: its name and mode; false behind the last one. */
bool control_entry_locked(struct fs *fs, const struct control_node *dir, size_t i,
                          const char **ret_name, mode_t *ret_mode);

/* -EACCES for a kind of access that the file does not offer. */
int control_open_locked(struct fs *fs, struct control_node *node, int flags,
                        struct control_handle **ret);
void control_release_locked(struct fs *fs, struct control_handle *h);

/* 0 when the bytes are taken, or the errno of the command. May drop the lock on the way. */
int control_write_locked(struct fs *fs, struct control_handle *h, uint64_t off, const void *p,
                         size_t n, struct intr *intr);

/* --- for the commands (fs/control_*.c) --- */

/* The name of a target, such as a group. */
const char *control_target_name(const struct control_target *target);

/* Path of a node inside the mount, for messages. */
void control_path(const struct fs *fs, const struct control_node *node, char *out, size_t n);

/* Replaces the answer that reading the target shows; takes `text` (malloc). NULL: out of memory,
 * the old one stays. */
void control_set_answer_locked(struct control_target *target, char *text);

/* False if a command of this target is under way already (then nothing changes). */
bool control_begin_locked(struct control_target *target);
void control_end_locked(struct control_target *target);
/* When the last command of the target succeeded, clock_ms(); 0: never. */
int64_t control_success_locked(const struct control_target *target);
void control_set_success_locked(struct control_target *target, int64_t when_ms);

/* Executes the lines of a text for `ctl`. *err says why it failed. */
int control_ctl_locked(struct fs *fs, char *text, struct intr *intr, struct err *err);

#endif
