// SPDX-License-Identifier: Apache-2.0
// Extended attributes of one file and their form in metadata; see xattr_codec.h.
#include "fs/xattr_codec.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/names.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/digest.h"
#include "net/props.h"
#include "net/url.h"

enum { TEXT_MAX = 65536 };

static void xattr_done(struct xattr *x)
{
    free(x->name);
    free(x->value);
}

void xattr_set_clear(struct xattr_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        xattr_done(&set->v[i]);
    free(set->v);
    *set = (struct xattr_set){0};
}

static struct xattr *find(const struct xattr_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->v[i].name, name) == 0)
            return &set->v[i];
    }
    return NULL;
}

/* Sets without looking at the limits. */
static int assign(struct xattr_set *set, const char *name, const void *value, size_t len)
{
    struct xattr fresh = {.name = strdup(name), .value = malloc(len ? len : 1), .len = len};
    if (!fresh.name || !fresh.value)
        goto nomem;
    if (len)
        memcpy(fresh.value, value, len);

    struct xattr *x = find(set, name);
    if (!x) {
        struct xattr *v = reallocarray(set->v, set->n + 1, sizeof(*v));
        if (!v)
            goto nomem;
        set->v = v;
        x = &v[set->n++];
    } else {
        xattr_done(x);
    }
    *x = fresh;
    return 0;

nomem:
    xattr_done(&fresh);
    return -ENOMEM;
}

int xattr_set_copy(struct xattr_set *to, const struct xattr_set *from)
{
    struct xattr_set copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        int rc = assign(&copy, from->v[i].name, from->v[i].value, from->v[i].len);
        if (rc < 0) {
            xattr_set_clear(&copy);
            return rc;
        }
    }
    xattr_set_clear(to);
    *to = copy;
    return 0;
}

static int check_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > XATTR_SET_NAME_MAX)
        return -ERANGE;
    return names_utf8(name, n) ? 0 : -EILSEQ;
}

int xattr_set_put(struct xattr_set *set, const char *name, const void *value, size_t len, int flags)
{
    struct xattr_set next = {0};
    CLEANUP_FREE char *text = NULL;
    int rc = check_name(name);

    if (rc < 0)
        return rc;
    if ((flags & XATTR_CREATE) && find(set, name))
        return -EEXIST;
    if ((flags & XATTR_REPLACE) && !find(set, name))
        return -ENODATA;
    if (len > XATTR_WIRE_MAX)
        return -ENOSPC;

    rc = xattr_set_copy(&next, set);
    if (rc == 0)
        rc = assign(&next, name, value, len);
    if (rc == 0)
        rc = xattr_set_encode(&next, &text);
    if (rc < 0) {
        xattr_set_clear(&next);
        return rc;
    }
    xattr_set_clear(set);
    *set = next;
    return 0;
}

ssize_t xattr_set_get(const struct xattr_set *set, const char *name, void *out, size_t size)
{
    const struct xattr *x = find(set, name);
    if (!x)
        return -ENODATA;
    if (size == 0)
        return (ssize_t)x->len;
    if (x->len > size)
        return -ERANGE;
    memcpy(out, x->value, x->len);
    return (ssize_t)x->len;
}

int xattr_set_remove(struct xattr_set *set, const char *name)
{
    struct xattr *x = find(set, name);
    if (!x)
        return -ENODATA;
    xattr_done(x);
    size_t i = (size_t)(x - set->v);
    memmove(x, x + 1, (set->n - i - 1) * sizeof(*x));
    set->n--;
    return 0;
}

ssize_t xattr_set_list(const struct xattr_set *set, void *out, size_t size)
{
    size_t need = 0;
    for (size_t i = 0; i < set->n; i++)
        need += strlen(set->v[i].name) + 1;
    if (size == 0)
        return (ssize_t)need;
    if (need > size)
        return -ERANGE;

    char *p = out;
    for (size_t i = 0; i < set->n; i++) {
        size_t n = strlen(set->v[i].name) + 1;
        memcpy(p, set->v[i].name, n);
        p += n;
    }
    return (ssize_t)need;
}

/* Adds the value's base64 to a JSON object under the name. */
static int add_json(json_t *object, const struct xattr *x)
{
    size_t size = 4 * ((x->len + 2) / 3) + 1;
    CLEANUP_FREE char *text = malloc(size);
    if (!text)
        return -ENOMEM;
    int rc = base64_encode(x->value, x->len, text, size);
    if (rc < 0)
        return rc;
    return json_object_set_new(object, x->name, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* Does the text fit when it is sent? */
static int check_wire(const char *text)
{
    CLEANUP_BUF struct buf wire = BUF_INIT(XATTR_WIRE_MAX - strlen(XATTR_META));
    int rc = props_encode_value(&wire, text);
    return rc == -EMSGSIZE ? -ENOSPC : rc;
}

int xattr_set_encode(const struct xattr_set *set, char **ret)
{
    int rc = 0;

    *ret = NULL;
    json_t *object = json_object();
    if (!object)
        return -ENOMEM;
    for (size_t i = 0; i < set->n && rc == 0; i++)
        rc = add_json(object, &set->v[i]);

    CLEANUP_FREE char *text = NULL;
    if (rc == 0)
        text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (rc == 0)
        rc = text ? check_wire(text) : -ENOMEM;
    if (rc == 0)
        *ret = steal_ptr(&text);
    return rc;
}

/* Takes over one member if it is what it should be; 0 also if not. */
static int take_json(struct xattr_set *set, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || check_name(name) < 0)
        return 0;

    size_t size = 3 * (strlen(text) / 4) + 3;
    CLEANUP_FREE unsigned char *bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    int n = base64_decode(text, bytes, size);
    return n < 0 ? 0 : assign(set, name, bytes, (size_t)n);
}

/* The text is short, and Jansson bounds the depth. */
static int decode_json(struct xattr_set *set, const char *text, size_t n)
{
    json_t *object = json_loadb(text, n, 0, NULL);
    const char *name;
    json_t *value;
    int rc = json_is_object(object) ? 0 : -EINVAL;

    if (rc == 0) {
        json_object_foreach(object, name, value)
        {
            rc = take_json(set, name, value);
            if (rc < 0)
                break;
        }
    }
    json_decref(object);
    return rc;
}

int xattr_set_decode(struct xattr_set *set, const char *text)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(TEXT_MAX);
    CLEANUP_FREE char *check = NULL;
    struct xattr_set next = {0};
    size_t n = strnlen(text, TEXT_MAX + 1);

    if (n > TEXT_MAX)
        return -EINVAL;
    int rc = text[0] == '%' ? url_decode(&plain, text, n, false) : buf_add(&plain, text, n);
    if (rc == 0)
        rc = decode_json(&next, buf_str(&plain), plain.n);
    if (rc == 0)
        rc = xattr_set_encode(&next, &check);
    if (rc < 0) {
        xattr_set_clear(&next);
        return rc;
    }
    xattr_set_clear(set);
    *set = next;
    return 0;
}
