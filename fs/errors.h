// SPDX-License-Identifier: Apache-2.0
/* errors - the last failures of a mount
 *
 * Role        A ring of the last ERRORS_MAX failures: what was tried on which path, and all that is
 *             known of the reason. The control file `errors` shows it. Who reports a failure to the
 *             log reports it here too.
 * Locking     Everything under fs->lock.
 */
#ifndef OBSM_FS_ERRORS_H
#define OBSM_FS_ERRORS_H

#include <stdint.h>
#include <time.h>

#include "net/base/buf.h"
#include "net/base/err.h"

enum { ERRORS_MAX = 256, ERRORS_PATH_MAX = 256 };

struct errors;

struct error_entry {
    struct timespec when; /* real time */
    char op[24];
    char path[ERRORS_PATH_MAX]; /* cut at the end if it is longer */
    struct err err;
};

/* NULL: out of memory. */
struct errors *errors_new(void);
void errors_free(struct errors *errors);

/* Notes a failure. `path` is a path inside the mount or a key; it and `err` are copied. An `err`
 * that is no failure is not noted. `errors` may be NULL. */
void errors_add(struct errors *errors, const char *op, const char *path, const struct err *err);

/* How many there were in all, also those that the ring has lost. `errors` may be NULL. */
uint64_t errors_count(const struct errors *errors);

/* One line each, the oldest first. */
int errors_dump(const struct errors *errors, struct buf *out);

/* The same time as text: "2024-10-15T07:20:09.123Z". */
void errors_time(const struct timespec *when, char out[32]);

/* Appends `text` in double quotes: '"', '\' and control characters as in JSON. */
int errors_quote(struct buf *out, const char *text);

#endif
