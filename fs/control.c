// SPDX-License-Identifier: Apache-2.0
// The control tree; see control.h.
#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "fs/control_service.h"
#include "fs/control_text.h"
#include "fs/control_uploads.h"
#include "fs/errors.h"
#include "fs/names.h"
#include "fs/options.h"
#include "fs/stats.h"
#include "net/base/log.h"

struct control_target {
    UT_hash_handle hh;
    char key[CONTROL_NAME_MAX + 8]; /* kind and name */
    enum control_kind kind;
    unsigned refs; /* nodes */
    bool used;     /* something was written into it: it stays, and is listed */
    bool busy;
    int64_t success_ms;
    char *answer;
};

struct control {
    struct control_node dirs[CONTROL_DIRS];
    struct control_node *files;     /* those that the kernel knows (utlist) */
    struct control_target *targets; /* uthash by key, in the order in which they came */
    uid_t owner;
};

/* `name` NULL: any valid name. */
struct control_row {
    enum control_kind parent;
    const char *name;
    mode_t mode;
};

static const struct control_row rows[CONTROL_KINDS] = {
    [CONTROL_ROOT] = {CONTROL_KINDS, "", S_IFDIR | 0700},
    [CONTROL_DLI] = {CONTROL_ROOT, "dli", S_IFDIR | 0700},
    [CONTROL_DLI_JARS] = {CONTROL_DLI, "jars", S_IFDIR | 0700},
    [CONTROL_DLI_PYFILES] = {CONTROL_DLI, "pyfiles", S_IFDIR | 0700},
    [CONTROL_DLI_FILES] = {CONTROL_DLI, "files", S_IFDIR | 0700},
    [CONTROL_MODELARTS] = {CONTROL_ROOT, "modelarts", S_IFDIR | 0700},
    [CONTROL_ANNOTATIONS] = {CONTROL_MODELARTS, "data-annotations", S_IFDIR | 0700},
    [CONTROL_DATASETS] = {CONTROL_MODELARTS, "datasets", S_IFDIR | 0700},
    [CONTROL_README] = {CONTROL_ROOT, "README", S_IFREG | 0400},
    [CONTROL_VERSION] = {CONTROL_ROOT, "version", S_IFREG | 0400},
    [CONTROL_CONFIG] = {CONTROL_ROOT, "config", S_IFREG | 0400},
    [CONTROL_STATS] = {CONTROL_ROOT, "stats", S_IFREG | 0400},
    [CONTROL_UPLOADS] = {CONTROL_ROOT, "uploads", S_IFREG | 0400},
    [CONTROL_UPLOADS_JSON] = {CONTROL_ROOT, "uploads.json", S_IFREG | 0400},
    [CONTROL_ERRORS] = {CONTROL_ROOT, "errors", S_IFREG | 0400},
    [CONTROL_CTL] = {CONTROL_ROOT, "ctl", S_IFREG | 0600},
    [CONTROL_JAR_GROUP] = {CONTROL_DLI_JARS, NULL, S_IFREG | 0600},
    [CONTROL_PYFILE_GROUP] = {CONTROL_DLI_PYFILES, NULL, S_IFREG | 0600},
    [CONTROL_FILE_GROUP] = {CONTROL_DLI_FILES, NULL, S_IFREG | 0600},
    [CONTROL_ANNOTATION] = {CONTROL_ANNOTATIONS, NULL, S_IFREG | 0600},
    [CONTROL_DATASET] = {CONTROL_DATASETS, NULL, S_IFREG | 0600},
};

int control_new(struct fs *fs, struct control **ret)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    for (int i = 0; i < CONTROL_DIRS; i++)
        c->dirs[i].kind = (enum control_kind)i;
    c->owner = geteuid();
    *ret = c;
    return 0;
}

static void target_free(struct control *c, struct control_target *t)
{
    HASH_DEL(c->targets, t);
    free(t->answer);
    free(t);
}

void control_free(struct control *c)
{
    struct control_target *t, *tmp;
    if (!c)
        return;
    while (c->files) {
        struct control_node *node = c->files;
        DL_DELETE(c->files, node);
        free(node);
    }
    HASH_ITER (hh, c->targets, t, tmp)
        target_free(c, t);
    free(c);
}

struct control_node *control_node_of(uint64_t ino)
{
    return (struct control_node *)(uintptr_t)(ino & ~(uint64_t)1);
}

uint64_t control_node_id(const struct control_node *node)
{
    return (uint64_t)(uintptr_t)node | 1;
}

bool control_is_name(const struct fs *fs, const char *name)
{
    const char *dir = fs->opt->control_dir;
    return dir && strcmp(dir, "none") != 0 && strcmp(dir, name) == 0;
}

bool control_may(const struct fs *fs, uid_t uid)
{
    return uid == 0 || uid == fs->control->owner;
}

struct control_node *control_root_locked(struct fs *fs)
{
    struct control_node *root = &fs->control->dirs[CONTROL_ROOT];
    root->nlookup++;
    return root;
}

const char *control_target_name(const struct control_target *target)
{
    return strchr(target->key, '/') + 1;
}

static const char *node_name(const struct control_node *node)
{
    return node->target ? control_target_name(node->target) : rows[node->kind].name;
}

void control_path(const struct fs *fs, const struct control_node *node, char *out, size_t n)
{
    enum control_kind dir = rows[node->kind].parent;
    enum control_kind above = dir < CONTROL_KINDS ? rows[dir].parent : CONTROL_KINDS;
    bool deep = above < CONTROL_KINDS && above != CONTROL_ROOT;
    bool mid = dir < CONTROL_KINDS && dir != CONTROL_ROOT;
    (void)snprintf(out, n, "/%s%s%s%s%s%s%s", fs->opt->control_dir, deep ? "/" : "",
                   deep ? rows[above].name : "", mid ? "/" : "", mid ? rows[dir].name : "",
                   node->kind == CONTROL_ROOT ? "" : "/", node_name(node));
}

/* A group is what DLI takes for one; an id is a part of a URL. */
static bool name_ok(enum control_kind kind, const char *name)
{
    bool group = kind < CONTROL_ANNOTATION;
    if (kind == CONTROL_FILE_GROUP && strcmp(name, "@none") == 0)
        return true;
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        bool digit = *p >= '0' && *p <= '9';
        if (!letter && !digit && *p != '-' && *p != '_' && !(group && *p == '.'))
            return false;
    }
    return name[0] != '\0';
}

static int target_get(struct control *c, enum control_kind kind, const char *name,
                      struct control_target **ret)
{
    struct control_target *t;
    char key[sizeof(t->key)];
    if (strlen(name) > CONTROL_NAME_MAX)
        return -ENAMETOOLONG;
    if (!name_ok(kind, name))
        return -EINVAL;
    (void)snprintf(key, sizeof(key), "%d/%s", (int)kind, name);
    HASH_FIND_STR(c->targets, key, t);
    if (!t) {
        if (HASH_COUNT(c->targets) >= CONTROL_TARGETS_MAX)
            return -ENFILE;
        t = calloc(1, sizeof(*t));
        if (!t)
            return -ENOMEM;
        t->kind = kind;
        memcpy(t->key, key, sizeof(key));
        HASH_ADD_STR(c->targets, key, t);
    }
    *ret = t;
    return 0;
}

static int find_kind(enum control_kind dir, const char *name, enum control_kind *ret)
{
    for (int kind = 0; kind < CONTROL_KINDS; kind++) {
        if (rows[kind].parent == dir && (!rows[kind].name || strcmp(rows[kind].name, name) == 0)) {
            *ret = (enum control_kind)kind;
            return 0;
        }
    }
    return -ENOENT;
}

int control_lookup_locked(struct fs *fs, struct control_node *dir, const char *name,
                          struct control_node **ret)
{
    struct control *c = fs->control;
    struct control_target *target = NULL;
    enum control_kind kind;
    int rc = find_kind(dir->kind, name, &kind);
    if (rc == 0 && kind < CONTROL_DIRS) {
        *ret = &c->dirs[kind];
        (*ret)->nlookup++;
        return 0;
    }
    if (rc == 0 && !rows[kind].name)
        rc = target_get(c, kind, name, &target);
    if (rc < 0)
        return rc;
    struct control_node *node = calloc(1, sizeof(*node));
    if (target)
        target->refs++;
    if (!node) {
        if (target && --target->refs == 0 && !target->used)
            target_free(c, target);
        return -ENOMEM;
    }
    node->kind = kind;
    node->target = target;
    node->nlookup = 1;
    DL_APPEND(c->files, node);
    *ret = node;
    return 0;
}

void control_forget_locked(struct fs *fs, struct control_node *node, uint64_t n)
{
    node->nlookup -= n < node->nlookup ? n : node->nlookup;
    if (node->nlookup || node->kind < CONTROL_DIRS)
        return;
    struct control_target *t = node->target;
    if (t && --t->refs == 0 && !t->used)
        target_free(fs->control, t);
    DL_DELETE(fs->control->files, node);
    free(node);
}

void control_stat_locked(const struct fs *fs, const struct control_node *node, struct stat *st)
{
    char path[512];
    control_path(fs, node, path, sizeof(path));
    struct timespec when = {.tv_sec = fs->start_s};
    *st = (struct stat){
        .st_ino = names_ino(path),
        .st_mode = rows[node->kind].mode,
        .st_nlink = node->kind < CONTROL_DIRS ? 2 : 1,
        .st_uid = fs->control->owner,
        .st_gid = getegid(),
        .st_atim = when,
        .st_mtim = when,
        .st_ctim = when,
        .st_blksize = 4096,
    };
}

bool control_entry_locked(struct fs *fs, const struct control_node *dir, size_t i,
                          const char **ret_name, mode_t *ret_mode)
{
    for (int kind = 0; kind < CONTROL_KINDS; kind++) {
        if (rows[kind].parent != dir->kind || !rows[kind].name)
            continue;
        if (i-- == 0) {
            *ret_name = rows[kind].name;
            *ret_mode = rows[kind].mode;
            return true;
        }
    }
    for (const struct control_target *t = fs->control->targets; t; t = t->hh.next) {
        if (rows[t->kind].parent != dir->kind || !t->used || i-- > 0)
            continue;
        *ret_name = control_target_name(t);
        *ret_mode = rows[t->kind].mode;
        return true;
    }
    return false;
}

static int take_snapshot(struct fs *fs, struct control_handle *h)
{
    struct buf *out = &h->snapshot;
    const struct control_target *t = h->node->target;
    buf_reset(out);
    switch (h->node->kind) {
    case CONTROL_README:
        return buf_adds(out, control_text_readme());
    case CONTROL_VERSION:
        return buf_addf(out, "obsmount %s\n", OBSM_VERSION);
    case CONTROL_CONFIG:
        return options_dump(fs->opt, out);
    case CONTROL_STATS:
        return stats_dump_locked(fs, out);
    case CONTROL_UPLOADS:
        return uploads_text_locked(fs, out);
    case CONTROL_UPLOADS_JSON:
        return uploads_json_locked(fs, out);
    case CONTROL_ERRORS:
        return errors_dump(fs->errors, out);
    case CONTROL_CTL:
        return buf_adds(out, control_text_ctl());
    default:
        return t ? buf_adds(out, t->answer ? t->answer : "{}\n") : 0;
    }
}

int control_open_locked(struct fs *fs, struct control_node *node, int flags,
                        struct control_handle **ret)
{
    mode_t mode = rows[node->kind].mode;
    int access = flags & O_ACCMODE;
    if (access != O_RDONLY && !(mode & 0200))
        return -EACCES;
    struct control_handle *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->node = node;
    h->readable = access != O_WRONLY;
    h->writable = access != O_RDONLY;
    h->snapshot = BUF_INIT(CONTROL_SNAPSHOT_MAX);
    control_input_init(&h->input, flags & O_APPEND);
    int rc = h->readable ? take_snapshot(fs, h) : 0;
    if (rc < 0) {
        control_release_locked(fs, h);
        return rc;
    }
    *ret = h;
    return 0;
}

/* A command failed: what it was and why. */
static void note_failure(struct fs *fs, const struct control_handle *h, const struct err *err)
{
    char path[512];
    control_path(fs, h->node, path, sizeof(path));
    log_err(fs->log, LOG_LEVEL_WARNING, "control", err, "'%s'", path);
    errors_add(fs->errors, "control", path, err);
}

static void note_dropped(struct fs *fs, const struct control_handle *h)
{
    struct err err;
    err_set(&err, -EINVAL, "an incomplete text was written, nothing was done with it");
    note_failure(fs, h, &err);
}

void control_release_locked(struct fs *fs, struct control_handle *h)
{
    if (control_input_incomplete(&h->input))
        note_dropped(fs, h);
    control_input_done(&h->input);
    buf_done(&h->snapshot);
    for (size_t i = 0; i < h->n_urls; i++)
        free(h->urls[i]);
    free(h->urls);
    free(h);
}

static int execute(struct fs *fs, struct control_handle *h, struct buf *text, struct intr *intr)
{
    struct err err = {0};
    int rc;
    if (strlen(buf_str(text)) != text->n)
        rc = err_set(&err, -EINVAL, "a command cannot contain a NUL byte");
    else if (h->node->kind == CONTROL_CTL)
        rc = control_ctl_locked(fs, text->p, intr, &err);
    else if (h->node->kind < CONTROL_ANNOTATION)
        rc = control_dli_locked(fs, h, text, intr, &err);
    else
        rc = control_modelarts_locked(fs, h, text, intr, &err);
    if (rc < 0 && rc != -EINTR)
        note_failure(fs, h, &err);
    if (h->readable)
        (void)take_snapshot(fs, h);
    return rc;
}

int control_write_locked(struct fs *fs, struct control_handle *h, uint64_t off, const void *p,
                         size_t n, struct intr *intr)
{
    CLEANUP_BUF struct buf text = BUF_INIT(2 * CONTROL_TEXT_MAX);
    bool dropped;
    if (n > 0 && h->node->target)
        h->node->target->used = true;
    int rc = control_input_take(&h->input, off, p, n, &text, &dropped);
    if (dropped)
        note_dropped(fs, h);
    if (rc <= 0)
        return rc;
    rc = execute(fs, h, &text, intr);
    control_input_result(&h->input, off, p, n, rc);
    return rc;
}

void control_set_answer_locked(struct control_target *target, char *text)
{
    if (!text)
        return;
    free(target->answer);
    target->answer = text;
}

bool control_begin_locked(struct control_target *target)
{
    if (target->busy)
        return false;
    target->busy = true;
    return true;
}

void control_end_locked(struct control_target *target)
{
    target->busy = false;
}

int64_t control_success_locked(const struct control_target *target)
{
    return target->success_ms;
}

void control_set_success_locked(struct control_target *target, int64_t when_ms)
{
    target->success_ms = when_ms;
}
