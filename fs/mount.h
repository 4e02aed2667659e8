// SPDX-License-Identifier: Apache-2.0
/* mount - what the program (fs/main.c) and the core of the driver owe each other
 *
 * Role        fs/main.c owns the process: command line, fork, session, signals, exit code. The core
 *             owns everything between a FUSE request and the bucket. This is all they share.
 *
 * Order       fs_new -> fuse_session_new(fs_ops(), userdata = the struct fs) -> fuse_session_mount
 *             -> fs_start -> loop -> fs_stop -> fuse_session_unmount -> fs_free ->
 *             fuse_session_destroy: threads of the core that have replied hold pipes that libfuse
 *             frees when they end, but only while the session is there. All of it happens in one
 *             process: whoever forks does so before fs_new(), since threads do not survive a fork.
 *
 * Replies     A request may be answered after its callback has returned, from any thread of the
 *             core, but never after fs_stop() has returned: the session's descriptor is closed
 *             then.
 */
#ifndef OBSM_FS_MOUNT_H
#define OBSM_FS_MOUNT_H

#include <stdint.h>

#include "net/base/err.h"

struct fs;
struct fuse_lowlevel_ops;
struct fuse_session;
struct log;
struct options;

/* Makes a mount's core: finds the credentials, makes the engine (its threads start here) and the
 * client, and sends one real request to the bucket, so that a wrong key, a missing bucket or an
 * endpoint that does not answer is found now. Blocks on the network, at most about connect_timeout
 * plus a few seconds: the probe is not repeated for retry_time. `opt` and `log` outlive the core
 * and are not changed. Returns 0, or -errno with one sentence for the user in *err. */
int fs_new(const struct options *opt, struct log *log, struct fs **ret_fs, struct err *err);

/* The FUSE operations; they expect the struct fs as the session's userdata. Constant. */
const struct fuse_lowlevel_ops *fs_ops(void);

/* Starts the threads that need the session (timers, write-back). Called once, after the session was
 * mounted and before its loop. Does not wait for the kernel. Returns 0 or -errno. */
int fs_start(struct fs *fs, struct fuse_session *se, struct err *err);

/* The driver was told to go: every request that waits in the core ends with EINTR, also those that
 * come from now on. May be called again and again, from any thread. */
void fs_leave(struct fs *fs);

/* What is still to be stored, one line for people. `stays`: it was the last word, this driver will
 * not store that. */
typedef void fs_left_fn(void *arg, const char *text, bool stays);

/* Ends the core's work: no request arrives any more. Stores what the promises demand, waits for it
 * no longer than `limit_ms` (< 0: until each upload is stored or has finally failed), answers or
 * drops every request that is still unanswered, and joins the core's own threads. While it waits it
 * tells `left` (may be NULL) every half second, and at the end if closed files stay that are
 * not stored. Called once, also when fs_start() was not called or
 * failed. */
void fs_stop(struct fs *fs, int64_t limit_ms, fs_left_fn *left, void *arg);

/* After fs_stop(); NULL is allowed. */
void fs_free(struct fs *fs);

#endif
