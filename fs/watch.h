// SPDX-License-Identifier: Apache-2.0
/* watch - the commands about a mount that another process serves
 *
 * Role        obsmount --uploads [--watch] and --drain: find the mount by its place or by the name
 *             of its bucket, read its control files, and show what is on its way or wait for it.
 * Mounts      A name that several mounts have is refused, and they are named. The name of the
 *             control directory comes from the driver (fs/runtime.h).
 * Output      On a terminal bars, redrawn twice a second; elsewhere plain lines, with --watch one
 *             for each change. What --drain waits for goes to standard error.
 * Exit codes  COMMAND_OK: shown; with --watch and --drain: nothing that was closed is left to be
 *             stored. COMMAND_FAILED: something is left that needs a command (failed, interrupted,
 *             paused), or the mount cannot be asked.
 */
#ifndef OBSM_FS_WATCH_H
#define OBSM_FS_WATCH_H

#include "fs/helper.h"

/* Each returns an exit code; *err has the reason if it is not COMMAND_OK. */
int watch_uploads(const struct command *cmd, struct err *err);
int watch_drain(const struct command *cmd, struct err *err);

#endif
