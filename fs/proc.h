// SPDX-License-Identifier: Apache-2.0
/* proc - who calls, and is it dying
 *
 * Role        The kernel names the calling thread with each request. From /proc: which process it
 *             belongs to, whether that process still lives, and whether it is being killed (a FLUSH
 *             from a dying process is not a close).
 * Cost        A read of a small file in /proc each; never blocks on a disk or the network.
 * Errors      What cannot be read is "unknown", stated as 0 (or false): the caller then behaves as
 *             for an ordinary process. A process of another user may hide its exit code.
 */
#ifndef OBSM_FS_PROC_H
#define OBSM_FS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_COMM_MAX = 64 };

/* Of /proc/PID/stat, see proc(5). */
struct proc_stat {
    pid_t pid;
    char comm[PROC_COMM_MAX]; /* cut if longer */
    char state;               /* 'R', 'S', 'D', 'Z', 'X', .. */
    long num_threads;         /* field 20 */
    uint64_t start_time;      /* field 22, clock ticks since boot */
    int exit_code;            /* field 52, as of waitpid; 0 while it lives or if hidden */
};

/* Parses n bytes of a stat file; the name in it may contain any byte, parentheses and blanks too.
 * -EINVAL. Pure. */
int proc_stat_parse(const char *text, size_t n, struct proc_stat *ret);

/* The value of a line "NAME:<blanks>NUMBER" of a status file; -EINVAL if there is none. Pure. */
int proc_status_number(const char *text, size_t n, const char *name, uint64_t *ret);

/* Reads /proc/PID/stat; `pid` may be a thread's. -ESRCH or another -errno. */
int proc_stat_read(pid_t pid, struct proc_stat *ret);

/* The process of a thread; 0: unknown. */
pid_t proc_tgid(pid_t tid);

/* The signal that is killing this thread's process; 0: none, or unknown. */
int proc_exit_signal(pid_t tid);

/* When the process started, to tell it from a later one of the same number; 0: unknown. */
uint64_t proc_start_time(pid_t tgid);

/* True if the process of that number and start time (0: any) exists and has not ended: a zombie
 * has, unless other threads of it go on. */
bool proc_alive(pid_t tgid, uint64_t start_time);

/* Its name, for messages; "?" if unknown. Control characters become '?'. Returns out. */
const char *proc_name(pid_t pid, char *out, size_t size);

#endif
