// SPDX-License-Identifier: Apache-2.0
/* helper - the command line in all its dialects
 *
 * Role        One program answers to several names. As obsmount it has its own short options; as
 *             mount.obsmount or mount.fuse.obsmount it takes what mount(8) passes to a helper,
 *             where -f means "fake" and -s "sloppy"; as umount.obsmount or umount.fuse.obsmount it
 *             takes what umount(8) passes. The name decides (the last part of argv[0]).
 * Effects     None but reading the current directory: nothing is opened, printed or mounted here.
 * Errors      -EINVAL with a sentence for the user: the exit code is COMMAND_USAGE.
 */
#ifndef OBSM_FS_HELPER_H
#define OBSM_FS_HELPER_H

#include <stdbool.h>

#include "fs/options.h"
#include "net/base/err.h"

/* Exit codes, as mount(8) has them. */
enum { COMMAND_OK = 0, COMMAND_USAGE = 1, COMMAND_SYSTEM = 2, COMMAND_FAILED = 32 };

enum command_action {
    COMMAND_MOUNT,   /* opt is complete */
    COMMAND_CHECK,   /* opt is complete but for the mount point */
    COMMAND_UMOUNT,  /* target */
    COMMAND_UPLOADS, /* target, watch */
    COMMAND_DRAIN,   /* target */
    COMMAND_HELP,    /* nothing else is set */
    COMMAND_VERSION, /* nothing else is set */
};

struct command {
    enum command_action action;
    const char *program; /* the name to speak under; part of argv[0] */
    bool helper;         /* called by mount(8) or umount(8) */
    bool fake;           /* check everything, mount or unmount nothing */
    bool verbose;
    bool lazy, force;   /* umount */
    const char *ns;     /* the mount namespace to work in, a path; NULL: ours */
    bool watch;         /* uploads: until nothing is left */
    const char *target; /* umount, uploads, drain: mount point or source, as given */
    struct options opt;
};

/* Fills *cmd; command_done() afterwards in any case. argv may be permuted and must outlive *cmd. */
int command_parse(int argc, char **argv, struct command *cmd, struct err *err);
void command_done(struct command *cmd);

/* The text of --help. */
int command_help(struct buf *out);

#endif
