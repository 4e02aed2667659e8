// SPDX-License-Identifier: Apache-2.0
/* Routes, configuration and rights of the cloud services, see cloud.h */
#include "tests/obs-local/cloud.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/auth.h"
#include "tests/obs-local/sign.h"

enum { SKEW_MAX_S = 15 * 60, SECRET_MAX = 256 };

static const char default_config[] =
    "{\"projects\":[{\"id\":\"0123456789abcdef0123456789abcdef\",\"name\":\"local\"}],"
    "\"users\":[],"
    "\"gateway\":{\"lock_after\":5,\"lock_s\":300,\"token_s\":86400},"
    "\"dli\":{\"group\":\"accumulate\",\"polls\":2,\"fail\":\"\",\"owner\":\"obs-local\"},"
    "\"modelarts\":{\"polls\":2,\"fail\":\"\",\"known\":\"*\",\"minimal\":false,\"paths\":{}},"
    "\"metadata\":{\"key_s\":3600,\"token\":\"optional\"}}";

int64_t cloud_now_ms(const struct cloud *c)
{
    return store_now_us(c->store) / 1000;
}

json_t *cloud_state_locked(struct cloud *c, const char *a, const char *b)
{
    ASSERT_HELD(&c->lock);
    json_t *first = json_object_get(c->state, a);
    if (!json_is_object(first)) {
        first = json_object();
        json_object_set_new(c->state, a, first);
    }
    json_t *second = json_object_get(first, b);
    if (!json_is_object(second)) {
        second = json_object();
        json_object_set_new(first, b, second);
    }
    return second;
}

json_t *cloud_config_locked(struct cloud *c, const char *a, const char *b)
{
    ASSERT_HELD(&c->lock);
    return json_object_get(json_object_get(c->config, a), b);
}

int64_t cloud_config_int_locked(struct cloud *c, const char *a, const char *b, int64_t otherwise)
{
    const json_t *v = cloud_config_locked(c, a, b);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

const char *cloud_config_text_locked(struct cloud *c, const char *a, const char *b)
{
    const char *text = json_string_value(cloud_config_locked(c, a, b));
    return text ? text : "";
}

void cloud_save_locked(struct cloud *c)
{
    char *text = json_dumps(c->state, JSON_INDENT(1));
    CLEANUP_CLOSE int fd =
        openat(c->store->dir, "cloud.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = text ? strlen(text) : 0;
    if (fd < 0 || !text || write(fd, text, n) != (ssize_t)n ||
        renameat(c->store->dir, "cloud.json.new", c->store->dir, "cloud.json") != 0)
        perror("obs-local: cloud.json");
    free(text);
}

struct cloud *cloud_new(struct store *store, struct auth *auth)
{
    struct cloud *c = mem_alloc(sizeof(*c));
    lock_init(&c->lock);
    c->store = store;
    c->auth = auth;
    c->config = json_loads(default_config, 0, NULL);
    c->tokens = json_object();
    c->failures = json_object();
    int fd = openat(store->dir, "cloud.json", O_RDONLY | O_CLOEXEC);
    CLEANUP_FCLOSE FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    c->state = f ? json_loadf(f, 0, NULL) : NULL;
    if (!json_is_object(c->state)) {
        json_decref(c->state);
        c->state = json_object();
    }
    return c;
}

void cloud_free(struct cloud *c)
{
    if (!c)
        return;
    json_decref(c->config);
    json_decref(c->state);
    json_decref(c->tokens);
    json_decref(c->failures);
    lock_done(&c->lock);
    free(c);
}

int cloud_set(struct cloud *c, const char *json, size_t n, struct err *err)
{
    json_error_t je;
    json_t *spec = json_loadb(json, n, 0, &je);
    json_t *config = json_object_get(spec, "config"), *v;
    const char *name;
    int rc = json_is_object(spec) ? 0 : err_set(err, -EINVAL, "not a JSON object: %s", je.text);
    lock_take(&c->lock);
    json_object_foreach(config, name, v)
    {
        json_t *old = json_object_get(c->config, name);
        if (rc == 0 && (!old || json_typeof(old) != json_typeof(v)))
            rc = err_set(err, -EINVAL, "'%s' is unknown or of the wrong type", name);
    }
    if (rc == 0 && config)
        json_object_update_recursive(c->config, config);
    if (rc == 0 && json_is_true(json_object_get(spec, "reset"))) {
        json_object_clear(c->state);
        json_object_clear(c->tokens);
        json_object_clear(c->failures);
        cloud_save_locked(c);
    }
    if (rc == 0 && json_is_true(json_object_get(spec, "unlock")))
        json_object_clear(c->failures);
    lock_drop(&c->lock);
    json_decref(spec);
    return rc;
}

void cloud_json(struct cloud *c, struct buf *out)
{
    lock_take(&c->lock);
    json_t *config = json_copy(c->config);
    json_object_del(config, "users");
    json_t *all = json_pack("{s:o, s:O}", "config", config, "state", c->state);
    char *text = json_dumps(all, JSON_INDENT(1));
    buf_adds(out, text ? text : "{}");
    free(text);
    json_decref(all);
    lock_drop(&c->lock);
}

void cloud_error(struct request *r, int status, const char *code, const char *message)
{
    ans_error_status(r, status, code, message);
}

void cloud_answer(struct request *r, int status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    ans_json(r, status, text ? text : "{}");
    free(text);
    json_decref(value);
}

json_t *cloud_body(struct request *r, const char *code)
{
    json_error_t je;
    json_t *body = json_loadb(buf_str(&r->body), r->body.n, 0, &je);
    if (json_is_object(body))
        return body;
    json_decref(body);
    cloud_error(r, 400, code, "The request body is not a JSON object");
    return NULL;
}

char *cloud_random_id(struct request *r)
{
    unsigned char bytes[16] = {0};
    char *text = arena_alloc(&r->mem, 33);
    RAND_bytes(bytes, sizeof(bytes));
    text_hex(bytes, sizeof(bytes), text);
    return text;
}

static bool refuse(struct request *r, int status, const char *code, const char *message)
{
    cloud_error(r, status, code, message);
    return false;
}

/* Counts a wrong signature; so many in a row lock the key for everybody. */
static void count_failure(struct cloud *c, const char *ak)
{
    int64_t now_s = cloud_now_ms(c) / 1000;
    lock_take(&c->lock);
    json_t *f = json_object_get(c->failures, ak);
    int64_t n = json_integer_value(json_object_get(f, "count")) + 1;
    bool lock = n >= cloud_config_int_locked(c, "gateway", "lock_after", 5);
    int64_t until = lock ? now_s + cloud_config_int_locked(c, "gateway", "lock_s", 300) : 0;
    json_object_set_new(
        c->failures, ak,
        json_pack("{s:I, s:I}", "count", (json_int_t)(lock ? 0 : n), "until", (json_int_t)until));
    lock_drop(&c->lock);
}

static bool is_locked(struct cloud *c, const char *ak)
{
    lock_take(&c->lock);
    int64_t until = json_integer_value(json_object_get(json_object_get(c->failures, ak), "until"));
    lock_drop(&c->lock);
    return until > cloud_now_ms(c) / 1000;
}

static void clear_failures(struct cloud *c, const char *ak)
{
    lock_take(&c->lock);
    json_object_del(c->failures, ak);
    lock_drop(&c->lock);
}

static const char *sdk_field(struct request *r, const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        return "";
    at += strlen(name);
    return arena_dupn(&r->mem, at, strcspn(at, ", "));
}

static bool time_is_near(const struct cloud *c, const char *text)
{
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%Y%m%dT%H%M%SZ", &tm) : NULL;
    if (!end || *end)
        return false;
    int64_t skew = cloud_now_ms(c) / 1000 - timegm(&tm);
    return skew <= SKEW_MAX_S && skew >= -SKEW_MAX_S;
}

static void sdk_signature(struct request *r, const char *sk, const char *time,
                          const char *signed_headers, char out[65])
{
    const char *given = req_plain_header(r, "x-sdk-content-sha256");
    char hash[65];
    struct buf text = BUF_INIT(256 << 10);
    sign_sha256_hex(buf_str(&r->body), r->body.n, hash);
    struct sign_req sr = {r->method, r->path, NULL, &r->headers, &r->signed_query};
    sign_text_sdk(&sr, signed_headers, given ? given : hash, &text);
    sign_sdk(sk, time, &text, out);
    buf_done(&text);
}

static bool check_sdk(struct request *r)
{
    static const char incorrect[] = "Incorrect IAM authentication information: ";
    struct cloud *c = r->srv->cloud;
    const char *h = req_plain_header(r, "authorization");
    const char *ak = sdk_field(r, h, "Access="), *signature = sdk_field(r, h, "Signature=");
    const char *signed_headers = sdk_field(r, h, "SignedHeaders=");
    const char *time = req_plain_header(r, "x-sdk-date");
    char sk[SECRET_MAX], want[65];
    if (is_locked(c, ak))
        return refuse(
            r, 401, "APIGW.0301",
            arena_printf(&r->mem, "%sAK access failed to reach the limit,forbidden", incorrect));
    if (!time_is_near(c, time))
        return refuse(r, 401, "APIGW.0301",
                      arena_printf(&r->mem, "%ssignature expired", incorrect));
    if (!auth_secret(c->auth, ak, req_plain_header(r, "x-security-token"), cloud_now_ms(c) / 1000,
                     sk, sizeof(sk), &r->read_only)) {
        count_failure(c, ak);
        return refuse(
            r, 401, "APIGW.0301",
            arena_printf(&r->mem, "%sGet secretKey failed,ak:%s,err:ak not exist", incorrect, ak));
    }
    sdk_signature(r, sk, time, signed_headers, want);
    if (!strstr(signed_headers, "x-sdk-date") || !sign_equal(want, signature)) {
        count_failure(c, ak);
        return refuse(r, 401, "APIGW.0301",
                      arena_printf(&r->mem, "%sverify aksk signature fail", incorrect));
    }
    clear_failures(c, ak);
    r->ak = ak;
    if (!r->read_only || !r->op->writes)
        return true;
    if (text_starts(r->op->name, "Dli"))
        return refuse(r, 400, "DLI.0003", "Permission denied");
    return refuse(r, 403, "ModelArts.4336", "No permission for this operation");
}

/* The project that the token is for ("": none); NULL: no such token. */
static const char *token_project(struct request *r, const char *token, bool *ret_expired)
{
    struct cloud *c = r->srv->cloud;
    const char *project = NULL;
    lock_take(&c->lock);
    const json_t *t = json_object_get(c->tokens, token);
    if (t) {
        const char *text = json_string_value(json_object_get(t, "project"));
        project = arena_dup(&r->mem, text ? text : "");
        *ret_expired = json_integer_value(json_object_get(t, "expires")) <= cloud_now_ms(c);
        const char *user = json_string_value(json_object_get(t, "user"));
        r->ak = arena_dup(&r->mem, user ? user : "");
    }
    lock_drop(&c->lock);
    return project;
}

static bool project_exists(struct cloud *c, const char *id)
{
    size_t i;
    json_t *p;
    bool found = false;
    lock_take(&c->lock);
    json_array_foreach(json_object_get(c->config, "projects"), i, p)
    {
        const char *text = json_string_value(json_object_get(p, "id"));
        found = found || (text && strcmp(text, id) == 0);
    }
    lock_drop(&c->lock);
    return found;
}

bool cloud_auth(struct request *r, const char *project)
{
    const char *token = req_plain_header(r, "x-auth-token");
    const char *for_project = project;
    if (token) {
        bool expired = false;
        for_project = token_project(r, token, &expired);
        if (!for_project)
            return refuse(r, 401, "APIGW.0301",
                          "Incorrect IAM authentication information: decrypt token fail");
        if (expired)
            return refuse(r, 401, "APIGW.0307", "The token must be updated");
    } else if (r->sign == SIGN_SDK) {
        if (!check_sdk(r))
            return false;
        const char *header = req_plain_header(r, "x-project-id");
        if (header && project)
            for_project = header;
    } else {
        return refuse(r, 401, "APIGW.0301",
                      "Incorrect IAM authentication information: x-auth-token not found");
    }
    if (!project)
        return true;
    if (strcmp(for_project, project) != 0)
        return refuse(r, 403, "ModelArts.0210", "The project of the URL is not that of the token");
    if (!project_exists(r->srv->cloud, project))
        return refuse(r, 403, "APIGW.0310", "The project is unavailable");
    return true;
}

static void no_such_api(struct request *r)
{
    cloud_error(r, 404, "APIGW.0101", "The API does not exist or has not been published");
}

static const struct op op_no_api = {"UnknownApi", BODY_MEMORY, false, true, no_such_api, NULL};

/* '*' is one segment of the path; the first two become r->args. */
static const struct {
    const char *method, *path;
    enum error_form form;
    struct op op;
} routes[] = {
    {"POST",
     "/v2.0/*/resources",
     ERROR_JSON,
     {"DliUploadResources", BODY_MEMORY, true, true, dli_upload_any, NULL}},
    {"POST",
     "/v2.0/*/resources/jars",
     ERROR_JSON,
     {"DliUploadJars", BODY_MEMORY, true, true, dli_upload_jars, NULL}},
    {"POST",
     "/v2.0/*/resources/pyfiles",
     ERROR_JSON,
     {"DliUploadPythonFiles", BODY_MEMORY, true, true, dli_upload_pyfiles, NULL}},
    {"POST",
     "/v2.0/*/resources/files",
     ERROR_JSON,
     {"DliUploadFiles", BODY_MEMORY, true, true, dli_upload_files, NULL}},
    {"PUT",
     "/v2.0/*/resources/owner",
     ERROR_JSON,
     {"DliUpdateResourceOwner", BODY_MEMORY, true, true, dli_set_owner, NULL}},
    {"GET",
     "/v2.0/*/resources",
     ERROR_JSON,
     {"DliListResources", BODY_MEMORY, false, true, dli_list, NULL}},
    {"GET",
     "/v2.0/*/resources/*",
     ERROR_JSON,
     {"DliGetResource", BODY_MEMORY, false, true, dli_get, NULL}},
    {"DELETE",
     "/v2.0/*/resources/*",
     ERROR_JSON,
     {"DliDeleteResource", BODY_MEMORY, true, true, dli_delete, NULL}},
    {"POST",
     "/v1/*/data-annotations/*/obs/sync",
     ERROR_V1,
     {"ModelArtsSyncObs", BODY_MEMORY, true, true, modelarts_v1_sync, NULL}},
    {"GET",
     "/v1/*/data-annotations/*/obs/sync-status",
     ERROR_V1,
     {"ModelArtsSyncObsStatus", BODY_MEMORY, false, true, modelarts_v1_status, NULL}},
    {"POST",
     "/v2/*/datasets/*/sync-data",
     ERROR_JSON,
     {"ModelArtsSyncDataset", BODY_MEMORY, true, true, modelarts_v2_sync, NULL}},
    {"GET",
     "/v2/*/datasets/*/sync-data/status",
     ERROR_JSON,
     {"ModelArtsSyncDatasetStatus", BODY_MEMORY, false, true, modelarts_v2_status, NULL}},
    {"GET",
     "/v2/*/datasets/*",
     ERROR_JSON,
     {"ModelArtsGetDataset", BODY_MEMORY, false, true, modelarts_v2_dataset, NULL}},
    {"POST",
     "/v3/auth/tokens",
     ERROR_IAM,
     {"IamCreateToken", BODY_MEMORY, false, true, iam_create_token, NULL}},
    {"GET",
     "/v3/projects",
     ERROR_IAM,
     {"IamListProjects", BODY_MEMORY, false, true, iam_list_projects, NULL}},
    {"GET",
     "/v3/auth/projects",
     ERROR_IAM,
     {"IamListOwnProjects", BODY_MEMORY, false, true, iam_list_projects, NULL}},
    {"POST",
     "/v3.0/OS-CREDENTIAL/securitytokens",
     ERROR_IAM,
     {"IamCreateSecurityToken", BODY_MEMORY, false, true, iam_security_token, NULL}},
    {"PUT",
     "/meta-data/latest/api/token",
     ERROR_JSON,
     {"MetadataToken", BODY_MEMORY, false, true, metadata_token, NULL}},
    {"GET",
     "/openstack/latest/securitykey",
     ERROR_JSON,
     {"MetadataSecurityKey", BODY_MEMORY, false, true, metadata_key, NULL}},
};

static bool path_matches(struct request *r, const char *pattern)
{
    const char *p = r->path;
    size_t n_args = 0;
    memset(r->args, 0, sizeof(r->args));
    while (*pattern) {
        if (*pattern != '*') {
            if (*p++ != *pattern++)
                return false;
            continue;
        }
        size_t n = strcspn(p, "/");
        char *text = n > 0 ? text_decode(&r->mem, p, n, false) : NULL;
        if (!text || n_args == sizeof(r->args) / sizeof(r->args[0]))
            return false;
        r->args[n_args++] = text;
        p += n;
        pattern++;
    }
    return *p == '\0';
}

static bool is_cloud_host(struct request *r, const char *host)
{
    static const char *const labels[] = {"dli.", "modelarts.", "iam."};
    if (strcmp(host, r->srv->config.domain) == 0 || host[0] == '[' || host[0] == '\0' ||
        !strchr(host, '.') || strspn(host, "0123456789.") == strlen(host))
        return true;
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        if (text_starts(host, labels[i]))
            return true;
    }
    return false;
}

static bool is_cloud_path(const char *path)
{
    static const char *const starts[] = {
        "/v1/", "/v2/", "/v2.0/", "/v3/", "/v3.0/", "/openstack/latest/", "/meta-data/latest/"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (text_starts(path, starts[i]))
            return true;
    }
    return false;
}

bool cloud_route(struct request *r, const char *host)
{
    if (!is_cloud_path(r->path) || !is_cloud_host(r, host))
        return false;
    r->cloud = true;
    r->error_form = ERROR_JSON;
    if (r->sign != SIGN_SDK)
        r->sign = req_plain_header(r, "x-auth-token") ? SIGN_TOKEN : SIGN_NONE;
    r->op = &op_no_api;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].method, r->method) != 0 || !path_matches(r, routes[i].path))
            continue;
        r->op = &routes[i].op;
        r->error_form = routes[i].form;
        r->key = r->args[1];
        break;
    }
    return true;
}
