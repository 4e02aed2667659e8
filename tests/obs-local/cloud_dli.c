// SPDX-License-Identifier: Apache-2.0
/* DLI package groups, see cloud.h. Source: DLI API, package group-related APIs. */
#include "tests/obs-local/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 128, GROUP_MAX_BYTES = 64 };

/* state.dli.PROJECT is {"GROUP/NAME": package}; an ungrouped one is "/NAME". */

struct upload_request {
    const char *kind;
    const char *group; /* "": none */
    bool is_async;
    bool typed;
    json_t *paths; /* borrowed */
};

static bool name_valid(const char *name, const char *more, size_t max)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t n = strlen(name);
    if (n == 0 || n > max)
        return false;
    for (; *name; name++) {
        if (!strchr(letters, *name) && !strchr(more, *name))
            return false;
    }
    return true;
}

static const char *trimmed(struct arena *a, const char *s)
{
    while (*s == ' ')
        s++;
    size_t n = strlen(s);
    while (n > 0 && s[n - 1] == ' ')
        n--;
    return arena_dupn(a, s, n);
}

static const char *last_segment(const char *url)
{
    const char *slash = strrchr(url, '/');
    return slash ? slash + 1 : url;
}

/* If the URL names a bucket of ours, the object must be there. False: refused. */
static bool object_there(struct request *r, const char *url, json_t *package)
{
    const char *host = strstr(url, "://") + 3;
    const char *slash = strchr(host, '/');
    for (const char *dot = host; slash && (dot = strchr(dot, '.')) != NULL && dot < slash; dot++) {
        char *bucket = arena_dupn(&r->mem, host, (size_t)(dot - host));
        if (!store_bucket_exists(r->srv->store, bucket))
            continue;
        char *key = text_decode(&r->mem, slash + 1, strlen(slash + 1), false);
        struct object *o = NULL;
        if (!key || store_get(r->srv->store, bucket, key, &o) != 0) {
            cloud_error(r, 400, "DLI.0002",
                        arena_printf(&r->mem, "The object '%s' does not exist", url));
            return false;
        }
        /* it is copied now: what is put later under this key is not seen */
        json_object_set_new(package, "etag", json_string(o->etag));
        json_object_set_new(package, "size", json_integer((json_int_t)o->size));
        object_unref(o);
        return true;
    }
    return true;
}

static bool path_valid(struct request *r, const json_t *path)
{
    const char *url = json_string_value(path);
    const char *rest = url ? (text_starts(url, "https://")  ? url + 8
                              : text_starts(url, "http://") ? url + 7
                                                            : NULL)
                           : NULL;
    if (!rest || !strchr(rest, '/') || strchr(url, ' ')) {
        cloud_error(r, 400, "DLI.0001",
                    arena_printf(&r->mem,
                                 "Parameter check failed: '%s' is not the URL of an object",
                                 url ? url : "(not a text)"));
        return false;
    }
    const char *name = last_segment(url);
    if (!name_valid(name, "_!-.", NAME_MAX_BYTES) || name[0] == '.') {
        cloud_error(
            r, 400, "DLI.0001",
            arena_printf(&r->mem, "Parameter check failed: invalid package name '%s'", name));
        return false;
    }
    return true;
}

/* Reads and checks the body. NULL: refused; else released by the caller. */
static json_t *read_upload(struct request *r, const char *kind, struct upload_request *u)
{
    json_t *body = cloud_body(r, "DLI.0001");
    if (!body)
        return NULL;
    const char *given = json_string_value(json_object_get(body, "kind"));
    const char *group = json_string_value(json_object_get(body, "group"));
    const json_t *is_async = json_object_get(body, "is_async");
    const char *async_text = json_string_value(is_async);
    *u = (struct upload_request){.kind = kind, .typed = kind != NULL};
    u->paths = json_object_get(body, "paths");
    u->group = group ? trimmed(&r->mem, group) : "";
    u->is_async =
        !kind && (json_is_true(is_async) || (async_text && strcmp(async_text, "true") == 0));
    static const char *const kinds[] = {"jar", "pyFile", "file", "modelFile"};
    for (size_t i = 0; !kind && given && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcasecmp(given, kinds[i]) == 0)
            u->kind = kinds[i];
    }
    const char *problem = NULL;
    if (!u->kind)
        problem = "Parameter check failed: invalid kind";
    else if (!json_is_array(u->paths) || json_array_size(u->paths) == 0)
        problem = "Parameter check failed: paths is empty";
    else if (u->group[0] && !name_valid(u->group, "._-", GROUP_MAX_BYTES))
        problem = "Parameter check failed: invalid group name";
    else if (group && !u->group[0])
        problem = "Parameter check failed: empty group name";
    size_t i;
    json_t *path;
    bool ok = !problem;
    if (problem)
        cloud_error(r, 400, "DLI.0001", problem);
    json_array_foreach(u->paths, i, path)
    {
        ok = ok && path_valid(r, path);
    }
    if (ok)
        return body;
    json_decref(body);
    return NULL;
}

static const char *text_of(const json_t *package, const char *name)
{
    const char *text = json_string_value(json_object_get(package, name));
    return text ? text : "";
}

/* An asynchronous package becomes ready when it was asked for often enough. */
static void advance(json_t *package)
{
    json_int_t left = json_integer_value(json_object_get(package, "polls_left"));
    if (strcmp(text_of(package, "status"), "UPLOADING") != 0)
        return;
    if (left > 0) {
        json_object_set_new(package, "polls_left", json_integer(left - 1));
        return;
    }
    json_object_set_new(
        package, "status",
        json_string(json_is_true(json_object_get(package, "fails")) ? "FAILED" : "READY"));
}

static json_t *resource_of(const json_t *package, bool detail)
{
    json_t *v = json_pack(
        "{s:O, s:O, s:s, s:s, s:s, s:s}", "create_time", json_object_get(package, "create_time"),
        "update_time", json_object_get(package, "update_time"), "resource_type",
        text_of(package, "kind"), "resource_name", text_of(package, "name"), "status",
        text_of(package, "status"), "underlying_name", text_of(package, "underlying_name"));
    if (detail)
        json_object_set(v, "is_async", json_object_get(package, "is_async"));
    else
        json_object_set_new(v, "owner", json_string(text_of(package, "owner")));
    return v;
}

/* The group as the service shows it; NULL: it has no package. */
static json_t *group_of(json_t *packages, const char *group)
{
    json_t *resources = json_array(), *details = json_array(), *p;
    json_int_t created = 0, updated = 0;
    const char *status = "READY", *name, *owner = "";
    bool is_async = false;
    json_object_foreach(packages, name, p)
    {
        if (strcmp(text_of(p, "group"), group) != 0)
            continue;
        json_int_t c = json_integer_value(json_object_get(p, "create_time"));
        json_int_t u = json_integer_value(json_object_get(p, "update_time"));
        created = created && created < c ? created : c;
        updated = updated > u ? updated : u;
        is_async = is_async || json_is_true(json_object_get(p, "is_async"));
        if (strcmp(text_of(p, "status"), "FAILED") == 0 ||
            (strcmp(text_of(p, "status"), "UPLOADING") == 0 && strcmp(status, "READY") == 0))
            status = text_of(p, "status");
        owner = text_of(p, "owner");
        json_array_append_new(resources, json_string(text_of(p, "name")));
        json_array_append_new(details, resource_of(p, true));
    }
    if (json_array_size(resources) == 0) {
        json_decref(resources);
        json_decref(details);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:b, s:s}", "group_name", group, "status",
                     status, "resources", resources, "details", details, "create_time", created,
                     "update_time", updated, "is_async", is_async, "owner", owner);
}

static void drop_group(json_t *packages, const char *group)
{
    const char *name;
    void *tmp;
    json_t *p;
    json_object_foreach_safe(packages, tmp, name, p)
    {
        if (strcmp(text_of(p, "group"), group) == 0)
            json_object_del(packages, name);
    }
}

/* The package of one path; NULL: refused. */
static json_t *make_package(struct request *r, const struct upload_request *u, const char *url)
{
    struct cloud *c = r->srv->cloud;
    const char *name = last_segment(url);
    const char *fail = cloud_config_text_locked(c, "dli", "fail");
    bool fails = fail[0] && text_glob(fail, name);
    json_int_t now = cloud_now_ms(c);
    json_t *p = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:s, s:s}", "name",
                          name, "group", u->group, "kind", u->kind, "url", url, "status",
                          u->is_async ? "UPLOADING"
                          : fails     ? "FAILED"
                                      : "READY",
                          "is_async", u->is_async, "fails", fails, "polls_left",
                          (json_int_t)cloud_config_int_locked(c, "dli", "polls", 2), "create_time",
                          now, "update_time", now, "underlying_name", name, "owner",
                          cloud_config_text_locked(c, "dli", "owner"));
    if (object_there(r, url, p))
        return p;
    json_decref(p);
    return NULL;
}

/* Makes all packages, or none. The group (or the list of names) for the answer; NULL: refused. */
static json_t *store_packages_locked(struct request *r, const struct upload_request *u)
{
    struct cloud *c = r->srv->cloud;
    json_t *packages = cloud_state_locked(c, "dli", r->args[0]);
    json_t *made = json_object(), *names = json_array(), *path, *p;
    size_t i;
    bool ok = true;
    json_array_foreach(u->paths, i, path)
    {
        const char *url = json_string_value(path);
        p = ok ? make_package(r, u, url) : NULL;
        ok = p != NULL;
        if (!ok)
            break;
        const char *id = arena_printf(&r->mem, "%s/%s", u->group, last_segment(url));
        const json_t *old = json_object_get(packages, id);
        if (old)
            json_object_set(p, "create_time", json_object_get(old, "create_time"));
        json_object_set_new(made, id, p);
        json_array_append_new(names, json_string(last_segment(url)));
    }
    json_t *answer = NULL;
    if (ok) {
        if (u->group[0] && strcmp(cloud_config_text_locked(c, "dli", "group"), "overwrite") == 0)
            drop_group(packages, u->group);
        json_object_update(packages, made);
        answer = u->group[0] ? group_of(packages, u->group)
                             : json_pack("{s:O}", "resource_names", names);
        cloud_save_locked(c);
    }
    json_decref(made);
    json_decref(names);
    return answer;
}

static void upload(struct request *r, const char *kind, int status)
{
    struct cloud *c = r->srv->cloud;
    struct upload_request u;
    if (!cloud_auth(r, r->args[0]))
        return;
    json_t *body = read_upload(r, kind, &u);
    if (!body)
        return;
    lock_take(&c->lock);
    json_t *answer = store_packages_locked(r, &u);
    lock_drop(&c->lock);
    if (answer && u.typed && u.group[0]) {
        json_object_set_new(answer, "description", json_string(""));
        json_object_set_new(answer, "module_name", json_string(u.group));
        json_object_set_new(answer, "module_type", json_string(u.kind));
    }
    json_decref(body);
    if (answer)
        cloud_answer(r, status, answer);
}

/* The pages of the typed calls disagree about the status: 200 for Python files, 201 for files. */
void dli_upload_any(struct request *r)
{
    upload(r, NULL, 201);
}

void dli_upload_jars(struct request *r)
{
    upload(r, "jar", 201);
}

void dli_upload_pyfiles(struct request *r)
{
    upload(r, "pyFile", 200);
}

void dli_upload_files(struct request *r)
{
    upload(r, "file", 201);
}

void dli_list(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *kind = req_query(r, "kind");
    if (!cloud_auth(r, r->args[0]))
        return;
    json_t *resources = json_array(), *groups = json_array(), *seen = json_object(), *p;
    const char *name;
    lock_take(&c->lock);
    json_t *packages = cloud_state_locked(c, "dli", r->args[0]);
    json_object_foreach(packages, name, p)
    {
        const char *group = text_of(p, "group");
        if (kind && strcasecmp(kind, text_of(p, "kind")) != 0)
            continue;
        advance(p);
        json_array_append_new(resources, resource_of(p, false));
        if (group[0])
            json_object_set_new(seen, group, json_true());
    }
    json_object_foreach(seen, name, p)
    {
        json_array_append_new(groups, group_of(packages, name));
    }
    lock_drop(&c->lock);
    json_decref(seen);
    json_int_t total = (json_int_t)json_array_size(resources);
    cloud_answer(r, 200,
                 json_pack("{s:o, s:[], s:o, s:I}", "resources", resources, "modules", "groups",
                           groups, "total", total));
}

/* The package of the path and its query; NULL: there is none, refused. */
static json_t *find_locked(struct request *r, const char **ret_id)
{
    const char *group = req_query(r, "group");
    json_t *packages = cloud_state_locked(r->srv->cloud, "dli", r->args[0]);
    *ret_id = arena_printf(&r->mem, "%s/%s", group ? trimmed(&r->mem, group) : "", r->args[1]);
    json_t *p = json_object_get(packages, *ret_id);
    if (!p)
        cloud_error(r, 404, "DLI.0023",
                    arena_printf(&r->mem, "The resource '%s' is not found", *ret_id));
    return p;
}

void dli_get(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *id;
    if (!cloud_auth(r, r->args[0]))
        return;
    lock_take(&c->lock);
    json_t *p = find_locked(r, &id);
    json_t *answer = NULL;
    if (p) {
        advance(p);
        answer = resource_of(p, false);
        cloud_save_locked(c);
    }
    lock_drop(&c->lock);
    if (answer)
        cloud_answer(r, 200, answer);
}

void dli_delete(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *id;
    if (!cloud_auth(r, r->args[0]))
        return;
    lock_take(&c->lock);
    bool found = find_locked(r, &id) != NULL;
    if (found) {
        json_object_del(cloud_state_locked(c, "dli", r->args[0]), id);
        cloud_save_locked(c);
    }
    lock_drop(&c->lock);
    if (found)
        ans_status(r, 200);
}

void dli_set_owner(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!cloud_auth(r, r->args[0]))
        return;
    json_t *body = cloud_body(r, "DLI.0001");
    if (!body)
        return;
    const char *owner = text_of(body, "new_owner"), *group = text_of(body, "group_name");
    const char *only = text_of(body, "resource_name"), *name;
    unsigned n = 0;
    json_t *p;
    lock_take(&c->lock);
    json_object_foreach(cloud_state_locked(c, "dli", r->args[0]), name, p)
    {
        if (strcmp(text_of(p, "group"), group) != 0 ||
            (only[0] && strcmp(text_of(p, "name"), only) != 0))
            continue;
        json_object_set_new(p, "owner", json_string(owner));
        n++;
    }
    cloud_save_locked(c);
    lock_drop(&c->lock);
    if (!owner[0] || n == 0)
        cloud_error(r, 404, "DLI.0002", "The group or resource does not exist");
    else
        cloud_answer(r, 200, json_pack("{s:b, s:s}", "is_success", 1, "message", ""));
    json_decref(body);
}
