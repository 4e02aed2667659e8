// SPDX-License-Identifier: Apache-2.0
// A file that is the whole of another object; see publish_impl.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/clone.h"
#include "fs/copy.h"
#include "fs/fetch.h"
#include "fs/inode.h"
#include "fs/publish_impl.h"
#include "fs/staged.h"
#include "fs/property.h"
#include "fs/transfer.h"
#include "net/digest.h"
#include "net/sse.h"

/* The clone that is all of the content and all of its object, or NULL. */
static struct clone *whole_of(const struct staged *st)
{
    struct clone *c = st->clones.n == 1 ? &st->clones.v[0] : NULL;
    return c && c->from == 0 && c->to == st->size && c->source == 0 && !c->lost &&
                   fetch_file_size(c->file) == st->size && st->size <= COPY_MAX &&
                   !imap_total(&st->have) && !st->n_punched && st->upload.state == UPLOAD_NONE
               ? c
               : NULL;
}

bool publish_copy_step(struct fs *fs, struct staged *st)
{
    char key[OBS_KEY_MAX + 1];
    const struct clone *c = whole_of(st);
    struct transfer *t = NULL;
    if (!c || st->hold_only)
        return false;
    int rc = inode_key_locked(fs, st->inode, key);
    if (rc == 0 && !(t = transfer_new_locked(fs, st, TRANSFER_COPY, key)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = fetch_file_name(c->file, &t->source_key, &t->etag);
    if (rc == 0)
        rc = publish_content_props(fs, st, key, &t->props);
    if (rc == 0) /* a copy has no use for it, and its answer must not be a redirection */
        (void)property_drop(&t->props, OBS_PROP_RAW, "success-action-redirect");
    if (rc < 0) {
        if (t)
            transfer_free_locked(t);
        publish_failed_errno(fs, st, rc, err_text(rc));
        return true;
    }
    t->cloned = true;
    t->size = st->size;
    t->gen = st->publish_gen;
    st->put_meta_gen = st->inode->meta_gen;
    st->final_request = true;
    transfer_start_locked(t);
    return true;
}

static void start_check(struct fs *fs, struct staged *st, const struct transfer *copy)
{
    struct transfer *t = transfer_new_locked(fs, st, TRANSFER_COPY_CHECK, copy->key);
    if (!t) {
        st->final_request = false;
        publish_failed_errno(fs, st, -ENOMEM, "out of memory");
        return;
    }
    memcpy(t->composite, copy->call.object.etag, sizeof(t->composite));
    t->size = copy->size;
    transfer_start_locked(t);
}

void publish_copy_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    unsigned char ours[DIGEST_MD5_SIZE], theirs[DIGEST_MD5_SIZE];
    const struct obs_object *object = &t->call.object;
    bool plain = !object->encrypted && !sse_encrypted(&st->sse) && etag_md5(t->etag, ours) == 0 &&
                 etag_md5(object->etag, theirs) == 0;
    if (!t->call.err.eno && !plain) { /* ETags that cannot be compared: the size is asked for */
        start_check(fs, st, t);
        return;
    }
    st->final_request = false;
    if (t->call.err.eno && clone_moved_locked(st, t)) {
        publish_step_locked(fs, st);
    } else if (t->call.err.eno) {
        clone_explain(&t->call.err);
        publish_failed(fs, st, &t->call.err);
    } else if (memcmp(ours, theirs, sizeof(ours)) != 0) {
        publish_failed_errno(fs, st, -EIO, "the copy on the server has another checksum");
    } else {
        publish_succeeded(fs, st, &t->call, object->etag, st->put_meta_gen, false);
    }
}

void publish_copy_check_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    const struct obs_object *object = &t->call.object;
    st->final_request = false;
    if (t->call.err.eno)
        publish_failed(fs, st, &t->call.err);
    else if (!etag_equal(object->etag, t->composite))
        publish_failed_errno(fs, st, -ESTALE, "another writer's newer object stands there");
    else if (object->size != t->size)
        publish_failed_errno(fs, st, -EIO, "the copy on the server has another size");
    else
        publish_succeeded(fs, st, &t->call, object->etag, st->put_meta_gen,
                          object->encrypted || sse_encrypted(&st->sse));
}
