// SPDX-License-Identifier: Apache-2.0
// Log lines to stderr, a file or syslog; see log.h.
#include "net/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

struct log {
    atomic_int level;
    pthread_mutex_t lock; /* below: under lock */
    int fd;               /* stderr or the file */
    char *path;           /* of the file, NULL otherwise */
    const char *ident;    /* not NULL: syslog */
};

struct log *log_new(enum log_level level)
{
    struct log *log = calloc(1, sizeof(*log));
    if (!log)
        return NULL;

    atomic_init(&log->level, (int)level);
    pthread_mutex_init(&log->lock, NULL);
    log->fd = STDERR_FILENO;
    return log;
}

void log_free(struct log *log)
{
    if (!log)
        return;

    if (log->fd != STDERR_FILENO)
        close(log->fd);
    if (log->ident)
        closelog();
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
}

static int open_file(struct log *log, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;

    pthread_mutex_lock(&log->lock);
    int old = log->fd;
    log->fd = fd;
    log->ident = NULL;
    pthread_mutex_unlock(&log->lock);
    if (old != STDERR_FILENO)
        close(old);
    return 0;
}

int log_to_file(struct log *log, const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;

    int rc = open_file(log, path);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    free(log->path);
    log->path = copy;
    return 0;
}

int log_reopen(struct log *log)
{
    return log->path ? open_file(log, log->path) : 0;
}

void log_to_syslog(struct log *log, const char *ident)
{
    pthread_mutex_lock(&log->lock);
    log->ident = ident;
    openlog(ident, LOG_PID, LOG_DAEMON);
    pthread_mutex_unlock(&log->lock);
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store(&log->level, (int)level);
}

enum log_level log_get_level(const struct log *log)
{
    return (enum log_level)atomic_load(&log->level);
}

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
    [LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

int log_level_parse(const char *word, enum log_level *ret_level)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcasecmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_on(const struct log *log, enum log_level level)
{
    return log && (int)level <= atomic_load(&log->level);
}

static void write_line(struct log *log, enum log_level level, const char *subject, char *text)
{
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }

    char line[LINE_MAX_BYTES + 128];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    int n = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: %s\n",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000000, level_names[level], subject, text);
    if (n >= (int)sizeof(line))
        n = (int)sizeof(line) - 1;

    pthread_mutex_lock(&log->lock);
    if (log->ident)
        syslog((int)level, "%s: %s", subject, text);
    else
        (void)!write(log->fd, line, (size_t)n);
    pthread_mutex_unlock(&log->lock);
}

void log_msg(struct log *log, enum log_level level, const char *subject, const char *fmt, ...)
{
    if (!log_on(log, level))
        return;

    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    write_line(log, level, subject, text);
}

void log_err(struct log *log, enum log_level level, const char *subject, const struct err *e,
             const char *fmt, ...)
{
    if (!log_on(log, level))
        return;

    char what[LINE_MAX_BYTES / 2];
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    (void)snprintf(text, sizeof(text), "%s: %s (errno=%s code=%s http=%d request_id=%s)", what,
                   e->msg[0] ? e->msg : err_text(e->eno), err_name(e->eno),
                   e->code[0] ? e->code : "-", e->http, e->request_id[0] ? e->request_id : "-");
    write_line(log, level, subject, text);
}
