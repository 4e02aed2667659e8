// SPDX-License-Identifier: Apache-2.0
/* digest - hashes, hex, base64, ETags
 *
 * Role        Incremental MD5, SHA-1 and SHA-256, HMAC, and what the service makes of them: an
 *             object that was sent in one piece has the MD5 in hex as its ETag; one of N parts has
 *             MD5(MD5(part 1) .. MD5(part N))-N (OBS API: completing a multipart upload).
 * Cost        A `struct digest` is looked up once by digest_new() and may then be used for any
 *             number of messages with digest_reset().
 * Threads     A digest belongs to one thread at a time.
 */
#ifndef OBSM_NET_DIGEST_H
#define OBSM_NET_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum digest_kind { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256 };

enum {
    DIGEST_MD5_SIZE = 16,
    DIGEST_SHA1_SIZE = 20,
    DIGEST_SHA256_SIZE = 32,
    DIGEST_SIZE_MAX = 32,
    ETAG_COMPOSITE_MAX = 48, /* 32 digits, '-', the number of parts, 0 */
};

struct digest;

/* Ready for digest_add(). NULL: out of memory. */
struct digest *digest_new(enum digest_kind kind);
void digest_free(struct digest *d);

size_t digest_size(enum digest_kind kind);

/* Begins a new message. 0 or -ENOMEM. */
int digest_reset(struct digest *d);
/* 0 or -EIO (never seen; a failure of the library). */
int digest_add(struct digest *d, const void *p, size_t n);
/* Writes digest_size() bytes; digest_reset() before the next message. */
int digest_end(struct digest *d, unsigned char out[DIGEST_SIZE_MAX]);

/* Of one piece of memory. 0 or -EIO / -ENOMEM. */
int digest_once(enum digest_kind kind, const void *p, size_t n, unsigned char *out);
int digest_hmac(enum digest_kind kind, const void *key, size_t n_key, const void *p, size_t n,
                unsigned char *out);

/* The value of one hex digit of either case, or -1. */
int hex_digit(char c);
/* Writes 2 n lower-case digits and a 0. */
void hex_encode(const void *p, size_t n, char *out);
/* Exactly 2 n digits of either case, then the end of the string, into n bytes; -EINVAL. */
int hex_decode(const char *text, unsigned char *out, size_t n);

/* Writes 4 * ((n + 2) / 3) characters and a 0; -EMSGSIZE if `size` is less. */
int base64_encode(const void *p, size_t n, char *out, size_t size);
/* Strict: padding required, no blanks. The number of bytes, -EINVAL, or -EMSGSIZE. */
int base64_decode(const char *text, unsigned char *out, size_t size);

/* Copies an ETag without "W/" and quotes; -EMSGSIZE (out is "" then). */
int etag_clean(const char *raw, char *out, size_t size);
/* Equal apart from "W/", quotes and the case of hex digits. False if either is empty. */
bool etag_equal(const char *a, const char *b);
/* Has the form DIGITS-N. */
bool etag_is_composite(const char *etag);
/* The MD5 that a plain ETag (32 hex digits) states; -EINVAL for any other form. Only meaningful
 * without server-side encryption. */
int etag_md5(const char *etag, unsigned char out[DIGEST_MD5_SIZE]);
/* The ETag of an object of n parts. -EINVAL for n == 0. */
int etag_composite(const unsigned char (*md5)[DIGEST_MD5_SIZE], size_t n,
                   char out[ETAG_COMPOSITE_MAX]);

#endif
