// SPDX-License-Identifier: Apache-2.0
// From a call to one attempt: URL, header fields, body, signature; see cloud_impl.h.
#include <errno.h>
#include <string.h>
#include <time.h>

#include "net/cloud_impl.h"
#include "net/sign.h"

static const char project_mark[] = "{project_id}";

/* The encoded path, with the project in its place. */
static int make_path(const struct cloud_state *st, struct buf *out)
{
    char raw[CLOUD_PATH_MAX + IAM_PROJECT_ID_MAX + 1];
    const char *path = st->call->path;
    const char *mark = strstr(path, project_mark);
    struct buf text = BUF_INIT(sizeof(raw));

    if (path[0] != '/')
        return -EINVAL;
    if (!mark)
        return url_path(out, NULL, path + 1, false);
    (void)buf_add(&text, path, (size_t)(mark - path));
    (void)buf_adds(&text, st->project_id);
    (void)buf_adds(&text, mark + sizeof(project_mark) - 1);
    int rc = text.eno ? text.eno : url_path(out, NULL, buf_str(&text) + 1, false);
    buf_done(&text);
    return rc;
}

static int add_fields(const struct cloud_state *st, struct http_request *req)
{
    int rc = http_fields_add(&req->fields, "Accept", "application/json");
    if (rc == 0 && strcmp(req->method, "POST") == 0)
        rc = http_fields_add(&req->fields, "Content-Type", "application/json");
    if (rc == 0 && st->call->service == CLOUD_MODELARTS)
        rc = http_fields_add(&req->fields, "X-Language", "en-us");
    if (rc == 0 && st->token)
        rc = http_fields_add(&req->fields, "X-Auth-Token", st->token);
    if (rc == 0 && st->cred.ak[0] && st->project_id[0])
        rc = http_fields_add(&req->fields, "X-Project-Id", st->project_id);
    return rc;
}

static int sign(struct cloud_state *st, struct http_request *req, const char *path,
                const char *host)
{
    struct sign_header headers[SIGN_HEADERS_MAX];
    CLEANUP_SIGN_LINES struct sign_lines lines = {0};
    const struct cloud_call *call = st->call;
    unsigned char hash[DIGEST_SHA256_SIZE];
    char sha256[2 * DIGEST_SHA256_SIZE + 1];

    if (req->fields.n + 1 > SIGN_HEADERS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < req->fields.n; i++)
        headers[i] = (struct sign_header){req->fields.v[i].name, req->fields.v[i].value};
    headers[req->fields.n] = (struct sign_header){"Host", host};
    int rc = digest_once(DIGEST_SHA256, call->body ? call->body : "", call->n_body, hash);
    if (rc < 0)
        return rc;
    hex_encode(hash, sizeof(hash), sha256);
    st->clock_offset = atomic_load(&st->cloud->clock_offset);
    struct sign_request r = {
        .method = req->method,
        .path = path,
        .query = call->query,
        .n_query = call->n_query,
        .headers = headers,
        .n_headers = req->fields.n + 1,
        .sha256 = sha256,
        .now = time(NULL) + (time_t)st->clock_offset,
    };
    rc = sign_sdk(&r, &st->cred, &lines);
    for (size_t i = 0; rc == 0 && i < lines.n; i++)
        rc = http_fields_add_line(&req->fields, lines.v[i], strlen(lines.v[i]));
    return rc;
}

static int build(struct cloud_state *st, struct http_request *req)
{
    CLEANUP_BUF struct buf path = BUF_INIT(URL_TARGET_MAX);
    const struct url_endpoint *ep = &st->cloud->endpoint[st->call->service];
    char host[URL_HOST_MAX + 16];

    req->method = st->call->method;
    int rc = make_path(st, &path);
    if (rc == 0)
        rc = url_host(ep, NULL, host, sizeof(host));
    if (rc == 0)
        rc = buf_addf(&req->url, "%s://%s", url_scheme(ep), host);
    if (rc == 0)
        rc = url_target(&req->url, buf_str(&path), st->call->query, st->call->n_query);
    if (rc == 0)
        rc = add_fields(st, req);
    if (rc == 0 && st->cred.ak[0])
        rc = sign(st, req, buf_str(&path), host);
    return rc;
}

static int check(struct cloud_state *st)
{
    const struct cloud_call *call = st->call;
    struct err *err = &st->http.err;

    if (st->early.eno) {
        *err = st->early;
        return err->eno;
    }
    if (call->n_query > CLOUD_QUERY_MAX || call->n_body > CLOUD_BODY_MAX)
        return err_set(err, -E2BIG, "the request is too large");
    const char *name = cloud_service_name(call->service);
    if ((unsigned)call->service >= CLOUD_SERVICES || !st->cloud->reachable[call->service])
        return err_set(err, -EINVAL, "where is the service '%s'? Set region or %s_endpoint", name,
                       name);
    /* What may have been executed is not sent again. */
    if (st->http.attempts && cloud_answer_lost(&st->http.wire)) {
        st->lost = true;
        if (strcmp(call->method, "POST") == 0 && st->role == CLOUD_CALL) {
            *err = st->http.wire;
            err->cls = ERR_FATAL;
            return err->eno;
        }
    }
    return 0;
}

int cloud_prepare(struct http_call *http, struct http_request *req)
{
    struct cloud_state *st = http->arg;

    cloud_auth_leave(st, false);
    int rc = check(st);
    if (rc < 0)
        return rc;
    rc = cloud_authorise(st);
    if (rc < 0)
        return rc;
    rc = build(st, req);
    if (rc == -EAGAIN)
        rc = -EIO;
    if (rc < 0)
        err_set(&http->err, rc, "the request cannot be built: %s", err_text(rc));
    return rc;
}
