// SPDX-License-Identifier: Apache-2.0
// Uploads that only the server knows; see adopt.h.
#include "fs/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "checkpoint/recover.h"
#include "fs/crashpoint.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/match.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/publish_impl.h"
#include "fs/request.h"
#include "fs/worker.h"
#include "net/base/log.h"
#include "net/digest.h"

struct search {
    struct job job;
    struct staged *st;
    char *key;
    char *own_id;
    int64_t server_s;
    struct obs_entry *v; /* uploads of the key; entries are owned */
    size_t n;
    struct match *found;
    uint64_t bytes; /* that it has */
};

static void search_free(struct search *s)
{
    struct obs_list list = {.v = s->v, .n = s->n};
    struct obs_call call = {.list = list};
    obs_call_clear(&call);
    match_free(s->found);
    free(s->key);
    free(s->own_id);
    free(s);
}

static bool is_property(const struct obs_prop *p, const char *name)
{
    return p->kind == OBS_PROP_HEADER && strcasecmp(p->name, name) == 0;
}

/* Everything that the object is to have can be given to it afterwards. */
static bool may_be_dressed(struct fs *fs, struct staged *st, const char *key)
{
    struct obs_props props = {0};
    bool may = inode_props_locked(fs, st->inode, key, true, &props) == 0;
    for (size_t i = 0; may && i < props.n; i++) {
        const struct obs_prop *p = &props.v[i];
        may = p->kind != OBS_PROP_HEADER || is_property(p, "acl") ||
              is_property(p, "storage-class") || is_property(p, "website-redirect-location");
    }
    obs_props_clear(&props);
    return may;
}

/* --- looking for one, without the lock --- */

/* Moves the entries of exactly this key out of a page. */
static int take_page(struct search *s, struct obs_list *page)
{
    struct obs_entry *more = realloc(s->v, (s->n + page->n + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    s->v = more;
    for (size_t i = 0; i < page->n; i++) {
        if (page->v[i].is_prefix || strcmp(page->v[i].key, s->key) != 0)
            continue;
        s->v[s->n++] = page->v[i];
        page->v[i] = (struct obs_entry){0};
    }
    return 0;
}

/* All pages; -E2BIG after so many that it is not worth the while. */
static int list_uploads(struct fs *fs, struct search *s)
{
    enum { PAGES_MAX = 10 };
    char *key = NULL, *id = NULL;
    bool more = true;
    int rc = 0;
    for (int page = 0; rc == 0 && more; page++) {
        struct obs_call call = {.op = OBS_MP_LIST_UPLOADS,
                                .prefix = s->key,
                                .marker = key,
                                .upload_id_marker = id,
                                .give_up_ms = FS_META_GIVE_UP_MS};
        rc = page < PAGES_MAX ? obs_run(fs->obs, &call, NULL) : -E2BIG;
        if (rc == 0)
            rc = take_page(s, &call.list);
        if (call.server_time)
            s->server_s = call.server_time;
        more = call.list.truncated;
        free(key);
        free(id);
        key = call.list.next_marker ? strdup(call.list.next_marker) : NULL;
        id = call.list.next_upload_id_marker ? strdup(call.list.next_upload_id_marker) : NULL;
        more = more && key;
        obs_call_clear(&call);
    }
    free(key);
    free(id);
    return rc;
}

/* A journal of this mount has it. */
static bool known_here(struct fs *fs, const char *id)
{
    bool known = false;
    fs_lock(fs);
    const struct kept *k;
    DL_FOREACH (fs->kept, k) {
        known = known || (k->state.upload_id && strcmp(k->state.upload_id, id) == 0);
        for (uint32_t i = 0; i < k->state.n_stale; i++)
            known = known || strcmp(k->state.stale[i].upload_id, id) == 0;
    }
    const struct staged *st;
    DL_FOREACH (fs->staged, st)
        known = known || strcmp(st->upload.id, id) == 0;
    known = known || transfer_aborts_locked(fs, id);
    fs_unlock(fs);
    return known;
}

/* The file begins as the upload does: it is another try of the same, and its ETags are MD5s. */
static bool begins_alike(struct fs *fs, struct search *s, const struct match *m)
{
    unsigned char md5[DIGEST_SIZE_MAX];
    const struct state_part *p = &match_state(m)->parts[0];
    fs_lock(fs);
    bool there = s->st->state != STAGED_DEAD && s->st->size >= p->size &&
                 imap_covers(&s->st->have, 0, p->size);
    fs_unlock(fs);
    return there && match_hash_range(s->st->fd, 0, p->size, md5) == 0 &&
           memcmp(md5, p->md5, DIGEST_MD5_SIZE) == 0;
}

static void look_at(struct fs *fs, struct search *s, const struct obs_entry *own,
                    const struct obs_entry *e, const struct recover_head *head)
{
    struct recover_listed_part *v = NULL;
    size_t n = 0;
    struct recover_adopt a = {
        .key = s->key,
        .upload_id = e->upload_id,
        .initiator = e->initiator,
        .storage_class = e->storage_class,
        .initiated_s = e->mtime_ms / 1000,
        .own_upload_id = s->own_id,
        .own_initiator = own->initiator,
        .own_storage_class = own->storage_class,
        .server_s = s->server_s,
        .known = known_here(fs, e->upload_id),
    };
    if (match_list_parts(fs, s->key, e->upload_id, &v, &n) < 0)
        return;
    struct recover_listparts list = {.answer = ANSWER_FOUND, .v = v, .n = n};
    struct match *m = NULL;
    if (recover_may_adopt(&a, head, &list))
        m = match_adopted(&a, &list);
    if (!m) {
        match_free_parts(v, n);
        return;
    }
    uint64_t bytes = state_stored_bytes(match_state(m));
    if (bytes <= s->bytes || !begins_alike(fs, s, m)) {
        match_free(m);
        return;
    }
    match_free(s->found);
    s->found = m;
    s->bytes = bytes;
}

static void search_all(struct fs *fs, struct search *s)
{
    const struct obs_entry *own = NULL;
    if (list_uploads(fs, s) < 0)
        return;
    for (size_t i = 0; i < s->n; i++)
        own = strcmp(s->v[i].upload_id, s->own_id) == 0 ? &s->v[i] : own;
    if (!own || s->n < 2)
        return;
    struct obs_call call;
    int rc = request_look(fs, &call, s->key);
    struct recover_head head = {.answer = rc == 0         ? ANSWER_FOUND
                                          : rc == -ENOENT ? ANSWER_GONE
                                                          : ANSWER_ERROR,
                                .modified_s = call.object.mtime_ms / 1000};
    for (size_t i = 0; i < s->n && head.answer != ANSWER_ERROR; i++)
        look_at(fs, s, own, &s->v[i], &head);
    obs_call_clear(&call);
}

static void search_end(struct fs *fs, struct search *s)
{
    struct staged *st = s->st;
    st->users--;
    st->upload.state = UPLOAD_ACTIVE;
    if (st->state != STAGED_DEAD && s->found) {
        CRASH_POINT("adopt.found");
        uint64_t bytes = s->bytes;
        if (match_take_over_locked(fs, st, &s->found) == 0) {
            log_notice(fs->log, "checkpoint", "'%s' goes on with upload %s, which has %llu bytes",
                       s->key, st->upload.id, (unsigned long long)bytes);
            transfer_abort_staged_locked(fs, st, s->key, s->own_id);
            CRASH_POINT("adopt.taken_over");
        }
    }
    if (st->state == STAGED_DEAD) {
        staged_reap_locked(fs, st);
        return;
    }
    publish_part_ready_locked(fs, st);
    publish_step_locked(fs, st);
}

static void search_run(struct fs *fs, struct job *job)
{
    struct search *s = (struct search *)job;
    search_all(fs, s);
    fs_lock(fs);
    search_end(fs, s);
    fs_unlock(fs);
    search_free(s);
}

bool adopt_start_locked(struct fs *fs, struct staged *st)
{
    if (!fs->opt->adopt_uploads || st->adopt_looked || st->match || st->n_punched ||
        st->upload.encrypted || !may_be_dressed(fs, st, st->upload.key))
        return false;
    st->adopt_looked = true;
    struct search *s = calloc(1, sizeof(*s));
    if (!s)
        return false;
    s->key = strdup(st->upload.key);
    s->own_id = strdup(st->upload.id);
    if (!s->key || !s->own_id) {
        search_free(s);
        return false;
    }
    s->job.fn = search_run;
    s->st = st;
    st->users++;
    st->upload.state = UPLOAD_INITIATING;
    worker_submit_locked(fs, &s->job);
    return true;
}

/* --- afterwards --- */

int adopt_props(const struct obs_props *final, struct obs_props *meta, struct obs_props *acl)
{
    int rc = obs_props_set(acl, OBS_PROP_HEADER, "acl", "private");
    for (size_t i = 0; rc == 0 && i < final->n; i++) {
        const struct obs_prop *p = &final->v[i];
        if (is_property(p, "acl"))
            rc = obs_props_set(acl, p->kind, p->name, p->value);
        else if (p->kind != OBS_PROP_HEADER || is_property(p, "website-redirect-location"))
            rc = obs_props_set(meta, p->kind, p->name, p->value);
    }
    return rc;
}

/* It was completed: nothing of it can be used any more. */
static void forget_upload(struct staged *st)
{
    free(st->upload.key);
    st->upload = (struct upload){0};
    for (size_t i = 0; i < st->n_parts; i++)
        st->parts[i].state = PART_OPEN;
}

static int start_dress(struct fs *fs, struct staged *st, enum transfer_kind kind, const char *etag)
{
    struct obs_props final = {0}, meta = {0}, acl = {0};
    struct transfer *t = transfer_new_locked(fs, st, kind, st->upload.key);
    int rc = t ? inode_props_locked(fs, st->inode, st->upload.key, true, &final) : -ENOMEM;
    if (rc == 0)
        rc = adopt_props(&final, &meta, &acl);
    if (rc == 0)
        rc = obs_props_copy(&t->props, kind == TRANSFER_DRESS_META ? &meta : &acl);
    obs_props_clear(&final);
    obs_props_clear(&meta);
    obs_props_clear(&acl);
    if (rc < 0) {
        if (t)
            transfer_free_locked(t);
        return rc;
    }
    (void)snprintf(t->answered, sizeof(t->answered), "%s", etag);
    st->put_meta_gen = st->inode->meta_gen;
    st->final_request = true;
    transfer_start_locked(t);
    return 0;
}

bool adopt_dress_locked(struct fs *fs, struct staged *st, const struct obs_object *object)
{
    if (!st->upload.adopted)
        return false;
    st->upload.state = UPLOAD_COMPLETING;
    int rc = start_dress(fs, st, TRANSFER_DRESS_META, object->etag);
    if (rc < 0) {
        forget_upload(st);
        publish_failed_errno(fs, st, rc, err_text(rc));
    }
    return true;
}

void adopt_dress_answer(struct fs *fs, struct staged *st, struct transfer *t)
{
    int rc = t->call.err.eno;
    st->final_request = false;
    if (rc == 0 && t->kind == TRANSFER_DRESS_META) {
        rc = start_dress(fs, st, TRANSFER_DRESS_ACL, t->answered);
        if (rc == 0)
            return;
        err_set(&t->call.err, rc, "%s", err_text(rc));
    }
    forget_upload(st);
    if (rc == 0)
        publish_succeeded(fs, st, &t->call, t->answered, st->put_meta_gen, false);
    else
        publish_failed(fs, st, &t->call.err);
}
