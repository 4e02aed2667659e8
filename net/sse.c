// SPDX-License-Identifier: Apache-2.0
// Server-side encryption as words and as properties; see sse.h. The keys are in sse_keys.c.
#include "net/sse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/digest.h"

#define PROP "server-side-encryption"
#define PROP_KEY_ID "server-side-encryption-kms-key-id"
#define PROP_ALGORITHM "server-side-encryption-customer-algorithm"
#define PROP_KEY_MD5 "server-side-encryption-customer-key-md5"

static const char *const all_props[] = {PROP, PROP_KEY_ID, PROP_ALGORITHM, PROP_KEY_MD5};
enum { N_PROPS = sizeof(all_props) / sizeof(all_props[0]) };

static bool is_alnum(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool made_of(const char *text, size_t n, const char *others)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(text[i]) && (!text[i] || !strchr(others, text[i])))
            return false;
    }
    return n > 0;
}

static bool key_id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n > SSE_ID_MAX)
        return false;
    if (made_of(id, n, "-_."))
        return true;
    if (strncmp(id, "arn:", 4) == 0)
        return made_of(id, n, "-_.:/");

    size_t region = strcspn(id, ":");
    if (!id[region] || !made_of(id, region, "-_"))
        return false;
    const char *domain = id + region + 1;
    size_t n_domain = strcspn(domain, ":");
    if (!domain[n_domain] || !made_of(domain, n_domain, "-_"))
        return false;
    const char *key = domain + n_domain + 1;
    return strncmp(key, "key/", 4) == 0 && made_of(key + 4, strlen(key + 4), "-_.");
}

static bool name_valid(const char *name)
{
    size_t n = strlen(name);
    return n <= SSE_NAME_MAX && name[0] != '.' && made_of(name, n, "-_.");
}

int sse_spec_parse(const char *text, struct sse_spec *ret, struct err *err)
{
    *ret = (struct sse_spec){.kind = SSE_NONE};
    if (strcmp(text, "none") == 0)
        return 0;
    if (strcmp(text, "kms") == 0) {
        ret->kind = SSE_KMS;
        return 0;
    }
    if (strncmp(text, "kms:", 4) == 0) {
        if (!key_id_valid(text + 4))
            return err_set(err, -EINVAL, "'%.100s' is neither a key's id nor REGION:DOMAIN:key/ID",
                           text + 4);
        ret->kind = SSE_KMS;
        (void)snprintf(ret->id, sizeof(ret->id), "%s", text + 4);
        return 0;
    }
    if (strncmp(text, "c:", 2) == 0) {
        if (!name_valid(text + 2))
            return err_set(err, -EINVAL,
                           "'%.70s' cannot be a key's name: letters, digits, '.', '_', '-', at "
                           "most %d",
                           text + 2, SSE_NAME_MAX);
        ret->kind = SSE_CUSTOMER;
        (void)snprintf(ret->id, sizeof(ret->id), "%s", text + 2);
        return 0;
    }
    return err_set(err, -EINVAL, "expected none, kms, kms:KEY_ID or c:NAME");
}

int sse_key_parse(const void *text, size_t n, unsigned char out[SSE_KEY_SIZE])
{
    const char *p = text;
    char base64[SSE_KEY_TEXT];
    unsigned char key[SSE_KEY_SIZE + 4];
    int rc = -EINVAL;

    explicit_bzero(out, SSE_KEY_SIZE);
    if (n == SSE_KEY_SIZE) { /* these very bytes, whatever they are */
        memcpy(out, p, SSE_KEY_SIZE);
        return 0;
    }
    if (n > 0 && p[n - 1] == '\n')
        n--;
    if (n > SSE_KEY_SIZE && p[n - 1] == '\r')
        n--;
    if (n == SSE_KEY_SIZE) {
        memcpy(out, p, SSE_KEY_SIZE);
        return 0;
    }
    if (n == SSE_KEY_TEXT - 1 && !memchr(p, 0, n)) {
        memcpy(base64, p, n);
        base64[n] = 0;
        if (base64_decode(base64, key, sizeof(key)) == SSE_KEY_SIZE) {
            memcpy(out, key, SSE_KEY_SIZE);
            rc = 0;
        }
        explicit_bzero(base64, sizeof(base64));
        explicit_bzero(key, sizeof(key));
    }
    return rc;
}

/* --- properties --- */

bool sse_is_prop(const struct obs_prop *prop)
{
    for (int i = 0; prop->kind == OBS_PROP_HEADER && i < N_PROPS; i++) {
        if (strcasecmp(prop->name, all_props[i]) == 0)
            return true;
    }
    return false;
}

static const char *get(const struct obs_props *props, const char *name)
{
    return obs_props_get(props, OBS_PROP_HEADER, name);
}

bool sse_encrypted(const struct obs_props *props)
{
    return get(props, PROP) || get(props, PROP_ALGORITHM) || get(props, PROP_KEY_MD5);
}

const char *sse_customer_md5(const struct obs_props *props)
{
    return get(props, PROP_KEY_MD5);
}

void sse_drop(struct obs_props *props)
{
    size_t n = 0;
    for (size_t i = 0; i < props->n; i++) {
        if (sse_is_prop(&props->v[i])) {
            free(props->v[i].name);
            free(props->v[i].value);
        } else {
            props->v[n++] = props->v[i];
        }
    }
    props->n = n;
}

int sse_copy(struct obs_props *to, const struct obs_props *from)
{
    sse_drop(to);
    for (int i = 0; i < N_PROPS; i++) {
        const char *value = get(from, all_props[i]);
        int rc = value ? obs_props_set(to, OBS_PROP_HEADER, all_props[i], value) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

bool sse_same(const struct obs_props *a, const struct obs_props *b)
{
    for (int i = 0; i < N_PROPS; i++) {
        const char *of_a = get(a, all_props[i]);
        const char *of_b = get(b, all_props[i]);
        if (!of_a != !of_b || (of_a && strcmp(of_a, of_b) != 0))
            return false;
    }
    return true;
}

static int set(struct obs_props *props, const char *name, const char *value)
{
    return obs_props_set(props, OBS_PROP_HEADER, name, value);
}

int sse_to_props(const struct sse_spec *spec, const struct sse_keys *keys, struct obs_props *props,
                 struct err *err)
{
    int rc = 0;
    int key = spec->kind == SSE_CUSTOMER ? sse_keys_by_name(keys, spec->id) : -1;
    if (spec->kind == SSE_CUSTOMER && key < 0)
        return err_set(err, -ENOENT, "there is no key '%s' in sse_c_keys", spec->id);

    sse_drop(props);
    if (spec->kind == SSE_KMS) {
        rc = set(props, PROP, "kms");
        if (rc == 0 && spec->id[0])
            rc = set(props, PROP_KEY_ID, spec->id);
    } else if (spec->kind == SSE_CUSTOMER) {
        rc = set(props, PROP_ALGORITHM, "AES256");
        if (rc == 0)
            rc = set(props, PROP_KEY_MD5, sse_keys_md5(keys, key));
    }
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

void sse_to_text(const struct obs_props *props, const struct sse_keys *keys, char out[SSE_TEXT_MAX])
{
    const char *md5 = sse_customer_md5(props);
    const char *how = get(props, PROP);
    const char *id = get(props, PROP_KEY_ID);
    int key = md5 ? sse_keys_by_md5(keys, md5) : -1;

    if (md5 || get(props, PROP_ALGORITHM))
        (void)snprintf(out, SSE_TEXT_MAX, "c:%s", key < 0 ? "?" : sse_keys_name(keys, key));
    else if (how && strcmp(how, "kms") == 0 && id)
        (void)snprintf(out, SSE_TEXT_MAX, "kms:%s", id);
    else
        (void)snprintf(out, SSE_TEXT_MAX, "%s", how ? how : "none");
}
