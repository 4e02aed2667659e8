// SPDX-License-Identifier: Apache-2.0
// Fork, report, wait; see daemon.h.
#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/helper.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"

/* What goes over the pipe: shorter than PIPE_BUF, so it arrives whole or not at all. */
struct report {
    int exit_code; /* COMMAND_OK: mounted */
    char message[640];
};

pid_t daemon_fork(int *ret_report, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, -errno, "pipe: %s", err_text(errno));

    pid_t parent = getpid();
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        int saved = errno;
        close(ends[0]);
        close(ends[1]);
        return err_set(err, -saved, "fork: %s", err_text(saved));
    }
    if (pid > 0) {
        close(ends[1]);
        *ret_report = ends[0];
        return pid;
    }

    close(ends[0]);
    *ret_report = ends[1];
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(COMMAND_SYSTEM); /* it died before it could be watched */
    (void)!chdir("/");
    return 0;
}

static void send_report(int fd, int exit_code, const char *message)
{
    struct report report = {.exit_code = exit_code};
    snprintf(report.message, sizeof(report.message), "%s", message);
    while (write(fd, &report, sizeof(report)) < 0 && errno == EINTR)
        ;
}

void daemon_report_failure(int report, int exit_code, const char *message)
{
    send_report(report, exit_code, message);
}

int daemon_detach(int report)
{
    CLEANUP_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(null, fd) < 0)
            return -errno;
    }
    if (null <= STDERR_FILENO)
        (void)steal_fd(&null);
    (void)prctl(PR_SET_PDEATHSIG, 0);
    send_report(report, COMMAND_OK, "");
    return 0;
}

/* The report, or COMMAND_SYSTEM if the child ended without one. */
static int read_report(int fd, pid_t child, struct err *err)
{
    struct report report;
    ssize_t n;
    do {
        n = read(fd, &report, sizeof(report));
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof(report)) {
        if (report.exit_code != COMMAND_OK)
            err_set(err, -EIO, "%.*s", (int)sizeof(report.message), report.message);
        return report.exit_code;
    }

    int status = 0;
    if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
        err_set(err, -EIO, "the driver was ended by signal %d", WTERMSIG(status));
    else
        err_set(err, -EIO, "the driver ended without a word (exit status %d)", WEXITSTATUS(status));
    return COMMAND_SYSTEM;
}

/* A process that ends with status 0 as soon as the mount has answered. */
static pid_t start_probe(const char *mountpoint)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct statfs fs;
        _exit(statfs(mountpoint, &fs) == 0 ? 0 : 1);
    }
    return pid;
}

/* Waits for the probe with an end in time and an eye on the driver (whose end closes the pipe). */
static int wait_probe(pid_t probe, int report, int64_t limit_ms, struct err *err)
{
    int64_t end = clock_ms() + limit_ms;
    for (;;) {
        int status;
        pid_t ended = waitpid(probe, &status, WNOHANG);
        if (ended == probe && WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return 0;
        if (ended == probe)
            return err_set(err, -EIO, "the mount does not answer: statfs failed");
        if (ended < 0 && errno != EINTR)
            return err_set(err, -errno, "waitpid: %s", err_text(errno));
        struct pollfd p = {.fd = report, .events = POLLIN};
        if (poll(&p, 1, 5) > 0 && (p.revents & POLLHUP))
            return err_set(err, -EIO, "the driver ended right after mounting");
        if (clock_ms() >= end)
            return err_set(err, -ETIMEDOUT, "the mount did not answer within %lld s",
                           (long long)limit_ms / 1000);
    }
}

int daemon_wait(int report, pid_t child, const char *mountpoint, int64_t limit_ms, struct err *err)
{
    int code = read_report(report, child, err);
    if (code != COMMAND_OK || strncmp(mountpoint, "/dev/fd/", 8) == 0)
        return code;

    pid_t probe = start_probe(mountpoint);
    if (probe < 0) {
        err_set(err, -errno, "fork: %s", err_text(errno));
        return COMMAND_SYSTEM;
    }
    if (wait_probe(probe, report, limit_ms, err) == 0)
        return COMMAND_OK;
    (void)kill(probe, SIGKILL);
    (void)kill(child, SIGTERM);
    return COMMAND_FAILED;
}

void daemon_protect_memory(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* the leak detector of a sanitizer build looks at its own process as a debugger does */
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}
