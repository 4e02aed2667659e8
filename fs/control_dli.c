// SPDX-License-Identifier: Apache-2.0
// Registering files as packages of DLI; see control_service.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control_path.h"
#include "fs/control_service.h"
#include "fs/dir.h"
#include "fs/options.h"
#include "net/base/cleanup.h"
#include "net/dli.h"
#include "net/obs.h"

/* A command under way. */
struct command {
    struct fs *fs;
    struct intr *intr;
    struct err *err;
    struct dli_upload *upload; /* with URLs */
};

static enum dli_kind kind_of(enum control_kind kind)
{
    return kind == CONTROL_JAR_GROUP      ? DLI_JAR
           : kind == CONTROL_PYFILE_GROUP ? DLI_PYFILE
                                          : DLI_FILE;
}

static const char *group_of(const struct control_node *node)
{
    const char *name = control_target_name(node->target);
    return strcmp(name, "@none") == 0 ? "" : name;
}

static int add_key(struct command *c, const char *key)
{
    CLEANUP_FREE char *url = obs_url(c->fs->obs, key);
    if (!url)
        return err_set(c->err, -ENOMEM, "out of memory");
    return dli_upload_add(c->upload, url, c->err);
}

/* A pinned file: stored, then named by its address. */
static int add_file(struct command *c, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    int rc = control_barrier_locked(c->fs, inode, c->intr, c->err);
    if (rc < 0)
        return rc;
    rc = inode_key_locked(c->fs, inode, key);
    if (rc < 0)
        return err_set(c->err, -ENOENT, "'%.200s' is gone", inode->name ? inode->name : "/");
    return add_key(c, key);
}

/* The files right in it. They are pinned first, since the lock is dropped between them. */
static int add_directory(struct command *c, struct inode *dir, const char *path)
{
    int rc = dir_list_locked(c->fs, dir, c->intr);
    if (rc < 0)
        return err_set(c->err, rc, "'%.200s': %s", path, err_text(rc));
    size_t n = 0, max = HASH_COUNT(dir->children);
    struct inode **files = calloc(max ? max : 1, sizeof(struct inode *));
    if (!files)
        return err_set(c->err, -ENOMEM, "out of memory");
    for (struct inode *i = dir->children; i && n < max; i = i->hh.next) {
        if (i->is_dir || i->state == INODE_GONE || (i->attr_known && !S_ISREG(i->attr.mode)))
            continue;
        inode_pin_locked(i);
        files[n++] = i;
    }
    if (n == 0)
        rc = err_set(c->err, -ENOENT, "'%.200s' contains no file", path);
    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            rc = add_file(c, files[i]);
        inode_unpin_locked(c->fs, files[i]);
    }
    free(files);
    return rc;
}

static int add_path(struct command *c, const char *text)
{
    char path[OBS_KEY_MAX + 1];
    struct inode *inode;
    int rc = control_path_clean(c->fs, text, path, c->err);
    if (rc == 0)
        rc = control_path_walk_locked(c->fs, path, c->intr, &inode, c->err);
    if (rc < 0)
        return rc;
    if (inode->is_dir)
        rc = add_directory(c, inode, path);
    else if (inode->attr_known && !S_ISREG(inode->attr.mode))
        rc = err_set(c->err, -EINVAL, "'%.200s' is no regular file", path);
    else
        rc = add_file(c, inode);
    inode_unpin_locked(c->fs, inode);
    return rc;
}

/* Another bucket is reached in the same way as this one. */
static int add_foreign(struct command *c, const char *bucket, size_t n, const char *key)
{
    char url[DLI_URL_MAX], name[64];
    const char *own = c->fs->opt->bucket;
    CLEANUP_FREE char *like = obs_url(c->fs->obs, key);
    if (!like)
        return err_set(c->err, -ENOMEM, "out of memory");
    (void)snprintf(name, sizeof(name), "%.*s", (int)n, bucket);
    if (n >= sizeof(name) || url_bucket_check(name, NULL) < 0)
        return err_set(c->err, -EINVAL, "'%.63s' is no bucket's name", name);
    const char *at = strstr(like, own);
    int len =
        snprintf(url, sizeof(url), "%.*s%s%s", (int)(at - like), like, name, at + strlen(own));
    if (len < 0 || (size_t)len >= sizeof(url))
        return err_set(c->err, -EINVAL, "'%.128s' is too long", key);
    return dli_upload_add(c->upload, url, c->err);
}

/* obs://BUCKET/KEY: through the mount if it shows that key. */
static int add_obs(struct command *c, const char *text)
{
    const struct fs *fs = c->fs;
    const char *bucket = text + strlen("obs://");
    size_t n = strcspn(bucket, "/"), skip = strlen(fs->prefix);
    const char *key = bucket + n + (bucket[n] == '/');
    if (n == 0 || !*key)
        return err_set(c->err, -EINVAL, "'%.160s': obs://BUCKET/KEY is expected", text);
    if (strlen(fs->opt->bucket) != n || strncmp(fs->opt->bucket, bucket, n) != 0)
        return add_foreign(c, bucket, n, key);
    if (strncmp(key, fs->prefix, skip) != 0 || key[skip] == '/')
        return add_key(c, key);
    return add_path(c, key + skip);
}

static int add_item(struct command *c, const char *text)
{
    if (strncmp(text, "https:", 6) == 0 || strncmp(text, "http:", 5) == 0) {
        int rc = dli_check_url(text, c->err);
        return rc < 0 ? rc : dli_upload_add(c->upload, text, c->err);
    }
    return strncmp(text, "obs://", 6) == 0 ? add_obs(c, text) : add_path(c, text);
}

static int add_lines(struct command *c, char *text)
{
    int rc = 0;
    char *rest = text;
    for (char *line; rc == 0 && (line = strsep(&rest, "\n"));) {
        size_t n = strlen(line);
        if (n > 0 && line[n - 1] == '\r')
            line[--n] = '\0';
        if (n > 0)
            rc = add_item(c, line);
    }
    return rc;
}

/* The user's own request: its paths are replaced by addresses. */
static int add_request(struct command *c, const struct buf *text, const struct control_node *node)
{
    struct dli_upload asked = {0};
    int rc =
        dli_upload_parse(text->p, text->n, kind_of(node->kind), group_of(node), &asked, c->err);
    if (rc < 0)
        return rc;
    c->upload->kind = asked.kind;
    c->upload->generic = asked.generic;
    c->upload->is_async = asked.is_async;
    c->upload->has_async = asked.has_async;
    c->upload->tags = steal_ptr(&asked.tags);
    for (size_t i = 0; rc == 0 && i < asked.n_paths; i++)
        rc = add_item(c, asked.paths[i]);
    dli_upload_clear(&asked);
    return rc;
}

/* What earlier commands of this handle have registered goes along. */
static int add_earlier(const struct control_handle *h, struct dli_upload *upload, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < h->n_urls; i++)
        rc = dli_upload_add(upload, h->urls[i], err);
    return rc;
}

static void remember(struct control_handle *h, struct dli_upload *upload)
{
    for (size_t i = 0; i < h->n_urls; i++)
        free(h->urls[i]);
    free(h->urls);
    h->urls = upload->paths;
    h->n_urls = upload->n_paths;
    upload->paths = NULL;
    upload->n_paths = 0;
}

static const char *state_name(const struct dli_job *job, int rc)
{
    static const char *const names[] = {[DLI_STATE_UNKNOWN] = "UNKNOWN",
                                        [DLI_STATE_UPLOADING] = "UPLOADING",
                                        [DLI_STATE_READY] = "READY",
                                        [DLI_STATE_FAILED] = "FAILED"};
    return rc < 0 ? "FAILED" : names[job->state];
}

static int send(struct fs *fs, struct control_handle *h, struct dli_upload *upload,
                struct intr *intr, struct err *err)
{
    struct dli_job job = {.upload = upload};
    fs_unlock(fs);
    int rc = dli_run(fs->cloud, &job, intr);
    fs_lock(fs);
    *err = job.err;
    if (rc < 0 && !err->eno)
        err_set(err, rc, "%s", err_text(rc));
    const struct control_answer answer = {.text = job.text,
                                          .n_text = job.n_text,
                                          .http = job.status,
                                          .request_id = job.request_id,
                                          .state = state_name(&job, rc)};
    control_set_answer_locked(h->node->target, control_answer_text(&answer, err));
    dli_job_clear(&job);
    if (rc == 0)
        remember(h, upload);
    return rc;
}

int control_dli_locked(struct fs *fs, struct control_handle *h, const struct buf *text,
                       struct intr *intr, struct err *err)
{
    struct dli_upload upload = {0};
    struct command c = {.fs = fs, .intr = intr, .err = err, .upload = &upload};
    int rc = dli_upload_set(&upload, kind_of(h->node->kind), group_of(h->node), err);
    if (rc == 0)
        rc = add_earlier(h, &upload, err);
    if (rc == 0) {
        const char *start = text->p + strspn(text->p, " \t\r\n");
        rc = *start == '{' ? add_request(&c, text, h->node) : add_lines(&c, text->p);
    }
    if (rc < 0) { /* nothing was sent */
        const struct control_answer answer = {.state = "FAILED"};
        control_set_answer_locked(h->node->target, control_answer_text(&answer, err));
    } else {
        rc = send(fs, h, &upload, intr, err);
    }
    dli_upload_clear(&upload);
    return rc;
}
