// SPDX-License-Identifier: Apache-2.0
/* proc - who calls, and is it dying
 *
 * Role        The kernel names the calling thread with each request. From /proc: which process it
 *             belongs to, and whether that is being killed (a FLUSH from a dying process is not a
 *             close). From a pidfd: whether a process still lives.
 * Cost        A read of a small file in /proc each; never blocks on a disk or the network.
 * Deadlock    A caller waits for our answer, and may hold a lock of its own process meanwhile: an
 *             execve(2) that closes an O_CLOEXEC descriptor of the mount sends FLUSH with
 *             exec_update_lock held, and since Linux 6.18 (at the latest) a read of /proc/PID/stat
 *             waits for that lock, unkillable. A page fault on a file of the mount holds the lock that
 *             /proc/PID/cmdline wants. So of a process that may be waiting for us only `status` and
 *             `statm` are read, which take neither; `stat` only once it has no memory left, that is
 *             when it is past the point from which it can still execve.
 * Errors      What cannot be read is "unknown", stated as 0 (or false): the caller then behaves as
 *             for an ordinary process. A process of another user may hide its exit code.
 */
#ifndef OBSM_FS_PROC_H
#define OBSM_FS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The exit code in n bytes of /proc/PID/stat (field 52, as of waitpid; 0 while the process lives, or if
 * it is hidden); the name in field 2 may contain any byte, parentheses and blanks too. -EINVAL. Pure. */
int proc_stat_exit_code(const char *text, size_t n, int *ret);

/* The value of a line "NAME:<blanks>NUMBER" of a status file; -EINVAL if there is none. Pure. */
int proc_status_number(const char *text, size_t n, const char *name, uint64_t *ret);

/* The process of a thread; 0: unknown. */
pid_t proc_tgid(pid_t tid);

/* The signal that is killing this thread's process; 0: none, or unknown. */
int proc_exit_signal(pid_t tid);

/* A descriptor (close-on-exec) that stands for the process, also when its number is another's;
 * -ESRCH or another -errno. */
int proc_watch(pid_t tgid);

/* True if the process of proc_watch() has ended: a zombie has, unless other threads of it go on. */
bool proc_ended(int pidfd);

#endif
