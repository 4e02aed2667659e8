// SPDX-License-Identifier: Apache-2.0
/* main - the life of the process, and nothing else
 *
 * Order       command line -> log -> local checks -> fork -> the core with its request to the
 * bucket
 *             -> session -> mount -> threads -> "mounted" to the parent -> loop -> drain ->
 * unmount. The parent only waits (fs/daemon.h). In the foreground there is no parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>

#include "fs/check.h"
#include "fs/daemon.h"
#include "fs/helper.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/runtime.h"
#include "fs/signals.h"
#include "fs/umount.h"
#include "fs/watch.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/base/log.h"

enum {
    IDLE_THREADS = 16,
    ANSWER_LIMIT_MS = 60000, /* for the first statfs of a new mount */
    LEAVE_MARGIN_MS = 5000,  /* beyond drain_timeout, for requests under way and the unmount */
};

/* libfuse hands no argument to its message function: the one variable of this program. */
static struct log *libfuse_log;

static __attribute__((format(printf, 2, 0))) void libfuse_message(enum fuse_log_level level,
                                                                  const char *fmt, va_list ap)
{
    char text[512];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    if (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
        text[n - 1] = '\0';
    log_msg(libfuse_log, level <= FUSE_LOG_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "libfuse",
            "%s", text);
}

/* Everything that serving a mount holds, in the order in which it is made. */
struct server {
    const struct options *opt;
    struct log *log;
    int report; /* pipe to the parent, -1 in the foreground */
    struct signals *signals;
    struct fs *fs;
    struct fuse_session *se;
    bool mounted;
    char *runtime_path;
    bool stays; /* not everything is stored, and the file at runtime_path's side says what */
};

static int make_session(struct server *s, struct err *err)
{
    CLEANUP_FREE char *words = options_fuse_words(s->opt);
    if (!words)
        return err_set(err, -ENOMEM, "out of memory");
    char *argv[] = {"obsmount", "-o", words, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    s->se = fuse_session_new(&args, fs_ops(), sizeof(*fs_ops()), s->fs);
    fuse_opt_free_args(&args);
    return s->se ? 0 : err_set(err, -EINVAL, "libfuse refused the mount options '%s'", words);
}

static void leave(void *fs)
{
    fs_leave(fs);
}

/* A file that is being written takes two descriptors and each connection one: the usual soft limit of
 * 1,024 is meant for programs that call select(2), which we don't. */
static void raise_descriptor_limit(struct server *s)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur == lim.rlim_max)
        return;
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
        log_info(s->log, "main", "the limit of open files stays: %s", err_text(errno));
}

static int mount_session(struct server *s, struct err *err)
{
    int rc = make_session(s, err);
    if (rc < 0)
        return rc;
    signals_attach(s->signals, s->se, NULL);
    errno = 0;
    if (fuse_session_mount(s->se, s->opt->mountpoint) < 0)
        return err_set(err, errno ? -errno : -EIO, "'%s' cannot be mounted on: %s",
                       s->opt->mountpoint, errno ? err_text(errno) : "see above");
    s->mounted = true;

    rc = runtime_write(s->opt->mountpoint, s->opt->control_dir, &s->runtime_path);
    if (rc < 0)
        log_info(s->log, "main", "umount will not wait for this driver: %s", err_text(rc));
    signals_attach(s->signals, s->se, s->runtime_path);
    signals_on_leave(s->signals, leave, s->fs);
    return fs_start(s->fs, s->se, err);
}

static int start(struct server *s, struct err *err)
{
    raise_descriptor_limit(s);
    int rc = signals_start(s->log, s->opt->mountpoint, s->opt->drain_timeout + LEAVE_MARGIN_MS,
                           &s->signals);
    if (rc < 0)
        return err_set(err, rc, "the signal thread cannot be started: %s", err_text(rc));
    rc = fs_new(s->opt, s->log, &s->fs, err);
    if (rc < 0)
        return rc;
    return mount_session(s, err);
}

/* Tells the parent, and moves the log to where a daemon's log belongs. */
static void announce(struct server *s)
{
    if (s->report >= 0) {
        if (!s->opt->log_file)
            log_to_syslog(s->log, "obsmount");
        int rc = daemon_detach(s->report);
        if (rc < 0)
            log_error(s->log, "main", "standard output cannot be let go: %s", err_text(rc));
    }
    log_notice(s->log, "main", "mounted '%s' at '%s'", s->opt->source, s->opt->mountpoint);
}

static int loop(struct server *s)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return -ENOMEM;
    fuse_loop_cfg_set_max_threads(config, (unsigned)s->opt->max_threads);
    fuse_loop_cfg_set_idle_threads(config, IDLE_THREADS);
    fuse_loop_cfg_set_clone_fd(config, 0);
    int rc = fuse_session_loop_mt(s->se, config);
    fuse_loop_cfg_destroy(config);
    return rc;
}

static void tell_left(void *arg, const char *text, bool stays)
{
    struct server *s = arg;
    s->stays |= stays;
    runtime_left_write(s->runtime_path, text);
}

/* Leaves in the reverse order of start(). A mount that was unmounted stores all that it still has;
 * a driver that was told to go has drain_timeout for it. */
static void finish(struct server *s)
{
    if (s->fs)
        fs_stop(s->fs, signals_leaving(s->signals) ? s->opt->drain_timeout : -1, tell_left, s);
    if (s->signals)
        signals_attach(s->signals, NULL, NULL);
    if (s->mounted)
        fuse_session_unmount(s->se);
    fs_free(s->fs);
    if (s->se)
        fuse_session_destroy(s->se);
    if (!s->stays) /* else the unmount helper tells it */
        runtime_left_write(s->runtime_path, NULL);
    runtime_remove(s->runtime_path);
    free(s->runtime_path);
    signals_stop(s->signals);
}

static void tell_failure(const struct server *s, const struct command *cmd, const struct err *err)
{
    char text[640];
    int n = snprintf(text, sizeof(text), "%s", err->msg[0] ? err->msg : err_text(err->eno));
    if (err->code[0] && !strstr(text, err->code))
        n += snprintf(text + n, sizeof(text) - (size_t)n, " (%s)", err->code);
    if (s->report >= 0)
        daemon_report_failure(s->report, COMMAND_FAILED, text);
    else
        fprintf(stderr, "%s: %s\n", cmd->program, text);
}

static int serve(const struct command *cmd, struct log *log, int report)
{
    struct server s = {.opt = &cmd->opt, .log = log, .report = report};
    struct err err = {0};
    libfuse_log = log;
    fuse_set_log_func(libfuse_message);
    (void)umask(077);

    int rc = start(&s, &err);
    if (rc < 0) {
        tell_failure(&s, cmd, &err);
        finish(&s);
        return COMMAND_FAILED;
    }
    announce(&s);
    rc = loop(&s);
    if (rc < 0)
        log_error(log, "main", "the session's loop ended: %s", err_text(rc));
    finish(&s);
    log_notice(log, "main", "left '%s'", cmd->opt.mountpoint);
    return rc < 0 ? COMMAND_SYSTEM : COMMAND_OK;
}

static int check_device(struct err *err)
{
    CLEANUP_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return 0;
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
        return err_set(
            err, -errno,
            "/dev/fuse is missing: load the kernel's module with 'modprobe fuse', or give "
            "the device to this container");
    return err_set(err, -errno, "/dev/fuse cannot be opened: %s", err_text(errno));
}

static int fail(const struct command *cmd, int code, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", cmd->program, err->msg);
    return code;
}

static int set_up_log(const struct command *cmd, struct log **ret_log, struct err *err)
{
    struct log *log = log_new((enum log_level)(LOG_LEVEL_ERROR + cmd->opt.log_level));
    if (!log)
        return err_set(err, -ENOMEM, "out of memory");
    int rc = cmd->opt.log_file ? log_to_file(log, cmd->opt.log_file) : 0;
    if (rc < 0) {
        log_free(log);
        return err_set(err, rc, "log file '%s': %s", cmd->opt.log_file, err_text(rc));
    }
    for (size_t i = 0; i < cmd->opt.skipped.n; i++)
        log_warning(log, "main", "unknown option '%s', ignoring", cmd->opt.skipped.v[i]);
    *ret_log = log;
    return 0;
}

static int serve_in_background(const struct command *cmd, struct log *log)
{
    struct err err = {0};
    int report;
    pid_t child = daemon_fork(&report, &err);
    if (child < 0)
        return fail(cmd, COMMAND_SYSTEM, &err);
    if (child == 0)
        return serve(cmd, log, report);

    int code = daemon_wait(report, child, cmd->opt.mountpoint, ANSWER_LIMIT_MS, &err);
    close(report);
    return code == COMMAND_OK ? code : fail(cmd, code, &err);
}

static int run_mount(struct command *cmd)
{
    struct err err = {0};
    if (check_device(&err) < 0)
        return fail(cmd, COMMAND_FAILED, &err);
    if (mountpoint_check(&cmd->opt.mountpoint, &err) < 0)
        return fail(cmd, COMMAND_FAILED, &err);

    struct log *log;
    if (set_up_log(cmd, &log, &err) < 0)
        return fail(cmd, COMMAND_SYSTEM, &err);
    int code = COMMAND_OK;
    if (!cmd->fake)
        code = cmd->opt.foreground ? serve(cmd, log, -1) : serve_in_background(cmd, log);
    log_free(log);
    return code;
}

static int run_check(struct command *cmd)
{
    struct err err = {0};
    struct log *log;
    if (set_up_log(cmd, &log, &err) < 0)
        return fail(cmd, COMMAND_SYSTEM, &err);
    int code = check_run(&cmd->opt, log);
    log_free(log);
    return code;
}

/* About a mount that is there. */
static int run_target(const struct command *cmd)
{
    struct err err = {0};
    int code = cmd->action == COMMAND_UMOUNT    ? umount_run(cmd, &err)
               : cmd->action == COMMAND_UPLOADS ? watch_uploads(cmd, &err)
                                                : watch_drain(cmd, &err);
    return code == COMMAND_OK ? code : fail(cmd, code, &err);
}

static int show_help(void)
{
    CLEANUP_BUF struct buf text = BUF_INIT(65536);
    if (command_help(&text) < 0)
        return COMMAND_SYSTEM;
    return fputs(buf_str(&text), stdout) < 0 || fflush(stdout) != 0 ? COMMAND_SYSTEM : COMMAND_OK;
}

/* mount -N: everything happens in another mount namespace. */
static int enter_namespace(const char *path, struct err *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
        return err_set(err, -errno, "mount namespace '%s': %s", path, err_text(errno));
    return 0;
}

int main(int argc, char **argv)
{
    struct command cmd;
    struct err err = {0};
    int code = COMMAND_OK;
    daemon_protect_memory();
    if (command_parse(argc, argv, &cmd, &err) < 0)
        code = fail(&cmd, COMMAND_USAGE, &err);
    else if (cmd.ns && enter_namespace(cmd.ns, &err) < 0)
        code = fail(&cmd, COMMAND_SYSTEM, &err);
    else if (cmd.action == COMMAND_HELP)
        code = show_help();
    else if (cmd.action == COMMAND_VERSION)
        printf("obsmount %s (libfuse %s)\n", OBSM_VERSION, fuse_pkgversion());
    else if (cmd.action == COMMAND_UMOUNT || cmd.action == COMMAND_UPLOADS ||
             cmd.action == COMMAND_DRAIN)
        code = run_target(&cmd);
    else if (cmd.action == COMMAND_CHECK)
        code = run_check(&cmd);
    else
        code = run_mount(&cmd);
    command_done(&cmd);
    return code;
}
