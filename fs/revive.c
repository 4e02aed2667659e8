// SPDX-License-Identifier: Apache-2.0
// Unfinished files back in the mount; see revive.h.
#include "fs/revive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/store.h"
#include "fs/crashpoint.h"
#include "fs/dir.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/names.h"
#include "fs/note.h"
#include "fs/notify.h"
#include "fs/ops_stale.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/space.h"
#include "fs/staged.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* The directory of a component, made as an implicit one if the bucket has nothing there. */
static int step_into(struct fs *fs, struct inode *dir, const char *name, struct inode **ret)
{
    int rc = dir_lookup_locked(fs, dir, name, NULL, ret);
    if (rc == 0)
        return (*ret)->is_dir ? 0 : -ENOTDIR;
    if (rc != -ENOENT)
        return rc;
    struct inode *gone = inode_child_locked(dir, name);
    if (gone)
        inode_detach_locked(fs, gone);
    struct inode *made = inode_add_locked(fs, dir, name, INODE_STORED);
    if (!made)
        return -ENOMEM;
    made->is_dir = true;
    made->changed_ms = clock_ms();
    *ret = made;
    return inode_set_implicit_locked(fs, made);
}

/* The inode for the key, LOCAL if nothing is stored there. */
static int find_place(struct fs *fs, const char *key, struct inode **ret)
{
    char path[OBS_KEY_MAX + 1];
    size_t skip = strlen(fs->prefix);
    if (strncmp(key, fs->prefix, skip) != 0 || !names_key_ok(key + skip, strlen(key + skip)))
        return -EINVAL;
    (void)snprintf(path, sizeof(path), "%s", key + skip);

    struct inode *dir = fs->root;
    char *name = path;
    for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        *slash = 0;
        struct inode *next;
        inode_pin_locked(dir);
        int rc = step_into(fs, dir, name, &next);
        inode_unpin_locked(fs, dir);
        if (rc < 0)
            return rc;
        dir = next;
    }
    inode_pin_locked(dir);
    int rc = dir_lookup_locked(fs, dir, name, NULL, ret);
    if (rc == -ENOENT) {
        struct inode *gone = inode_child_locked(dir, name);
        if (gone)
            inode_detach_locked(fs, gone);
        *ret = inode_add_locked(fs, dir, name, INODE_LOCAL);
        rc = *ret ? 0 : -ENOMEM;
    }
    inode_unpin_locked(fs, dir);
    return rc;
}

static int load_attrs(struct fs *fs, struct inode *inode, const struct journal_state *s)
{
    const struct state_attrs *a = s->final_attrs.n ? &s->final_attrs : &s->attrs;
    struct obs_object object = {.size = s->size, .mtime_ms = fs->start_s * 1000};
    int rc = note_decode_props(a->p, a->n, &object.props);
    if (rc == 0)
        rc = inode_set_object_locked(fs, inode, &object);
    obs_props_clear(&object.props);
    inode->attr_known = rc == 0;
    inode->times_set = true;
    inode->meta_gen++;
    inode->changed_ms = inode->seen_ms = clock_ms();
    return rc;
}

static int load_map(struct staged *st, const struct journal_state *s)
{
    int rc = 0;
    if (!s->has_map)
        rc = imap_add(&st->have, 0, s->size);
    for (size_t i = 0; rc == 0 && s->has_map && i < s->map.n; i++)
        rc = imap_add(&st->have, s->map.v[i].off, s->map.v[i].end);
    for (size_t i = 0; rc == 0 && i < s->punched.n; i++)
        rc = imap_remove(&st->have, s->punched.v[i].off, s->punched.v[i].end);
    return rc;
}

/* Properties were changed after the upload was begun: it has to begin anew. */
static bool begun_with_others(struct fs *fs, const struct inode *inode,
                              const struct journal_state *s)
{
    struct obs_props sent = {0}, ours = {0};
    bool differ = s->sent.n && note_decode_props(s->sent.p, s->sent.n, &sent) == 0 &&
                  inode_props_locked(fs, inode, s->upload_key, true, &ours) == 0 &&
                  !properties_same(&sent, &ours);
    obs_props_clear(&sent);
    obs_props_clear(&ours);
    return differ;
}

/* The digests of what is to be sent, for as far as the parts of a new upload are the same. */
static int load_digests(struct fs *fs, struct staged *st, const struct recover_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_parts; i++) {
        const struct recover_part *from = &plan->parts[i];
        uint64_t off, full;
        if (!from->has_md5 || from->source != SOURCE_STAGING ||
            plan_part(st->plan, from->part_no, &off, &full) < 0 || off != from->offset ||
            (from->size != full && off + from->size != st->size))
            continue;
        int rc = staged_plan_locked(fs, st, from->part_no);
        if (rc < 0)
            return rc;
        struct part *p = &st->parts[from->part_no - 1];
        memcpy(p->md5, from->md5, sizeof(p->md5));
        p->hashed = from->size;
    }
    return 0;
}

/* Parts with the boundaries of the upload; those that the service has are stored. */
static int load_parts(struct fs *fs, struct staged *st, const struct journal_state *s,
                      const struct recover_plan *plan)
{
    if (plan->restart || !s->upload_id || plan->n_parts == 0)
        return load_digests(fs, st, plan);
    uint64_t *ends = calloc(plan->n_parts, sizeof(*ends));
    if (!ends)
        return -ENOMEM;
    for (uint32_t i = 0; i < plan->n_parts; i++)
        ends[i] = plan->parts[i].offset + plan->parts[i].size;
    int rc = plan_copy(&st->own_plan, &fs->plan);
    if (rc == 0 && plan->n_parts > 1)
        rc = plan_set_ends(&st->own_plan, ends, plan->n_parts - 1);
    free(ends);
    if (rc < 0)
        return rc;
    st->plan = &st->own_plan;
    rc = staged_plan_locked(fs, st, plan->n_parts);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < plan->n_parts; i++) {
        const struct recover_part *from = &plan->parts[i];
        struct part *p = &st->parts[i];
        const struct state_part *known = i < s->n_parts ? &s->parts[i] : NULL;
        p->size = from->size;
        p->gen = known && known->generation ? known->generation : st->gen;
        if (from->source == SOURCE_STAGING && from->has_md5) {
            memcpy(p->md5, from->md5, sizeof(p->md5));
            p->hashed = from->size;
        }
        if (from->source != SOURCE_SERVER)
            continue;
        p->state = PART_STORED;
        p->stored_seq = ++fs->space->stored_seq;
        p->punched = ranges_touches(&s->punched, p->offset, p->offset + p->size);
        st->n_punched += p->punched;
        p->copied = known && known->copied;
        p->has_crc64 = known && known->has_crc64;
        p->crc64 = known ? known->crc64 : 0;
        (void)snprintf(p->etag, sizeof(p->etag), "%s", from->etag);
        if (from->has_md5)
            memcpy(p->md5, from->md5, sizeof(p->md5));
        else
            st->upload.encrypted = true; /* the composite ETag can't be known */
    }
    st->upload.key = strdup(s->upload_key);
    if (!st->upload.key)
        return -ENOMEM;
    (void)snprintf(st->upload.id, sizeof(st->upload.id), "%s", s->upload_id);
    rc = note_decode_props(s->sent.p, s->sent.n, &st->sse);
    if (rc < 0)
        return rc;
    st->upload.encrypted |= sse_encrypted(&st->sse);
    st->upload.state = UPLOAD_ACTIVE;
    st->upload.adopted = s->adopted;
    st->upload.begun_ms = clock_ms(); /* what stands there now is older: the plan has asked */
    st->upload.initiated_s = s->initiated_s;
    st->upload.outdated = !st->n_punched && begun_with_others(fs, st->inode, s);
    (void)snprintf(st->nonce, sizeof(st->nonce), "%s", s->nonce ? s->nonce : "");
    st->upload.meta_gen =
        st->inode->meta_gen - 1; /* the final attributes are sent after Complete */
    return 0;
}

static int load_staged(struct fs *fs, struct inode *inode, uint64_t id,
                       const struct journal_state *s, const struct recover_plan *plan)
{
    struct staged *st = calloc(1, sizeof(*st));
    if (!st)
        return -ENOMEM;
    st->id = id;
    st->start_ms = clock_ms();
    st->inode = inode;
    st->size = s->size;
    st->base_len =
        s->base_key && s->base_key[0] ? (s->base_size < s->size ? s->base_size : s->size) : 0;
    st->gen = 1;
    st->plan = &fs->plan;
    st->sealed = st->had_journal = true;
    st->based = s->base_key && s->base_key[0];
    st->acknowledged = state_acknowledged(s);
    imap_init(&st->have);
    for (uint32_t i = 0; i < s->n_parts; i++)
        st->gen = s->parts[i].generation > st->gen ? s->parts[i].generation : st->gen;

    st->fd = store_data_open(fs->store, id, false);
    int rc = st->fd < 0
                 ? st->fd
                 : journal_open(&io_real, store_path(fs->store), id, &st->journal, NULL, NULL);
    if (rc == 0)
        rc = load_map(st, s);
    inode->staged = st;
    inode_pin_locked(inode);
    DL_APPEND(fs->staged, st);
    size_t n;
    const struct imap_range *v = imap_ranges(&st->have, &n);
    for (size_t i = 0; i < n; i++)
        space_force_locked(fs, st, v[i].from, v[i].to - v[i].from);
    if (rc == 0)
        rc = load_parts(fs, st, s, plan);
    if (rc < 0) {
        st->keep = true;
        st->upload.state = UPLOAD_NONE;
        staged_drop_locked(fs, inode, rc);
    }
    return rc;
}

int revive_file(struct fs *fs, uint64_t id, const struct journal_state *s,
                const struct recover_plan *plan)
{
    struct inode *inode;
    struct stale_list list = {0};
    fs_lock(fs);
    int rc = find_place(fs, s->key, &inode);
    if (rc == 0 && (inode->staged || inode->is_dir || inode->nwriters)) {
        /* When the new content is stored, the older one goes, with its upload. */
        log_notice(fs->log, "recovery", "'%s' is being written anew: the older content waits",
                   s->key);
        kept_add_locked(fs, id);
        fs_unlock(fs);
        return rc;
    }
    if (rc == 0) /* the kernel may know that there is nothing, or something else */
        stale_add_name(fs, &list, inode->parent, inode->name, false);
    if (rc == 0 && inode->state == INODE_STORED && (inode->nlookup || inode->nopen)) {
        /* Another content is another inode: those who have the old one keep it. */
        struct inode *dir = inode->parent;
        char name[NAMES_COMPONENT_MAX + 1];
        (void)snprintf(name, sizeof(name), "%s", inode->name);
        bool based = s->base_key && s->base_key[0];
        struct inode *old = inode;
        inode_pin_locked(old);
        inode_detach_locked(fs, old);
        inode = inode_add_locked(fs, dir, name, based ? INODE_STORED : INODE_LOCAL);
        rc = inode ? 0 : -ENOMEM;
        if (rc == 0 && based)
            rc = inode_set_version_locked(inode, old->etag, old->stored_size, old->remote_ms);
        inode_unpin_locked(fs, old);
    }
    if (rc == 0)
        rc = load_attrs(fs, inode, s);
    if (rc == 0)
        rc = load_staged(fs, inode, id, s, plan);
    if (rc == 0) /* the kernel may have looked before: the old version, or nothing */
        notify_entry_locked(fs, inode->parent, inode->name);
    CRASH_POINT("revive.loaded");
    if (rc == 0)
        (void)publish_locked(fs, inode, NULL);
    CRASH_POINT("revive.published");
    fs_unlock(fs);
    stale_send(fs, &list);
    return rc == -ENOTDIR || rc == -EINVAL || rc == -ENOMEM || rc == 0 ? rc : -EAGAIN;
}
