// SPDX-License-Identifier: Apache-2.0
// The state directory at the beginning and the end; see state.h.
#include "fs/state.h"

#include <errno.h>
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
    uint32_t n = 0;
    int rc = store_adopt(fs->store, fs->opt->adopt_state, &n, err);
    if (rc < 0)
        return err_prefix(err, "adopt_state=%s", fs->opt->adopt_state);
    log_notice(fs->log, "mount", "%u unfinished uploads of state directory %s are taken over", n,
               fs->opt->adopt_state);
    return 0;
}

static void name_siblings(struct fs *fs)
{
    CLEANUP_FREE struct store_sibling *v = NULL;
    size_t n = 0;
    if (store_siblings(fs->store, &v, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (v[i].locked_by)
            continue; /* a driver is at work on it */
        log_warning(
            fs->log, "mount",
            "%u unfinished uploads of this bucket are in state directory %s (endpoint '%s', "
            "prefix '%s'): adopt_state=%s takes them over",
            v[i].n_unfinished, v[i].id, v[i].endpoint, v[i].prefix, v[i].id);
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

void state_end(struct fs *fs)
{
    if (fs->store && !fs->opt->ro && fs->server_s)
        (void)store_clock_save(fs->store, fs->server_s, clock_real().tv_sec);
}
