// SPDX-License-Identifier: Apache-2.0
/* The service's own pages below /-/, for tests: no signature, loopback only (README.md) */
#include "tests/obs-local/server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "tests/obs-local/auth.h"
#include "tests/obs-local/cloud.h"

static bool from_loopback(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr_in *sa = info ? (const struct sockaddr_in *)info->client_addr : NULL;
    return sa && sa->sin_family == AF_INET && (ntohl(sa->sin_addr.s_addr) >> 24) == 127;
}

static void get_requests(struct request *r)
{
    ans_json(r, 200, "");
    stats_json(r->srv->stats, &r->out);
}

static void get_log(struct request *r)
{
    uint64_t tail = 1000;
    const char *text = req_query(r, "tail");
    if (text && !text_u64(text, INT64_MAX, &tail)) {
        ans_error(r, "InvalidArgument", "tail is not a number");
        return;
    }
    r->out.max = 256 << 20;
    ans_json(r, 200, "");
    stats_log_json(r->srv->stats, tail, req_query(r, "op"), &r->out);
}

static void reset(struct request *r)
{
    stats_reset(r->srv->stats);
    ans_json(r, 200, "{}");
}

static void get_faults(struct request *r)
{
    ans_json(r, 200, "");
    faults_json(r->srv->faults, &r->out);
}

static void answer_problem(struct request *r, const struct err *err)
{
    ans_json(r, 400, "{\"error\":");
    text_json(&r->out, err->msg);
    buf_adds(&r->out, "}");
}

static void set_faults(struct request *r)
{
    struct err err = {0};
    if (faults_set(r->srv->faults, buf_str(&r->body), r->body.n, &err) != 0) {
        answer_problem(r, &err);
        return;
    }
    server_wake(r->srv);
    ans_json(r, 200, "{}");
}

/* {"add": ["AK:SK[:TOKEN]"], "add_read_only": [..], "expire": ["AK"], "remove": ["AK"]} */
static void set_credentials(struct request *r)
{
    struct auth *a = r->srv->auth;
    json_error_t je;
    json_t *spec = json_loadb(buf_str(&r->body), r->body.n, 0, &je);
    size_t i;
    json_t *v;
    bool ok = json_is_object(spec);
    json_array_foreach(json_object_get(spec, "add"), i, v) ok =
        ok && json_is_string(v) && auth_add(a, json_string_value(v), false, 0) == 0;
    json_array_foreach(json_object_get(spec, "add_read_only"), i, v) ok =
        ok && json_is_string(v) && auth_add(a, json_string_value(v), true, 0) == 0;
    json_array_foreach(json_object_get(spec, "expire"), i, v) ok =
        ok && json_is_string(v) && auth_expire(a, json_string_value(v), 1);
    json_array_foreach(json_object_get(spec, "remove"), i, v) ok =
        ok && json_is_string(v) && auth_remove(a, json_string_value(v));
    json_decref(spec);
    ans_json(r, ok ? 200 : 400, ok ? "{}" : "{\"error\":\"not as the README says\"}");
}

/* {"advance_s": N} */
static void set_clock(struct request *r)
{
    json_error_t je;
    json_t *spec = json_loadb(buf_str(&r->body), r->body.n, 0, &je);
    json_t *advance = json_object_get(spec, "advance_s");
    bool ok = json_is_integer(advance) && json_object_size(spec) == 1;
    if (ok)
        atomic_fetch_add(&r->srv->store->clock_s, json_integer_value(advance));
    json_decref(spec);
    ans_json(r, ok ? 200 : 400, ok ? "{}" : "{\"error\":\"not as the README says\"}");
}

static void get_cloud(struct request *r)
{
    ans_json(r, 200, "");
    cloud_json(r->srv->cloud, &r->out);
}

static void set_cloud(struct request *r)
{
    struct err err = {0};
    if (cloud_set(r->srv->cloud, buf_str(&r->body), r->body.n, &err) != 0)
        answer_problem(r, &err);
    else
        ans_json(r, 200, "{}");
}

static const struct {
    const char *method, *path;
    struct op op;
} pages[] = {
    {"GET", "/-/requests", {"/requests", BODY_NONE, false, true, get_requests, NULL}},
    {"GET", "/-/log", {"/log", BODY_NONE, false, true, get_log, NULL}},
    {"POST", "/-/reset", {"/reset", BODY_NONE, false, true, reset, NULL}},
    {"GET", "/-/faults", {"/faults", BODY_NONE, false, true, get_faults, NULL}},
    {"POST", "/-/faults", {"/faults", BODY_MEMORY, false, true, set_faults, NULL}},
    {"POST", "/-/clock", {"/clock", BODY_MEMORY, false, true, set_clock, NULL}},
    {"GET", "/-/cloud", {"/cloud", BODY_NONE, false, true, get_cloud, NULL}},
    {"POST", "/-/cloud", {"/cloud", BODY_MEMORY, false, true, set_cloud, NULL}},
    {"POST", "/-/credentials", {"/credentials", BODY_MEMORY, false, true, set_credentials, NULL}},
};

bool admin_route(struct request *r)
{
    if (!text_starts(r->path, "/-/") || !from_loopback(r))
        return false;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(pages[i].method, r->method) == 0 && strcmp(pages[i].path, r->path) == 0) {
            r->op = &pages[i].op;
            return true;
        }
    }
    return false;
}
