// SPDX-License-Identifier: Apache-2.0
/* control_service - the commands of DLI groups and ModelArts ids
 *
 * Role        Executes a text that was written into dli/KIND/GROUP or modelarts/KIND/ID: what it
 *             names is stored first (fs/control_path.h), then the service is asked, and its answer
 *             becomes what reading the file gives.
 * Answer      One JSON object: the fields of the service's answer as it came, and "http_status",
 *             "request_id", "state", "time". A command that never reached the service has
 *             "error_code" (an errno's name) and "error_msg" instead.
 * Locking     fs->lock; dropped while files are stored and requests are under way.
 */
#ifndef OBSM_FS_CONTROL_SERVICE_H
#define OBSM_FS_CONTROL_SERVICE_H

#include "fs/control.h"

/* Lines of paths, or the request's JSON. */
int control_dli_locked(struct fs *fs, struct control_handle *h, const struct buf *text,
                       struct intr *intr, struct err *err);

/* "sync [wait] [PATH]". */
int control_modelarts_locked(struct fs *fs, struct control_handle *h, const struct buf *text,
                             struct intr *intr, struct err *err);

/* What is known of a command's outcome. */
struct control_answer {
    const char *text; /* the service's body, or NULL */
    size_t n_text;
    int http;
    const char *request_id;
    const char *state;       /* such as "READY" */
    char *const *open_files; /* paths that were not waited for */
    size_t n_open;
};

/* The text of an answer, malloc; NULL: out of memory. Pure but for the time. */
char *control_answer_text(const struct control_answer *answer, const struct err *err);

#endif
