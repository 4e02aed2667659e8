// SPDX-License-Identifier: Apache-2.0
// Who calls, and is it dying; see proc.h.
#include "fs/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "net/base/cleanup.h"
#include "net/base/file.h"

enum {
    PROC_READ_MAX = 4096, /* a stat file has about 400 bytes; of a status file the top is wanted */
    FIELD_STATE = 3,
    FIELD_NUM_THREADS = 20,
    FIELD_START_TIME = 22,
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

/* Takes over the fields that are wanted; what is not a number there is malformed. */
static int take_field(struct proc_stat *st, int field, const char *p, const char *end)
{
    uint64_t n = 0;
    switch (field) {
    case FIELD_STATE:
        st->state = *p;
        return end - p == 1 ? 0 : -EINVAL;
    case FIELD_NUM_THREADS:
        if (take_number(p, end, &n) != end || n > LONG_MAX)
            return -EINVAL;
        st->num_threads = (long)n;
        return 0;
    case FIELD_START_TIME:
        return take_number(p, end, &st->start_time) == end ? 0 : -EINVAL;
    case FIELD_EXIT_CODE:
        if (take_number(p, end, &n) != end || n > INT_MAX)
            return -EINVAL;
        st->exit_code = (int)n;
        return 0;
    default:
        return 0;
    }
}

int proc_stat_parse(const char *text, size_t n, struct proc_stat *ret)
{
    struct proc_stat st = {0};
    const char *end = text + n;
    uint64_t pid = 0;

    const char *p = take_number(text, end, &pid);
    if (!p || pid > INT_MAX || end - p < 2 || p[0] != ' ' || p[1] != '(')
        return -EINVAL;
    st.pid = (pid_t)pid;
    p += 2;

    /* The name may hold a ')' itself; none of the fields behind it can. */
    const char *close_paren = memrchr(p, ')', (size_t)(end - p));
    if (!close_paren)
        return -EINVAL;
    size_t len = (size_t)(close_paren - p);
    memcpy(st.comm, p, len < PROC_COMM_MAX ? len : PROC_COMM_MAX - 1);
    p = close_paren + 1;

    int field = FIELD_STATE - 1;
    while (p < end && *p == ' ') {
        const char *begin = ++p;
        while (p < end && *p != ' ' && *p != '\n')
            p++;
        if (p == begin || take_field(&st, ++field, begin, p) < 0)
            return -EINVAL;
    }
    if (field < FIELD_START_TIME)
        return -EINVAL;
    *ret = st;
    return 0;
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

int proc_stat_read(pid_t pid, struct proc_stat *ret)
{
    char text[PROC_READ_MAX];
    ssize_t n = read_proc(pid, "stat", text);
    if (n < 0)
        return n == -ENOENT ? -ESRCH : (int)n;
    return proc_stat_parse(text, (size_t)n, ret);
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

int proc_exit_signal(pid_t tid)
{
    struct proc_stat st;
    if (proc_stat_read(tid, &st) < 0)
        return 0;
    int sig = st.exit_code & SIGNAL_MASK;
    /* The same field tells what stopped a process; these never end one. */
    bool stops = sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
    return stops ? 0 : sig;
}

uint64_t proc_start_time(pid_t tgid)
{
    struct proc_stat st;
    return proc_stat_read(tgid, &st) == 0 ? st.start_time : 0;
}

bool proc_alive(pid_t tgid, uint64_t start_time)
{
    struct proc_stat st;
    if (proc_stat_read(tgid, &st) < 0)
        return false;
    if (start_time != 0 && st.start_time != start_time)
        return false;
    bool ended = st.state == 'Z' || st.state == 'X' || st.state == 'x';
    return !ended || st.num_threads > 1;
}

const char *proc_name(pid_t pid, char *out, size_t size)
{
    struct proc_stat st;
    if (size == 0)
        return "?";
    snprintf(out, size, "%s", proc_stat_read(pid, &st) == 0 && st.comm[0] ? st.comm : "?");
    for (char *p = out; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    return out;
}
