// SPDX-License-Identifier: Apache-2.0
// Properties of an object as header lines; see props.h and obs.h.
#include "net/props.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/url.h"

static struct obs_prop *find(const struct obs_props *props, enum obs_prop_kind kind,
                             const char *name)
{
    for (size_t i = 0; i < props->n; i++) {
        if (props->v[i].kind == kind && strcasecmp(props->v[i].name, name) == 0)
            return &props->v[i];
    }
    return NULL;
}

int obs_props_set(struct obs_props *props, enum obs_prop_kind kind, const char *name,
                  const char *value)
{
    char *new_value = strdup(value);
    if (!new_value)
        return -ENOMEM;

    struct obs_prop *prop = find(props, kind, name);
    if (prop) {
        free(prop->value);
        prop->value = new_value;
        return 0;
    }
    char *new_name = strdup(name);
    struct obs_prop *v = new_name ? reallocarray(props->v, props->n + 1, sizeof(*props->v)) : NULL;
    if (!v) {
        free(new_name);
        free(new_value);
        return -ENOMEM;
    }
    props->v = v;
    v[props->n++] = (struct obs_prop){.kind = kind, .name = new_name, .value = new_value};
    return 0;
}

const char *obs_props_get(const struct obs_props *props, enum obs_prop_kind kind, const char *name)
{
    const struct obs_prop *prop = find(props, kind, name);
    return prop ? prop->value : NULL;
}

int obs_props_copy(struct obs_props *to, const struct obs_props *from)
{
    struct obs_props copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        const struct obs_prop *p = &from->v[i];
        int rc = obs_props_set(&copy, p->kind, p->name, p->value);
        if (rc < 0) {
            obs_props_clear(&copy);
            return rc;
        }
    }
    obs_props_clear(to);
    *to = copy;
    return 0;
}

void obs_props_clear(struct obs_props *props)
{
    for (size_t i = 0; i < props->n; i++) {
        free(props->v[i].name);
        free(props->v[i].value);
    }
    free(props->v);
    *props = (struct obs_props){0};
}

int props_encode_value(struct buf *out, const char *raw)
{
    static const char literal[] = " ;/?:@&=+$,'*";
    size_t n = strlen(raw);
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        /* A blank at an end would be trimmed on the way. */
        bool edge = raw[i] == ' ' && (i == 0 || i == n - 1);
        if (strchr(literal, raw[i]) && !edge)
            rc = buf_addc(out, raw[i]);
        else
            rc = url_encode(out, raw + i, 1, URL_VALUE);
    }
    return rc;
}

int props_decode_value(struct buf *out, const char *wire)
{
    size_t before = out->n;
    int rc = url_decode(out, wire, strlen(wire), false);
    if (rc == 0 && memchr(buf_str(out) + before, 0, out->n - before)) {
        out->n = before;
        rc = -EINVAL;
    }
    return rc == -EINVAL ? buf_adds(out, wire) : rc;
}

const char *props_prefix(enum obs_dialect dialect)
{
    return dialect == OBS_DIALECT_S3 ? "x-amz-" : "x-obs-";
}

static const struct {
    const char *obs;
    const char *s3;
} classes[] = {
    {"WARM", "STANDARD_IA"},
    {"COLD", "GLACIER"},
};

static const char *class_to_wire(const char *value, enum obs_dialect dialect)
{
    for (size_t i = 0; dialect == OBS_DIALECT_S3 && i < sizeof(classes) / sizeof(*classes); i++) {
        if (strcmp(value, classes[i].obs) == 0)
            return classes[i].s3;
    }
    return value;
}

static const char *class_from_wire(const char *value, enum obs_dialect dialect)
{
    for (size_t i = 0; dialect == OBS_DIALECT_S3 && i < sizeof(classes) / sizeof(*classes); i++) {
        if (strcmp(value, classes[i].s3) == 0)
            return classes[i].obs;
    }
    return value;
}

/* AWS has other words for encryption by a key management service. */
#define SSE "server-side-encryption"
#define SSE_KEY_ID "server-side-encryption-kms-key-id"
#define SSE_KEY_ID_S3 "server-side-encryption-aws-kms-key-id"

static int add_lower(struct buf *out, const char *name)
{
    int rc = 0;
    for (const char *p = name; *p && rc == 0; p++)
        rc = buf_addc(out, (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p));
    return rc;
}

int props_to_header(const struct obs_prop *prop, enum obs_dialect dialect, struct buf *name,
                    struct buf *value)
{
    if (prop->kind == OBS_PROP_RAW) {
        int rc = buf_adds(name, prop->name);
        return rc < 0 ? rc : buf_adds(value, prop->value);
    }

    int rc = buf_adds(name, props_prefix(dialect));
    if (rc == 0 && prop->kind == OBS_PROP_META)
        rc = buf_adds(name, "meta-");
    bool s3_id = dialect == OBS_DIALECT_S3 && prop->kind == OBS_PROP_HEADER &&
                 strcasecmp(prop->name, SSE_KEY_ID) == 0;
    if (rc == 0)
        rc = add_lower(name, s3_id ? SSE_KEY_ID_S3 : prop->name);
    if (rc < 0)
        return rc;
    if (prop->kind == OBS_PROP_META)
        return props_encode_value(value, prop->value);
    if (strcasecmp(prop->name, "storage-class") == 0)
        return buf_adds(value, class_to_wire(prop->value, dialect));
    if (strcasecmp(prop->name, SSE) == 0 && dialect == OBS_DIALECT_S3 &&
        strcmp(prop->value, "kms") == 0)
        return buf_adds(value, "aws:kms");
    return buf_adds(value, prop->value);
}

/* Entity headers that are stored with an object. */
static const char *const entity_headers[] = {"Content-Type",     "Content-Encoding",
                                             "Content-Language", "Content-Disposition",
                                             "Cache-Control",    "Expires"};

/* Headers with the prefix that speak of the answer or the request, not of the object. */
static const char *const answer_headers[] = {
    "request-id",  "id-2",           "error-code",     "error-message",      "date",          "api",
    "api-version", "security-token", "content-sha256", "checksum-crc64ecma", "hash-crc64ecma"};

static bool listed(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(name, list[i]) == 0)
            return true;
    }
    return false;
}

bool props_is_entity(const char *name)
{
    return listed(name, entity_headers, sizeof(entity_headers) / sizeof(*entity_headers));
}

static int take_meta(struct obs_props *props, const char *name, const char *value)
{
    CLEANUP_BUF struct buf lower = BUF_INIT(OBS_KEY_MAX * 16);
    CLEANUP_BUF struct buf raw = BUF_INIT(PROPS_META_MAX * 8);
    int rc = add_lower(&lower, name);
    if (rc == 0)
        rc = props_decode_value(&raw, value);
    if (rc == 0)
        rc = obs_props_set(props, OBS_PROP_META, buf_str(&lower), buf_str(&raw));
    return rc == -ENOMEM ? rc : rc == 0;
}

int props_take_header(struct obs_props *props, enum obs_dialect dialect, const char *name,
                      const char *value)
{
    const char *prefix = props_prefix(dialect);
    size_t n = strlen(prefix);

    if (props_is_entity(name)) {
        int rc = obs_props_set(props, OBS_PROP_RAW, name, value);
        return rc < 0 ? rc : 1;
    }
    if (strncasecmp(name, prefix, n) != 0)
        return 0;
    name += n;
    if (strncasecmp(name, "meta-", 5) == 0)
        return name[5] ? take_meta(props, name + 5, value) : 0;
    if (!*name || listed(name, answer_headers, sizeof(answer_headers) / sizeof(*answer_headers)))
        return 0;
    if (strcasecmp(name, "storage-class") == 0)
        value = class_from_wire(value, dialect);
    if (strcasecmp(name, SSE) == 0 && strcmp(value, "aws:kms") == 0)
        value = "kms";
    if (strcasecmp(name, SSE_KEY_ID_S3) == 0)
        name = SSE_KEY_ID;

    CLEANUP_BUF struct buf lower = BUF_INIT(OBS_KEY_MAX);
    int rc = add_lower(&lower, name);
    if (rc == 0)
        rc = obs_props_set(props, OBS_PROP_HEADER, buf_str(&lower), value);
    return rc == -ENOMEM ? rc : rc == 0;
}

/* The characters of a token (RFC 9110). */
static bool is_token(const char *name)
{
    if (!*name)
        return false;
    for (const char *p = name; *p; p++) {
        bool alnum =
            (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (!alnum && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    }
    return true;
}

static bool has_control(const char *value)
{
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return true;
    }
    return false;
}

int props_check(const struct obs_props *props, struct err *err)
{
    size_t meta = 0;
    for (size_t i = 0; i < props->n; i++) {
        const struct obs_prop *prop = &props->v[i];
        if (!is_token(prop->name))
            return err_set(err, -EINVAL, "'%.100s' cannot be the name of a header", prop->name);
        if (prop->kind != OBS_PROP_META) {
            if (has_control(prop->value))
                return err_set(err, -EINVAL, "the value of '%.100s' contains a control character",
                               prop->name);
            continue;
        }
        CLEANUP_BUF struct buf wire = BUF_INIT(PROPS_META_MAX);
        int rc = props_encode_value(&wire, prop->value);
        if (rc == -ENOMEM)
            return err_set(err, rc, "out of memory");
        meta += strlen(prop->name) + wire.n;
        if (rc < 0 || meta > PROPS_META_MAX)
            return err_set(err, -E2BIG,
                           "user metadata is larger than the %d bytes that the service stores",
                           PROPS_META_MAX);
    }
    return 0;
}
