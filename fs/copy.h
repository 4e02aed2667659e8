// SPDX-License-Identifier: Apache-2.0
/* copy - copies on the server
 *
 * Role        Copies one object to another key without moving bytes through this machine: one
 *             request up to COPY_MAX; above that, and where the service does not copy an object that
 *             way, a multipart upload of copied parts.
 * Checks      A copy counts only when the answer has an ETag (net/obs.h), equal to that of the
 *             source where both are plain MD5s, and a HEAD then shows an object with that ETag and
 *             the size of the source: there are services that answer 200 to a copy and do nothing.
 */
#ifndef OBSM_FS_COPY_H
#define OBSM_FS_COPY_H

#include "fs/fs.h"
#include "net/obs.h"

/* One CopyObject takes at most 5 GiB (OBS API: copying an object). */
#define COPY_MAX ((uint64_t)5 << 30)

/* True if one request copies an object of that size. OBSM_COPY_MAX in the environment lowers the
 * limit, OBSM_COPY_PART the size of a part, in a build with OBSM_TEST_HOOKS. */
bool copy_in_one(uint64_t size);

struct copy_object {
    const char *from;
    const char *etag; /* of the source: another version is refused (-ESTALE) */
    uint64_t size;
    const char *to;
    bool encrypted; /* ETags cannot be compared */
    const struct obs_props *
        sse; /* how the copy is encrypted, and what else it would lose (fs/properties.h); NULL: the bucket's defaults */
    const char *read_key;          /* of the source, see obs_call */
    const struct obs_props *props; /* of the copy; NULL: those of the source. In parts only */
};

/* Copies with metadata; ret_etag gets the new object's ETag. -EOPNOTSUPP: the service does not copy
 * this object. Drops the lock while it waits. */
int copy_object_locked(struct fs *fs, const struct copy_object *c, struct intr *intr,
                       char ret_etag[OBS_ETAG_MAX]);

#endif
