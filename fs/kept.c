// SPDX-License-Identifier: Apache-2.0
// Uploads without a writer; see kept.h.
#include "fs/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/recover.h"
#include "checkpoint/store.h"
#include "fs/crashpoint.h"
#include "fs/errors.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/space.h"
#include "fs/transfer.h"
#include "net/base/clock.h"
#include "net/base/log.h"

void kept_add_locked(struct fs *fs, uint64_t id)
{
    struct kept *k = calloc(1, sizeof(*k));
    int rc = k ? journal_read(&io_real, store_path(fs->store), id, &k->state, NULL, NULL) : -ENOMEM;
    if (rc < 0 || !k->state.key) {
        log_warning(fs->log, "checkpoint", "upload %llu cannot be read: %s, left as it is",
                    (unsigned long long)id, err_text(rc));
        if (k)
            state_done(&k->state);
        free(k);
        return;
    }
    k->id = id;
    char path[PATH_MAX];
    struct stat data;
    store_data_path(fs->store, id, path);
    if (stat(path, &data) == 0)
        k->data_bytes = (uint64_t)data.st_blocks * 512;
    space_kept_locked(fs, k->data_bytes, 0);
    k->failed_ms = clock_ms();
    DL_APPEND(fs->kept, k);
    log_notice(fs->log, "checkpoint", "upload %llu of '%s' is kept: %llu bytes are stored",
               (unsigned long long)id, k->state.key,
               (unsigned long long)state_stored_bytes(&k->state));
}

static const char *meant_for(const struct kept *k)
{
    return k->state.upload_key ? k->state.upload_key : k->state.key;
}

struct kept *kept_find_locked(struct fs *fs, const char *key)
{
    struct kept *k;
    DL_FOREACH (fs->kept, k) {
        if (k->state.upload_id && strcmp(meant_for(k), key) == 0 && state_stored_bytes(&k->state))
            return k;
    }
    return NULL;
}

void kept_drop_locked(struct fs *fs, struct kept *k, bool abort)
{
    struct obs_props begun = {0};
    (void)note_begun_props(&k->state, &begun);
    if (abort && k->state.upload_id)
        transfer_abort_upload_locked(fs, k->id, k->state.upload_key, k->state.upload_id, &begun);
    for (uint32_t i = 0; abort && i < k->state.n_stale; i++)
        transfer_abort_upload_locked(fs, k->id, k->state.stale[i].key, k->state.stale[i].upload_id,
                                     &begun);
    obs_props_clear(&begun);
    CRASH_POINT("kept.abort");
    (void)transfer_remove_files_locked(fs, k->id);
    CRASH_POINT("kept.removed");
    space_kept_locked(fs, 0, k->data_bytes);
    DL_DELETE(fs->kept, k);
    state_done(&k->state);
    free(k);
}

void kept_drop_data_locked(struct fs *fs, struct kept *k)
{
    char path[PATH_MAX];
    store_data_path(fs->store, k->id, path);
    if (unlink(path) < 0)
        log_warning(fs->log, "checkpoint", "remove '%s': %s", path, err_text(errno));
    uint64_t less = k->data_bytes;
    k->data_bytes = 0;
    space_kept_locked(fs, 0, less);
}

void kept_superseded_locked(struct fs *fs, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    struct kept *k, *tmp;
    if (!fs->kept || inode_key_locked(fs, inode, key) < 0)
        return;
    DL_FOREACH_SAFE (fs->kept, k, tmp) {
        if (strcmp(meant_for(k), key) == 0)
            kept_drop_locked(fs, k, true);
    }
}

void kept_expire_locked(struct fs *fs)
{
    size_t n = 0, i = 0;
    struct kept *k, *tmp;
    DL_COUNT(fs->kept, k, n);
    struct recover_kept *v = n ? calloc(n, sizeof(*v)) : NULL;
    if (!v)
        return;
    DL_FOREACH (fs->kept, k) {
        v[i++] = (struct recover_kept){
            .id = k->id,
            .bytes = state_stored_bytes(&k->state),
            .interrupted_s = k->state.interrupted ? k->state.interrupted_s : k->state.last_server_s,
            .acknowledged = state_acknowledged(&k->state)};
    }
    recover_choose_expired(v, n, fs->server_s, fs->opt->keep_interrupted / 1000,
                           fs->opt->keep_interrupted_max, fs->may_expire);
    i = 0;
    DL_FOREACH_SAFE (fs->kept, k, tmp) {
        if (!v[i++].expire)
            continue;
        struct err err;
        err_set(
            &err, -ETIMEDOUT,
            "dropped: it was kept for as long, or beside as many bytes, as keep_interrupted and "
            "keep_interrupted_max say");
        log_err(fs->log, LOG_LEVEL_NOTICE, "checkpoint", &err, "upload %llu of '%s'",
                (unsigned long long)k->id, k->state.key);
        errors_add(fs->errors, "checkpoint", k->state.key, &err);
        kept_drop_locked(fs, k, true);
    }
    free(v);
}

void kept_done(struct fs *fs)
{
    struct kept *k, *tmp;
    DL_FOREACH_SAFE (fs->kept, k, tmp) {
        state_done(&k->state);
        free(k);
    }
    fs->kept = NULL;
}
