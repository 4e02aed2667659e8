// SPDX-License-Identifier: Apache-2.0
// Keys of a bucket and names of a filesystem; see names.h.
#include "fs/names.h"

#include <errno.h>
#include <string.h>

#include "net/base/buf.h"

/* The length of the UTF-8 sequence at p (n > 0 bytes are there), 0 if it is malformed. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char first_lo, first_hi; /* the first byte */
        unsigned char second_lo, second_hi;
        unsigned char len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        size_t len = forms[i].len;
        if (p[0] < forms[i].first_lo || p[0] > forms[i].first_hi)
            continue;
        if (len > n || (len > 1 && (p[1] < forms[i].second_lo || p[1] > forms[i].second_hi)))
            return 0;
        for (size_t k = 2; k < len; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        }
        return len;
    }
    return 0;
}

bool names_utf8(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t len = utf8_len((const unsigned char *)p + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static bool is_dots(const char *name, size_t n)
{
    return (n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.');
}

int names_check(const char *name, size_t n)
{
    if (n == 0)
        return -ENOENT;
    if (is_dots(name, n))
        return -EEXIST;
    if (n > NAMES_COMPONENT_MAX)
        return -ENAMETOOLONG;
    if (memchr(name, '/', n) || memchr(name, 0, n))
        return -EINVAL;
    return names_utf8(name, n) ? 0 : -EILSEQ;
}

bool names_component_ok(const char *name, size_t n)
{
    return n > 0 && n <= NAMES_COMPONENT_MAX && !is_dots(name, n) && !memchr(name, '/', n) &&
           !memchr(name, 0, n);
}

/* The length of the component at p, up to a '/' or the end. */
static size_t component_len(const char *p, size_t n)
{
    const char *slash = memchr(p, '/', n);
    return slash ? (size_t)(slash - p) : n;
}

bool names_key_ok(const char *key, size_t n)
{
    if (n == 0 || n > OBS_KEY_MAX)
        return false;
    if (key[n - 1] == '/')
        n--;

    size_t i = 0;
    for (;;) {
        size_t len = component_len(key + i, n - i);
        if (!names_component_ok(key + i, len))
            return false;
        i += len;
        if (i == n)
            return true;
        i++; /* the slash; an empty component behind it is refused above */
    }
}

int names_split(const char *key, size_t n, struct names_key *ret)
{
    if (!names_key_ok(key, n))
        return -EINVAL;

    bool is_dir = key[n - 1] == '/';
    size_t end = is_dir ? n - 1 : n;
    size_t begin = end;
    while (begin > 0 && key[begin - 1] != '/')
        begin--;
    *ret = (struct names_key){
        .parent = key,
        .parent_len = begin,
        .name = key + begin,
        .name_len = end - begin,
        .is_dir = is_dir,
    };
    return 0;
}

int names_child(const char *dir, const char *key, struct names_key *ret)
{
    size_t dir_len = strlen(dir);
    if (strncmp(key, dir, dir_len) != 0 || key[dir_len] == 0)
        return -ENOENT;

    const char *name = key + dir_len;
    size_t rest = strlen(name);
    if (!names_key_ok(name, rest))
        return -EINVAL;
    size_t len = component_len(name, rest);
    *ret = (struct names_key){
        .parent = key,
        .parent_len = dir_len,
        .name = name,
        .name_len = len,
        .is_dir = len < rest,
    };
    return 0;
}

int names_make_key(const char *prefix, const char *path, bool as_dir, char out[OBS_KEY_MAX + 1])
{
    size_t a = strlen(prefix);
    size_t b = strlen(path);
    bool slash = as_dir && b > 0;

    out[0] = 0;
    if (a > OBS_KEY_MAX || b > OBS_KEY_MAX || a + b + slash > OBS_KEY_MAX)
        return -ENAMETOOLONG;
    memcpy(out, prefix, a);
    memcpy(out + a, path, b);
    if (slash)
        out[a + b] = '/';
    out[a + b + slash] = 0;
    return 0;
}

int names_prefix(const char *text, char **ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(OBS_KEY_MAX);

    *ret = NULL;
    if (!names_utf8(text, strlen(text)))
        return err_set(err, -EINVAL, "prefix is not UTF-8");
    for (const char *p = text; *p;) {
        size_t len = component_len(p, strlen(p));
        if (is_dots(p, len))
            return err_set(err, -EINVAL, "prefix '%s' contains '.' or '..'", text);
        if (len > NAMES_COMPONENT_MAX)
            return err_set(err, -ENAMETOOLONG, "prefix has a component of over %d bytes",
                           NAMES_COMPONENT_MAX);
        if (len > 0) {
            buf_add(&out, p, len);
            buf_addc(&out, '/');
        }
        p += len;
        p += *p == '/';
    }
    if (out.eno == -EMSGSIZE)
        return err_set(err, -ENAMETOOLONG, "prefix has over %d bytes", OBS_KEY_MAX);
    char *s = out.eno == 0 ? strdup(buf_str(&out)) : NULL;
    if (!s)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = s;
    return 0;
}

uint64_t names_ino(const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[0] == '/') {
        path++;
        n--;
    }
    while (n > 0 && path[n - 1] == '/')
        n--;

    /* FNV-1a, then a finaliser: tables that take the low bits shall not see neighbours collide. */
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)path[i]) * 0x100000001b3u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    h ^= h >> 33;
    return h < 2 ? h + 2 : h;
}
