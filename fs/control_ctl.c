// SPDX-License-Identifier: Apache-2.0
// The commands of the file ctl; see control.h.
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/index.h"
#include "fs/control.h"
#include "fs/control_path.h"
#include "fs/control_uploads.h"
#include "fs/dir.h"
#include "fs/fetch.h"
#include "fs/inode.h"
#include "fs/ops_stale.h"
#include "net/base/log.h"

struct command {
    const char *name;
    const char *argument; /* what it is, for messages; NULL: it takes none */
    int (*run)(struct fs *fs, const char *argument, struct intr *intr, struct err *err);
    int (*run_id)(struct fs *fs, uint64_t id, struct err *err); /* instead: it takes an ID */
};

/* Attributes that the bucket has to be asked for again. */
static void forget_attributes(struct inode *inode)
{
    inode->seen_ms = 0;
    if (inode->state == INODE_STORED && !inode->staged && !inode->moving && !inode->meta_dirty &&
        !inode->meta_sending && !inode->attr_fetching && !inode->is_root)
        inode->attr_known = false;
}

/* Forgets everything below, here and in the kernel. `content`: cached content too. */
static void forget_below(struct fs *fs, struct inode *dir, bool content, struct stale_list *list)
{
    for (struct inode *c = dir->children; c; c = c->hh.next) {
        stale_add_name(fs, list, dir, c->name, c->is_dir);
        if (c->nlookup)
            stale_add_inode(fs, list, c, content);
        if (content && c->fetch)
            fetch_file_drop(c->fetch);
        forget_attributes(c);
        forget_below(fs, c, content, list);
    }
}

static void tell_kernel(struct fs *fs, struct stale_list *list)
{
    fs_unlock(fs);
    stale_send(fs, list);
    fs_lock(fs);
}

/* What is remembered across mounts, of a path and of everything below it ("": of all). Without the
 * lock, since it goes to the disk; before the rest, or it would be read in again. */
static void forget_index(struct fs *fs, const char *path)
{
    char key[2 * (OBS_KEY_MAX + 1) + 1];
    (void)snprintf(key, sizeof(key), "%s%s%s", fs->prefix, path, *path ? "/" : "");
    fs_unlock(fs);
    index_drop(fs->index, key);
    if (*path) {
        key[strlen(key) - 1] = '\0';
        index_forget(fs->index, key);
    }
    fs_lock(fs);
}

/* Only names that are known can be known wrongly: nothing is asked here. */
static int run_refresh(struct fs *fs, const char *argument, struct intr *intr, struct err *err)
{
    char path[OBS_KEY_MAX + 1];
    struct stale_list list = {0};
    int rc = control_path_clean(fs, argument, path, err);
    if (rc < 0)
        return rc;
    forget_index(fs, path);
    struct inode *at = fs->root, *dir = NULL;
    const char *name = "";
    char *rest = path;
    for (char *part; at && at->is_dir && rest && *rest && (part = strsep(&rest, "/"));) {
        dir = at;
        name = part;
        at = inode_child_locked(dir, part);
    }
    if (dir) {
        dir->list_start_ms = 0;
        stale_add_name(fs, &list, dir, name, at && at->is_dir);
    }
    if (at) {
        forget_attributes(at);
        dir_refresh_locked(fs, at);
        stale_add_inode(fs, &list, at, false);
        forget_below(fs, at, false, &list);
    }
    tell_kernel(fs, &list);
    return 0;
}

static int run_drop_caches(struct fs *fs, const char *argument, struct intr *intr, struct err *err)
{
    struct stale_list list = {0};
    forget_index(fs, "");
    dir_refresh_locked(fs, fs->root);
    forget_below(fs, fs->root, true, &list);
    tell_kernel(fs, &list);
    return 0;
}

static int run_drain(struct fs *fs, const char *argument, struct intr *intr, struct err *err)
{
    return uploads_drain_locked(fs, intr, err);
}

static int run_log(struct fs *fs, const char *argument, struct intr *intr, struct err *err)
{
    enum log_level level;
    if (log_level_parse(argument, &level) < 0)
        return err_set(err, -EINVAL, "'%.32s' is no level: error, warning, notice, info, debug",
                       argument);
    log_set_level(fs->log, level);
    return 0;
}

static const struct command commands[] = {
    {"refresh", "PATH", run_refresh, NULL},
    {"drop-caches", NULL, run_drop_caches, NULL},
    {"pause", "ID", NULL, uploads_pause_locked},
    {"resume", "ID", NULL, uploads_resume_locked},
    {"retry", "ID", NULL, uploads_retry_locked},
    {"publish", "ID", NULL, uploads_publish_locked},
    {"abort", "ID", NULL, uploads_abort_locked},
    {"drain", NULL, run_drain, NULL},
    {"log", "LEVEL", run_log, NULL},
};

static int run_id(struct fs *fs, const struct command *c, const char *argument, struct err *err)
{
    char *end;
    errno = 0;
    uint64_t id = strtoull(argument, &end, 10);
    if (errno || *end || argument[0] < '0' || argument[0] > '9')
        return err_set(err, -EINVAL, "'%.32s' is no upload's number", argument);
    return c->run_id(fs, id, err);
}

static void trim_end(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r'))
        text[--n] = '\0';
}

static int run_line(struct fs *fs, char *line, struct intr *intr, struct err *err)
{
    trim_end(line);
    char *word = line + strspn(line, " \t");
    char *end = word + strcspn(word, " \t");
    char *argument = end + strspn(end, " \t");
    *end = '\0';
    if (!*word)
        return 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, word) != 0)
            continue;
        if (c->argument && !*argument)
            return err_set(err, -EINVAL, "'%s' needs %s", c->name, c->argument);
        if (!c->argument && *argument)
            return err_set(err, -EINVAL, "'%s' takes nothing more", c->name);
        return c->run_id ? run_id(fs, c, argument, err) : c->run(fs, argument, intr, err);
    }
    return err_set(err, -EINVAL, "there is no command '%.32s'", word);
}

int control_ctl_locked(struct fs *fs, char *text, struct intr *intr, struct err *err)
{
    int rc = 0;
    char *rest = text;
    for (char *line; rc == 0 && (line = strsep(&rest, "\n"));)
        rc = run_line(fs, line, intr, err);
    return rc;
}
