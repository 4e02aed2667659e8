// SPDX-License-Identifier: Apache-2.0
/* umount - what umount.obsmount does
 *
 * Role        umount(2) of a FUSE filesystem returns before its driver has finished. The helper
 *             unmounts and then waits until the driver has stored what is left and has ended,
 *             saying so on stderr from time to time. A lazy or forced unmount does not wait.
 * Runs        In a process of its own (umount(8) calls it); blocks.
 */
#ifndef OBSM_FS_UMOUNT_H
#define OBSM_FS_UMOUNT_H

#include "fs/helper.h"
#include "net/base/err.h"

/* Returns an exit code of mount(8); *err has the reason if it is not COMMAND_OK. */
int umount_run(const struct command *cmd, struct err *err);

/* Detaches the mount at `mountpoint` from the tree, by umount2(2) or, without the right to, by
 * fusermount3. 0 or -errno. */
int umount_detach(const char *mountpoint, int flags);

#endif
