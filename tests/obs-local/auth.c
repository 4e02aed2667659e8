// SPDX-License-Identifier: Apache-2.0
/* Credentials and signatures, see auth.h */
#include "tests/obs-local/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "tests/obs-local/server.h"
#include "tests/obs-local/sign.h"

enum { SKEW_MAX_S = 15 * 60, SECRET_MAX = 256, TEXT_MAX = 256 << 10 };

struct credential {
    struct credential *next;
    char *ak;
    char *sk;
    char *token; /* NULL: permanent */
    bool read_only;
    int64_t expires_s; /* 0: never */
};

struct auth {
    struct lock lock;
    struct credential *first; /* under lock */
};

struct auth *auth_new(void)
{
    struct auth *a = mem_alloc(sizeof(*a));
    lock_init(&a->lock);
    return a;
}

static void credential_free(struct credential *c)
{
    free(c->ak);
    free(c->sk);
    free(c->token);
    free(c);
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    while (a->first) {
        struct credential *next = a->first->next;
        credential_free(a->first);
        a->first = next;
    }
    lock_done(&a->lock);
    free(a);
}

static struct credential **find_locked(struct auth *a, const char *ak)
{
    ASSERT_HELD(&a->lock);
    struct credential **at = &a->first;
    while (*at && strcmp((*at)->ak, ak) != 0)
        at = &(*at)->next;
    return at;
}

bool auth_remove(struct auth *a, const char *ak)
{
    lock_take(&a->lock);
    struct credential **at = find_locked(a, ak), *gone = *at;
    if (gone)
        *at = gone->next;
    lock_drop(&a->lock);
    if (gone)
        credential_free(gone);
    return gone != NULL;
}

bool auth_expire(struct auth *a, const char *ak, int64_t expires_s)
{
    lock_take(&a->lock);
    struct credential *c = *find_locked(a, ak);
    if (c)
        c->expires_s = expires_s;
    lock_drop(&a->lock);
    return c != NULL;
}

int auth_add(struct auth *a, const char *text, bool read_only, int64_t expires_s)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return -EINVAL;
    const char *second = strchr(colon + 1, ':');
    struct credential *c = mem_alloc(sizeof(*c));
    c->ak = strndup(text, (size_t)(colon - text));
    c->sk = second ? strndup(colon + 1, (size_t)(second - colon - 1)) : mem_dup(colon + 1);
    c->token = second && second[1] ? mem_dup(second + 1) : NULL;
    c->read_only = read_only;
    c->expires_s = expires_s;
    if (!c->ak || !c->sk || strlen(c->sk) >= SECRET_MAX) {
        credential_free(c);
        return -EINVAL;
    }
    auth_remove(a, c->ak);
    lock_take(&a->lock);
    struct credential **at = &a->first;
    while (*at)
        at = &(*at)->next;
    *at = c;
    lock_drop(&a->lock);
    return 0;
}

int auth_add_file(struct auth *a, const char *path, struct err *err)
{
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, -errno, "cannot read '%s': %s", path, err_text(errno));
    char line[8192];
    for (unsigned n = 1; fgets(line, sizeof(line), f); n++) {
        line[strcspn(line, "\r\n")] = '\0';
        const char *text = line;
        bool read_only = text_starts(text, "ro ");
        if (read_only)
            text += 3;
        if (text[0] && text[0] != '#' && auth_add(a, text, read_only, 0) != 0)
            return err_set(err, -EINVAL, "'%s' line %u is not AK:SK[:TOKEN]", path, n);
    }
    return 0;
}

char *auth_any(struct auth *a)
{
    char *text = NULL;
    lock_take(&a->lock);
    struct credential *c = a->first;
    while (c && (c->expires_s || c->read_only))
        c = c->next;
    if (c && asprintf(&text, "%s:%s%s%s", c->ak, c->sk, c->token ? ":" : "",
                      c->token ? c->token : "") < 0)
        text = NULL;
    lock_drop(&a->lock);
    return text;
}

enum lookup { LOOKUP_OK, LOOKUP_UNKNOWN, LOOKUP_EXPIRED, LOOKUP_TOKEN };

static enum lookup lookup(struct auth *a, const char *ak, const char *token, int64_t now_s,
                          char *sk, size_t size, bool *ret_read_only)
{
    enum lookup result = LOOKUP_UNKNOWN;
    lock_take(&a->lock);
    struct credential *c = *find_locked(a, ak);
    if (c) {
        if (c->expires_s && c->expires_s <= now_s)
            result = LOOKUP_EXPIRED;
        else if (c->token ? !token || !sign_equal(c->token, token) : token != NULL)
            result = LOOKUP_TOKEN;
        else
            result = LOOKUP_OK;
        snprintf(sk, size, "%s", c->sk);
        *ret_read_only = c->read_only;
    }
    lock_drop(&a->lock);
    return result;
}

bool auth_secret(struct auth *a, const char *ak, const char *token, int64_t now_s, char *out,
                 size_t size, bool *ret_read_only)
{
    return lookup(a, ak, token, now_s, out, size, ret_read_only) == LOOKUP_OK;
}

void auth_classify(struct request *r)
{
    const char *h = req_plain_header(r, "authorization");
    r->sign = SIGN_NONE;
    r->dialect = DIALECT_OBS;
    if (h && text_starts(h, "OBS "))
        r->sign = SIGN_OBS;
    else if (h && text_starts(h, "AWS "))
        r->sign = SIGN_V2;
    else if (h && text_starts(h, "AWS4-HMAC-SHA256 "))
        r->sign = SIGN_V4;
    else if (h && text_starts(h, "SDK-HMAC-SHA256 "))
        r->sign = SIGN_SDK;
    else if (!h && pairs_get(&r->query, "X-Amz-Signature"))
        r->sign = SIGN_V4;
    else if (!h && pairs_get(&r->query, "Signature"))
        r->sign = pairs_get(&r->query, "AWSAccessKeyId") ? SIGN_V2 : SIGN_OBS;
    if (r->sign == SIGN_V2 || r->sign == SIGN_V4)
        r->dialect = DIALECT_AWS;
    if (r->sign != SIGN_NONE)
        return;
    for (size_t i = 0; i < r->headers.n; i++) {
        if (text_starts(r->headers.v[i].name, "x-amz-"))
            r->dialect = DIALECT_AWS;
    }
}

static int64_t now_s(const struct request *r)
{
    return store_now_us(r->srv->store) / 1000000;
}

/* The secret of the request's access key; false: refused. */
static bool secret_of(struct request *r, const char *ak, const char *token, char sk[SECRET_MAX])
{
    bool read_only = false;
    r->ak = ak;
    switch (lookup(r->srv->auth, ak, token, now_s(r), sk, SECRET_MAX, &read_only)) {
    case LOOKUP_UNKNOWN:
        ans_error(r, "InvalidAccessKeyId", NULL);
        return false;
    case LOOKUP_EXPIRED:
        ans_error(r, "ExpiredToken", NULL);
        return false;
    case LOOKUP_TOKEN:
        ans_error(r, "InvalidToken", NULL);
        return false;
    case LOOKUP_OK:
        break;
    }
    r->read_only = read_only;
    return true;
}

static void sign_req_of(const struct request *r, struct sign_req *ret)
{
    *ret = (struct sign_req){.method = r->method,
                             .path = r->path,
                             .bucket = r->vhost,
                             .headers = &r->headers,
                             .query = &r->signed_query};
}

/* A query signature says until when it holds; a header's date must be near the clock. */
static bool check_v2_date(struct request *r, const char *prefix, const char *expires)
{
    if (expires) {
        uint64_t until;
        if (text_u64(expires, INT64_MAX, &until) && (int64_t)until >= now_s(r))
            return true;
        ans_error(r, "AccessDenied", "Request has expired");
        return false;
    }
    char name[16];
    snprintf(name, sizeof(name), "%sdate", prefix);
    const char *date = pairs_get(&r->headers, name);
    if (!date)
        date = pairs_get(&r->headers, "date");
    time_t t;
    if (!date || clock_parse_http_date(date, &t) != 0) {
        ans_error(r, "AccessDenied", "A valid Date or date header is required");
        return false;
    }
    int64_t skew = now_s(r) - t;
    if (skew <= SKEW_MAX_S && skew >= -SKEW_MAX_S)
        return true;
    ans_error(r, "RequestTimeTooSkewed", NULL);
    return false;
}

static void check_v2(struct request *r)
{
    const char *prefix = r->sign == SIGN_OBS ? "x-obs-" : "x-amz-";
    const char *h = req_plain_header(r, "authorization");
    const char *ak, *given, *expires = NULL;
    if (h) {
        const char *colon = strrchr(h, ':');
        if (!colon) {
            ans_error(r, "InvalidArgument", "Invalid Authorization header");
            return;
        }
        ak = arena_dupn(&r->mem, h + 4, (size_t)(colon - h - 4));
        given = colon + 1;
    } else {
        ak = pairs_get(&r->query, r->sign == SIGN_OBS ? "AccessKeyId" : "AWSAccessKeyId");
        given = pairs_get(&r->signed_query, "Signature");
        expires = pairs_get(&r->query, "Expires");
        if (!ak || !expires) {
            ans_error(r, "AccessDenied", "AccessKeyId, Expires and Signature are required");
            return;
        }
    }
    char token_name[32], sk[SECRET_MAX];
    snprintf(token_name, sizeof(token_name), "%ssecurity-token", prefix);
    const char *token = pairs_get(&r->headers, token_name);
    if (!token)
        token = pairs_get(&r->signed_query, token_name);
    if (!secret_of(r, ak, token, sk) || !check_v2_date(r, prefix, expires))
        return;
    struct sign_req sr;
    sign_req_of(r, &sr);
    /* a bucket in the path may stand without its slash, and be signed with it */
    for (int slash = 0; slash <= (!r->vhost && r->bucket && !r->key); slash++) {
        struct buf text = BUF_INIT(TEXT_MAX);
        char want[32];
        sign_text_v2(&sr, prefix, expires, slash, &text);
        sign_hmac_sha1(sk, &text, want);
        buf_done(&text);
        if (sign_equal(want, given))
            return;
    }
    ans_error(r, "SignatureDoesNotMatch", NULL);
}

struct v4 {
    const char *ak;
    const char *scope;
    const char *signed_headers;
    const char *signature;
    const char *time;
    const char *hash;
    const char *token;
    const char *expires; /* query form */
};

/* The value of "name=..." in a comma separated list. */
static const char *field(struct request *r, const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; *s;) {
        s += strspn(s, ", ");
        size_t len = strcspn(s, ",");
        if (len > n && strncmp(s, name, n) == 0 && s[n] == '=')
            return arena_dupn(&r->mem, s + n + 1, len - n - 1);
        s += len;
    }
    return "";
}

static void split_credential(struct request *r, const char *credential, struct v4 *v)
{
    const char *slash = strchr(credential, '/');
    v->ak = slash ? arena_dupn(&r->mem, credential, (size_t)(slash - credential)) : "";
    v->scope = slash ? slash + 1 : "";
}

static void parse_v4(struct request *r, struct v4 *v)
{
    const char *h = req_plain_header(r, "authorization");
    *v = (struct v4){0};
    if (h) {
        const char *list = h + strlen("AWS4-HMAC-SHA256 ");
        split_credential(r, field(r, list, "Credential"), v);
        v->signed_headers = field(r, list, "SignedHeaders");
        v->signature = field(r, list, "Signature");
        v->time = req_plain_header(r, "x-amz-date");
        v->hash = req_plain_header(r, "x-amz-content-sha256");
        v->token = req_plain_header(r, "x-amz-security-token");
        return;
    }
    const char *credential = pairs_get(&r->signed_query, "X-Amz-Credential");
    split_credential(r, credential ? credential : "", v);
    v->signed_headers = pairs_get(&r->signed_query, "X-Amz-SignedHeaders");
    v->signature = pairs_get(&r->signed_query, "X-Amz-Signature");
    v->time = pairs_get(&r->signed_query, "X-Amz-Date");
    v->hash = req_plain_header(r, "x-amz-content-sha256");
    v->token = pairs_get(&r->signed_query, "X-Amz-Security-Token");
    v->expires = pairs_get(&r->signed_query, "X-Amz-Expires");
    if (!v->hash)
        v->hash = "UNSIGNED-PAYLOAD";
    if (!v->expires)
        v->expires = "";
}

/* "20241015T072009Z" */
static bool basic_time(const char *text, int64_t *ret)
{
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%Y%m%dT%H%M%SZ", &tm) : NULL;
    if (!end || *end)
        return false;
    *ret = timegm(&tm);
    return true;
}

static bool check_v4_time(struct request *r, const struct v4 *v)
{
    int64_t t;
    if (!basic_time(v->time, &t)) {
        const char *date = req_plain_header(r, "date");
        time_t http;
        if (v->time || !date || clock_parse_http_date(date, &http) != 0) {
            ans_error(r, "AccessDenied", "A valid x-amz-date header is required");
            return false;
        }
        t = http;
    }
    int64_t age = now_s(r) - t;
    if (v->expires) {
        uint64_t lasts = 0;
        if (text_u64(v->expires, 604800, &lasts) && age <= (int64_t)lasts && age >= -SKEW_MAX_S)
            return true;
        ans_error(r, "AccessDenied", "Request has expired");
        return false;
    }
    if (age <= SKEW_MAX_S && age >= -SKEW_MAX_S)
        return true;
    ans_error(r, "RequestTimeTooSkewed", NULL);
    return false;
}

/* The time that is signed: x-amz-date, or the Date header in its form. */
static const char *v4_signed_time(struct request *r, const struct v4 *v)
{
    time_t t;
    const char *date = req_plain_header(r, "date");
    if (v->time || !date || clock_parse_http_date(date, &t) != 0)
        return v->time ? v->time : "";
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
    return arena_dup(&r->mem, text);
}

static void check_v4(struct request *r)
{
    struct v4 v;
    parse_v4(r, &v);
    if (!v.ak[0] || !v.signed_headers || !v.signature) {
        ans_error(r, "InvalidArgument", "Invalid Authorization header");
        return;
    }
    if (!v.hash) {
        ans_error(r, "InvalidRequest", "Missing required header: x-amz-content-sha256");
        return;
    }
    if (text_starts(v.hash, "STREAMING-")) {
        ans_error(r, "NotImplemented", "Chunked signatures are not supported here");
        return;
    }
    char sk[SECRET_MAX], want[65];
    if (!secret_of(r, v.ak, v.token, sk) || !check_v4_time(r, &v))
        return;
    struct sign_req sr;
    sign_req_of(r, &sr);
    sr.bucket = NULL; /* only the Host header names it */
    struct buf text = BUF_INIT(TEXT_MAX);
    sign_text_v4(&sr, v.signed_headers, v.hash, &text);
    sign_v4(sk, v4_signed_time(r, &v), v.scope, &text, want);
    buf_done(&text);
    if (!sign_equal(want, v.signature)) {
        ans_error(r, "SignatureDoesNotMatch", NULL);
        return;
    }
    if (strlen(v.hash) == 64)
        r->sha256 = EVP_MD_CTX_new();
    if (r->sha256)
        EVP_DigestInit_ex(r->sha256, EVP_sha256(), NULL);
}

void auth_check(struct request *r)
{
    switch (r->sign) {
    case SIGN_OBS:
    case SIGN_V2:
        check_v2(r);
        break;
    case SIGN_V4:
        check_v4(r);
        break;
    default:
        if (req_plain_header(r, "authorization"))
            ans_error(r, "InvalidArgument", "Unsupported Authorization Type");
    }
    if (!r->failed && r->read_only && r->op->writes)
        ans_error(r, "AccessDenied", NULL);
}
