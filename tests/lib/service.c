// SPDX-License-Identifier: Apache-2.0
// obs-local as a child; see service.h.
#include "tests/lib/service.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/base/clock.h"

enum { ARGS_MAX = 64, START_MS = 10000, STOP_MS = 5000 };

static void run_child(const char *program, const char *dir, const char *const *more, int out)
{
    const char *argv[ARGS_MAX + 6] = {program, "--data", dir, "--listen", "127.0.0.1:0"};
    int n = 5;
    while (more && *more && n < ARGS_MAX)
        argv[n++] = *more++;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDOUT_FILENO) >= 0)
        execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* Reads until the line with the port has come. */
static int wait_for_port(int fd, uint16_t *ret_port)
{
    char text[256];
    size_t n = 0;
    int64_t until = clock_ms() + START_MS;

    while (n < sizeof(text) - 1) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - clock_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return -ETIMEDOUT;
        ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);
        if (got <= 0)
            return -ECHILD;
        n += (size_t)got;
        text[n] = 0;
        const char *at = strstr(text, "listening on ");
        at = at ? strrchr(at, ':') : NULL;
        if (at && strchr(at, '\n')) {
            *ret_port = (uint16_t)atoi(at + 1);
            return 0;
        }
    }
    return -EPROTO;
}

int service_start(struct service *s, const char *program, const char *const *more)
{
    int fds[2];
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/obsm-service-XXXXXX");
    s->pid = -1;
    if (!mkdtemp(s->dir))
        return -errno;
    if (pipe(fds) < 0)
        return -errno;
    s->pid = fork();
    if (s->pid == 0) {
        close(fds[0]);
        run_child(program, s->dir, more, fds[1]);
    }
    close(fds[1]);
    int rc = s->pid < 0 ? -errno : wait_for_port(fds[0], &s->port);
    close(fds[0]);
    if (rc < 0)
        service_stop(s);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void service_stop(struct service *s)
{
    if (s->pid > 0) {
        int64_t until = clock_ms() + STOP_MS;
        kill(s->pid, SIGTERM);
        while (waitpid(s->pid, NULL, WNOHANG) == 0) {
            if (clock_ms() > until)
                kill(s->pid, SIGKILL);
            usleep(5000);
        }
    }
    s->pid = -1;
    if (s->dir[0])
        nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    s->dir[0] = 0;
}
