// SPDX-License-Identifier: Apache-2.0
// The OBS signature, in a header and in a URL; see sign.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"
#include "net/sign_impl.h"

enum { OBS_SIGNATURE_MAX = 32 }; /* base64 of a SHA-1 */

/* Query parameters that belong to the resource (OBS API: authentication of signature in a header;
 * `append` is missing in its table but signed by the service). Those that begin with "x-obs-" are
 * signed as well. */
static const char *const subresources[] = {
    "acl",
    "append",
    "attname",
    "backtosource",
    "bucketStatus",
    "CDNNotifyConfiguration",
    "cors",
    "customdomain",
    "delete",
    "deletebucket",
    "directcoldaccess",
    "encryption",
    "fileinterface",
    "inventory",
    "length",
    "lifecycle",
    "location",
    "logging",
    "metadata",
    "mirrorBackToSource",
    "modify",
    "name",
    "notification",
    "object-lock",
    "obsalias",
    "obsbucketalias",
    "obscompresspolicy",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "quota",
    "rename",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "storageClass",
    "storageinfo",
    "storagePolicy",
    "tagging",
    "torrent",
    "truncate",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "x-image-process",
    "x-image-save-bucket",
    "x-image-save-object",
    "x-oss-process",
};

static bool is_subresource(const char *name)
{
    if (strncasecmp(name, "x-obs-", 6) == 0)
        return true;
    for (size_t i = 0; i < sizeof(subresources) / sizeof(*subresources); i++) {
        if (strcasecmp(name, subresources[i]) == 0)
            return true;
    }
    return false;
}

static int compare_params(const void *a, const void *b)
{
    const struct url_param *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Values stand there as they are, not encoded. */
static void add_subresources(struct buf *out, const struct url_param *query, size_t n)
{
    struct url_param v[SIGN_QUERY_MAX];
    size_t n_v = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_subresource(query[i].name))
            v[n_v++] = query[i];
    }
    qsort(v, n_v, sizeof(*v), compare_params);
    for (size_t i = 0; i < n_v; i++) {
        buf_addc(out, i ? '&' : '?');
        buf_adds(out, v[i].name);
        if (v[i].value) {
            buf_addc(out, '=');
            buf_adds(out, v[i].value);
        }
    }
}

static bool covers(const char *name, const void *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

static void add_header_line(struct buf *out, const struct sign_request *r, const char *name)
{
    const char *value = sign_find_header(r, name);
    buf_adds(out, value ? value : "");
    buf_addc(out, '\n');
}

int sign_obs_text(const struct sign_request *r, const char *prefix, const char *date,
                  struct buf *ret)
{
    const struct sign_header *headers[SIGN_ALL_MAX];
    size_t n = sign_select(r, covers, prefix, headers);

    if (r->n_query > SIGN_QUERY_MAX)
        return -E2BIG;
    buf_addf(ret, "%s\n", r->method);
    add_header_line(ret, r, "Content-MD5");
    add_header_line(ret, r, "Content-Type");
    buf_addf(ret, "%s\n", date);
    sign_add_headers(ret, headers, n);
    if (r->bucket)
        buf_addf(ret, "/%s", r->bucket);
    buf_adds(ret, r->path);
    add_subresources(ret, r->query, r->n_query);
    return ret->eno;
}

/* Base64 of HMAC-SHA1 over the text. */
static int signature(const struct sign_request *r, const struct cred *cred, const char *date,
                     char out[OBS_SIGNATURE_MAX])
{
    CLEANUP_SECRET_BUF struct buf text = BUF_INIT(SIGN_TEXT_MAX);
    unsigned char mac[DIGEST_SHA1_SIZE];

    int rc = sign_obs_text(r, "x-obs-", date, &text);
    if (rc == 0)
        rc = digest_hmac(DIGEST_SHA1, cred->sk, strlen(cred->sk), buf_str(&text), text.n, mac);
    return rc < 0 ? rc : base64_encode(mac, sizeof(mac), out, OBS_SIGNATURE_MAX);
}

int sign_obs(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret)
{
    struct sign_draft d;
    char date[30];
    char sig[OBS_SIGNATURE_MAX];
    char auth[CRED_AK_MAX + OBS_SIGNATURE_MAX + 8];

    *ret = (struct sign_lines){0};
    int rc = sign_begin(&d, r);
    if (rc < 0)
        return rc;

    clock_http_date(r->now, date);
    if (!sign_find_header(r, "Date") && !sign_find_header(r, "x-obs-date"))
        rc = sign_add_line(&d, ret, "Date", date);
    if (rc == 0 && cred->token[0])
        rc = sign_add_line(&d, ret, "x-obs-security-token", cred->token);
    if (rc == 0) {
        /* The date line is empty where x-obs-date takes its place. */
        const char *line =
            sign_find_header(&d.r, "x-obs-date") ? "" : sign_find_header(&d.r, "Date");
        rc = signature(&d.r, cred, line, sig);
    }
    if (rc == 0) {
        (void)snprintf(auth, sizeof(auth), "OBS %s:%s", cred->ak, sig);
        rc = sign_add_line(&d, ret, "Authorization", auth);
    }
    return sign_finish(rc, ret);
}

int sign_obs_query(const struct sign_request *r, const struct cred *cred, time_t expires,
                   struct buf *ret_target)
{
    struct url_param query[SIGN_QUERY_MAX + 4];
    size_t n = r->n_query;
    char when[24];
    char sig[OBS_SIGNATURE_MAX];

    if (n + 4 > SIGN_QUERY_MAX)
        return -E2BIG;
    for (size_t i = 0; i < n; i++)
        query[i] = r->query[i];
    if (cred->token[0])
        query[n++] = (struct url_param){"x-obs-security-token", cred->token};

    struct sign_request signed_request = *r;
    signed_request.query = query;
    signed_request.n_query = n;
    (void)snprintf(when, sizeof(when), "%lld", (long long)expires);
    int rc = signature(&signed_request, cred, when, sig);
    if (rc < 0)
        return rc == -EMSGSIZE ? -E2BIG : rc;

    query[n++] = (struct url_param){"AccessKeyId", cred->ak};
    query[n++] = (struct url_param){"Expires", when};
    query[n++] = (struct url_param){"Signature", sig};
    return url_target(ret_target, r->path, query, n);
}
