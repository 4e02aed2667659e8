// SPDX-License-Identifier: Apache-2.0
// Unmounting and waiting for the driver; see umount.h.
#include "fs/umount.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/runtime.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"

enum { FIRST_WORD_MS = 2000, NEXT_WORD_MS = 15000, LEFT_MAX = 8192 };

/* fusermount3 is set-uid root: the way for everybody else. It says itself why it fails. */
static int run_fusermount(const char *mountpoint, bool lazy)
{
    const char *argv[] = {
        "fusermount3", "-u", lazy ? "-z" : "--", lazy ? "--" : mountpoint, lazy ? mountpoint : NULL,
        NULL};
    pid_t pid;
    int status;
    int rc = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ);
    if (rc != 0)
        return -rc;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int umount_detach(const char *mountpoint, int flags)
{
    if (umount2(mountpoint, flags | UMOUNT_NOFOLLOW) == 0)
        return 0;
    int rc = -errno;
    return rc == -EPERM && geteuid() != 0 ? run_fusermount(mountpoint, flags & MNT_DETACH) : rc;
}

/* The mount that `target` (a mount point in any spelling, or a source) means. */
static int find_target(const char *target, struct mount_entry *ret, struct err *err)
{
    int rc = mounts_find(target, true, ret);
    CLEANUP_FREE char *real = rc == -ENOENT ? realpath(target, NULL) : NULL;
    if (real)
        rc = mounts_find(real, false, ret);
    if (rc == -ENOENT)
        return err_set(err, rc, "'%s' is not mounted", target);
    if (rc < 0)
        return err_set(err, rc, "the list of mounts cannot be read: %s", err_text(rc));
    if (strncmp(ret->type, "fuse", 4) != 0) {
        rc = err_set(err, -EINVAL, "'%s' is a mount of type %s, not one of obsmount",
                     ret->mountpoint, ret->type);
        mount_entry_done(ret);
    }
    return rc;
}

static int open_driver(const struct mount_entry *entry, pid_t *ret_pid)
{
    int rc = runtime_driver(entry, ret_pid);
    if (rc < 0)
        return rc;
    uint64_t start = process_start(*ret_pid);
    int fd = (int)syscall(SYS_pidfd_open, *ret_pid, 0);
    if (fd < 0)
        return -errno;
    if (process_start(*ret_pid) == start)
        return fd;
    close(fd); /* another process took its number in between */
    return -ESRCH;
}

/* Until the process behind `pidfd` has ended; there is no limit, since data may be at stake. */
static void wait_for_driver(const struct command *cmd, const struct mount_entry *entry, int pidfd,
                            pid_t pid)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int64_t start = clock_ms();
    int limit = cmd->verbose ? 0 : FIRST_WORD_MS;
    for (;;) {
        int n = poll(&p, 1, limit);
        if (n > 0 || (n < 0 && errno != EINTR))
            return;
        if (n < 0)
            continue;
        CLEANUP_BUF struct buf left = BUF_INIT(LEFT_MAX);
        runtime_left_read(entry, pid, &left);
        fprintf(stderr,
                "%s: '%s' is unmounted; waiting for its driver (process %d) to store %s (%lld s)\n",
                cmd->program, entry->mountpoint, (int)pid,
                left.n ? buf_str(&left) : "what was written last",
                (long long)(clock_ms() - start) / 1000);
        limit = NEXT_WORD_MS;
    }
}

/* The driver has ended: was that all? */
static void tell_rest(const struct command *cmd, const struct mount_entry *entry, pid_t pid)
{
    CLEANUP_BUF struct buf left = BUF_INIT(LEFT_MAX);
    runtime_left_read(entry, pid, &left);
    if (!left.n)
        return;
    fprintf(stderr,
            "%s: '%s' is unmounted, but not stored: %s; the next mount has it in 'uploads'\n",
            cmd->program, entry->mountpoint, buf_str(&left));
    runtime_left_remove(entry, pid);
}

int umount_run(const struct command *cmd, struct err *err)
{
    struct mount_entry entry = {0};
    if (find_target(cmd->target, &entry, err) < 0)
        return COMMAND_FAILED;
    if (cmd->fake) {
        mount_entry_done(&entry);
        return COMMAND_OK;
    }

    pid_t pid = 0;
    CLEANUP_CLOSE int pidfd = open_driver(&entry, &pid);
    int flags = (cmd->lazy ? MNT_DETACH : 0) | (cmd->force ? MNT_FORCE : 0);
    int rc = umount_detach(entry.mountpoint, flags);
    if (rc == -EBUSY)
        err_set(err, rc, "'%s' is busy: a process has a file open or works in it",
                entry.mountpoint);
    else if (rc < 0)
        err_set(err, rc, "'%s' cannot be unmounted: %s", entry.mountpoint, err_text(rc));
    else if (pidfd >= 0 && !cmd->lazy && !cmd->force) {
        wait_for_driver(cmd, &entry, pidfd, pid);
        tell_rest(cmd, &entry, pid);
    }
    mount_entry_done(&entry);
    return rc < 0 ? COMMAND_FAILED : COMMAND_OK;
}
