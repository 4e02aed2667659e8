// SPDX-License-Identifier: Apache-2.0
// /proc: the parsers on text by hand, the readers on processes of our own.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/proc.h"

#define TO_22 " 1 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0 8765"
#define TO_51                                                                                      \
    " 18446744073709551615 1 18446744073709551615 1 2 3 4 5 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 2 3 4 " \
    "5 6"

static int parse(const char *text, int *code)
{
    return proc_stat_exit_code(text, strlen(text), code);
}

static void test_stat(void **state)
{
    int code = -1;
    assert_int_equal(parse("42 (cp) S" TO_22 " 4096" TO_51 " 9\n", &code), 0);
    assert_int_equal(code, 9);

    /* A name is whatever its owner likes. */
    assert_int_equal(parse("7 (a) R 1 (b) Z 9)) R" TO_22 " 4096" TO_51 " 15", &code), 0);
    assert_int_equal(code, 15);
    assert_int_equal(parse("7 (new\nline x) D" TO_22 " 4096" TO_51 " 256\n", &code), 0);
    assert_int_equal(code, 256);
    assert_int_equal(parse("7 () D" TO_22 " 4096" TO_51 " 0 1 2\n", &code), 0);
    assert_int_equal(code, 0);
}

static void test_stat_hostile(void **state)
{
    static const char *const bad[] = {
        "",
        "42",
        "42 ",
        "42 (",
        "42 (cp",
        "42 (cp)",
        "42 (cp) S",
        "42 (cp) S" TO_22,
        "(cp) S" TO_22 " 4096" TO_51 " 9",
        "x (cp) S" TO_22 " 4096" TO_51 " 9",
        "99999999999999999999999 (cp) S" TO_22 " 4096" TO_51 " 9",
        "42 (cp)  S" TO_22 " 4096" TO_51 " 9",
        "42 cp S" TO_22 " 4096" TO_51 " 9",
        "42 (cp) S" TO_22 " 4096" TO_51 " -9",
        "42 (cp) S" TO_22 " 4096" TO_51 " x",
        "42 (cp) S" TO_22 " 4096" TO_51 " 4294967295",
    };
    int code = 1234;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (parse(bad[i], &code) != -EINVAL)
            fail_msg("'%s'", bad[i]);
    }
    assert_int_equal(code, 1234);

    char text[400];
    int n = snprintf(text, sizeof(text), "5 (%0200d) S" TO_22, 0);
    for (int cut = 0; cut <= n; cut++)
        assert_int_equal(proc_stat_exit_code(text, (size_t)cut, &code), -EINVAL);
}

static void test_status(void **state)
{
    static const char text[] =
        "Name:\tTgid:\t1\nUmask:\t0022\nTgid:\t77\nNgid:\t0\nPid:\t78\nCut:\t9";
    size_t n = strlen(text);
    uint64_t v = 0;
    assert_int_equal(proc_status_number(text, n, "Tgid", &v), 0);
    assert_int_equal(v, 77);
    assert_int_equal(proc_status_number(text, n, "Pid", &v), 0);
    assert_int_equal(v, 78);
    assert_int_equal(proc_status_number(text, n, "Name", &v), -EINVAL);
    assert_int_equal(proc_status_number(text, n, "Gid", &v), -EINVAL);
    assert_int_equal(proc_status_number(text, n, "Cut", &v), -EINVAL);
    assert_int_equal(proc_status_number("", 0, "Tgid", &v), -EINVAL);
}

static void *in_thread(void *arg)
{
    *(pid_t *)arg = proc_tgid(gettid());
    return NULL;
}

static void test_ourselves(void **state)
{
    pthread_t thread;
    pid_t tgid = 0;

    assert_int_equal(proc_tgid(getpid()), getpid());
    assert_int_equal(pthread_create(&thread, NULL, in_thread, &tgid), 0);
    pthread_join(thread, NULL);
    assert_int_equal(tgid, getpid());

    int fd = proc_watch(getpid());
    if (fd == -ENOSYS) /* valgrind does not know pidfd_open() */
        skip();
    assert_true(fd >= 0);
    assert_false(proc_ended(fd));
    close(fd);
    assert_int_equal(proc_exit_signal(getpid()), 0);
}

static void test_unknown(void **state)
{
    assert_int_equal(proc_tgid(0), 0);
    assert_int_equal(proc_exit_signal(0), 0);
    assert_int_equal(proc_watch(0), -ESRCH);
    assert_int_equal(proc_watch(-1), -ESRCH);
}

/* A child that has ended and was not waited for. */
static pid_t ended_child(int sig)
{
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        if (sig)
            raise(sig);
        _exit(3);
    }
    assert_true(pid > 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

static void test_ended(void **state)
{
    static const int signals[] = {0, SIGKILL, SIGTERM};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        pid_t pid = ended_child(signals[i]);
        int fd = proc_watch(pid);
        if (fd == -ENOSYS) {
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            skip();
        }
        assert_true(fd >= 0);
        assert_true(proc_ended(fd));
        assert_int_equal(proc_exit_signal(pid), signals[i]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(proc_ended(fd));
        assert_int_equal(proc_watch(pid), -ESRCH);
        close(fd);
        assert_int_equal(proc_tgid(pid), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat),    cmocka_unit_test(test_stat_hostile),
        cmocka_unit_test(test_status),  cmocka_unit_test(test_ourselves),
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
