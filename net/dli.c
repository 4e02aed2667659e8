// SPDX-License-Identifier: Apache-2.0
// What is to be registered, as a value: names, paths, the body of the request; see dli.h.
// json_upload.c reads a user's own request, dli_job.c sends.
#include "net/dli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/cleanup.h"

enum { PATHS_STEP = 64 };

static const struct {
    const char *name;
    const char *path; /* NULL: only the generic endpoint takes it */
} kinds[DLI_KINDS] = {
    [DLI_JAR] = {"jar", "/v2.0/{project_id}/resources/jars"},
    [DLI_PYFILE] = {"pyFile", "/v2.0/{project_id}/resources/pyfiles"},
    [DLI_FILE] = {"file", "/v2.0/{project_id}/resources/files"},
    [DLI_MODELFILE] = {"modelFile", NULL},
};

static const char generic_path[] = "/v2.0/{project_id}/resources";

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* --- names --- */

const char *dli_kind_name(enum dli_kind kind)
{
    return (unsigned)kind < DLI_KINDS ? kinds[kind].name : "?";
}

int dli_kind_parse(const char *word, enum dli_kind *ret)
{
    for (int i = 0; i < DLI_KINDS; i++) {
        if (strcasecmp(word, kinds[i].name) == 0) {
            *ret = (enum dli_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

int dli_check_group(const char *name, struct err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > DLI_GROUP_MAX || strspn(name, ALNUM "._-") != n)
        return err_set(err, -EINVAL,
                       "'%.80s' cannot be a group: 1 to %d letters, digits, '.', '_', '-'", name,
                       DLI_GROUP_MAX);
    return 0;
}

int dli_check_package(const char *name, struct err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > DLI_PACKAGE_MAX || name[0] == '.' || strspn(name, ALNUM "_!-.") != n)
        return err_set(err, -EINVAL,
                       "'%.140s' cannot be a package: 1 to %d letters, digits, '_', '!', '-', '.', "
                       "no leading '.'",
                       name, DLI_PACKAGE_MAX);
    return 0;
}

const char *dli_package_of(const char *url)
{
    const char *slash = strrchr(url, '/');
    return slash ? slash + 1 : url;
}

int dli_check_url(const char *url, struct err *err)
{
    struct url_endpoint ep;
    const char *target;
    struct err why;

    bool web = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
    if (!web || strlen(url) > DLI_URL_MAX)
        return err_set(err, -EINVAL, "'%.160s' is not an address https://HOST/KEY", url);
    for (const char *p = url; *p; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return err_set(err, -EINVAL, "'%.160s' has a character that is not percent-encoded",
                           url);
    }
    if (url_parse(url, &ep, &target, &why) < 0)
        return err_set(err, -EINVAL, "'%.120s' is not an address: %.80s", url, why.msg);
    if (target[0] != '/' || !target[1])
        return err_set(err, -EINVAL, "'%.160s' names no object", url);
    int rc = dli_check_package(dli_package_of(url), err);
    if (rc < 0)
        err_prefix(err, "'%.100s'", url);
    return rc;
}

/* --- the value --- */

void dli_upload_clear(struct dli_upload *u)
{
    for (size_t i = 0; i < u->n_paths; i++)
        free(u->paths[i]);
    free(u->paths);
    free(u->tags);
    *u = (struct dli_upload){0};
}

int dli_upload_set(struct dli_upload *ret, enum dli_kind kind, const char *group, struct err *err)
{
    *ret = (struct dli_upload){.kind = kind};
    if ((unsigned)kind >= DLI_KINDS)
        return err_set(err, -EINVAL, "there is no such kind of package");
    ret->generic = !kinds[kind].path;
    if (!group || !group[0])
        return 0;
    int rc = dli_check_group(group, err);
    if (rc == 0)
        (void)snprintf(ret->group, sizeof(ret->group), "%s", group);
    return rc;
}

static int check_length(const char *path, struct err *err)
{
    if (!path[0])
        return err_set(err, -EINVAL, "an empty path");
    if (strlen(path) > DLI_URL_MAX)
        return err_set(err, -EINVAL, "'%.100s..' is longer than %d bytes", path, DLI_URL_MAX);
    return 0;
}

int dli_upload_add(struct dli_upload *u, const char *path, struct err *err)
{
    int rc = check_length(path, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < u->n_paths; i++) {
        if (strcmp(u->paths[i], path) == 0)
            return 0;
    }
    if (u->n_paths == DLI_PATHS_MAX)
        return err_set(err, -E2BIG, "more than %d paths", DLI_PATHS_MAX);
    if (u->n_paths % PATHS_STEP == 0) {
        char **v = realloc(u->paths, (u->n_paths + PATHS_STEP) * sizeof(*v));
        if (!v)
            return err_set(err, -ENOMEM, "out of memory");
        u->paths = v;
    }
    char *copy = strdup(path);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    u->paths[u->n_paths++] = copy;
    return 0;
}

int dli_upload_set_path(struct dli_upload *u, size_t i, const char *path, struct err *err)
{
    int rc = check_length(path, err);
    if (rc < 0)
        return rc;
    char *copy = strdup(path);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    free(u->paths[i]);
    u->paths[i] = copy;
    return 0;
}

const char *dli_upload_path(const struct dli_upload *u)
{
    return u->generic ? generic_path : kinds[u->kind].path;
}

/* --- the body --- */

static int by_package(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(dli_package_of(*x), dli_package_of(*y));
}

/* The service names a package by the last segment alone: of two one would be lost. */
static int check_names(const struct dli_upload *u, struct err *err)
{
    CLEANUP_FREE char **sorted = malloc(u->n_paths * sizeof(*sorted));
    if (!sorted)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(sorted, u->paths, u->n_paths * sizeof(*sorted));
    qsort(sorted, u->n_paths, sizeof(*sorted), by_package);
    for (size_t i = 1; i < u->n_paths; i++) {
        if (by_package(&sorted[i - 1], &sorted[i]) == 0 && strcmp(sorted[i - 1], sorted[i]) != 0)
            return err_set(err, -EINVAL, "two packages have the name '%s'",
                           dli_package_of(sorted[i]));
    }
    return 0;
}

int dli_upload_body(const struct dli_upload *u, struct buf *out, struct err *err)
{
    if (!u->n_paths)
        return err_set(err, -EINVAL, "no path is given");
    for (size_t i = 0; i < u->n_paths; i++) {
        int rc = dli_check_url(u->paths[i], err);
        if (rc < 0)
            return rc;
    }
    int rc = check_names(u, err);
    if (rc < 0)
        return rc;

    (void)buf_adds(out, "{\"paths\":[");
    for (size_t i = 0; i < u->n_paths; i++) {
        if (i)
            (void)buf_addc(out, ',');
        (void)json_quote(out, u->paths[i]);
    }
    (void)buf_addc(out, ']');
    if (u->generic)
        (void)buf_addf(out, ",\"kind\":\"%s\"", dli_kind_name(u->kind));
    if (u->group[0])
        (void)buf_addf(out, ",\"group\":\"%s\"", u->group);
    if (u->has_async)
        (void)buf_addf(out, ",\"is_async\":%s", u->is_async ? "true" : "false");
    if (u->tags)
        (void)buf_addf(out, ",\"tags\":%s", u->tags);
    (void)buf_addc(out, '}');
    return out->eno ? err_set(err, out->eno, "the request is longer than %zu bytes", out->max) : 0;
}

/* --- single calls --- */

int dli_list_call(struct cloud_call *call, const char *kind, struct err *err)
{
    enum dli_kind known;
    *call = (struct cloud_call){
        .service = CLOUD_DLI, .method = "GET", .right = "dli:resource:listResource"};
    (void)snprintf(call->path, sizeof(call->path), "%s", generic_path);
    if (!kind || !kind[0])
        return 0;
    if (dli_kind_parse(kind, &known) < 0)
        return err_set(err, -EINVAL, "'%.40s' is not one of jar, pyFile, file, modelFile", kind);
    call->query[call->n_query++] = (struct url_param){"kind", dli_kind_name(known)};
    return 0;
}

static int one_call(struct cloud_call *call, const char *name, const char *group, struct err *err)
{
    int rc = dli_check_package(name, err);
    if (rc == 0 && group && group[0]) {
        rc = dli_check_group(group, err);
        call->query[call->n_query++] = (struct url_param){"group", group};
    }
    if (rc == 0)
        (void)snprintf(call->path, sizeof(call->path), "%s/%s", generic_path, name);
    return rc;
}

int dli_get_call(struct cloud_call *call, const char *name, const char *group, struct err *err)
{
    *call = (struct cloud_call){
        .service = CLOUD_DLI, .method = "GET", .right = "dli:resource:getResource"};
    return one_call(call, name, group, err);
}

int dli_delete_call(struct cloud_call *call, const char *name, const char *group, struct err *err)
{
    *call = (struct cloud_call){
        .service = CLOUD_DLI, .method = "DELETE", .right = "dli:resource:deleteResource"};
    return one_call(call, name, group, err);
}
