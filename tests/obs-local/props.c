// SPDX-License-Identifier: Apache-2.0
/* Properties of objects, see ops.h and the names at struct object */
#include "tests/obs-local/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/rand.h>

enum { META_MAX = 8 << 10, REDIRECT_MAX = 2 << 10 };

static const struct {
    const char *stored; /* also the request's name */
    const char *shown;
} entity_headers[] = {
    {"cache-control", "Cache-Control"},       {"content-disposition", "Content-Disposition"},
    {"content-encoding", "Content-Encoding"}, {"content-language", "Content-Language"},
    {"content-type", "Content-Type"},         {"expires", "Expires"},
};

/* x-obs- headers that are kept; `shown`: HEAD and GET give them back. */
static const struct {
    const char *base;
    bool shown;
} service_headers[] = {
    {"acl", false},
    {"grant-read", false},
    {"grant-read-acp", false},
    {"grant-write-acp", false},
    {"grant-full-control", false},
    {"storage-class", true},
    {"website-redirect-location", true},
    {"expires", true},
    {"tagging", false},
    {"object-lock-mode", true},
    {"object-lock-retain-until-date", true},
    {"server-side-encryption", true},
    {"server-side-encryption-kms-key-id", true},
    {"sse-kms-key-project-id", true},
    {"server-side-encryption-customer-algorithm", true},
    {"server-side-encryption-customer-key-md5", true},
};

static const struct {
    const char *obs, *aws;
} classes[] = {
    {"STANDARD", "STANDARD"},
    {"WARM", "STANDARD_IA"},
    {"COLD", "GLACIER"},
    {"DEEP_ARCHIVE", "DEEP_ARCHIVE"},
    {"INTELLIGENT_TIERING", "INTELLIGENT_TIERING"},
    {"HIGH_PERFORMANCE", "HIGH_PERFORMANCE"},
};

static bool refuse(struct request *r, const char *what)
{
    ans_error(r, "InvalidArgument", arena_printf(&r->mem, "Invalid value of %s", what));
    return false;
}

/* The OBS name of a storage class; NULL: there is none such. */
static const char *class_of(const struct request *r, const char *value)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(value, r->dialect == DIALECT_AWS ? classes[i].aws : classes[i].obs) == 0)
            return classes[i].obs;
    }
    return NULL;
}

const char *props_storage_class(const struct request *r, const struct pairs *props)
{
    const char *obs = pairs_get(props, "x-storage-class");
    if (!obs)
        return "STANDARD";
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(obs, classes[i].obs) == 0)
            return r->dialect == DIALECT_AWS ? classes[i].aws : classes[i].obs;
    }
    return obs;
}

bool props_encrypted(const struct pairs *props)
{
    return pairs_get(props, "x-server-side-encryption") ||
           pairs_get(props, "x-server-side-encryption-customer-algorithm");
}

bool props_public_read(const struct pairs *props)
{
    const char *acl = pairs_get(props, "x-acl"), *list = pairs_get(props, "x-grant-read");
    return (acl && text_starts(acl, "public-read")) || (list && strstr(list, "/AllUsers"));
}

/* Canned ACLs of an object; "delivered" ones are for buckets only. */
static bool acl_valid(const struct request *r, const char *acl)
{
    static const char *const obs[] = {"private", "public-read", "public-read-write",
                                      "bucket-owner-full-control"};
    static const char *const aws[] = {"authenticated-read", "bucket-owner-read"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(acl, obs[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < 2; i++) {
        if (r->dialect == DIALECT_AWS && strcmp(acl, aws[i]) == 0)
            return true;
    }
    return false;
}

static bool redirect_valid(const char *v)
{
    return strlen(v) <= REDIRECT_MAX &&
           (v[0] == '/' || text_starts(v, "http://") || text_starts(v, "https://"));
}

/* Checks the value of x-obs-BASE; NULL: refused, else what is stored. */
static const char *checked(struct request *r, const char *base, const char *value)
{
    uint64_t days;
    if (strcmp(base, "storage-class") == 0) {
        value = class_of(r, value);
        return value ? value : (refuse(r, "x-obs-storage-class"), NULL);
    }
    if (strcmp(base, "acl") == 0 && !acl_valid(r, value))
        return refuse(r, "x-obs-acl"), NULL;
    if (strcmp(base, "website-redirect-location") == 0 && !redirect_valid(value))
        return refuse(r, "x-obs-website-redirect-location"), NULL;
    if (strcmp(base, "expires") == 0 && !text_u64(value, 1000000, &days))
        return refuse(r, "x-obs-expires"), NULL;
    if (strcmp(base, "server-side-encryption") == 0) {
        if (strcmp(value, "aws:kms") == 0)
            return "kms";
        if (strcmp(value, "kms") != 0 && strcmp(value, "AES256") != 0)
            return refuse(r, "x-obs-server-side-encryption"), NULL;
    }
    return value;
}

/* The customer's key: 32 bytes, whose MD5 must fit. Only over TLS. False: refused. */
static bool customer_key(struct request *r, const char *prefix, char md5_text[32])
{
    char name[128];
    unsigned char key[64], md5[16], want[16];
    snprintf(name, sizeof(name), "%sserver-side-encryption-customer-key", prefix);
    const char *text = req_header(r, name);
    snprintf(name, sizeof(name), "%sserver-side-encryption-customer-key-md5", prefix);
    const char *md5_given = req_header(r, name);
    snprintf(name, sizeof(name), "%sserver-side-encryption-customer-algorithm", prefix);
    const char *algorithm = req_header(r, name);
    if (!r->tls) {
        ans_error(r, "InvalidRequest", "A customer key must be sent over a secure connection");
        return false;
    }
    if (!algorithm || strcmp(algorithm, "AES256") != 0)
        return refuse(r, "the customer algorithm");
    if (!text || text_unbase64(text, key, sizeof(key)) != 32)
        return refuse(r, "the customer key");
    unsigned int n = 0;
    EVP_Digest(key, 32, md5, &n, EVP_md5(), NULL);
    if (!md5_given || text_unbase64(md5_given, want, 16) != 16 || memcmp(md5, want, 16) != 0)
        return refuse(r, "the MD5 of the customer key");
    text_base64(md5, 16, md5_text);
    return true;
}

bool props_check_customer_key(struct request *r, const struct pairs *props, const char *prefix)
{
    const char *stored = pairs_get(props, "x-server-side-encryption-customer-key-md5");
    char name[128], md5[32];
    snprintf(name, sizeof(name), "%sserver-side-encryption-customer-key", prefix);
    if (!stored)
        return true;
    if (!req_header(r, name)) {
        ans_error(r, "InvalidRequest", "The object was stored with a customer key");
        return false;
    }
    if (!customer_key(r, prefix, md5))
        return false;
    if (strcmp(md5, stored) != 0) {
        ans_error(r, "AccessDenied", "The customer key is not the one of the object");
        return false;
    }
    return true;
}

static bool read_sse(struct request *r, struct pairs *ret)
{
    char md5[32];
    if (req_header(r, "server-side-encryption-customer-algorithm") ||
        req_header(r, "server-side-encryption-customer-key")) {
        if (!customer_key(r, "", md5))
            return false;
        if (req_header(r, "server-side-encryption"))
            return refuse(r, "x-obs-server-side-encryption: two kinds at once");
        pairs_set(ret, "x-server-side-encryption-customer-key-md5", md5);
    }
    const char *dflt = r->srv->config.default_encryption;
    bool asked = props_encrypted(ret) || strcmp(r->op->name, "SetObjectMetadata") == 0;
    if (dflt && !asked)
        pairs_set(ret, "x-server-side-encryption", dflt);
    const char *aws_id = req_header(r, "server-side-encryption-aws-kms-key-id");
    if (aws_id)
        pairs_set(ret, "x-server-side-encryption-kms-key-id", aws_id);
    const char *sse = pairs_get(ret, "x-server-side-encryption");
    if (sse && strcmp(sse, "kms") == 0 && !pairs_get(ret, "x-server-side-encryption-kms-key-id"))
        pairs_set(ret, "x-server-side-encryption-kms-key-id",
                  "local:obs-local:key/00000000-0000-4000-8000-000000000001");
    return true;
}

static bool read_meta(struct request *r, struct pairs *ret)
{
    const char *prefix = r->dialect == DIALECT_OBS ? "x-obs-meta-" : "x-amz-meta-";
    size_t n = strlen(prefix), total = 0;
    for (size_t i = 0; i < r->headers.n; i++) {
        const struct pair *h = &r->headers.v[i];
        if (!text_starts(h->name, prefix) || !h->name[n])
            continue;
        char name[512];
        total += strlen(h->name + n) + strlen(h->value);
        if ((size_t)snprintf(name, sizeof(name), "x-meta-%s", h->name + n) >= sizeof(name) ||
            total > META_MAX) {
            ans_error(r, "MetadataTooLarge", NULL);
            return false;
        }
        pairs_set(ret, name, h->value);
    }
    return true;
}

/* AWS takes a canned list or grants, not both, and grants are the whole list: the owner is in it only
 * if named (S3 API, PutObject; seen with Ceph 16 too). */
static bool read_rights(struct request *r, struct pairs *ret)
{
    bool grants = false;
    for (size_t i = 0; i < ret->n; i++)
        grants |= text_starts(ret->v[i].name, "x-grant-");
    if (r->dialect != DIALECT_AWS || !grants)
        return true;
    if (pairs_get(ret, "x-acl")) {
        ans_error(r, "InvalidRequest",
                  "Specifying both Canned ACLs and Header Grants is not allowed");
        return false;
    }
    pairs_set(ret, "x-grants-alone", "true");
    return true;
}

bool props_owner_may_read(const struct pairs *props)
{
    static const char *const lists[] = {"x-grant-read", "x-grant-full-control"};
    if (!pairs_get(props, "x-grants-alone"))
        return true;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const char *list = pairs_get(props, lists[i]);
        if (list && (strstr(list, "id=obs-local") || strstr(list, "/AllUsers")))
            return true;
    }
    return false;
}

bool props_from_request(struct request *r, struct pairs *ret)
{
    for (size_t i = 0; i < sizeof(entity_headers) / sizeof(entity_headers[0]); i++) {
        const char *v = req_plain_header(r, entity_headers[i].stored);
        if (v && v[0])
            pairs_set(ret, entity_headers[i].stored, v);
    }
    for (size_t i = 0; i < sizeof(service_headers) / sizeof(service_headers[0]); i++) {
        const char *base = service_headers[i].base;
        const char *v = req_header(r, base);
        if (!v)
            continue;
        v = checked(r, base, v);
        if (!v)
            return false;
        char name[96];
        snprintf(name, sizeof(name), "x-%s", base);
        pairs_set(ret, name, v);
    }
    return read_meta(r, ret) && read_rights(r, ret) && read_sse(r, ret);
}

/* What a stored x- property is called and says in this request's dialect. */
static void show_service_header(struct request *r, const char *base, const char *value)
{
    bool aws = r->dialect == DIALECT_AWS;
    if (strcmp(base, "server-side-encryption") == 0 && aws && strcmp(value, "kms") == 0)
        value = "aws:kms";
    if (strcmp(base, "server-side-encryption-kms-key-id") == 0 && aws)
        base = "server-side-encryption-aws-kms-key-id";
    ans_service_header(r, base, value);
}

void props_sse_to_answer(struct request *r, const struct pairs *props)
{
    for (size_t i = 0; i < props->n; i++) {
        const char *name = props->v[i].name;
        if (text_starts(name, "x-server-side-encryption"))
            show_service_header(r, name + 2, props->v[i].value);
    }
}

void props_set_crc64(struct request *r, struct pairs *props, uint64_t crc)
{
    pairs_set(props, "x-checksum-crc64ecma",
              arena_printf(&r->mem, "%llu", (unsigned long long)crc));
    ans_crc64(r, crc);
}

static void show_property(struct request *r, const char *name, const char *value)
{
    if (text_starts(name, "x-meta-")) {
        ans_service_header(r, name + 2, value);
        return;
    }
    for (size_t i = 0; i < sizeof(entity_headers) / sizeof(entity_headers[0]); i++) {
        if (strcmp(name, entity_headers[i].stored) == 0)
            ans_header(r, entity_headers[i].shown, value);
    }
    if (strcmp(name, "x-checksum-crc64ecma") == 0)
        ans_service_header(r, name + 2, value);
    if (!text_starts(name, "x-") || strcmp(name, "x-storage-class") == 0)
        return;
    for (size_t i = 0; i < sizeof(service_headers) / sizeof(service_headers[0]); i++) {
        if (service_headers[i].shown && strcmp(name + 2, service_headers[i].base) == 0)
            show_service_header(r, name + 2, value);
    }
}

void props_to_answer(struct request *r, const struct pairs *props)
{
    for (size_t i = 0; i < props->n; i++)
        show_property(r, props->v[i].name, props->v[i].value);
    if (!pairs_get(props, "content-type"))
        ans_header(r, "Content-Type", "binary/octet-stream");
    const char *class = props_storage_class(r, props);
    if (strcmp(class, "STANDARD") != 0)
        ans_service_header(r, "storage-class", class);
}

void props_etag(const struct pairs *props, const unsigned char md5[16], char *out, size_t size)
{
    unsigned char other[16];
    char hex[33];
    bool opaque = props_encrypted(props) && RAND_bytes(other, sizeof(other)) == 1;
    text_hex(opaque ? other : md5, 16, hex);
    snprintf(out, size, "%s", hex);
}
