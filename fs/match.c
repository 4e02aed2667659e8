// SPDX-License-Identifier: Apache-2.0
// Using the parts of a kept upload again; see match.h.
#include "fs/match.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/journal.h"
#include "checkpoint/recover.h"
#include "fs/crashpoint.h"
#include "fs/encrypt.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/note.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/request.h"
#include "fs/space.h"
#include "fs/worker.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/digest.h"

struct match {
    struct journal_state state;
    struct recover_listparts list;
};

void match_free_parts(struct recover_listed_part *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)v[i].etag);
    free(v);
}

void match_free(struct match *m)
{
    if (!m)
        return;
    state_done(&m->state);
    match_free_parts((struct recover_listed_part *)m->list.v, m->list.n);
    free(m);
}

/* Adds a page to the list. */
static int add_page(const struct obs_parts *page, struct recover_listed_part **v, size_t *n)
{
    struct recover_listed_part *more = realloc(*v, (*n + page->n + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    *v = more;
    for (size_t i = 0; i < page->n; i++) {
        char *etag = strdup(page->v[i].etag);
        if (!etag)
            return -ENOMEM;
        more[(*n)++] = (struct recover_listed_part){.part_no = page->v[i].part_no,
                                                    .size = page->v[i].size,
                                                    .etag = etag,
                                                    .modified_s = page->v[i].mtime_ms / 1000};
    }
    return 0;
}

int match_list_parts(struct fs *fs, const char *key, const char *upload_id,
                     struct recover_listed_part **ret_v, size_t *ret_n)
{
    struct recover_listed_part *v = NULL;
    size_t n = 0;
    uint32_t marker = 0;
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        struct obs_call call = {.op = OBS_MP_LIST_PARTS,
                                .key = key,
                                .upload_id = upload_id,
                                .part_marker = marker,
                                .give_up_ms = FS_META_GIVE_UP_MS};
        rc = obs_run(fs->obs, &call, NULL);
        if (rc < 0 && strcmp(call.err.code, "NoSuchBucket") == 0)
            rc = -EIO;
        if (rc == 0)
            rc = add_page(&call.parts, &v, &n);
        more = call.parts.truncated && call.parts.next_marker > marker;
        marker = call.parts.next_marker;
        obs_call_clear(&call);
    }
    if (rc < 0) {
        match_free_parts(v, n);
        return rc;
    }
    *ret_v = v;
    *ret_n = n;
    return 0;
}

/* Looking at a kept upload. */
struct look {
    struct job job;
    struct staged *st;
    struct match *match;
    uint64_t id; /* of the kept one */
    enum recover_match verdict;
};

/* The kept upload is encrypted as the new file is to be; st->sse is then what it was begun with. */
static bool same_encryption(struct fs *fs, struct staged *st, const struct journal_state *s)
{
    struct obs_props sent = {0};
    bool same = encrypt_choose_locked(fs, st->inode) == 0 &&
                note_decode_props(s->sent.p, s->sent.n, &sent) == 0 &&
                sse_same(&sent, &st->inode->other) && sse_copy(&st->sse, &sent) == 0;
    obs_props_clear(&sent);
    return same;
}

/* The new file goes on with the kept upload. */
static int take_over(struct fs *fs, struct staged *st, struct match **m)
{
    const struct journal_state *s = &(*m)->state;
    uint32_t n = 0;
    uint64_t *ends = calloc(s->n_parts + 1, sizeof(*ends));
    char *key = strdup(s->upload_key);
    if (!ends || !key) {
        free(ends);
        free(key);
        return -ENOMEM;
    }
    if (!same_encryption(fs, st, s)) {
        free(ends);
        free(key);
        return -EKEYREJECTED;
    }
    while (n < s->n_parts && s->parts[n].generation) {
        ends[n] = s->parts[n].offset + s->parts[n].size;
        n++;
    }
    int rc = plan_copy(&st->own_plan, &fs->plan);
    /* The last known part may have been cut at the end of the file: the plan does not need it. */
    if (rc == 0 && n > 1)
        rc = plan_set_ends(&st->own_plan, ends, n - 1);
    free(ends);
    if (rc < 0) {
        free(key);
        return rc;
    }
    st->plan = &st->own_plan;
    free(st->upload.key);
    st->upload.key = key;
    (void)snprintf(st->upload.id, sizeof(st->upload.id), "%s", s->upload_id);
    st->upload.state = UPLOAD_ACTIVE;
    st->upload.adopted = s->adopted;
    st->upload.encrypted = sse_encrypted(&st->sse);
    st->upload.begun_ms = clock_ms(); /* what stood there before is older: recover_match_upload() */
    st->upload.initiated_s = s->initiated_s;
    (void)snprintf(st->nonce, sizeof(st->nonce), "%s", s->nonce ? s->nonce : "");
    st->upload.meta_gen = st->inode->meta_gen - 1; /* its attributes are not known: send ours */
    st->match = *m;
    *m = NULL;
    struct obs_props sent = {0};
    (void)note_decode_props(s->sent.p, s->sent.n, &sent);
    note_initiated_locked(fs, st, s->initiated_s, &sent);
    obs_props_clear(&sent);
    CRASH_POINT("match.noted");
    return 0;
}

/* Parts begin where the kept upload's did: what was sealed by other boundaries is looked at anew.
 */
static void reseal(struct fs *fs, struct staged *st)
{
    size_t count = st->n_parts;
    free(st->parts);
    st->parts = NULL;
    st->n_parts = st->next_ready = 0;
    if (staged_plan_locked(fs, st, count) < 0)
        return; /* reported when it is published */
    for (size_t i = 0; i < st->n_parts; i++) {
        struct part *p = &st->parts[i];
        if (p->offset + p->size < st->size &&
            imap_covers(&st->have, p->offset, p->offset + p->size))
            p->state = PART_READY;
    }
}

struct match *match_adopted(const struct recover_adopt *a, const struct recover_listparts *list)
{
    struct match *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    if (recover_adopted_state(a, list, &m->state) < 0) {
        free(m);
        return NULL;
    }
    m->list = *list;
    return m;
}

const struct journal_state *match_state(const struct match *m)
{
    return &m->state;
}

int match_take_over_locked(struct fs *fs, struct staged *st, struct match **m)
{
    int rc = take_over(fs, st, m);
    if (rc == 0)
        reseal(fs, st);
    return rc;
}

/* The journal that knew of the upload goes only when the new one is on the disk. Drops the lock. */
static void sync_taken_over(struct fs *fs, struct staged *st)
{
    struct journal *journal = journal_ref(st->journal);
    if (!journal)
        return;
    st->upload.state = UPLOAD_INITIATING; /* nothing goes on meanwhile */
    fs_unlock(fs);
    int rc = journal_sync(journal);
    journal_close(journal);
    fs_lock(fs);
    st->upload.state = UPLOAD_ACTIVE;
    st->upload.durable = rc == 0;
    if (rc < 0)
        note_failure_locked(fs, st, "sync", rc);
}

static void look_end(struct fs *fs, struct look *look)
{
    struct staged *st = look->st;
    struct kept *k;
    for (k = fs->kept; k && k->id != look->id; k = k->next)
        continue;

    st->upload.state = UPLOAD_NONE;
    if (st->state != STAGED_DEAD && k && look->verdict == MATCH_REUSE &&
        take_over(fs, st, &look->match) == 0) {
        sync_taken_over(fs, st);
        for (k = fs->kept; k && k->id != look->id; k = k->next)
            continue;
        log_info(fs->log, "checkpoint", "'%s' goes on with kept upload %llu", st->upload.key,
                 (unsigned long long)look->id);
        if (k)
            kept_drop_locked(fs, k, false);
        CRASH_POINT("match.taken_over");
        if (st->state != STAGED_DEAD)
            reseal(fs, st);
    } else if (k && look->verdict == MATCH_ABORT) {
        kept_drop_locked(fs, k, true);
    }
    st->users--;
    if (st->state == STAGED_DEAD) {
        staged_reap_locked(fs, st);
        return;
    }
    publish_part_ready_locked(fs, st);
    publish_step_locked(fs, st);
}

static void look_run(struct fs *fs, struct job *job)
{
    struct look *look = (struct look *)job;
    const struct journal_state *s = &look->match->state;
    struct recover_listed_part *v = NULL;
    struct obs_call call;

    int rc = request_look(fs, &call, s->upload_key);
    struct recover_head head = {.answer = rc == 0         ? ANSWER_FOUND
                                          : rc == -ENOENT ? ANSWER_GONE
                                                          : ANSWER_ERROR,
                                .upload_id = call.object.upload_id,
                                .nonce = "",
                                .etag = call.object.etag,
                                .size = call.object.size,
                                .modified_s = call.object.mtime_ms / 1000};
    rc = match_list_parts(fs, s->upload_key, s->upload_id, &v, &look->match->list.n);
    look->match->list.v = v;
    look->match->list.answer = rc == 0 ? ANSWER_FOUND : rc == -ENOENT ? ANSWER_GONE : ANSWER_ERROR;
    look->verdict = recover_match_upload(s, &head, &look->match->list);
    obs_call_clear(&call);

    fs_lock(fs);
    look_end(fs, look);
    fs_unlock(fs);
    match_free(look->match);
    free(look);
}

/* What an upload was begun with it keeps: the new file must be about to send the same. */
static bool same_properties(struct fs *fs, const struct staged *st, const char *key,
                            const struct journal_state *s)
{
    struct obs_props sent = {0}, ours = {0};
    if (!s->sent.n) /* of a driver that did not note it */
        return st->inode->settings.n == 0;
    bool same = note_decode_props(s->sent.p, s->sent.n, &sent) == 0 &&
                inode_props_locked(fs, st->inode, key, true, &ours) == 0 &&
                properties_same(&sent, &ours);
    obs_props_clear(&sent);
    obs_props_clear(&ours);
    return same;
}

bool match_start_locked(struct fs *fs, struct staged *st, const char *key)
{
    struct kept *k = kept_find_locked(fs, key);
    st->matched = true;
    if (!k || !same_properties(fs, st, key, &k->state))
        return false;
    struct look *look = calloc(1, sizeof(*look));
    struct match *m = calloc(1, sizeof(*m));
    if (!look || !m || state_copy(&m->state, &k->state) < 0) {
        free(look);
        match_free(m);
        return false;
    }
    *look = (struct look){.job = {.fn = look_run}, .st = st, .match = m, .id = k->id};
    st->users++;
    st->upload.state = UPLOAD_INITIATING;
    worker_submit_locked(fs, &look->job);
    return true;
}

/* Hashing a part. */
struct compare {
    struct job job;
    struct staged *st;
    size_t part;
    uint64_t gen;
    uint64_t offset, size;
};

int match_hash_range(int fd, uint64_t off, uint64_t n, unsigned char md5[32])
{
    enum { CHUNK = 256 << 10 };
    struct digest *d = digest_new(DIGEST_MD5);
    char *buf = malloc(CHUNK);
    int rc = d && buf ? 0 : -ENOMEM;
    while (rc == 0 && n > 0) {
        ssize_t got = pread(fd, buf, n < CHUNK ? (size_t)n : CHUNK, (off_t)off);
        if (got <= 0)
            rc = got < 0 ? -errno : -EIO;
        else
            rc = digest_add(d, buf, (size_t)got);
        if (rc == 0) {
            off += (uint64_t)got;
            n -= (uint64_t)got;
        }
    }
    if (rc == 0)
        rc = digest_end(d, md5);
    free(buf);
    digest_free(d);
    return rc;
}

static void compare_end(struct fs *fs, struct compare *c, int rc, const unsigned char *md5)
{
    struct staged *st = c->st;
    struct part *p = &st->parts[c->part];
    const struct state_part *same = NULL;

    st->users--;
    st->inflight--;
    fs->transfers--;
    p->under_way = false;
    if (st->state == STAGED_DEAD) {
        staged_reap_locked(fs, st);
        return;
    }
    if (p->state != PART_SENDING || p->gen != c->gen || !st->match) {
        if (p->state == PART_SENDING)
            p->state = PART_READY;
    } else {
        if (rc == 0)
            same = recover_match_part(&st->match->state, &st->match->list, c->offset, c->size, md5);
        if (same) {
            (void)snprintf(p->etag, sizeof(p->etag), "%s", same->etag);
            memcpy(p->md5, md5, sizeof(p->md5));
            p->has_crc64 = same->has_crc64;
            p->crc64 = same->crc64;
            note_part_locked(fs, st, c->part);
            p->state = PART_STORED;
            p->stored_seq = ++fs->space->stored_seq;
        } else {
            p->differs = true;
            p->state = PART_READY;
        }
    }
    st->next_ready = 0;
    publish_part_ready_locked(fs, st);
    publish_step_locked(fs, st);
}

static void compare_run(struct fs *fs, struct job *job)
{
    struct compare *c = (struct compare *)job;
    unsigned char md5[DIGEST_SIZE_MAX];
    int rc = match_hash_range(c->st->fd, c->offset, c->size, md5);
    fs_lock(fs);
    compare_end(fs, c, rc, md5);
    publish_pump_locked(fs);
    fs_unlock(fs);
    free(c);
}

bool match_part_locked(struct fs *fs, struct staged *st, size_t idx)
{
    struct part *p = &st->parts[idx];
    uint32_t no;
    uint64_t size;
    if (!st->match || p->differs || !imap_covers(&st->have, p->offset, p->offset + p->size) ||
        !recover_match_boundary(&st->match->state, p->offset, &no, &size) || no != idx + 1 ||
        size != p->size)
        return false;
    struct compare *c = calloc(1, sizeof(*c));
    if (!c)
        return false;
    *c = (struct compare){.job = {.fn = compare_run},
                          .st = st,
                          .part = idx,
                          .gen = p->gen,
                          .offset = p->offset,
                          .size = p->size};
    p->state = PART_SENDING;
    p->under_way = true;
    st->users++;
    st->inflight++;
    fs->transfers++;
    worker_submit_locked(fs, &c->job);
    return true;
}
