// SPDX-License-Identifier: Apache-2.0
// POSIX attributes as user metadata of an object; see attr.h.
#include "fs/attr.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "fs/property.h"
#include "fs/xattr_codec.h"

enum { MODE_MAX = 0177777, PERM_MASK = 07777, NSEC_DIGITS = 9, S3CMD_VALUE_MAX = 63 };

static const int64_t seconds_max = INT64_C(1) << 40;
static const uint64_t id_max = UINT32_MAX - 1; /* chown(2) takes -1 for "leave it" */

/* Digits of the base from the first to the last character; n <= max. */
static bool parse_number(const char *s, unsigned base, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (*s < '0' || digit >= base)
            return false;
        if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, digit, &n) || n > max)
            return false;
    }
    *ret = n;
    return true;
}

int attr_parse_time(const char *text, struct timespec *out)
{
    bool negative = *text == '-';
    uint64_t sec = 0;
    long nsec = 0;
    const char *p = text + negative;

    if (*p < '0' || *p > '9')
        return -EINVAL;
    for (; *p >= '0' && *p <= '9'; p++) {
        sec = sec * 10 + (unsigned)(*p - '0');
        if (sec > (uint64_t)seconds_max)
            return -EINVAL;
    }
    if (*p == '.') {
        unsigned digits = 0;
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (digits < NSEC_DIGITS) {
                nsec = nsec * 10 + (*p - '0');
                digits++;
            }
        }
        for (; digits < NSEC_DIGITS; digits++)
            nsec *= 10;
    }
    if (*p)
        return -EINVAL;
    out->tv_sec = negative ? -(time_t)sec : (time_t)sec;
    out->tv_nsec = nsec;
    return 0;
}

void attr_format_time(const struct timespec *ts, char out[ATTR_TIME_MAX])
{
    snprintf(out, ATTR_TIME_MAX, "%" PRId64 ".%09ld", (int64_t)ts->tv_sec, ts->tv_nsec);
}

bool attr_is_dir_type(const char *content_type)
{
    static const char *const types[] = {ATTR_DIR_TYPE, "httpd/unix-directory"};
    if (!content_type)
        return false;
    size_t n = strcspn(content_type, "; \t");
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (n == strlen(types[i]) && strncasecmp(content_type, types[i], n) == 0)
            return true;
    }
    return false;
}

static const char *meta(const struct obs_props *props, const char *name)
{
    return props ? obs_props_get(props, OBS_PROP_META, name) : NULL;
}

const char *attr_link_target(const struct obs_props *props)
{
    const char *target = meta(props, "symlink-target");
    if (!target || !*target)
        target = meta(props, "--symlink-target");
    return target && *target && strlen(target) < PATH_MAX ? target : NULL;
}

bool attr_owns_meta(const char *name)
{
    static const char *const owned[] = {"mode",        "uid",           "gid",  "mtime",
                                        "atime",       "ctime",         "rdev", XATTR_META,
                                        PROPERTY_META, ATTR_UPLOAD_META};
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++) {
        if (strcasecmp(name, owned[i]) == 0)
            return true;
    }
    return false;
}

/* One value of s3cmd's "atime:1/ctime:2/gid:3/gname:x/mode:33188/..". False: not in it. */
static bool s3cmd_value(const char *attrs, const char *name, char out[S3CMD_VALUE_MAX + 1])
{
    size_t len = strlen(name);
    while (attrs && *attrs) {
        size_t n = strcspn(attrs, "/");
        if (n > len && strncmp(attrs, name, len) == 0 && attrs[len] == ':') {
            size_t value_len = n - len - 1;
            if (value_len > S3CMD_VALUE_MAX)
                return false;
            memcpy(out, attrs + len + 1, value_len);
            out[value_len] = 0;
            return true;
        }
        attrs += n + (attrs[n] == '/');
    }
    return false;
}

static bool known_type(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
           S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* A whole st_mode, or permissions alone. */
static bool parse_mode(const char *text, unsigned base, mode_t *ret)
{
    uint64_t n;
    if (!parse_number(text, base, MODE_MAX, &n))
        return false;
    if ((n & S_IFMT) && !known_type((mode_t)n))
        return false;
    *ret = (mode_t)n;
    return true;
}

/* The mode as stated, perhaps without a type. */
static bool read_mode(const struct obs_props *props, mode_t *ret)
{
    char s3cmd[S3CMD_VALUE_MAX + 1];
    const char *text = meta(props, "mode");

    /* s3fs writes decimal without a leading 0; with one it is rclone's octal form. */
    if (text && parse_mode(text, text[0] == '0' && text[1] ? 8 : 10, ret))
        return true;
    text = meta(props, "permissions");
    if (text && parse_mode(text, 10, ret)) {
        *ret &= PERM_MASK;
        return true;
    }
    text = meta(props, "goog-reserved-posix-mode");
    if (text && parse_mode(text, 8, ret))
        return true;
    return s3cmd_value(meta(props, "s3cmd-attrs"), "mode", s3cmd) && parse_mode(s3cmd, 10, ret);
}

/* A number under one of our, s3sync's, Google's or s3cmd's names. */
static bool read_id(const struct obs_props *props, const char *name, const char *s3sync,
                    const char *goog, uint32_t *ret)
{
    char s3cmd[S3CMD_VALUE_MAX + 1];
    const char *const texts[] = {
        meta(props, name),
        meta(props, s3sync),
        meta(props, goog),
        s3cmd_value(meta(props, "s3cmd-attrs"), name, s3cmd) ? s3cmd : NULL,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        uint64_t n;
        if (texts[i] && parse_number(texts[i], 10, id_max, &n)) {
            *ret = (uint32_t)n;
            return true;
        }
    }
    return false;
}

static bool read_time(const struct obs_props *props, const char *name, const char *goog,
                      struct timespec *ret)
{
    char s3cmd[S3CMD_VALUE_MAX + 1];
    const char *const texts[] = {
        meta(props, name),
        goog ? meta(props, goog) : NULL,
        s3cmd_value(meta(props, "s3cmd-attrs"), name, s3cmd) ? s3cmd : NULL,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (texts[i] && attr_parse_time(texts[i], ret) == 0)
            return true;
    }
    return false;
}

/* Could an object of that many bytes be of that type? What has content is shown as a file, so that
 * nobody's data are hidden behind a mode. */
static bool type_fits(mode_t mode, uint64_t size, const char *link_target)
{
    if (S_ISREG(mode))
        return true;
    if (S_ISLNK(mode))
        return link_target || (size > 0 && size < PATH_MAX);
    return size == 0;
}

/* The type bits; *stated: the metadata say so. */
static mode_t find_type(const struct obs_props *props, const char *key, uint64_t size, mode_t mode,
                        bool *stated)
{
    const char *target = attr_link_target(props);
    size_t n = strlen(key);

    *stated = true;
    if (n > 0 && key[n - 1] == '/')
        return S_IFDIR;
    if ((mode & S_IFMT) && type_fits(mode, size, target))
        return mode & S_IFMT;
    if (!(mode & S_IFMT) && target)
        return S_IFLNK;
    if (!(mode & S_IFMT) && size == 0 && props &&
        attr_is_dir_type(obs_props_get(props, OBS_PROP_RAW, "Content-Type")))
        return S_IFDIR;
    *stated = false;
    return S_IFREG;
}

static mode_t default_perms(mode_t type, mode_t umask)
{
    if (S_ISLNK(type))
        return 0777;
    return (S_ISDIR(type) ? 0777 : 0666) & ~umask & PERM_MASK;
}

static struct timespec from_ms(int64_t ms)
{
    int64_t rest = ms % 1000;
    int64_t sec = ms / 1000;
    if (rest < 0) {
        rest += 1000;
        sec--;
    }
    return (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = (long)rest * 1000000};
}

void attr_default(bool is_dir, int64_t last_modified_ms, const struct attr_defaults *defaults,
                  struct posix_attr *out)
{
    mode_t type = is_dir ? S_IFDIR : S_IFREG;
    struct timespec time = from_ms(last_modified_ms);
    *out = (struct posix_attr){
        .mode = type | default_perms(type, defaults->umask),
        .uid = defaults->uid,
        .gid = defaults->gid,
        .mtime = time,
        .atime = time,
        .ctime = time,
    };
}

void attr_from_props(const struct obs_props *props, const char *key, uint64_t size,
                     int64_t last_modified_ms, const struct attr_defaults *defaults,
                     struct posix_attr *out)
{
    mode_t mode = 0;
    bool stated;
    uint64_t rdev;

    attr_default(false, last_modified_ms, defaults, out);
    bool has_mode = read_mode(props, &mode);
    mode_t type = find_type(props, key, size, mode, &stated);
    mode_t perms = has_mode ? mode & PERM_MASK : default_perms(type, defaults->umask);
    out->mode = type | perms;
    out->present |= (has_mode ? ATTR_MODE : 0) | (stated ? ATTR_TYPE : 0);

    if (read_id(props, "uid", "owner", "goog-reserved-posix-uid", &out->uid))
        out->present |= ATTR_UID;
    if (read_id(props, "gid", "group", "goog-reserved-posix-gid", &out->gid))
        out->present |= ATTR_GID;
    if (read_time(props, "mtime", "goog-reserved-file-mtime", &out->mtime))
        out->present |= ATTR_MTIME;
    out->atime = out->ctime = out->mtime;
    if (read_time(props, "atime", NULL, &out->atime))
        out->present |= ATTR_ATIME;
    if (read_time(props, "ctime", NULL, &out->ctime))
        out->present |= ATTR_CTIME;

    const char *text = meta(props, "rdev");
    if ((S_ISCHR(type) || S_ISBLK(type)) && text && parse_number(text, 10, UINT64_MAX, &rdev)) {
        out->rdev = (dev_t)rdev;
        out->present |= ATTR_RDEV;
    }
}

static int set_number(struct obs_props *props, const char *name, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, n);
    return obs_props_set(props, OBS_PROP_META, name, text);
}

static int set_time(struct obs_props *props, const char *name, const struct timespec *ts)
{
    char text[ATTR_TIME_MAX];
    attr_format_time(ts, text);
    return obs_props_set(props, OBS_PROP_META, name, text);
}

int attr_to_props(const struct posix_attr *attr, struct obs_props *props)
{
    int rc = set_number(props, "mode", attr->mode);
    if (rc == 0)
        rc = set_number(props, "uid", attr->uid);
    if (rc == 0)
        rc = set_number(props, "gid", attr->gid);
    if (rc == 0)
        rc = set_time(props, "mtime", &attr->mtime);
    if (rc == 0)
        rc = set_time(props, "atime", &attr->atime);
    if (rc == 0)
        rc = set_time(props, "ctime", &attr->ctime);
    if (rc == 0 && (S_ISCHR(attr->mode) || S_ISBLK(attr->mode)))
        rc = set_number(props, "rdev", attr->rdev);
    return rc;
}

void attr_drop_times(struct obs_props *props)
{
    static const char *const times[] = {"mtime", "atime", "ctime"};
    size_t kept = 0;

    for (size_t i = 0; i < props->n; i++) {
        struct obs_prop *p = &props->v[i];
        bool drop = false;
        for (size_t k = 0; k < sizeof(times) / sizeof(*times); k++)
            drop |= p->kind == OBS_PROP_META && strcasecmp(p->name, times[k]) == 0;
        if (drop) {
            free(p->name);
            free(p->value);
        } else {
            props->v[kept++] = *p;
        }
    }
    props->n = kept;
}
