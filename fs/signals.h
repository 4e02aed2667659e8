// SPDX-License-Identifier: Apache-2.0
/* signals - one thread that takes every signal of the driver
 *
 * Role        SIGTERM, SIGINT: leave. The session's loop is ended; what happens next is main's.
 *             A second one, or no end `limit_ms` after the first: detach the mount and end the
 *             process at once, whatever it was waiting for.
 *             SIGHUP: open the log file again. SIGUSR2: the next log level, from error to debug and
 *             round again. SIGPIPE: ignored.
 * How         All of them are blocked in every thread; the signal thread takes them with sigwait,
 *             so no code runs in a signal handler. libfuse's loop sleeps in a semaphore: it is
 *             woken by SIGUSR1, whose handler does nothing, until it has noticed.
 * Locking     The struct's own lock; nothing but fuse_session_exit() is called under it.
 */
#ifndef OBSM_FS_SIGNALS_H
#define OBSM_FS_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct log;
struct signals;

/* Blocks the signals in the calling thread (those it starts later inherit that) and starts the
 * signal thread. Before a session is attached SIGTERM ends the process. The calling thread is the
 * one that will run the session's loop. -errno. */
int signals_start(struct log *log, const char *mountpoint, int64_t limit_ms, struct signals **ret);

/* From now on SIGTERM ends the loop of `se`, and this runtime file (or NULL) is removed on a forced
 * end. `se` = NULL: there is no loop to end any more. */
void signals_attach(struct signals *s, struct fuse_session *se, const char *runtime_path);

/* While leaving, `fn` is called now and then: it ends what the session's loop waits for. */
void signals_on_leave(struct signals *s, void (*fn)(void *arg), void *arg);

/* True once SIGTERM or SIGINT came. */
bool signals_leaving(struct signals *s);

/* Ends the thread. NULL is allowed. */
void signals_stop(struct signals *s);

#endif
