// SPDX-License-Identifier: Apache-2.0
// Attributes of the mount's root; see rootattr.h.
#include "fs/rootattr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/io.h"
#include "checkpoint/record.h"
#include "checkpoint/store.h"
#include "fs/note.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/base/log.h"

bool rootattr_is_local(const struct fs *fs)
{
    return fs->prefix[0] == 0;
}

static void root_path(const struct fs *fs, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/root", store_path(fs->store));
}

void rootattr_load(struct fs *fs)
{
    char path[PATH_MAX];
    CLEANUP_FREE uint8_t *p = NULL;
    size_t n = 0;
    struct obs_object object = {.mtime_ms = fs->start_s * 1000};
    root_path(fs, path);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    int rc = io_slurp(&io_real, fd, RECORD_ATTRS_MAX, &p, &n);
    if (rc == 0)
        rc = note_decode_props(p, n, &object.props);
    if (rc == 0)
        rc = inode_set_object_locked(fs, fs->root, &object);
    if (rc < 0)
        log_warning(fs->log, "mount", "'%s' cannot be read: %s, ignoring", path, err_text(rc));
    obs_props_clear(&object.props);
}

int rootattr_save_locked(struct fs *fs)
{
    char path[PATH_MAX];
    struct obs_props props = {0};
    CLEANUP_BUF struct buf out = BUF_INIT(RECORD_ATTRS_MAX);
    root_path(fs, path);
    int rc = inode_props_locked(fs, fs->root, "/", true, &props);
    if (rc == 0)
        rc = note_encode_props(&props, &out);
    if (rc == 0)
        rc = io_replace(&io_real, path, NULL, out.p, out.n);
    obs_props_clear(&props);
    return rc;
}
