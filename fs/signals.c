// SPDX-License-Identifier: Apache-2.0
// The signal thread; see signals.h.
#include "fs/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>

#include "fs/helper.h"
#include "fs/runtime.h"
#include "fs/umount.h"
#include "net/base/clock.h"
#include "net/base/lock.h"
#include "net/base/log.h"

enum { TICK_MS = 50 };

struct signals {
    /* constant after signals_start() */
    struct log *log;
    const char *mountpoint;
    int64_t limit_ms;
    pthread_t thread;
    pthread_t loop_thread;
    sigset_t set;

    struct lock lock;
    /* below: under lock */
    struct fuse_session *se;
    const char *runtime_path;
    bool stopping;
    int64_t leave_ms; /* clock_ms() of the first SIGTERM; 0: none came */
    void (*on_leave)(void *arg);
    void *on_leave_arg;
};

static void ignore_signal(int sig)
{
}

static void next_level(struct log *log)
{
    int level = (int)log_get_level(log) + 1;
    if (level > LOG_LEVEL_DEBUG)
        level = LOG_LEVEL_ERROR;
    log_set_level(log, (enum log_level)level);
    log_msg(log, (enum log_level)level, "main", "log level is %s now",
            log_level_name((enum log_level)level));
}

/* Nothing may hold this up: no lock of the core is taken, no destructor runs. */
static _Noreturn void leave_at_once(struct signals *s, const char *why)
{
    log_warning(s->log, "main",
                "%s: leaving at once; what was not stored is lost with this process", why);
    runtime_remove(s->runtime_path);
    (void)umount_detach(s->mountpoint, MNT_DETACH);
    _exit(COMMAND_SYSTEM);
}

static void take_term_locked(struct signals *s, int sig)
{
    ASSERT_HELD(&s->lock);
    if (!s->se && !s->runtime_path && !s->leave_ms)
        _exit(128 + sig); /* nothing is mounted yet */
    if (s->leave_ms)
        leave_at_once(s, "a second signal came");
    s->leave_ms = clock_ms();
    log_notice(s->log, "main", "signal %d: leaving", sig);
}

static void take(struct signals *s, int sig)
{
    if (sig == SIGUSR2) {
        next_level(s->log);
    } else if (sig == SIGHUP) {
        int rc = log_reopen(s->log);
        if (rc < 0)
            log_error(s->log, "main", "the log file cannot be opened again: %s", err_text(rc));
    } else {
        lock_take(&s->lock);
        take_term_locked(s, sig);
        lock_drop(&s->lock);
    }
}

/* While leaving: nudges the loop and watches the limit. Returns false when the thread is to end. */
static bool tick(struct signals *s)
{
    lock_take(&s->lock);
    bool go_on = !s->stopping;
    if (go_on && s->leave_ms && s->se) {
        fuse_session_exit(s->se);
        if (s->on_leave)
            s->on_leave(s->on_leave_arg);
        (void)pthread_kill(s->loop_thread, SIGUSR1);
    }
    if (go_on && s->leave_ms && clock_ms() > s->leave_ms + s->limit_ms)
        leave_at_once(s, "the time to leave is over");
    lock_drop(&s->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct signals *s = arg;
    const struct timespec pause = {.tv_nsec = TICK_MS * 1000000};
    bool leaving = false;
    for (;;) {
        /* idle: sleep for as long as it takes; leaving: look after the loop */
        int sig = leaving ? sigtimedwait(&s->set, NULL, &pause) : sigwaitinfo(&s->set, NULL);
        if (sig > 0 && sig != SIGUSR1) /* SIGUSR1: signals_stop() */
            take(s, sig);
        if (!tick(s))
            return NULL;
        leaving = signals_leaving(s);
    }
}

int signals_start(struct log *log, const char *mountpoint, int64_t limit_ms, struct signals **ret)
{
    struct signals *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;

    s->log = log;
    s->mountpoint = mountpoint;
    s->limit_ms = limit_ms;
    s->loop_thread = pthread_self();
    lock_init(&s->lock);
    const struct sigaction nothing = {.sa_handler = ignore_signal};
    (void)sigaction(SIGUSR1, &nothing, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&s->set);
    sigaddset(&s->set, SIGTERM);
    sigaddset(&s->set, SIGINT);
    sigaddset(&s->set, SIGHUP);
    sigaddset(&s->set, SIGUSR2);
    sigaddset(&s->set, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    int rc = pthread_create(&s->thread, NULL, run, s);
    sigset_t nudge;
    sigemptyset(&nudge);
    sigaddset(&nudge, SIGUSR1);
    (void)pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
    if (rc != 0) {
        lock_done(&s->lock);
        free(s);
        return -rc;
    }
    *ret = s;
    return 0;
}

void signals_attach(struct signals *s, struct fuse_session *se, const char *runtime_path)
{
    lock_take(&s->lock);
    s->se = se;
    if (runtime_path)
        s->runtime_path = runtime_path;
    lock_drop(&s->lock);
}

void signals_on_leave(struct signals *s, void (*fn)(void *arg), void *arg)
{
    lock_take(&s->lock);
    s->on_leave = fn;
    s->on_leave_arg = arg;
    lock_drop(&s->lock);
}

bool signals_leaving(struct signals *s)
{
    lock_take(&s->lock);
    bool leaving = s->leave_ms != 0;
    lock_drop(&s->lock);
    return leaving;
}

void signals_stop(struct signals *s)
{
    if (!s)
        return;
    lock_take(&s->lock);
    s->stopping = true;
    lock_drop(&s->lock);
    (void)pthread_kill(s->thread, SIGUSR1);
    (void)pthread_join(s->thread, NULL);
    lock_done(&s->lock);
    free(s);
}
