// SPDX-License-Identifier: Apache-2.0
// Hashes, hex, base64, ETags; see digest.h.
#include "net/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct digest {
    EVP_MD_CTX *ctx; /* keeps its algorithm over a reset */
};

static const struct {
    const EVP_MD *(*md)(void);
    size_t size;
} kinds[] = {
    [DIGEST_MD5] = {EVP_md5, DIGEST_MD5_SIZE},
    [DIGEST_SHA1] = {EVP_sha1, DIGEST_SHA1_SIZE},
    [DIGEST_SHA256] = {EVP_sha256, DIGEST_SHA256_SIZE},
};

struct digest *digest_new(enum digest_kind kind)
{
    struct digest *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;

    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || EVP_DigestInit_ex(d->ctx, kinds[kind].md(), NULL) != 1) {
        digest_free(d);
        return NULL;
    }
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

size_t digest_size(enum digest_kind kind)
{
    return kinds[kind].size;
}

int digest_reset(struct digest *d)
{
    /* No algorithm named: the one at hand, without looking it up again. */
    return EVP_DigestInit_ex2(d->ctx, NULL, NULL) == 1 ? 0 : -ENOMEM;
}

int digest_add(struct digest *d, const void *p, size_t n)
{
    return EVP_DigestUpdate(d->ctx, p, n) == 1 ? 0 : -EIO;
}

int digest_end(struct digest *d, unsigned char out[DIGEST_SIZE_MAX])
{
    return EVP_DigestFinal_ex(d->ctx, out, NULL) == 1 ? 0 : -EIO;
}

int digest_once(enum digest_kind kind, const void *p, size_t n, unsigned char *out)
{
    return EVP_Digest(p, n, out, NULL, kinds[kind].md(), NULL) == 1 ? 0 : -EIO;
}

int digest_hmac(enum digest_kind kind, const void *key, size_t n_key, const void *p, size_t n,
                unsigned char *out)
{
    /* A NULL key would mean "the previous one" to the library. */
    if (n_key > INT_MAX)
        return -EIO;
    return HMAC(kinds[kind].md(), n_key ? key : "", (int)n_key, p, n, out, NULL) ? 0 : -EIO;
}

void hex_encode(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = 0;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(const char *text, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return text[2 * n] == 0 ? 0 : -EINVAL;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const void *p, size_t n, char *out, size_t size)
{
    const unsigned char *in = p;
    if (n > SIZE_MAX / 2 || size <= (n + 2) / 3 * 4)
        return -EMSGSIZE;

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        unsigned v = (unsigned)in[i] << 16 | (unsigned)(have > 1 ? in[i + 1] : 0) << 8 |
                     (unsigned)(have > 2 ? in[i + 2] : 0);
        *out++ = base64_digits[v >> 18];
        *out++ = base64_digits[v >> 12 & 63];
        *out++ = have > 1 ? base64_digits[v >> 6 & 63] : '=';
        *out++ = have > 2 ? base64_digits[v & 63] : '=';
    }
    *out = 0;
    return 0;
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    return at ? (int)(at - base64_digits) : -1;
}

int base64_decode(const char *text, unsigned char *out, size_t size)
{
    size_t len = strlen(text);
    if (len % 4 || len > INT_MAX)
        return -EINVAL;

    size_t pad = len && text[len - 1] == '=' ? 1 + (text[len - 2] == '=') : 0;
    size_t n = len / 4 * 3 - pad;
    if (n > size)
        return -EMSGSIZE;

    size_t done = 0;
    for (size_t i = 0; i < len; i += 4) {
        unsigned v = 0;
        for (size_t j = 0; j < 4; j++) {
            bool padding = i + j >= len - pad;
            int digit = padding ? 0 : base64_value(text[i + j]);
            if (digit < 0)
                return -EINVAL;
            v = v << 6 | (unsigned)digit;
        }
        for (int shift = 16; shift >= 0 && done < n; shift -= 8)
            out[done++] = (unsigned char)(v >> shift);
    }
    return (int)n;
}

/* The part of an ETag that counts. */
static const char *etag_core(const char *raw, size_t *ret_n)
{
    if (raw[0] == 'W' && raw[1] == '/')
        raw += 2;
    size_t n = strlen(raw);
    if (n >= 2 && raw[0] == '"' && raw[n - 1] == '"') {
        raw++;
        n -= 2;
    }
    *ret_n = n;
    return raw;
}

int etag_clean(const char *raw, char *out, size_t size)
{
    size_t n;
    const char *core = etag_core(raw, &n);
    out[0] = 0;
    if (n >= size)
        return -EMSGSIZE;
    memmove(out, core, n);
    out[n] = 0;
    return 0;
}

bool etag_equal(const char *a, const char *b)
{
    size_t na, nb;
    const char *pa = etag_core(a, &na);
    const char *pb = etag_core(b, &nb);
    return na == nb && na > 0 && strncasecmp(pa, pb, na) == 0;
}

bool etag_is_composite(const char *etag)
{
    size_t n;
    const char *core = etag_core(etag, &n);
    if (n < 34 || core[32] != '-')
        return false;
    for (size_t i = 0; i < 32; i++) {
        if (hex_digit(core[i]) < 0)
            return false;
    }
    for (size_t i = 33; i < n; i++) {
        if (core[i] < '0' || core[i] > '9')
            return false;
    }
    return true;
}

int etag_md5(const char *etag, unsigned char out[DIGEST_MD5_SIZE])
{
    char clean[2 * DIGEST_MD5_SIZE + 1];
    if (etag_clean(etag, clean, sizeof(clean)) < 0)
        return -EINVAL;
    return hex_decode(clean, out, DIGEST_MD5_SIZE);
}

int etag_composite(const unsigned char (*md5)[DIGEST_MD5_SIZE], size_t n,
                   char out[ETAG_COMPOSITE_MAX])
{
    unsigned char whole[DIGEST_MD5_SIZE];
    if (n == 0 || n > 1000000)
        return -EINVAL;

    int rc = digest_once(DIGEST_MD5, md5, n * DIGEST_MD5_SIZE, whole);
    if (rc < 0)
        return rc;
    hex_encode(whole, sizeof(whole), out);
    (void)snprintf(out + 32, ETAG_COMPOSITE_MAX - 32, "-%zu", n);
    return 0;
}
