// SPDX-License-Identifier: Apache-2.0
/* daemon - a mount command that returns when the mount answers, not before
 *
 * Role        The process forks first; the child does all the work, since threads do not survive a
 *             fork, and tells the parent over a pipe how it went. The parent asks the mount for its
 *             statfs() (in a process of its own: the answer may never come) and only then leaves.
 * States      child:  STARTING -> daemon_report_failure(), end
 *                     STARTING -> daemon_detach() -> SERVING
 *             parent: waits for the report, then for the mount's answer, then exits.
 * Death       While STARTING the child gets SIGTERM when its parent dies (Ctrl-C of mount).
 * Threads     Called by the only thread; daemon_detach() by the main thread of the child.
 */
#ifndef OBSM_FS_DAEMON_H
#define OBSM_FS_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

#include "net/base/err.h"

/* Forks. In the child returns 0, with *ret_report the end of the pipe to report on, in a session of
 * its own with "/" as directory. In the parent returns the child's pid, with *ret_report the end to
 * read. -errno on failure. */
pid_t daemon_fork(int *ret_report, struct err *err);

/* Child: it did not work. The parent prints `message` and exits with `exit_code`. */
void daemon_report_failure(int report, int exit_code, const char *message);

/* Child: the mount stands and its loop is about to run. Standard input, output and error become
 * /dev/null (whoever waits for their end may go on) and the parent is told. */
int daemon_detach(int report);

/* Parent: waits for the child's report and for the mount at `mountpoint` to answer, at most
 * limit_ms after the report. Returns the exit code; the message of a failure is in *err. A child
 * whose mount does not answer is told to end. */
int daemon_wait(int report, pid_t child, const char *mountpoint, int64_t limit_ms, struct err *err);

/* Secrets do not get into core dumps, nor within reach of another process of the same user. */
void daemon_protect_memory(void);

#endif
