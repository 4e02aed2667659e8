// SPDX-License-Identifier: Apache-2.0
// The life of a mount's core; see mount.h.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/index.h"
#include "checkpoint/store.h"
#include "fs/changes.h"
#include "fs/control.h"
#include "fs/control_uploads.h"
#include "fs/encrypt.h"
#include "fs/errors.h"
#include "fs/fetch.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/hold.h"
#include "fs/inode.h"
#include "fs/kept.h"
#include "fs/meta.h"
#include "fs/mime.h"
#include "fs/mount.h"
#include "fs/moves.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/property.h"
#include "fs/publish.h"
#include "fs/orphans.h"
#include "fs/recovery.h"
#include "fs/space.h"
#include "fs/control_result.h"
#include "fs/rootattr.h"
#include "fs/staged.h"
#include "fs/state.h"
#include "fs/tempname.h"
#include "fs/timer.h"
#include "fs/worker.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/cloud.h"
#include "net/engine.h"
#include "net/obs.h"

/* The first request is not repeated for retry_time: who mounts waits for it. */
enum { PROBE_MS = 5000 };

/* At the end, uploads that nobody will resume are aborted; so long at most. */
enum { ABORT_MS = 3000 };

/* While draining, how often it is looked for something to send. */
enum { DRAIN_LOOK_MS = 500, LEFT_TEXT_MAX = 4096, LET_GO_MS = 50 };

/* DLI and ModelArts: what is missing for them shows when they are used. */
static int make_cloud(struct fs *fs, struct err *err)
{
    const struct options *opt = fs->opt;
    const struct cloud_config cloud = {
        .region = opt->region,
        .endpoint = {[CLOUD_DLI] = opt->dli_endpoint,
                     [CLOUD_MODELARTS] = opt->modelarts_endpoint,
                     [CLOUD_IAM] = opt->iam_endpoint},
        .project_id = opt->project_id,
        .iam_user = opt->iam_user,
        .iam_domain = opt->iam_domain,
        .iam_password_file = opt->iam_password_file,
        .connect_ms = opt->connect_timeout,
        .stall_ms = opt->stall_timeout,
    };
    return cloud_new(&cloud, fs->engine, fs->keys.source, fs->log, &fs->cloud, err);
}

static int make_client(struct fs *fs, struct err *err)
{
    const struct options *opt = fs->opt;
    int rc = keys_open(opt, fs->log, &fs->keys, err);
    if (rc < 0)
        return rc;

    const struct engine_config engine = {
        .parallel = (unsigned)opt->parallel,
        .ca_file = opt->ca_file,
        .connect_ms = opt->connect_timeout,
        .stall_ms = opt->stall_timeout,
        .give_up_ms = opt->retry_time,
        .log = fs->log,
    };
    rc = engine_new(&engine, &fs->engine, err);
    if (rc == 0)
        rc = keys_start(&fs->keys, fs->engine, err);
    if (rc < 0)
        return rc;

    rc = encrypt_init(fs, err);
    if (rc < 0)
        return rc;
    const struct obs_config obs = {
        .endpoint = opt->endpoint,
        .bucket = opt->bucket,
        .region = opt->region,
        .dialect = (enum obs_dialect)opt->dialect,
        .path_style = opt->path_style,
        .connect_ms = opt->connect_timeout,
        .stall_ms = opt->stall_timeout,
        .retry_ms = opt->retry_time,
        .sse_keys = fs->sse_keys,
        .sse_first = encrypt_first_key(fs),
        .crc64 = opt->crc64,
        .extra_headers = (const char *const *)opt->header.v,
    };
    rc = obs_new(&obs, fs->engine, fs->keys.source, fs->log, &fs->obs, err);
    return rc < 0 ? rc : make_cloud(fs, err);
}

/* Lists one key: that needs the endpoint, the clock, the key, the bucket and the right to list. */
static int probe(struct fs *fs, struct err *err)
{
    struct obs_call call = {.op = OBS_LIST,
                            .prefix = fs->prefix,
                            .max_keys = 1,
                            .urgent = true,
                            .give_up_ms = PROBE_MS};
    int rc = obs_run(fs->obs, &call, NULL);
    fs->server_s = call.server_time;
    if (rc < 0) {
        *err = call.err;
        err_prefix(err, "bucket '%s' at %s", fs->opt->bucket, fs->opt->endpoint);
    }
    obs_call_clear(&call);
    return rc;
}

static int open_state(struct fs *fs, struct err *err)
{
    const struct options *opt = fs->opt;
    const struct store_params params = {.state_dir = opt->state_dir,
                                        .endpoint = opt->endpoint,
                                        .bucket = opt->bucket,
                                        .prefix = opt->prefix,
                                        .read_only = opt->ro};
    int rc = store_open(&params, &fs->store, err);
    if (rc == 0)
        rc = space_new(fs, err);
    if (rc < 0 || opt->ro)
        return rc;
    if (store_on_tmpfs(fs->store))
        log_warning(fs->log, "mount",
                    "the state directory '%s' is in memory: what is not stored yet does not "
                    "outlive a reboot, and large files fill the memory",
                    store_path(fs->store));

    char path[PATH_MAX];
    struct err why;
    (void)snprintf(path, sizeof(path), "%s/index.db", store_path(fs->store));
    const struct index_params index = {
        .path = path, .ttl_s = opt->index_ttl / 1000, .log = fs->log};
    if (index_open(&index, &fs->index, &why) < 0)
        log_err(fs->log, LOG_LEVEL_WARNING, "mount", &why, "attributes are not remembered");
    return 0;
}

/* As far as parts of this size and dialect go. */
static uint64_t reach(const struct options *opt)
{
    uint64_t most = opt->dialect == OBS_DIALECT_S3 ? PLAN_REACH_S3 : PLAN_REACH_OBS;
    return opt->max_file_size < most ? opt->max_file_size : most;
}

static int make_parts(struct fs *fs, struct err *err)
{
    const struct options *opt = fs->opt;
    int rc = plan_init(&fs->plan, (enum obs_dialect)opt->dialect, opt->part_size, reach(opt), err);
    if (rc < 0)
        return rc;
    rc = property_from_options(opt, &fs->defaults, err);
    if (rc < 0)
        return rc;
    fs->hold_patterns = calloc(1, sizeof(*fs->hold_patterns));
    if (!fs->hold_patterns)
        return err_set(err, -ENOMEM, "out of memory");
    rc = tempname_patterns_parse(opt->hold_patterns, fs->hold_patterns, err);
    if (rc < 0)
        return err_prefix(err, "hold_patterns");
    rc = mime_load(opt->mime_types, &fs->mime, err);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        log_err(fs->log, LOG_LEVEL_WARNING, "mount", err, "content types");
        rc = mime_parse("", 0, &fs->mime);
    }
    fs->prefix = strdup(opt->prefix);
    if (rc < 0 || !fs->prefix)
        return err_set(err, -ENOMEM, "out of memory");

    const struct fetch_config fetch = {.source = fetch_source_obs(fs->obs),
                                       .memory_max = opt->memory_max / 4 * 3,
                                       .parallel = (unsigned)opt->parallel,
                                       .give_up_ms = FS_META_GIVE_UP_MS,
                                       .log = fs->log};
    rc = fetch_new(&fetch, &fs->fetch);
    if (rc == 0)
        rc = inode_table_init(fs);
    if (rc == 0)
        rc = control_new(fs, &fs->control);
    if (rc == 0 && !(fs->errors = errors_new()))
        rc = -ENOMEM;
    return rc < 0 ? err_set(err, rc, "%s", err_text(rc)) : 0;
}

static void free_client(struct fs *fs)
{
    if (fs->engine)
        engine_stop(fs->engine, 0);
    fetch_free(fs->fetch);
    obs_free(fs->obs);
    cloud_free(fs->cloud);
    engine_free(fs->engine);
    fs->fetch = NULL;
    fs->obs = NULL;
    fs->cloud = NULL;
    fs->engine = NULL;
}

int fs_new(const struct options *opt, struct log *log, struct fs **ret_fs, struct err *err)
{
    struct fs *fs = calloc(1, sizeof(*fs));
    if (!fs)
        return err_set(err, -ENOMEM, "out of memory");
    fs->opt = opt;
    fs->log = log;
    fs->start_s = clock_real().tv_sec;
    lock_init(&fs->lock);
    lock_cond_init(&fs->timer_wake);
    worker_init(fs);
    store_boot_id(fs->boot_id);

    int rc = make_client(fs, err);
    if (rc == 0)
        rc = make_parts(fs, err);
    if (rc == 0)
        rc = probe(fs, err);
    if (rc == 0)
        rc = open_state(fs, err);
    if (rc == 0)
        rc = state_begin(fs, err);
    if (rc == 0)
        rc = changes_open(fs, err);
    if (rc == 0)
        rc = moves_open(fs, err);
    if (rc == 0 && rootattr_is_local(fs))
        rootattr_load(fs);
    else if (rc == 0)
        fs->root->attr_known = false; /* its marker has them */
    if (rc < 0) {
        fs_free(fs);
        return rc;
    }
    *ret_fs = fs;
    return 0;
}

int fs_start(struct fs *fs, struct fuse_session *se, struct err *err)
{
    fs->session = se;
    int rc = timer_start(fs);
    if (rc == 0)
        rc = worker_start(fs);
    if (rc == 0)
        rc = notify_start(fs, se);
    if (rc == 0)
        moves_start(fs);
    if (rc == 0 && fs->opt->checkpoint && !fs->opt->ro)
        recovery_start(fs);
    if (rc == 0)
        changes_start(fs);
    return rc < 0 ? err_set(err, rc, "cannot start a thread: %s", err_text(rc)) : 0;
}

/* Everything that was closed goes out now: what is held, gathered, or failed before. */
static void send_rest(struct fs *fs, bool failed_too)
{
    (void)hold_run_locked(fs, clock_ms(), true);
    (void)meta_run_locked(fs, clock_ms(), true);
    for (struct staged *st = fs->staged, *next; st; st = next) {
        next = st->next;
        if (st->state == STAGED_OPEN && staged_dirty(st) && !st->inode->nwriters &&
            !st->interrupted && (failed_too || !st->gave_up))
            (void)publish_locked(fs, st->inode, NULL);
    }
}

/* What is not stored stays in the state directory: the next mount goes on. */
static void let_go(struct fs *fs, int rc)
{
    while (fs->staged) {
        struct staged *st = fs->staged;
        char path[256];
        inode_path_locked(st->inode, path, sizeof(path));
        st->keep = st->journal && staged_dirty(st) && !st->cloned;
        if (staged_dirty(st) && st->inode->parent)
            log_error(fs->log, "unmount", "'%s' is not stored: %s%s", path,
                      rc == -ETIMEDOUT ? "no time was left" : err_text(st->inode->error.eno),
                      st->keep ? ", the next mount goes on" : "");
        staged_drop_locked(fs, st->inode, -ECANCELED);
        while (fs->staged == st) { /* transfers are still under way, or a worker uses it */
            fs_unlock(fs);
            engine_stop(fs->engine, 0);
            fs_lock(fs);
            if (fs->staged == st)
                (void)fs_wait_locked(fs, &st->inode->move_waiters, NULL, LET_GO_MS);
        }
    }
}

static void tell_left(struct fs *fs, fs_left_fn *left, void *arg)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LEFT_TEXT_MAX);
    int rc = uploads_left_locked(fs, &text);
    fs_unlock(fs);
    if (rc == 0)
        left(arg, buf_str(&text), false);
    fs_lock(fs);
}

/* Closed files that this driver does not store. `rc`: of drain(). */
static void tell_rest(struct fs *fs, int rc, fs_left_fn *left, void *arg)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LEFT_TEXT_MAX);
    bool stays = rc < 0 ? uploads_left_locked(fs, &text) == 0 : uploads_stuck_locked(fs, &text) < 0;
    fs_unlock(fs);
    if (stays)
        left(arg, buf_str(&text), true);
    fs_lock(fs);
}

/* Sends all that is left and waits for it. The timers have ended: what becomes due meanwhile is
 * looked for again and again. */
static int drain(struct fs *fs, int64_t limit_ms, fs_left_fn *left, void *arg)
{
    int64_t end_ms = limit_ms < 0 ? INT64_MAX : clock_ms() + limit_ms;
    send_rest(fs, true);
    while (publish_busy_locked(fs)) {
        int64_t left_ms = end_ms - clock_ms();
        if (left_ms <= 0)
            return -ETIMEDOUT;
        if (left)
            tell_left(fs, left, arg);
        (void)fs_wait_locked(fs, &fs->idle, NULL,
                             left_ms < DRAIN_LOOK_MS ? left_ms : DRAIN_LOOK_MS);
        send_rest(fs, false);
    }
    return 0;
}

void fs_stop(struct fs *fs, int64_t limit_ms, fs_left_fn *left, void *arg)
{
    timer_stop(fs);
    fs_lock(fs);
    fs->stopping = true;
    int rc = drain(fs, limit_ms, left, arg);
    if (left)
        tell_rest(fs, rc, left, arg);
    let_go(fs, rc);
    changes_keep_locked(fs);
    fs_unlock(fs);
    worker_stop(fs);
    notify_stop(fs);
    engine_stop(fs->engine, ABORT_MS);
    fs_lock(fs);
    file_forget_all_locked(fs); /* not before the last read was answered */
    fs_unlock(fs);

    /* The engine's threads end while the session still is: they may own pipes of it. */
    recovery_done(fs);
    orphans_done(fs);
    kept_done(fs);
    inode_table_done(fs);
    free_client(fs);
}

void fs_free(struct fs *fs)
{
    if (!fs)
        return;
    inode_table_done(fs);
    free_client(fs);
    control_free(fs->control);
    errors_free(fs->errors);
    encrypt_done(fs);
    results_free(fs->results);
    keys_done(&fs->keys);
    mime_free(fs->mime);
    if (fs->hold_patterns)
        tempname_patterns_done(fs->hold_patterns);
    free(fs->hold_patterns);
    obs_props_clear(&fs->defaults);
    plan_done(&fs->plan);
    changes_close(fs);
    moves_close(fs);
    index_close(fs->index);
    state_end(fs);
    store_close(fs->store);
    space_free(fs);
    free(fs->prefix);
    worker_done(fs);
    pthread_cond_destroy(&fs->timer_wake);
    lock_done(&fs->lock);
    free(fs);
}
