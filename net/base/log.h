// SPDX-License-Identifier: Apache-2.0
/* log - one event, one line
 *
 * Role        Messages for the person who runs the mount: to stderr, a file or syslog. Only the
 *             layer that decides logs at LOG_WARNING or above (fs/, main); net/ and checkpoint/ log
 *             at debug level only and return a `struct err`.
 * Form        "subject: verb object: reason (key=value ...)", names in single quotes. A failure
 *             that is not the end of the matter ends in ", retrying in 2 s" or ", ignoring".
 * Safety      Control characters in a message are printed as '?', so that an object's name cannot
 *             forge a line. Callers never pass a secret.
 * Threads     Any. A line is written by one write(2), under the log's own lock (last in the order).
 */
#ifndef OBSM_BASE_LOG_H
#define OBSM_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "net/base/err.h"

/* syslog's numbers, so that a level is the same everywhere */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

struct log;

/* A log that writes to stderr at `level`. NULL when out of memory. */
struct log *log_new(enum log_level level);
void log_free(struct log *log);

/* From now on write to `path` (appended, created 0600). -errno when it cannot be opened; the log
 * then goes on as before. log_reopen() opens the same path again (after a rotation). */
int log_to_file(struct log *log, const char *path);
int log_reopen(struct log *log);

/* From now on write to syslog, facility daemon, under the name `ident` (must outlive the log). */
void log_to_syslog(struct log *log, const char *ident);

void log_set_level(struct log *log, enum log_level level);
enum log_level log_get_level(const struct log *log);

/* "error", "warning", "notice", "info", "debug" <-> level; -EINVAL for another word. */
int log_level_parse(const char *word, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

/* True if a message of `level` would be written: guards work that is only done for a message. */
bool log_on(const struct log *log, enum log_level level);

/* Writes one line. `log` may be NULL: nothing is written. */
void log_msg(struct log *log, enum log_level level, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes "subject: <formatted>: <e->msg> (code=.. http=.. request_id=..)". */
void log_err(struct log *log, enum log_level level, const char *subject, const struct err *e,
             const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#define log_error(log, subject, ...) log_msg(log, LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warning(log, subject, ...) log_msg(log, LOG_LEVEL_WARNING, subject, __VA_ARGS__)
#define log_notice(log, subject, ...) log_msg(log, LOG_LEVEL_NOTICE, subject, __VA_ARGS__)
#define log_info(log, subject, ...) log_msg(log, LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(log, subject, ...) log_msg(log, LOG_LEVEL_DEBUG, subject, __VA_ARGS__)

#endif
