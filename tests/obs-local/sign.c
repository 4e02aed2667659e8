// SPDX-License-Identifier: Apache-2.0
/* Signatures, see sign.h */
#include "tests/obs-local/sign.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* OBS API: constructing the string to sign; with what the official SDKs sign beyond the page. */
static const char *const subresources[] = {
    "acl",
    "append",
    "attname",
    "backtosource",
    "cors",
    "customdomain",
    "delete",
    "deletebucket",
    "directcoldaccess",
    "encryption",
    "inventory",
    "length",
    "lifecycle",
    "location",
    "logging",
    "metadata",
    "mirrorbacktosource",
    "modify",
    "name",
    "notification",
    "obscompresspolicy",
    "object-lock",
    "partnumber",
    "policy",
    "policystatus",
    "position",
    "publicaccessblock",
    "quota",
    "rename",
    "replication",
    "requestpayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "storageclass",
    "storageinfo",
    "storagepolicy",
    "tagging",
    "torrent",
    "truncate",
    "uploadid",
    "uploads",
    "versionid",
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
    if (strncasecmp(name, "x-obs-", 6) == 0 || strncasecmp(name, "x-amz-security", 14) == 0)
        return true;
    for (size_t i = 0; i < sizeof(subresources) / sizeof(subresources[0]); i++) {
        if (strcasecmp(name, subresources[i]) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct pair *x = *(const struct pair *const *)a, *y = *(const struct pair *const *)b;
    int d = strcmp(x->name, y->name);
    return d ? d : strcmp(x->value, y->value);
}

/* Those of `from` that `want` accepts, sorted; the caller frees the vector. */
static const struct pair **sorted(const struct pairs *from,
                                  bool (*want)(const char *, const void *), const void *arg,
                                  size_t *ret_n)
{
    const struct pair **v = mem_alloc((from->n + 1) * sizeof(struct pair *));
    size_t n = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (want(from->v[i].name, arg))
            v[n++] = &from->v[i];
    }
    qsort(v, n, sizeof(struct pair *), by_name);
    *ret_n = n;
    return v;
}

static bool want_prefix(const char *name, const void *arg)
{
    return text_starts(name, arg);
}

static bool want_subresource(const char *name, const void *arg)
{
    return is_subresource(name);
}

static bool want_unless(const char *name, const void *arg)
{
    return strcmp(name, arg) != 0;
}

static const char *header(const struct sign_req *r, const char *name)
{
    const char *v = pairs_get(r->headers, name);
    return v ? v : "";
}

static void add_resource(const struct sign_req *r, bool slash, struct buf *out)
{
    if (r->bucket)
        buf_addf(out, "/%s", r->bucket);
    buf_adds(out, r->path);
    if (slash)
        buf_addc(out, '/');
    size_t n;
    const struct pair **v = sorted(r->query, want_subresource, NULL, &n);
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%c%s", i ? '&' : '?', v[i]->name);
        if (v[i]->value[0])
            buf_addf(out, "=%s", v[i]->value);
    }
    free(v);
}

void sign_text_v2(const struct sign_req *r, const char *prefix, const char *expires, bool slash,
                  struct buf *out)
{
    char date_name[16];
    snprintf(date_name, sizeof(date_name), "%sdate", prefix);
    const char *date = expires                                    ? expires
                       : pairs_get(r->headers, date_name) != NULL ? ""
                                                                  : header(r, "date");
    buf_addf(out, "%s\n%s\n%s\n%s\n", r->method, header(r, "content-md5"),
             header(r, "content-type"), date);
    size_t n;
    const struct pair **v = sorted(r->headers, want_prefix, prefix, &n);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s:%s\n", v[i]->name, v[i]->value);
    free(v);
    add_resource(r, slash, out);
}

void sign_hmac_sha1(const char *key, const struct buf *text, char out[32])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    HMAC(EVP_sha1(), key, (int)strlen(key), (const unsigned char *)buf_str(text), text->n, mac, &n);
    text_base64(mac, n, out);
}

void sign_sha256_hex(const void *p, size_t n, char out[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int md_n = 0;
    EVP_Digest(p, n, md, &md_n, EVP_sha256(), NULL);
    text_hex(md, md_n, out);
}

struct encoded {
    char *name;
    char *value;
};

static int by_encoded(const void *a, const void *b)
{
    const struct encoded *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d ? d : strcmp(x->value, y->value);
}

static char *encoded(const char *s)
{
    struct buf b = BUF_INIT(1 << 20);
    text_encode(&b, s, false);
    char *p = buf_steal(&b);
    return p ? p : mem_dup("");
}

/* Every pair but `skip`, encoded, sorted, joined. SDK-HMAC sorts before it encodes: for the names
 * that are in use the order is the same. */
static void add_query(const struct sign_req *r, const char *skip, struct buf *out)
{
    size_t n;
    const struct pair **v = sorted(r->query, want_unless, skip, &n);
    struct encoded *e = mem_alloc((n + 1) * sizeof(*e));
    for (size_t i = 0; i < n; i++)
        e[i] = (struct encoded){encoded(v[i]->name), encoded(v[i]->value)};
    qsort(e, n, sizeof(*e), by_encoded);
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%s=%s", i ? "&" : "", e[i].name, e[i].value);
        free(e[i].name);
        free(e[i].value);
    }
    free(e);
    free(v);
    buf_addc(out, '\n');
}

static void add_collapsed(struct buf *out, const char *value)
{
    for (const char *s = value; *s; s++) {
        if (*s == ' ' && s[1] == ' ')
            continue;
        buf_addc(out, *s);
    }
}

static void add_signed_headers(const struct sign_req *r, const char *names, bool collapse,
                               struct buf *out)
{
    const char *s = names;
    while (*s) {
        size_t n = strcspn(s, ";");
        char name[256];
        if (n > 0 && n < sizeof(name)) {
            memcpy(name, s, n);
            name[n] = '\0';
            buf_addf(out, "%s:", name);
            if (collapse)
                add_collapsed(out, header(r, name));
            else
                buf_adds(out, header(r, name));
            buf_addc(out, '\n');
        }
        s += n;
        if (*s == ';')
            s++;
    }
    buf_addf(out, "\n%s\n", names);
}

/* The path, decoded and encoded again in the one form that is signed. */
static void add_path(const struct sign_req *r, struct buf *out)
{
    struct arena a = {0};
    const char *plain = text_decode(&a, r->path, strlen(r->path), false);
    text_encode(out, plain ? plain : r->path, true);
    arena_done(&a);
}

void sign_text_v4(const struct sign_req *r, const char *signed_headers, const char *payload_hash,
                  struct buf *out)
{
    buf_addf(out, "%s\n", r->method);
    add_path(r, out);
    buf_addc(out, '\n');
    add_query(r, "X-Amz-Signature", out);
    add_signed_headers(r, signed_headers, true, out);
    buf_adds(out, payload_hash);
}

void sign_text_sdk(const struct sign_req *r, const char *signed_headers, const char *payload_hash,
                   struct buf *out)
{
    buf_addf(out, "%s\n", r->method);
    add_path(r, out);
    if (out->n == 0 || buf_str(out)[out->n - 1] != '/')
        buf_addc(out, '/');
    buf_addc(out, '\n');
    add_query(r, "", out);
    add_signed_headers(r, signed_headers, false, out);
    buf_adds(out, payload_hash);
}

static void hmac256(const void *key, size_t key_n, const void *p, size_t n, unsigned char out[32])
{
    unsigned int got = 0;
    HMAC(EVP_sha256(), key, (int)key_n, p, n, out, &got);
}

void sign_v4(const char *secret, const char *time, const char *scope, const struct buf *canonical,
             char out[65])
{
    char first[300];
    unsigned char k[32];
    int n = snprintf(first, sizeof(first), "AWS4%s", secret);
    const void *key = first;
    size_t key_n = n < (int)sizeof(first) ? (size_t)n : sizeof(first) - 1;
    for (const char *s = scope; *s;) {
        size_t part = strcspn(s, "/");
        unsigned char next[32];
        hmac256(key, key_n, s, part, next);
        memcpy(k, next, 32);
        key = k;
        key_n = 32;
        s += part;
        if (*s == '/')
            s++;
    }
    char hash[65];
    sign_sha256_hex(buf_str(canonical), canonical->n, hash);
    struct buf text = BUF_INIT(4096);
    buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hash);
    unsigned char mac[32];
    hmac256(key, key_n, buf_str(&text), text.n, mac);
    text_hex(mac, 32, out);
    buf_done(&text);
    OPENSSL_cleanse(first, sizeof(first));
}

void sign_sdk(const char *secret, const char *time, const struct buf *canonical, char out[65])
{
    char hash[65];
    sign_sha256_hex(buf_str(canonical), canonical->n, hash);
    struct buf text = BUF_INIT(4096);
    buf_addf(&text, "SDK-HMAC-SHA256\n%s\n%s", time, hash);
    unsigned char mac[32];
    hmac256(secret, strlen(secret), buf_str(&text), text.n, mac);
    text_hex(mac, 32, out);
    buf_done(&text);
}

bool sign_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}
