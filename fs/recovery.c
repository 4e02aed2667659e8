// SPDX-License-Identifier: Apache-2.0
// Carrying out recovery plans; see recovery.h. Bringing a file back into the mount is in revive.c.
#include "fs/recovery.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "checkpoint/journal.h"
#include "checkpoint/recover.h"
#include "checkpoint/store.h"
#include "fs/adopt.h"
#include "fs/attr.h"
#include "fs/attrcache.h"
#include "fs/crashpoint.h"
#include "fs/errors.h"
#include "fs/kept.h"
#include "fs/match.h"
#include "fs/mime.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/orphans.h"
#include "fs/properties.h"
#include "fs/publish.h"
#include "fs/request.h"
#include "fs/revive.h"
#include "fs/staged.h"
#include "fs/timer.h"
#include "fs/transfer.h"
#include "fs/worker.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/digest.h"

struct recovery {
    struct job job;
    struct store_entry *v;
    size_t n;
    int64_t not_before_ms;
    bool asked; /* by a command: counts in fs->reviving */
};

/* What is known of one journal; owns what the facts point to. */
struct facts {
    struct recover_facts f;
    struct journal_state state;
    struct journal_report report;
    struct obs_call head;
    struct recover_listed_part *listed;
    size_t n_listed;
    enum recover_hash *hashes;
};

static void facts_done(struct facts *k)
{
    state_done(&k->state);
    obs_call_clear(&k->head);
    match_free_parts(k->listed, k->n_listed);
    free(k->hashes);
}

static enum recover_answer answer_of(int rc, const struct err *err)
{
    if (rc == 0)
        return ANSWER_FOUND;
    return rc == -ENOENT && strcmp(err->code, "NoSuchBucket") != 0 ? ANSWER_GONE : ANSWER_ERROR;
}

static int hash_sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct digest *d = arg;
    int rc = off == 0 ? digest_reset(d) : 0; /* also when it comes from the start again */
    return rc < 0 ? rc : digest_add(d, p, n);
}

/* An encrypted object's ETag is not its MD5: whether it is what a single PUT has sent, its content
 * tells. s->final_etag, the MD5 of the staging, then becomes its ETag. */
static void find_same_content(struct fs *fs, struct facts *k)
{
    struct journal_state *s = &k->state;
    const struct obs_object *object = &k->head.object;
    unsigned char md5[DIGEST_SIZE_MAX], ours[DIGEST_MD5_SIZE];
    if (s->phase != PHASE_COMPLETING || s->final_parts || !object->encrypted ||
        object->size != s->size || !s->final_etag || etag_md5(s->final_etag, ours) < 0)
        return;
    struct digest *d = digest_new(DIGEST_MD5);
    if (!d || digest_reset(d) < 0) {
        digest_free(d);
        return;
    }
    struct obs_call get = {.op = OBS_GET,
                           .key = s->final_key,
                           .if_match = object->etag,
                           .sink = hash_sink,
                           .sink_arg = d,
                           .give_up_ms = FS_META_GIVE_UP_MS};
    bool same = obs_run(fs->obs, &get, NULL) == 0 && digest_end(d, md5) == 0 &&
                memcmp(md5, ours, sizeof(ours)) == 0;
    char *etag = same ? strdup(object->etag) : NULL;
    if (etag) {
        free(s->final_etag);
        s->final_etag = etag;
    }
    obs_call_clear(&get);
    digest_free(d);
}

static void ask_head(struct fs *fs, struct facts *k)
{
    const struct journal_state *s = &k->state;
    obs_call_clear(&k->head);
    const char *key = s->final_key ? s->final_key : s->key;
    int rc = request_look(fs, &k->head, key);
    const char *nonce = obs_props_get(&k->head.object.props, OBS_PROP_META, ATTR_UPLOAD_META);
    k->f.head = (struct recover_head){.answer = answer_of(rc, &k->head.err),
                                      .upload_id = k->head.object.upload_id,
                                      .nonce = nonce ? nonce : "",
                                      .etag = k->head.object.etag,
                                      .size = k->head.object.size,
                                      .modified_s = k->head.object.mtime_ms / 1000};
    if (k->head.server_time)
        k->f.server_s = k->head.server_time;
    if (rc == 0)
        find_same_content(fs, k);
}

static void ask_parts(struct fs *fs, struct facts *k)
{
    match_free_parts(k->listed, k->n_listed);
    k->listed = NULL;
    k->n_listed = 0;
    int rc =
        match_list_parts(fs, k->state.upload_key, k->state.upload_id, &k->listed, &k->n_listed);
    k->f.list = (struct recover_listparts){
        .answer = rc == 0         ? ANSWER_FOUND
                  : rc == -ENOENT ? ANSWER_GONE
                                  : ANSWER_ERROR,
        .v = k->listed,
        .n = k->n_listed,
    };
}

/* Compares the staging of the plan's parts with the MD5 that the journal has of them. */
static int rehash(struct fs *fs, struct facts *k, const struct recover_plan *plan, uint64_t id)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < plan->n_parts; i++)
        most = plan->parts[i].part_no > most ? plan->parts[i].part_no : most;
    enum recover_hash *hashes = calloc(most + 1, sizeof(*hashes));
    if (!hashes)
        return -ENOMEM;
    int fd = store_data_open(fs->store, id, false);
    for (uint32_t i = 0; i < plan->n_parts; i++) {
        const struct recover_part *p = &plan->parts[i];
        unsigned char md5[DIGEST_SIZE_MAX];
        if (!p->rehash)
            continue;
        int rc = fd < 0 ? fd : match_hash_range(fd, p->offset, p->size, md5);
        hashes[p->part_no - 1] = rc < 0                                      ? HASH_UNREADABLE
                                 : memcmp(md5, p->md5, DIGEST_MD5_SIZE) == 0 ? HASH_MATCH
                                                                             : HASH_MISMATCH;
    }
    if (fd >= 0)
        close(fd);
    free(k->hashes);
    k->hashes = hashes;
    k->f.staging.hashes = hashes;
    k->f.staging.n_hashes = most;
    return 0;
}

/* A single PUT was about to be sent, or was sent: its ETag is the MD5 of the staging, by which our
 * own object is told from that of somebody else. */
static void find_single_etag(struct fs *fs, struct facts *k, uint64_t id)
{
    struct journal_state *s = &k->state;
    unsigned char md5[DIGEST_SIZE_MAX];
    char text[2 * DIGEST_MD5_SIZE + 1];
    if (s->phase != PHASE_COMPLETING || s->final_parts || (s->final_etag && *s->final_etag) ||
        k->f.staging.size < s->size)
        return;
    int fd = store_data_open(fs->store, id, false);
    if (fd < 0)
        return;
    if (match_hash_range(fd, 0, s->size, md5) == 0) {
        for (size_t i = 0; i < DIGEST_MD5_SIZE; i++)
            (void)snprintf(text + 2 * i, 3, "%02x", md5[i]);
        char *etag = strdup(text);
        if (etag) {
            free(s->final_etag);
            s->final_etag = etag;
        }
    }
    close(fd);
}

/* Asks for what the plan needs until it needs nothing more. */
static int decide(struct fs *fs, struct facts *k, uint64_t id, struct recover_plan *plan)
{
    for (int round = 0; round < 4; round++) {
        int rc = recover_plan(&k->f, plan);
        if (rc < 0 || !(plan->need & (NEED_HEAD | NEED_LISTPARTS | NEED_REHASH)))
            return rc;
        if (plan->need & NEED_HEAD)
            ask_head(fs, k);
        if (plan->need & NEED_LISTPARTS)
            ask_parts(fs, k);
        rc = plan->need & NEED_REHASH ? rehash(fs, k, plan, id) : 0;
        recover_plan_done(plan);
        if (rc < 0)
            return rc;
    }
    return -EIO;
}

/* Nobody knows with which attributes the upload was begun: all of them are sent. */
static int send_all_attrs(struct fs *fs, const struct journal_state *s)
{
    struct obs_props props = {0}, meta = {0}, acl = {0};
    int rc = note_decode_props(s->final_attrs.p, s->final_attrs.n, &props);
    if (rc == 0)
        rc = adopt_props(&props, &meta, &acl);
    for (int i = 0; i < 2 && rc == 0; i++) {
        struct obs_call call = {.op = i ? OBS_SET_ACL : OBS_SET_META,
                                .key = s->final_key,
                                .props = i ? &acl : &meta,
                                .replace = i == 0,
                                .give_up_ms = FS_META_GIVE_UP_MS};
        rc = obs_run(fs->obs, &call, NULL);
        obs_call_clear(&call);
    }
    obs_props_clear(&props);
    obs_props_clear(&meta);
    obs_props_clear(&acl);
    return rc;
}

/* Our object stands there; attributes that came later are sent. */
static int send_final_attrs(struct fs *fs, const struct journal_state *s)
{
    struct obs_props props = {0};
    int rc = note_decode_props(s->final_attrs.p, s->final_attrs.n, &props);
    struct obs_call call = {
        .op = OBS_SET_META, .key = s->final_key, .props = &props, .give_up_ms = FS_META_GIVE_UP_MS};
    if (rc == 0 && obs_dialect_of(fs->obs) == OBS_DIALECT_S3) {
        call.op = OBS_COPY;
        call.source_key = s->final_key;
        call.replace = true;
        if (rc == 0 && !obs_props_get(&props, OBS_PROP_RAW, "Content-Type"))
            rc = obs_props_set(&props, OBS_PROP_RAW, "Content-Type",
                               mime_type(fs->mime, s->final_key));
        if (rc == 0 && s->nonce && *s->nonce) /* should we come here again */
            rc = obs_props_set(&props, OBS_PROP_META, ATTR_UPLOAD_META, s->nonce);
    } else {
        properties_keep_metadata(&props);
    }
    if (rc == 0 && s->final_attrs.n > 0)
        rc = obs_run(fs->obs, &call, NULL);
    obs_call_clear(&call);
    obs_props_clear(&props);
    fs_lock(fs);
    attrcache_forget_key_locked(fs, s->final_key);
    fs_unlock(fs);
    return rc;
}

static void abort_uploads(struct fs *fs, uint64_t id, const struct journal_state *s,
                          const struct recover_plan *plan)
{
    struct obs_props begun = {0};
    (void)note_begun_props(s, &begun);
    fs_lock(fs);
    for (uint32_t i = 0; i < plan->n_aborts; i++)
        transfer_abort_upload_locked(fs, id, plan->aborts[i].key, plan->aborts[i].upload_id,
                                     &begun);
    fs_unlock(fs);
    obs_props_clear(&begun);
}

static int remove_files(struct fs *fs, uint64_t id)
{
    fs_lock(fs);
    int rc = transfer_remove_files_locked(fs, id);
    fs_unlock(fs);
    return rc;
}

/* Bad news stand among the errors, and in the journal, so that the list of uploads has them too. */
static void tell(struct fs *fs, struct facts *k, uint64_t id, const struct recover_plan *plan)
{
    struct err err;
    const struct recover_head *h = &k->f.head;
    bool theirs = plan->action == RECOVER_CONFLICT || plan->why == WHY_THEIRS;
    int eno = theirs ? ESTALE : plan->why == WHY_FAILED ? 0 : plan->eno; /* that was told before */
    if (plan->why == WHY_EXPIRED && k->f.opt.keep_interrupted_s > 0)
        eno = ETIMEDOUT;
    if (!eno)
        return;
    err_set(&err, -eno, "%s", recover_why_text(plan->why));
    errors_add(fs->errors, "recovery", k->state.key ? k->state.key : "?", &err);
    bool is_noted = k->state.failed && (k->state.conflict || plan->action != RECOVER_CONFLICT);
    if (is_noted || (plan->action != RECOVER_KEEP && plan->action != RECOVER_CONFLICT))
        return;
    bool found = h->answer == ANSWER_FOUND;
    struct journal *j;
    struct record recs[] = {
        {.type = RECORD_FAILED,
         .failed = {.eno = (uint32_t)eno, .message = err.msg, .server_s = k->f.server_s}},
        {.type = RECORD_CONFLICT,
         .conflict = {.etag = found ? h->etag : "",
                      .upload_id = found ? h->upload_id : "",
                      .modified_s = found ? h->modified_s : 0,
                      .server_s = k->f.server_s}}};
    int rc = journal_open(&io_real, store_path(fs->store), id, &j, NULL, NULL);
    if (rc == 0) {
        rc = journal_write(j, recs, plan->action == RECOVER_CONFLICT ? 2 : 1);
        journal_close(j);
    }
    if (rc < 0)
        log_warning(fs->log, "recovery", "upload %llu: note the failure: %s",
                    (unsigned long long)id, err_text(rc));
}

/* Returns -EAGAIN if it has to be tried again later. */
static int carry_out(struct fs *fs, struct facts *k, uint64_t id, const struct recover_plan *plan)
{
    int rc = 0;
    log_notice(fs->log, "recovery", "upload %llu of '%s': %s (%s)", (unsigned long long)id,
               k->state.key ? k->state.key : "?", recover_action_name(plan->action),
               recover_why_text(plan->why));
    CRASH_POINT("recovery.decided");
    tell(fs, k, id, plan);
    abort_uploads(fs, id, &k->state, plan);
    CRASH_POINT("recovery.aborted");
    switch (plan->action) {
    case RECOVER_WAIT:
        return -EAGAIN;
    case RECOVER_RESUME:
    case RECOVER_COMPLETE:
        return revive_file(fs, id, &k->state, plan);
    case RECOVER_ALREADY_COMPLETE:
        if (k->state.adopted)
            rc = send_all_attrs(fs, &k->state);
        else if (plan->send_attrs)
            rc = send_final_attrs(fs, &k->state);
        CRASH_POINT("recovery.attributes");
        if (rc == 0)
            (void)remove_files(fs, id);
        return rc < 0 ? -EAGAIN : 0;
    case RECOVER_ABORT:
    case RECOVER_DISCARD:
        return remove_files(fs, id);
    case RECOVER_KEEP:
    case RECOVER_CONFLICT:
        break;
    }
    fs_lock(fs);
    kept_add_locked(fs, id);
    fs_unlock(fs);
    return 0;
}

static enum on_conflict on_conflict(const struct fs *fs)
{
    switch (fs->opt->on_conflict) {
    case OPTION_CONFLICT_KEEP_MINE:
        return ON_CONFLICT_KEEP_MINE;
    case OPTION_CONFLICT_KEEP_THEIRS:
        return ON_CONFLICT_KEEP_THEIRS;
    default:
        return ON_CONFLICT_ERROR;
    }
}

/* An Initiate may have left an upload that no journal names. The journal stays until that is known.
 */
static int clear_windows(struct fs *fs, const struct facts *k, uint64_t id,
                         const struct recover_plan *plan)
{
    bool goes = plan->action == RECOVER_ABORT || plan->action == RECOVER_DISCARD ||
                plan->action == RECOVER_ALREADY_COMPLETE;
    if (!(plan->need & NEED_LISTUPLOADS) || plan->action == RECOVER_WAIT)
        return 0;
    int rc = orphans_recover(fs, id, &k->state);
    if (rc < 0)
        log_warning(fs->log, "recovery", "upload %llu: the uploads of '%s' cannot be listed: %s",
                    (unsigned long long)id, k->state.key ? k->state.key : "?", err_text(rc));
    return rc < 0 && goes ? -EAGAIN : 0;
}

static int recover_one(struct fs *fs, const struct store_entry *e)
{
    struct facts k = {0};
    struct recover_plan plan = {0};
    if (!e->has_journal)
        return store_remove(fs->store, e->id);

    CRASH_POINT("recovery.begin");
    int rc = journal_read(&io_real, store_path(fs->store), e->id, &k.state, &k.report, NULL);
    if (rc == -ENODATA && e->data_size == 0) {
        (void)store_remove(fs->store, e->id);
        rc = 0;
        goto out;
    }
    if (rc < 0)
        goto out;
    k.f = (struct recover_facts){
        .state = &k.state,
        .report = &k.report,
        .staging = {.exists = e->has_data, .size = e->data_size},
        .server_s = fs->server_s,
        .boot_id = fs->boot_id,
        .opt = {.keep_interrupted_s = fs->opt->keep_interrupted / 1000,
                .on_conflict = on_conflict(fs),
                .last_complete_wins = obs_dialect_of(fs->obs) == OBS_DIALECT_S3,
                .expire = fs->may_expire,
                .part_min = fs->plan.min_part,
                .part_max = PLAN_PART_MAX},
    };
    find_single_etag(fs, &k, e->id);
    rc = decide(fs, &k, e->id, &plan);
    if (rc == 0)
        rc = clear_windows(fs, &k, e->id, &plan);
    if (rc == 0)
        rc = carry_out(fs, &k, e->id, &plan);
    recover_plan_done(&plan);
out:
    if (rc < 0 && rc != -EAGAIN)
        log_error(fs->log, "recovery", "upload %llu: %s, left as it is", (unsigned long long)e->id,
                  err_text(rc));
    facts_done(&k);
    return rc;
}

static bool stopping(struct fs *fs)
{
    fs_lock(fs);
    bool yes = fs->stopping;
    fs_unlock(fs);
    return yes;
}

/* Takes over what another round has left. Without memory that waits for the next mount. */
static void join_waiting(struct recovery *r, struct recovery *other)
{
    if (!other)
        return;
    struct store_entry *v = realloc(r->v, (r->n + other->n) * sizeof(*v));
    if (v) {
        memcpy(v + r->n, other->v, other->n * sizeof(*v));
        r->v = v;
        r->n += other->n;
    }
    free(other->v);
    free(other);
}

/* One round over all that are left; what must wait stays in the list. */
static void run(struct fs *fs, struct job *job)
{
    struct recovery *r = (struct recovery *)job;
    size_t left = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (stopping(fs) || recover_one(fs, &r->v[i]) == -EAGAIN)
            r->v[left++] = r->v[i];
    }
    r->n = left;
    fs_lock(fs);
    if (r->asked)
        fs->reviving--;
    r->asked = false;
    if (left && !fs->stopping) {
        join_waiting(r, fs->recovery);
        fs->recovery = r;
        r->not_before_ms = clock_ms() + RECOVERY_RETRY_MS;
        timer_wake_locked(fs, r->not_before_ms);
        r = NULL;
    } else {
        kept_expire_locked(fs);
    }
    if (!publish_busy_locked(fs))
        waitlist_finish_locked(fs, &fs->idle, 0);
    fs_unlock(fs);
    if (r) {
        free(r->v);
        free(r);
    }
}

int64_t recovery_run_locked(struct fs *fs, int64_t now_ms)
{
    struct recovery *r = fs->recovery;
    if (!r)
        return INT64_MAX;
    if (r->not_before_ms > now_ms)
        return r->not_before_ms;
    fs->recovery = NULL;
    worker_submit_locked(fs, &r->job);
    return INT64_MAX;
}

void recovery_done(struct fs *fs)
{
    if (fs->recovery)
        free(fs->recovery->v);
    free(fs->recovery);
    fs->recovery = NULL;
}

/* What the state directory has of one upload. */
static struct recovery *recovery_of(struct fs *fs, uint64_t id)
{
    struct recovery *r = calloc(1, sizeof(*r));
    if (r)
        r->v = calloc(1, sizeof(*r->v));
    if (!r || !r->v) {
        free(r);
        return NULL;
    }
    struct stat file;
    char path[PATH_MAX];
    store_data_path(fs->store, id, path);
    *r->v = (struct store_entry){.id = id, .has_journal = true};
    if (stat(path, &file) == 0) {
        r->v->has_data = true;
        r->v->data_size = (uint64_t)file.st_size;
    }
    r->n = 1;
    r->job.fn = run;
    r->asked = true;
    return r;
}

static int note_again(struct fs *fs, const struct kept *k, bool seal, uint64_t size)
{
    const struct journal_state *s = &k->state;
    struct journal *j;
    struct record recs[2] = {{.type = RECORD_RESUMED},
                             {.type = RECORD_SEALED,
                              .sealed = {.size = size,
                                         .reason = SEAL_PUBLISH,
                                         .server_s = fs->server_s,
                                         .attrs = {.p = s->attrs.p, .n = s->attrs.n}}}};
    int rc = journal_open(&io_real, store_path(fs->store), k->id, &j, NULL, NULL);
    if (rc < 0)
        return rc;
    rc = journal_append(j, recs, seal && s->phase == PHASE_OPEN ? 2 : 1);
    journal_close(j);
    return rc;
}

int recovery_again_locked(struct fs *fs, struct kept *k, bool seal, struct err *err)
{
    struct recovery *r = recovery_of(fs, k->id);
    int rc = r ? note_again(fs, k, seal, r->v->data_size) : -ENOMEM;
    if (rc < 0) {
        if (r)
            free(r->v);
        free(r);
        return err_set(err, rc, "upload %llu: %s", (unsigned long long)k->id, err_text(rc));
    }
    DL_DELETE(fs->kept, k);
    state_done(&k->state);
    free(k);
    fs->reviving++;
    worker_submit_locked(fs, &r->job);
    return 0;
}

void recovery_start(struct fs *fs)
{
    struct err err = {0};
    struct recovery *r = calloc(1, sizeof(*r));
    int rc = r ? store_list(fs->store, &r->v, &r->n, &err) : -ENOMEM;
    if (rc < 0 || r->n == 0) {
        if (rc < 0)
            log_err(fs->log, LOG_LEVEL_ERROR, "recovery", &err, "the state directory");
        free(r);
        return;
    }
    r->job.fn = run;
    fs_lock(fs);
    worker_submit_locked(fs, &r->job);
    fs_unlock(fs);
}
