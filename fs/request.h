// SPDX-License-Identifier: Apache-2.0
/* request - requests that a thread waits for
 *
 * Role        Runs one or many calls with fs->lock dropped, for operations of the name space.
 */
#ifndef OBSM_FS_REQUEST_H
#define OBSM_FS_REQUEST_H

#include "fs/fs.h"
#include "net/obs.h"

/* Sends the call and waits, the lock dropped meanwhile. A failure other than EINTR and ENOENT is
 * logged with `what`. Returns call->err.eno or -EINTR. The caller clears the call. */
int request_run_locked(struct fs *fs, struct obs_call *call, struct intr *intr, const char *what);

/* A batch: `next` makes the i-th call (0: made; 1: there are no more; -errno: stop), `end` takes
 * its answer (under no lock; 0, or -errno: stop). At most `width` run at the same time. Returns the
 * first failure; calls that run then are awaited. The lock is dropped meanwhile. */
struct request_batch {
    int (*next)(void *arg, size_t i, struct obs_call *call);
    int (*end)(void *arg, size_t i, struct obs_call *call);
    void *arg;
    size_t width;
};
int request_batch_locked(struct fs *fs, const struct request_batch *batch, struct intr *intr);

/* HEAD, LIST: we have not the right to ask for that. */
bool request_refused(const struct obs_call *call);

/* HEAD of `key` into *call, or where that is refused a listing of it, since who only stores need not
 * have the right to read. Waits, without the lock. call->err.eno; the caller clears the call. */
int request_look(struct fs *fs, struct obs_call *call, const char *key);

/* Makes of the listing of `key` (prefix = key, one entry) what HEAD would have answered as far as it
 * says so: size, ETag, time; or -ENOENT. A listing that has failed stays as it is. */
void request_take_listed(struct obs_call *call, const char *key);

#endif
