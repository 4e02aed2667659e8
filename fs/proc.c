// SPDX-License-Identifier: Apache-2.0
// Who calls, and is it dying; see proc.h.
#include "fs/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "net/base/cleanup.h"
#include "net/base/file.h"

enum {
    PROC_READ_MAX = 4096, /* a stat file has about 400 bytes; of a status file the top is wanted */
    FIELD_NAME = 2,
    FIELD_EXIT_CODE = 52,
    SIGNAL_MASK = 0x7f,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at p (before end) -> *ret; returns what follows, or NULL: none, or too many. */
static const char *take_number(const char *p, const char *end, uint64_t *ret)
{
    uint64_t n = 0;
    const char *begin = p;
    for (; p < end && is_digit(*p); p++) {
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (unsigned)(*p - '0'), &n))
            return NULL;
    }
    *ret = n;
    return p > begin ? p : NULL;
}

int proc_stat_exit_code(const char *text, size_t n, int *ret)
{
    const char *end = text + n;
    uint64_t number = 0;

    const char *p = take_number(text, end, &number);
    if (!p || end - p < 2 || p[0] != ' ' || p[1] != '(')
        return -EINVAL;
    /* The name may hold a ')' itself; none of the fields behind it can. */
    p = memrchr(p, ')', (size_t)(end - p));
    if (!p)
        return -EINVAL;
    p++;
    for (int field = FIELD_NAME + 1; p < end && *p == ' '; field++) {
        const char *begin = ++p;
        while (p < end && *p != ' ' && *p != '\n')
            p++;
        if (p == begin)
            return -EINVAL;
        if (field < FIELD_EXIT_CODE)
            continue;
        if (take_number(begin, p, &number) != p || number > INT_MAX)
            return -EINVAL;
        *ret = (int)number;
        return 0;
    }
    return -EINVAL;
}

int proc_status_number(const char *text, size_t n, const char *name, uint64_t *ret)
{
    const char *end = text + n;
    size_t len = strlen(name);

    for (const char *p = text; p < end;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol)
            return -EINVAL; /* the last line may have been cut */
        if ((size_t)(eol - p) > len && memcmp(p, name, len) == 0 && p[len] == ':') {
            p += len + 1;
            while (p < eol && (*p == ' ' || *p == '\t'))
                p++;
            return take_number(p, eol, ret) == eol ? 0 : -EINVAL;
        }
        p = eol + 1;
    }
    return -EINVAL;
}

/* Reads at most PROC_READ_MAX bytes of /proc/PID/FILE. The number of bytes or -errno. */
static ssize_t read_proc(pid_t pid, const char *file, char out[PROC_READ_MAX])
{
    char path[64];

    if (pid <= 0)
        return -ESRCH;
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return file_read(fd, out, PROC_READ_MAX);
}

pid_t proc_tgid(pid_t tid)
{
    char text[PROC_READ_MAX];
    uint64_t tgid = 0;
    ssize_t n = read_proc(tid, "status", text);
    if (n < 0 || proc_status_number(text, (size_t)n, "Tgid", &tgid) < 0 || tgid > INT_MAX)
        return 0;
    return (pid_t)tgid;
}

/* True if the thread has given up its memory: it does so early when it ends. */
static bool is_past_exec(pid_t tid)
{
    char text[PROC_READ_MAX];
    ssize_t n = read_proc(tid, "statm", text);
    return n >= 2 && text[0] == '0' && text[1] == ' ';
}

int proc_exit_signal(pid_t tid)
{
    char text[PROC_READ_MAX];
    int code = 0;
    if (!is_past_exec(tid)) /* see Deadlock in the header */
        return 0;
    ssize_t n = read_proc(tid, "stat", text);
    if (n < 0 || proc_stat_exit_code(text, (size_t)n, &code) < 0)
        return 0;
    return code & SIGNAL_MASK;
}

int proc_watch(pid_t tgid)
{
    int fd = tgid > 0 ? pidfd_open(tgid, 0) : -1;
    if (fd < 0)
        return tgid > 0 ? -errno : -ESRCH;
    return fd;
}

bool proc_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}
