// SPDX-License-Identifier: Apache-2.0
// Renaming a stored object; see rename.h.
#include "fs/rename.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/access.h"
#include "fs/copy.h"
#include "fs/crashpoint.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/mime.h"
#include "fs/moves.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "net/base/clock.h"

/* A content type that follows from the old name becomes that of the new one. S3 could do that only
 * by one more copy. */
static void follow_suffix(struct fs *fs, struct inode *inode, const char *from_key,
                          const char *to_key)
{
    const char *type = obs_props_get(&inode->other, OBS_PROP_RAW, "Content-Type");
    const char *now = mime_type(fs->mime, to_key);
    if (!S_ISREG(inode->attr.mode) || strcmp(now, mime_type(fs->mime, from_key)) == 0 ||
        (type && strcmp(type, mime_type(fs->mime, from_key)) != 0))
        return;
    (void)property_drop(&inode->other, OBS_PROP_RAW, "Content-Type");
    if (obs_dialect_of(fs->obs) != OBS_DIALECT_OBS)
        return;
    struct obs_props props = {0};
    struct obs_call call = {
        .op = OBS_SET_META, .key = to_key, .props = &props, .give_up_ms = FS_META_GIVE_UP_MS};
    if (obs_props_set(&props, OBS_PROP_RAW, "Content-Type", now) == 0)
        (void)request_run_locked(fs, &call, NULL, "rename"); /* the log says if it keeps its type */
    obs_call_clear(&call);
    obs_props_clear(&props);
}

/* Copies the object as it is and checks the copy. */
static int make_copy(struct fs *fs, struct inode *inode, const char *from_key, const char *to_key,
                     struct intr *intr, struct tree_object *old)
{
    char etag[OBS_ETAG_MAX], read_key[SSE_MD5_TEXT];
    struct obs_props all = {0};
    int rc = inode_props_locked(fs, inode, from_key, true, &all);
    if (rc == 0)
        rc = properties_for_copy(&all, &old->sse);
    if (rc == 0)
        rc = access_for_copy_locked(fs, inode, from_key, intr, &old->sse);
    obs_props_clear(&all);
    if (rc < 0)
        return rc;
    memcpy(read_key, inode->read_key, sizeof(read_key));
    const struct copy_object copy = {.from = from_key,
                                     .etag = old->etag,
                                     .size = inode->stored_size,
                                     .to = to_key,
                                     .encrypted = inode->encrypted,
                                     .sse = &old->sse,
                                     .read_key = encrypt_read_key_locked(inode) ? read_key : NULL};
    CRASH_POINT("rename.copy");
    rc = copy_object_locked(fs, &copy, intr, etag);
    CRASH_POINT("rename.copied");
    if (rc < 0)
        return rc;
    old->copy_etag = strdup(etag);
    return old->copy_etag ? 0 : -ENOMEM;
}

/* What is open is read from this object from now on. */
static void read_from(struct inode *inode, const char *key, const char *etag)
{
    if (inode->fetch)
        (void)fetch_file_rekey(inode->fetch, key, etag, inode->read_key);
}

/* The copy is there: the old object goes. If the service refuses that, the copy goes, or, when
 * another file stood in its place before, both stay. If nobody knows what became of the request, the
 * rename has happened, and a job asks again; without a ledger nobody does, and it is an error.
 * *ret_s: when the service answered (its time), or 0. */
static int delete_old(struct fs *fs, struct move *mv, struct inode *inode,
                      const struct tree_object *old, bool replaces, int64_t *ret_s)
{
    struct obs_call del = {.op = OBS_DELETE, .key = old->key};
    int rc = request_run_locked(fs, &del, NULL, "rename");
    *ret_s = del.server_time;
    CRASH_POINT("rename.deleted");
    obs_call_clear(&del);
    if (rc == 0) {
        moves_end_locked(fs, mv);
        CRASH_POINT("rename.ended");
        return 0;
    }
    if (rc != -EACCES && rc != -EPERM) {
        bool later = fs->moves;
        moves_leave_locked(fs, mv);
        return later ? 0 : rc;
    }
    read_from(inode, old->key, old->etag);
    if (!replaces)
        (void)moves_back_locked(fs, mv);
    moves_settle_locked(fs, mv);
    return rc;
}

/* The same content under a new name: what is cached of it stays. */
static int take_copy(struct inode *inode, const char *etag, int64_t stored_s)
{
    struct fetch_file *fetch = inode->fetch;
    inode->fetch = NULL;
    int rc = inode_set_version_locked(inode, etag, inode->stored_size, 0);
    inode->fetch = fetch;
    inode->stored_s = stored_s;
    inode->seen_ms = clock_ms();
    return rc;
}

int rename_keys_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                       char from_key[OBS_KEY_MAX + 1], char to_key[OBS_KEY_MAX + 1])
{
    int rc = inode_key_locked(fs, inode, from_key);
    return rc < 0 ? rc : inode_child_key_locked(fs, to, new_name, inode->is_dir, to_key);
}

int rename_object_locked(struct fs *fs, struct inode *inode, struct inode *to, const char *new_name,
                         bool replaces, struct intr *intr)
{
    char from_key[OBS_KEY_MAX + 1], to_key[OBS_KEY_MAX + 1];
    struct move *mv = NULL;
    int rc = rename_keys_locked(fs, inode, to, new_name, from_key, to_key);
    if (rc == 0)
        rc = encrypt_check_key_locked(fs, inode, "rename");
    if (rc == 0)
        rc = moves_clear_locked(fs, from_key, to_key, intr);
    if (rc == 0) /* a directory above may have moved meanwhile */
        rc = rename_keys_locked(fs, inode, to, new_name, from_key, to_key);
    if (rc == 0)
        rc = moves_begin_file_locked(fs, from_key, to_key, replaces, &mv);
    if (rc < 0)
        return rc;

    char etag[OBS_ETAG_MAX];
    struct tree_object old = {.key = from_key, .etag = etag};
    (void)snprintf(etag, sizeof(etag), "%s", inode->etag);
    rc = make_copy(fs, inode, from_key, to_key, intr, &old);
    bool copied = rc == 0;
    int64_t stored_s = 0;
    if (rc == 0)
        rc = moves_copied(fs, mv, &old);
    if (rc == 0)
        follow_suffix(fs, inode, from_key, to_key);
    if (rc == 0)
        rc = moves_delete_locked(fs, mv);
    CRASH_POINT("rename.checked");
    if (rc == 0) {
        read_from(inode, to_key, old.copy_etag);
        rc = delete_old(fs, mv, inode, &old, replaces, &stored_s);
    } else if (rc == -EINTR || rc == -ETIMEDOUT)
        moves_leave_locked(fs, mv); /* the copy may still be made */
    else
        moves_settle_locked(fs, mv);
    if (rc == 0)
        rc = take_copy(inode, old.copy_etag, stored_s);
    else
        to->list_start_ms = 0; /* a copy may be there */
    free(old.copy_etag);
    obs_props_clear(&old.sse);
    return rc == -EOPNOTSUPP && !copied ? -EXDEV : rc; /* mv then copies it by itself */
}
