// SPDX-License-Identifier: Apache-2.0
/* IAM and the metadata service, see cloud.h. Source: IAM API, obtaining a user token, querying
 * projects, temporary access keys; ECS, metadata obtaining. */
#include "tests/obs-local/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "tests/obs-local/auth.h"

static const char *path_text(const json_t *v, const char *const *names)
{
    for (; *names; names++)
        v = json_object_get(v, *names);
    const char *text = json_string_value(v);
    return text ? text : "";
}

/* "2019-02-13T06:52:13.855000Z" */
static const char *micro_time(struct request *r, int64_t ms)
{
    char text[32];
    text_iso(ms, text);
    return arena_printf(&r->mem, "%.*s000Z", (int)strlen(text) - 1, text);
}

static bool user_matches(const json_t *user, const char *name, const char *domain,
                         const char *password)
{
    const char *u = json_string_value(json_object_get(user, "name"));
    const char *d = json_string_value(json_object_get(user, "domain"));
    const char *p = json_string_value(json_object_get(user, "password"));
    return u && p && strcmp(u, name) == 0 && strcmp(p, password) == 0 &&
           (!d || strcmp(d, domain) == 0);
}

static bool user_known_locked(struct cloud *c, const json_t *body, const char **ret_name)
{
    static const char *const name_path[] = {"auth", "identity", "password", "user", "name", NULL};
    static const char *const password_path[] = {"auth", "identity", "password",
                                                "user", "password", NULL};
    static const char *const domain_path[] = {"auth",   "identity", "password", "user",
                                              "domain", "name",     NULL};
    size_t i;
    json_t *u;
    *ret_name = path_text(body, name_path);
    json_array_foreach(json_object_get(c->config, "users"), i, u)
    {
        if (user_matches(u, *ret_name, path_text(body, domain_path),
                         path_text(body, password_path)))
            return true;
    }
    return false;
}

/* The project that the body's scope names; NULL: none such. */
static json_t *scope_project_locked(struct cloud *c, const json_t *body)
{
    static const char *const id_path[] = {"auth", "scope", "project", "id", NULL};
    static const char *const name_path[] = {"auth", "scope", "project", "name", NULL};
    const char *id = path_text(body, id_path), *name = path_text(body, name_path);
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(c->config, "projects"), i, p)
    {
        const char *pid = json_string_value(json_object_get(p, "id"));
        const char *pname = json_string_value(json_object_get(p, "name"));
        if ((pid && strcmp(pid, id) == 0) || (pname && strcmp(pname, name) == 0))
            return p;
    }
    return NULL;
}

static const char *new_token(struct request *r)
{
    return arena_printf(&r->mem, "MII%s%s%s", cloud_random_id(r), cloud_random_id(r),
                        cloud_random_id(r));
}

void iam_create_token(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    json_t *body = cloud_body(r, "Bad Request"), *answer = NULL;
    const char *name;
    if (!body)
        return;
    lock_take(&c->lock);
    bool known = user_known_locked(c, body, &name);
    json_t *project = scope_project_locked(c, body);
    int64_t now = cloud_now_ms(c);
    int64_t expires = now + 1000 * cloud_config_int_locked(c, "gateway", "token_s", 86400);
    if (known && project) {
        const char *token = new_token(r);
        const char *id = json_string_value(json_object_get(project, "id"));
        json_object_set_new(c->tokens, token,
                            json_pack("{s:s, s:s, s:I}", "project", id, "user", name, "expires",
                                      (json_int_t)expires));
        ans_header(r, "X-Subject-Token", token);
        answer = json_pack("{s:{s:[s], s:s, s:s, s:O, s:{s:s}}}", "token", "methods", "password",
                           "expires_at", micro_time(r, expires), "issued_at", micro_time(r, now),
                           "project", project, "user", "name", name);
    }
    lock_drop(&c->lock);
    json_decref(body);
    if (answer)
        cloud_answer(r, 201, answer);
    else if (!known)
        cloud_error(r, 401, "Unauthorized", "The username or password is wrong.");
    else
        cloud_error(r, 401, "Unauthorized", "The project of the scope is not found.");
}

void iam_list_projects(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *wanted = req_query(r, "name");
    if (!cloud_auth(r, NULL))
        return;
    json_t *projects = json_array(), *p;
    size_t i;
    lock_take(&c->lock);
    json_array_foreach(json_object_get(c->config, "projects"), i, p)
    {
        const char *name = json_string_value(json_object_get(p, "name"));
        const char *id = json_string_value(json_object_get(p, "id"));
        if (!name || !id || (wanted && strcmp(name, wanted) != 0))
            continue;
        json_array_append_new(projects,
                              json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:s}", "id", id, "name",
                                        name, "domain_id", "obs-local", "parent_id", "obs-local",
                                        "enabled", 1, "is_domain", 0, "description", ""));
    }
    lock_drop(&c->lock);
    cloud_answer(r, 200,
                 json_pack("{s:o, s:{s:s, s:n, s:n}}", "projects", projects, "links", "self", "",
                           "previous", "next"));
}

/* A new temporary credential as {"access", "secret", "securitytoken", "expires_at"}. */
static json_t *temporary_key(struct request *r, int64_t lasts_s)
{
    struct cloud *c = r->srv->cloud;
    int64_t until_s = cloud_now_ms(c) / 1000 + lasts_s;
    const char *ak = arena_printf(&r->mem, "HST%.17s", cloud_random_id(r));
    const char *sk = arena_printf(&r->mem, "%s%.8s", cloud_random_id(r), cloud_random_id(r));
    const char *token = new_token(r);
    auth_add(c->auth, arena_printf(&r->mem, "%s:%s:%s", ak, sk, token), false, until_s);
    return json_pack("{s:s, s:s, s:s, s:s}", "access", ak, "secret", sk, "securitytoken", token,
                     "expires_at", micro_time(r, until_s * 1000));
}

void iam_security_token(struct request *r)
{
    static const char *const seconds_path[] = {"auth", "identity", "token", NULL};
    if (!cloud_auth(r, NULL))
        return;
    json_t *body = cloud_body(r, "Bad Request");
    if (!body)
        return;
    const json_t *at = body;
    for (const char *const *name = seconds_path; *name; name++)
        at = json_object_get(at, *name);
    const json_t *seconds = json_object_get(at, "duration_seconds");
    int64_t lasts = seconds ? json_integer_value(seconds) : 900;
    if (lasts < 900 || lasts > 86400)
        cloud_error(r, 400, "Bad Request", "duration_seconds is not 900 to 86400");
    else
        cloud_answer(r, 201, json_pack("{s:o}", "credential", temporary_key(r, lasts)));
    json_decref(body);
}

/* config.metadata.token: "optional", "required", or "unsupported". */
static bool token_mode_is(struct cloud *c, const char *mode)
{
    lock_take(&c->lock);
    bool yes = strcmp(cloud_config_text_locked(c, "metadata", "token"), mode) == 0;
    lock_drop(&c->lock);
    return yes;
}

void metadata_token(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *ttl = req_plain_header(r, "x-metadata-token-ttl-seconds");
    uint64_t lasts = 0;
    if (token_mode_is(c, "unsupported")) {
        cloud_error(r, 405, "MethodNotAllowed", "Tokens are not supported");
        return;
    }
    if (!ttl || !text_u64(ttl, 21600, &lasts) || lasts == 0) {
        cloud_error(r, 400, "BadRequest", "X-Metadata-Token-Ttl-Seconds is missing or wrong");
        return;
    }
    const char *token = arena_printf(&r->mem, "imds-%s", cloud_random_id(r));
    lock_take(&c->lock);
    json_object_set_new(
        c->tokens, token,
        json_pack("{s:I}", "expires", (json_int_t)(cloud_now_ms(c) + (int64_t)lasts * 1000)));
    lock_drop(&c->lock);
    ans_header(r, "Content-Type", "text/plain");
    ans_status(r, 200);
    buf_adds(&r->out, token);
}

static bool metadata_allowed(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    const char *token = req_plain_header(r, "x-metadata-token");
    if (!token)
        return !token_mode_is(c, "required");
    lock_take(&c->lock);
    const json_t *t = text_starts(token, "imds-") ? json_object_get(c->tokens, token) : NULL;
    bool valid = json_integer_value(json_object_get(t, "expires")) > cloud_now_ms(c);
    lock_drop(&c->lock);
    return valid;
}

/* The same key until half of its time is over, as a machine sees it. */
void metadata_key(struct request *r)
{
    struct cloud *c = r->srv->cloud;
    if (!metadata_allowed(r)) {
        cloud_error(r, 401, "Unauthorized", "A valid X-Metadata-Token is required");
        return;
    }
    lock_take(&c->lock);
    int64_t lasts = cloud_config_int_locked(c, "metadata", "key_s", 3600);
    json_t *kept = json_incref(json_object_get(c->tokens, "metadata key"));
    lock_drop(&c->lock);
    int64_t renew = json_integer_value(json_object_get(kept, "renew"));
    if (!kept || renew <= cloud_now_ms(c)) {
        json_decref(kept);
        kept = json_pack("{s:o, s:I}", "credential", temporary_key(r, lasts), "renew",
                         (json_int_t)(cloud_now_ms(c) + lasts * 500));
        lock_take(&c->lock);
        json_object_set(c->tokens, "metadata key", kept);
        lock_drop(&c->lock);
    }
    cloud_answer(r, 200, json_pack("{s:O}", "credential", json_object_get(kept, "credential")));
    json_decref(kept);
}
