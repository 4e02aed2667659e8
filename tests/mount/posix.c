// SPDX-License-Identifier: Apache-2.0
// What the cases share; see posix.h.
#include "posix.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static int failures;

void posix_check(bool good, const char *file, int line, const char *what, const char *got)
{
    if (good)
        return;
    const char *slash = strrchr(file, '/');
    fprintf(stderr, "%s:%d: %s%s%s\n", slash ? slash + 1 : file, line, what, *got ? ": " : "", got);
    failures++;
}

void posix_result(long rc, int eno, const char *file, int line, const char *what)
{
    char text[200];
    int is = rc == -1 ? errno : 0;
    (void)snprintf(text, sizeof(text), "%s instead of %s", is ? strerrorname_np(is) : "success",
                   eno ? strerrorname_np(eno) : "success");
    posix_check(is == eno, file, line, what, text);
}

void posix_as(uid_t uid, gid_t extra, void (*fn)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        failures = 0;
        if (uid && (setgroups(extra ? 1 : 0, &extra) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0))
            _exit(99);
        fn();
        fflush(NULL);
        _exit(failures < 90 ? failures : 90);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        posix_check(false, __FILE__, __LINE__, "the other process", "it has not ended by itself");
    else
        failures += WEXITSTATUS(status);
}

void posix_in_child(void (*fn)(void))
{
    posix_as(0, 0, fn);
}

void posix_make(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ssize_t n = (ssize_t)strlen(text);
    bool good = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0 && close(fd) < 0)
        good = false;
    posix_check(good, __FILE__, __LINE__, name, "cannot be made");
}

bool posix_has(const char *name, const char *text)
{
    char got[4096] = "";
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got) - 1);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

struct stat posix_stat(const char *name)
{
    struct stat st = {0};
    if (lstat(name, &st) < 0)
        posix_check(false, __FILE__, __LINE__, name, strerror(errno));
    return st;
}

const char *posix_long_name(size_t n)
{
    static char name[8192];
    memset(name, 'x', n);
    name[n] = 0;
    return name;
}

static const struct {
    const char *name;
    void (*fn)(void);
} cases[] = {
    {"open_flags", open_flags},
    {"open_errors", open_errors},
    {"directories", directories},
    {"links", links},
    {"renames", renames},
    {"unlinks", unlinks},
    {"numbers", numbers},
    {"special_files", special_files},
    {"permissions", permissions},
    {"ownership", ownership},
    {"sticky_and_setgid", sticky_and_setgid},
    {"times", times},
    {"sizes", sizes},
    {"fallocates", fallocates},
    {"maps", maps},
    {"locks", locks},
    {"xattrs", xattrs},
    {"input_output", input_output},
};

int main(int argc, char **argv)
{
    if (argc != 3 || chdir(argv[2]) < 0) {
        fprintf(stderr, "usage: posix CASE DIR\n");
        return 2;
    }
    (void)umask(022);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (strcmp(cases[i].name, argv[1]) != 0)
            continue;
        cases[i].fn();
        return failures ? 1 : 0;
    }
    fprintf(stderr, "posix: there is no case '%s'\n", argv[1]);
    return 2;
}
