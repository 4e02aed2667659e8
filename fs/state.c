// SPDX-License-Identifier: Apache-2.0
// The state directory at the beginning and the end; see state.h.
#include "fs/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/recover.h"
#include "checkpoint/store.h"
#include "fs/options.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"

static void compare_clocks(struct fs *fs)
{
    int64_t then_server, then_real;
    int64_t now = clock_real().tv_sec;
    if (!fs->server_s)
        return;
    bool known = store_clock_load(fs->store, &then_server, &then_real) == 0;
    bool jumped = known && recover_clock_jumped(then_server, then_real, fs->server_s, now);
    fs->may_expire = known && !jumped;
    if (jumped)
        log_notice(fs->log, "mount", "a clock has jumped: kept uploads do not expire this time");
    (void)store_clock_save(fs->store, fs->server_s, now);
}

static int adopt(struct fs *fs, struct err *err)
{
    struct store_adopted taken;
    int rc = store_adopt(fs->store, fs->opt->adopt_state, &taken, err);
    if (rc < 0)
        return err_prefix(err, "adopt_state=%s", fs->opt->adopt_state);
    log_notice(fs->log, "mount", "%u unfinished uploads%s of state directory %s are taken over",
               taken.n_uploads, taken.n_ledgers ? ", changes of attributes and renames" : "",
               fs->opt->adopt_state);
    if (taken.ledgers_stay)
        log_warning(fs->log, "mount",
                    "changes of attributes and renames stay in state directory %s: it is of the "
                    "prefix '%s', which is not below this one; mount that to finish them",
                    fs->opt->adopt_state, taken.prefix);
    return 0;
}

static void name_siblings(struct fs *fs)
{
    struct store_sibling *v = NULL;
    size_t n = 0, left = 0;
    if (store_siblings(fs->store, &v, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].locked_by) /* else a driver is at work on it */
            v[left++] = v[i];
    }
    fs->siblings = v;
    fs->n_siblings = left;
    for (size_t i = 0; i < left; i++) {
        log_warning(
            fs->log, "mount",
            "%u unfinished uploads%s of this bucket are in state directory %s (endpoint '%s', "
            "prefix '%s'): adopt_state=%s takes them over",
            v[i].n_unfinished, v[i].ledgers ? ", changes of attributes or renames" : "", v[i].id,
            v[i].endpoint, v[i].prefix, v[i].id);
    }
}

int state_begin(struct fs *fs, struct err *err)
{
    if (fs->opt->ro || !fs->opt->checkpoint)
        return 0;
    compare_clocks(fs);
    int rc = fs->opt->adopt_state ? adopt(fs, err) : 0;
    if (rc == 0)
        name_siblings(fs);
    return rc;
}

/* A ledger that is none any more is put aside, so that the mount can go on. */
static int put_aside(struct fs *fs, const char *name, const char *lost)
{
    char from[PATH_MAX], to[PATH_MAX];
    const char *dir = store_path(fs->store);
    (void)snprintf(from, sizeof(from), "%.*s/%.48s", PATH_MAX - 64, dir, name);
    (void)snprintf(to, sizeof(to), "%.*s/%.48s.damaged", PATH_MAX - 64, dir, name);
    log_error(fs->log, "checkpoint", "'%s' is damaged: %s may be lost; it is kept as '%s'", from,
              lost, to);
    return rename(from, to) < 0 ? -errno : 0;
}

int state_ledger_open(struct fs *fs, const char *name, const char *lost, ledger_each_fn *fn,
                      void *arg, struct ledger **ret, struct err *err)
{
    struct ledger_report report;
    const char *dir = store_path(fs->store);
    int rc = ledger_open(&io_real, dir, name, fn, arg, &report, ret, err);
    if (rc == -EBADMSG && (rc = put_aside(fs, name, lost)) == 0)
        rc = ledger_open(&io_real, dir, name, fn, arg, &report, ret, err);
    if (rc == 0 && report.lost)
        log_notice(fs->log, "checkpoint", "the last %llu bytes of '%s' were not written whole",
                   (unsigned long long)report.lost, name);
    return rc < 0 ? rc : report.n_records > 0;
}

int state_merge_taken(struct fs *fs, const char *name, state_merge_fn *merge, struct err *err)
{
    CLEANUP_FREE uint64_t *v = NULL;
    size_t n = 0;
    err_clear(err);
    int rc = store_taken(fs->store, name, &v, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char file[64];
        (void)snprintf(file, sizeof(file), "%s.%llu", name, (unsigned long long)v[i]);
        rc = merge(fs, file, err);
    }
    return rc < 0 && !err->eno
               ? err_set(err, rc, "what was taken over of '%s': %s", name, err_text(rc))
               : rc;
}

void state_end(struct fs *fs)
{
    free(fs->siblings);
    fs->siblings = NULL;
    fs->n_siblings = 0;
    if (fs->store && !fs->opt->ro && fs->server_s)
        (void)store_clock_save(fs->store, fs->server_s, clock_real().tv_sec);
}
