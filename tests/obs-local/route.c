// SPDX-License-Identifier: Apache-2.0
/* From the request line to an operation, see server.h */
#include "tests/obs-local/ops.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/cloud.h"

static void finish_unknown(struct request *r)
{
    ans_error(r, "MethodNotAllowed", NULL);
}

static void finish_unsupported(struct request *r)
{
    ans_error(r, "FsNotSupport", NULL);
}

static void finish_api_version(struct request *r)
{
    ans_header(r, "x-obs-api", "3.0");
    ans_status(r, 200);
}

const struct op op_unknown = {"Unknown", BODY_NONE, false, false, finish_unknown, NULL};
static const struct op op_pfs_only = {"PfsOnly", BODY_NONE, true, false, finish_unsupported, NULL};
static const struct op op_api_version = {"GetApiVersion",    BODY_NONE, false, true,
                                         finish_api_version, NULL};

/* The host without its port, in lower case. */
static char *host_name(struct request *r)
{
    const char *h = r->host;
    size_t n = h[0] == '[' ? strcspn(h, "]") + 1 : strcspn(h, ":");
    if (n > strlen(h))
        n = strlen(h);
    char *name = arena_dupn(&r->mem, h, n);
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return name;
}

static bool is_address(const char *host)
{
    struct in_addr a;
    return !host[0] || host[0] == '[' || inet_pton(AF_INET, host, &a) == 1;
}

/* The longest bucket that the host begins with, then a dot. */
static const char *known_bucket(struct request *r, const char *host)
{
    for (size_t n = strlen(host); n-- > 0;) {
        if (host[n] != '.')
            continue;
        char *name = arena_dupn(&r->mem, host, n);
        if (store_bucket_exists(r->srv->store, name))
            return name;
    }
    return NULL;
}

static const char *virtual_bucket(struct request *r, const char *host)
{
    const char *domain = r->srv->config.domain;
    size_t host_n = strlen(host), domain_n = strlen(domain);
    if (is_address(host) || strcmp(host, domain) == 0 || !strchr(host, '.'))
        return NULL;
    const char *known = known_bucket(r, host);
    if (known)
        return known;
    if (host_n > domain_n + 1 && host[host_n - domain_n - 1] == '.' &&
        strcmp(host + host_n - domain_n, domain) == 0)
        return arena_dupn(&r->mem, host, host_n - domain_n - 1);
    return arena_dupn(&r->mem, host, strcspn(host, "."));
}

/* Fills bucket, vhost, key. False: a NUL, or too long. */
static bool split_names(struct request *r, const char *host)
{
    const char *rest = r->path + 1;
    r->vhost = virtual_bucket(r, host);
    r->bucket = r->vhost;
    if (!r->vhost && rest[0]) {
        size_t n = strcspn(rest, "/");
        r->bucket = text_decode(&r->mem, rest, n, false);
        rest += n;
        if (*rest == '/')
            rest++;
    }
    if (rest[0])
        r->key = text_decode(&r->mem, rest, strlen(rest), false);
    if ((rest[0] && !r->key) || (!r->bucket && r->path[1])) {
        ans_error(r, "InvalidArgument", "A name contains a NUL");
        return false;
    }
    if (r->key && strlen(r->key) > 1024) {
        ans_error(r, "KeyTooLongError", NULL);
        return false;
    }
    return true;
}

static bool has(const struct request *r, const char *name)
{
    return req_query(r, name) != NULL;
}

static bool is(const struct request *r, const char *method)
{
    return strcmp(r->method, method) == 0;
}

static const struct op *bucket_op(const struct request *r)
{
    if (r->head)
        return has(r, "apiversion") ? &op_api_version : &op_head_bucket;
    if (is(r, "POST") && has(r, "delete"))
        return &op_delete_objects;
    if (is(r, "DELETE"))
        return r->query.n == 0 ? &op_delete_bucket : &op_unknown;
    if (is(r, "PUT")) {
        if (has(r, "acl"))
            return &op_set_bucket_acl;
        if (has(r, "quota"))
            return &op_set_bucket_quota;
        return r->query.n == 0 ? &op_create_bucket : &op_unknown;
    }
    if (!is(r, "GET"))
        return &op_unknown;
    if (has(r, "location"))
        return &op_get_location;
    if (has(r, "uploads"))
        return &op_list_uploads;
    if (has(r, "acl"))
        return &op_get_bucket_acl;
    if (has(r, "storageinfo"))
        return &op_get_storage_info;
    if (has(r, "quota"))
        return &op_get_quota;
    if (has(r, "versioning"))
        return &op_get_versioning;
    if (has(r, "versions") || has(r, "policy") || has(r, "lifecycle") || has(r, "website") ||
        has(r, "cors") || has(r, "tagging") || has(r, "encryption"))
        return &op_unknown;
    return &op_list_objects;
}

static const struct op *put_op(const struct request *r)
{
    bool copy = req_header(r, "copy-source") != NULL;
    if (has(r, "partNumber") || has(r, "uploadId"))
        return copy ? &op_copy_part : &op_upload_part;
    if (has(r, "metadata"))
        return &op_set_metadata;
    if (has(r, "acl"))
        return &op_set_object_acl;
    if (has(r, "truncate") || has(r, "modify"))
        return &op_pfs_only;
    return copy ? &op_copy_object : &op_put_object;
}

static const struct op *object_op(const struct request *r)
{
    if (r->head)
        return &op_head_object;
    if (is(r, "GET"))
        return has(r, "uploadId") ? &op_list_parts
               : has(r, "acl")    ? &op_get_object_acl
                                  : &op_get_object;
    if (is(r, "PUT"))
        return put_op(r);
    if (is(r, "DELETE"))
        return has(r, "uploadId") ? &op_abort_upload : &op_delete_object;
    if (is(r, "POST")) {
        if (has(r, "uploads"))
            return &op_initiate_upload;
        if (has(r, "uploadId"))
            return &op_complete_upload;
        if (has(r, "rename") || has(r, "append"))
            return &op_pfs_only;
    }
    return &op_unknown;
}

void route(struct request *r)
{
    const char *host = host_name(r);
    r->op = &op_unknown;
    if (cloud_route(r, host) || !split_names(r, host))
        return;
    if (r->key)
        r->op = object_op(r);
    else if (r->bucket)
        r->op = bucket_op(r);
    else if (r->head && has(r, "apiversion"))
        r->op = &op_api_version;
    else if (is(r, "GET"))
        r->op = &op_list_buckets;
}
