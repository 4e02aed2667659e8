// SPDX-License-Identifier: Apache-2.0
/* sse - server-side encryption: what is asked for, and the customer's keys
 *
 * Role        The words in which a user asks for encryption, the keys that a customer keeps himself
 *             (SSE-C), and the properties (net/obs.h) by which encryption goes along with an
 *             object: in inodes, in journals, in the index. A property never holds a key, only its
 *             MD5; net/obs_request.c puts the key itself into the header fields of an attempt.
 * Words       none            what the bucket does by default
 *             kms             SSE-KMS with the account's default key
 *             kms:KEY_ID      with this one: an id, or REGION:DOMAIN:key/ID (S3: also an ARN)
 *             c:NAME          SSE-C with the key in the file NAME of the directory of keys
 * Keys        A directory that nobody but its owner can write, which is this user or root; in it one
 *             file a key, of mode 0600: 32 bytes, or 44 characters of base64; a line end may
 *             follow. Names are letters, digits, '.', '_' and '-'; those that begin with '.' are
 *             skipped. At most SSE_KEYS_MAX. Read once, when the mount begins.
 * Secrets     Keys lie on pages of their own that core dumps leave out, and are wiped before they
 *             are freed. No message contains a part of a key; its MD5 is no secret (the service
 *             states it).
 * Threads     struct sse_keys is constant after sse_keys_load().
 * Source      OBS API, server-side encryption; SSE headers of uploading an object.
 */
#ifndef OBSM_NET_SSE_H
#define OBSM_NET_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/base/err.h"
#include "net/obs.h"

enum {
    SSE_KEY_SIZE = 32,  /* of a key: AES-256 */
    SSE_KEY_TEXT = 45,  /* of one in base64, with its 0 */
    SSE_MD5_TEXT = 25,  /* of its MD5 in base64, with its 0 */
    SSE_NAME_MAX = 64,  /* of a key's name */
    SSE_ID_MAX = 255,   /* of the id of a key in the KMS */
    SSE_TEXT_MAX = 272, /* of a specification as a user writes it */
    SSE_KEYS_MAX = 64,  /* keys of a mount */
    SSE_FILE_MAX = 64,  /* bytes of a key file that are looked at */
};

enum sse_kind { SSE_NONE, SSE_KMS, SSE_CUSTOMER };

struct sse_spec {
    enum sse_kind kind;
    char id[SSE_ID_MAX + 1]; /* KMS: the key's id, "" for the default; CUSTOMER: the key's name */
};

/* Parses one of the words above. -EINVAL with a sentence. Pure. */
int sse_spec_parse(const char *text, struct sse_spec *ret, struct err *err);

/* The key in the content of a key file. -EINVAL; `out` is then wiped. Pure. */
int sse_key_parse(const void *text, size_t n, unsigned char out[SSE_KEY_SIZE]);

struct sse_keys;

/* Reads a directory of keys. -ENOENT, -EACCES, -EINVAL, -E2BIG, -ENOMEM with a sentence that names
 * the file. Blocks on the disk. */
int sse_keys_load(const char *dir, struct sse_keys **ret, struct err *err);
/* Wipes them. NULL is allowed. */
void sse_keys_free(struct sse_keys *keys);

/* NULL keys: there are none. Keys are numbered from 0 in the order of their names. */
int sse_keys_count(const struct sse_keys *keys);
/* By name, or by MD5 in base64; -1: there is no such key. */
int sse_keys_by_name(const struct sse_keys *keys, const char *name);
int sse_keys_by_md5(const struct sse_keys *keys, const char *md5);
const char *sse_keys_name(const struct sse_keys *keys, int i);
const char *sse_keys_md5(const struct sse_keys *keys, int i);
/* The key in base64. The caller wipes it. */
void sse_keys_secret(const struct sse_keys *keys, int i, char out[SSE_KEY_TEXT]);

/* --- as properties of an object --- */

/* Is it about encryption? */
bool sse_is_prop(const struct obs_prop *prop);
/* Does any property say that the object is encrypted? Its ETag is then no checksum. */
bool sse_encrypted(const struct obs_props *props);
/* The MD5 of the customer's key, or NULL. */
const char *sse_customer_md5(const struct obs_props *props);

/* Takes out all that is about encryption. */
void sse_drop(struct obs_props *props);
/* Adds what `from` says about encryption, in the place of what `to` says. -ENOMEM. */
int sse_copy(struct obs_props *to, const struct obs_props *from);
/* Do both say the same? */
bool sse_same(const struct obs_props *a, const struct obs_props *b);

/* Sets the properties that ask for `spec`, in the place of others about encryption. -ENOENT with a
 * sentence: there is no key of that name; -ENOMEM. */
int sse_to_props(const struct sse_spec *spec, const struct sse_keys *keys, struct obs_props *props,
                 struct err *err);

/* The words for what the properties say: "none", "kms:KEY_ID", "c:NAME", "c:?" for a key that is
 * not here, or the service's own word ("AES256"). */
void sse_to_text(const struct obs_props *props, const struct sse_keys *keys,
                 char out[SSE_TEXT_MAX]);

#endif
