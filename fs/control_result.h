// SPDX-License-Identifier: Apache-2.0
/* control_result - what the service answered to the last upload of a file
 *
 * Role        user.obs.result: the answer of the request that stored a file, or of the one that
 *             failed, as the SDKs' uploadFile returns it. Remembered for the last RESULTS_MAX files
 *             of the mount, under the object's key.
 * JSON        status, reason, requestId, indicator, header [[name, value]..], body {etag, bucket, key,
 *             location, versionId, sseKms, sseKmsKey, sseC, sseCKeyMd5, objectUrl}; after a failure
 *             also errorCode, errorMessage, hostId, resource. body is null for a status of 300 or
 *             more; what the service did not say is null in it.
 * Locking     everything under fs->lock.
 */
#ifndef OBSM_FS_CONTROL_RESULT_H
#define OBSM_FS_CONTROL_RESULT_H

#include "fs/fs.h"
#include "net/base/buf.h"

enum { RESULTS_MAX = 1024 };

struct results;

/* The request that stores the file, or one without which it cannot be stored, was answered. Without
 * memory it is not remembered. `redirect`: the file has the property success_action_redirect. */
void result_note_locked(struct fs *fs, const struct obs_call *call, bool redirect);

/* Appends the JSON. -ENODATA: nothing is remembered of that key. -ENOMEM. */
int result_get_locked(struct fs *fs, const char *key, struct buf *out);

void results_free(struct results *results);

/* Pure: the JSON of an answer. */
struct result {
    const char *bucket, *key, *url;
    int status;
    struct err err; /* eno 0: it succeeded */
    bool multipart;
    bool redirect; /* success_action_redirect is a property of the file */
    const char *etag, *version_id, *host_id, *resource;
    const char *fields; /* "name: value" lines, or NULL */
};
int result_format(const struct result *r, struct buf *out);

#endif
