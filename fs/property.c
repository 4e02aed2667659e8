// SPDX-License-Identifier: Apache-2.0
// The table of properties; see property.h.
#include "fs/property.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/attr.h"
#include "fs/option_value.h"
#include "fs/options.h"
#include "net/base/cleanup.h"
#include "net/plan.h"
#include "net/props.h"
#include "net/sse.h"
#include "net/url.h"

enum { URL_MAX = 2048, TYPE_MAX = 255, GRANTS_MAX = 100, ID_MAX = 64, DAYS_DIGITS = 6 };

static bool one_of(const char *value, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, words[i]) == 0)
            return true;
    }
    return false;
}

/* Printable ASCII without blanks. */
static bool is_graphic(const char *value)
{
    for (; *value; value++) {
        if ((unsigned char)*value <= 0x20 || (unsigned char)*value >= 0x7f)
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_token(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(name[i]) && (!name[i] || !strchr("!#$%&'*+-.^_`|~", name[i])))
            return false;
    }
    return n > 0;
}

static int check_acl(const char *value, struct err *err)
{
    static const char *const words[] = {"private", "public-read", "public-read-write",
                                        "bucket-owner-full-control"};
    static const char *const bucket[] = {"public-read-delivered", "public-read-write-delivered"};
    if (one_of(value, bucket, 2))
        return err_set(err, -EINVAL, "'%s' is for buckets, an object cannot have it", value);
    if (!one_of(value, words, 4))
        return err_set(err, -EINVAL,
                       "expected private, public-read, public-read-write or "
                       "bucket-owner-full-control");
    return 0;
}

static int check_class(const char *value, struct err *err)
{
    static const char *const words[] = {"STANDARD", "WARM", "COLD"};
    return one_of(value, words, 3) ? 0 : err_set(err, -EINVAL, "expected STANDARD, WARM or COLD");
}

/* "type/subtype" and perhaps parameters */
static int check_type(const char *value, struct err *err)
{
    size_t type = strcspn(value, "/");
    const char *sub = value[type] ? value + type + 1 : "";
    bool good = strlen(value) <= TYPE_MAX && is_token(value, type) &&
                is_token(sub, strcspn(sub, "; ")) && strcspn(value, " ") >= strcspn(value, ";");
    for (const char *p = value; *p; p++)
        good = good && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f;
    return good ? 0 : err_set(err, -EINVAL, "expected a content type such as text/plain");
}

static bool is_url(const char *value, size_t skip)
{
    return value[skip] && strlen(value) <= URL_MAX && is_graphic(value);
}

static int check_redirect(const char *value, struct err *err)
{
    bool good = value[0] == '/'                      ? is_url(value, 1)
                : strncmp(value, "http://", 7) == 0  ? is_url(value, 7)
                : strncmp(value, "https://", 8) == 0 ? is_url(value, 8)
                                                     : false;
    return good ? 0
                : err_set(err, -EINVAL,
                          "expected /KEY, http://.. or https://.., at most 2 KiB, other bytes than "
                          "ASCII percent-encoded");
}

static int check_action(const char *value, struct err *err)
{
    bool good = strncmp(value, "http://", 7) == 0    ? is_url(value, 7)
                : strncmp(value, "https://", 8) == 0 ? is_url(value, 8)
                                                     : false;
    return good ? 0 : err_set(err, -EINVAL, "expected http://.. or https://.., at most 2 KiB");
}

static int check_days(const char *value, struct err *err)
{
    size_t n = strspn(value, "0123456789");
    return n > 0 && n <= DAYS_DIGITS && !value[n]
               ? 0
               : err_set(err, -EINVAL, "expected a number of days, 0 or more");
}

/* "id=ID,id=ID" */
static int check_grant(const char *value, struct err *err)
{
    size_t count = 0;
    bool good = true;
    while (good) {
        size_t n = strcspn(value, ",");
        good = n > 3 && n <= 3 + ID_MAX && strncmp(value, "id=", 3) == 0 && ++count <= GRANTS_MAX;
        for (size_t i = 3; good && i < n; i++)
            good = is_alnum(value[i]) || value[i] == '-' || value[i] == '_';
        value += n;
        if (!*value)
            break;
        value++;
    }
    return good ? 0
                : err_set(err, -EINVAL, "expected id=ACCOUNT[,id=ACCOUNT..], at most 100 of them");
}

static int check_metadata(const char *value, struct err *err)
{
    return *value ? 0 : err_set(err, -EINVAL, "metadata cannot be empty");
}

static int check_header(const char *value, struct err *err)
{
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            return err_set(err, -EINVAL, "a header's value is printable ASCII");
    }
    size_t n = strlen(value);
    bool blank = n == 0 || value[0] == ' ' || value[n - 1] == ' ';
    return blank ? err_set(err, -EINVAL, "a header's value cannot be empty or begin or end blank")
                 : 0;
}

static int check_part_size(const char *value, struct err *err)
{
    uint64_t size;
    bool good =
        option_parse_size(value, &size) == 0 && size >= PLAN_PART_MIN_OBS && size <= PLAN_PART_MAX;
    return good ? 0 : err_set(err, -EINVAL, "expected a size from 100K to 5G");
}

static int check_switch(const char *value, struct err *err)
{
    static const char *const words[] = {"on", "off"};
    return one_of(value, words, 2) ? 0 : err_set(err, -EINVAL, "expected on or off");
}

static int check_encryption(const char *value, struct err *err)
{
    struct sse_spec spec;
    return sse_spec_parse(value, &spec, err);
}

#define EVERY PROPERTY_EVERY
#define TOLD PROPERTY_TOLD

static const struct property rows[] = {
    {"acl", PROPERTY_ACL, EVERY, OBS_PROP_HEADER, "acl", check_acl},
    {"grant.read", PROPERTY_ACL, EVERY, OBS_PROP_HEADER, "grant-read", check_grant},
    {"grant.read_acp", PROPERTY_ACL, EVERY, OBS_PROP_HEADER, "grant-read-acp", check_grant},
    {"grant.write_acp", PROPERTY_ACL, EVERY, OBS_PROP_HEADER, "grant-write-acp", check_grant},
    {"grant.full_control", PROPERTY_ACL, EVERY, OBS_PROP_HEADER, "grant-full-control", check_grant},
    {"content_type", PROPERTY_METADATA, TOLD, OBS_PROP_RAW, "Content-Type", check_type},
    {"storage_class", PROPERTY_METADATA, TOLD, OBS_PROP_HEADER, "storage-class", check_class},
    {"website_redirect_location", PROPERTY_METADATA, TOLD, OBS_PROP_HEADER,
     "website-redirect-location", check_redirect},
    /* under this name in every dialect (OBS API: uploading an object) */
    {"expires", PROPERTY_METADATA, 0, OBS_PROP_RAW, "x-obs-expires", check_days},
    {"success_action_redirect", PROPERTY_NEW, 0, OBS_PROP_RAW, "success-action-redirect",
     check_action},
    {"meta.", PROPERTY_METADATA, TOLD, OBS_PROP_META, "", check_metadata},
    {"header.", PROPERTY_NEW, 0, OBS_PROP_RAW, "", check_header},
    {"sse", PROPERTY_ENCRYPTION, EVERY, OBS_PROP_RAW, NULL, check_encryption},
    {"part_size", PROPERTY_LOCAL, 0, OBS_PROP_RAW, NULL, check_part_size},
    {"dir_markers", PROPERTY_LOCAL, PROPERTY_DIR_ONLY, OBS_PROP_RAW, NULL, check_switch},
    {"etag", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"upload_id", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"version_id", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"url", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"uri", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"upload", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
    {"result", PROPERTY_STATE, 0, OBS_PROP_RAW, NULL, NULL},
};

static bool is_family(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && name[n - 1] == '.';
}

/* What follows the dot of a family. */
static const char *member(const struct property *p, const char *name)
{
    return name + strlen(p->name);
}

const struct property *property_find(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct property *p = &rows[i];
        if (is_family(p->name) ? strncmp(name, p->name, strlen(p->name)) == 0 && *member(p, name)
                               : strcmp(name, p->name) == 0)
            return p;
    }
    return NULL;
}

/* A header that the service stores and gives back. */
static bool is_entity(const struct property *p, const char *name)
{
    return strcmp(p->name, "header.") == 0 && props_is_entity(member(p, name));
}

unsigned property_flags(const struct property *p, const char *name)
{
    return is_entity(p, name) ? p->flags | PROPERTY_TOLD : p->flags;
}

enum property_place property_place_of(const struct property *p, const char *name)
{
    return is_entity(p, name) ? PROPERTY_METADATA : p->place;
}

/* Headers that have a property of their own, or that the driver is in charge of. */
static bool is_reserved_header(const char *name)
{
    static const char *const rest[] = {"acl",
                                       "meta-",
                                       "grant-",
                                       "storage-class",
                                       "website-redirect-location",
                                       "expires",
                                       "server-side-encryption",
                                       "sse-",
                                       "copy-source",
                                       "metadata-directive",
                                       "checksum-"};
    static const char *const others[] = {"success-action-redirect", "if-match", "if-none-match"};
    if (option_header_is_ours(name, strlen(name)))
        return true;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (strcasecmp(name, others[i]) == 0)
            return true;
    }
    if (strncasecmp(name, "x-obs-", 6) != 0 && strncasecmp(name, "x-amz-", 6) != 0)
        return false;
    for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++) {
        if (strncasecmp(name + 6, rest[i], strlen(rest[i])) == 0)
            return true;
    }
    return false;
}

static int check_member(const struct property *p, const char *name, struct err *err)
{
    const char *rest = member(p, name);
    if (strlen(name) > PROPERTY_NAME_MAX || !is_token(rest, strlen(rest)))
        return err_set(err, -EINVAL,
                       "the name of '%.100s' must be letters, digits and signs of a "
                       "header's name",
                       name);
    if (p->kind == OBS_PROP_META &&
        (attr_owns_meta(rest) || strcasecmp(rest, "symlink-target") == 0))
        return err_set(err, -EINVAL, "the metadata '%.100s' are obsmount's own", rest);
    if (p->kind == OBS_PROP_RAW && is_reserved_header(rest))
        return err_set(err, -EINVAL, "the header '%.100s' is set by obsmount itself", rest);
    return 0;
}

int property_set(struct obs_props *set, const char *name, const char *value, size_t n,
                 struct err *err)
{
    const struct property *p = property_find(name);
    if (!p)
        return err_set(err, -EINVAL, "there is no property '%.100s'", name);
    if (!p->check)
        return err_set(err, -EINVAL, "'%s' is read only", name);
    int rc = is_family(p->name) ? check_member(p, name, err) : 0;
    if (rc < 0)
        return rc;
    if (n > PROPERTY_VALUE_MAX || memchr(value, 0, n))
        return err_set(err, -EINVAL, "the value of '%s' is too long or has a zero byte", name);

    CLEANUP_FREE char *text = strndup(value, n);
    CLEANUP_FREE char *key = strdup(name);
    if (!text || !key)
        return err_set(err, -ENOMEM, "out of memory");
    rc = p->check(text, err);
    if (rc < 0) {
        err_prefix(err, "%s", name);
        return rc;
    }
    for (char *c = key; p->kind == OBS_PROP_META && *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    rc = obs_props_set(set, OBS_PROP_RAW, key, text);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

bool property_drop(struct obs_props *set, enum obs_prop_kind kind, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        struct obs_prop *p = &set->v[i];
        if (p->kind != kind || strcasecmp(p->name, name) != 0)
            continue;
        free(p->name);
        free(p->value);
        memmove(p, p + 1, (set->n - i - 1) * sizeof(*p));
        set->n--;
        return true;
    }
    return false;
}

int property_to_header(const char *name, const char *value, struct obs_props *out)
{
    const struct property *p = property_find(name);
    if (!p || !p->header)
        return 0;
    return obs_props_set(out, p->kind, *p->header ? p->header : member(p, name), value);
}

static int add_escaped(struct buf *out, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++)
        rc = *text == '%'   ? buf_adds(out, "%25")
             : *text == '&' ? buf_adds(out, "%26")
                            : buf_addc(out, *text);
    return rc;
}

int property_encode(const struct obs_props *set, struct buf *out)
{
    int rc = buf_addc(out, '1');
    for (size_t i = 0; i < set->n && rc == 0; i++) {
        rc = buf_addc(out, '&');
        if (rc == 0)
            rc = add_escaped(out, set->v[i].name);
        if (rc == 0)
            rc = buf_addc(out, '=');
        if (rc == 0)
            rc = add_escaped(out, set->v[i].value);
    }
    return rc;
}

/* One "name=value" of n bytes; what breaks a rule is left out. */
static int take_entry(struct obs_props *set, const char *text, size_t n)
{
    CLEANUP_BUF struct buf name = BUF_INIT(4 * PROPERTY_NAME_MAX);
    CLEANUP_BUF struct buf value = BUF_INIT(4 * PROPERTY_VALUE_MAX);
    const char *eq = memchr(text, '=', n);
    if (!eq)
        return 0;
    int rc = url_decode(&name, text, (size_t)(eq - text), false);
    if (rc == 0)
        rc = url_decode(&value, eq + 1, n - (size_t)(eq + 1 - text), false);
    if (rc == 0 && !memchr(buf_str(&name), 0, name.n))
        rc = property_set(set, buf_str(&name), buf_str(&value), value.n, NULL);
    return rc == -ENOMEM ? rc : 0;
}

int property_decode(struct obs_props *set, const char *text)
{
    int rc = 0;
    obs_props_clear(set);
    if (text[0] != '1' || (text[1] && text[1] != '&'))
        return 0;
    for (text++; *text && rc == 0;) {
        size_t n = strcspn(++text, "&");
        rc = take_entry(set, text, n);
        text += n;
    }
    if (rc < 0)
        obs_props_clear(set);
    return rc;
}
