// SPDX-License-Identifier: Apache-2.0
// Values of options by type; see option_value.h.
#include "fs/option_value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/options.h"
#include "net/base/cleanup.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* largest first: the formatter takes the first that divides */
static const struct unit size_units[] = {
    {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"", 1},
};
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000},
};

static int parse_digits(const char *text, unsigned base, uint64_t *ret, const char **ret_end)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p < (char)('0' + base); p++) {
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -EINVAL;
    }
    if (p == text)
        return -EINVAL;

    *ret = value;
    *ret_end = p;
    return 0;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t n, uint64_t *ret)
{
    uint64_t value;
    const char *suffix;
    if (parse_digits(text, 10, &value, &suffix) < 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(suffix, units[i].suffix) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value) || value > INT64_MAX)
            return -EINVAL;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

int option_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse_with_unit(text, size_units, sizeof(size_units) / sizeof(size_units[0]), ret_bytes);
}

int option_parse_time(const char *text, int64_t *ret_ms)
{
    uint64_t value;
    int rc = parse_with_unit(text, time_units, sizeof(time_units) / sizeof(time_units[0]), &value);
    if (rc == 0)
        *ret_ms = (int64_t)value;
    return rc;
}

static int parse_number(enum option_type type, const char *text, uint64_t *ret)
{
    const char *end;
    int64_t ms;
    int rc;
    switch (type) {
    case OPTION_SIZE:
        return option_parse_size(text, ret);
    case OPTION_TIME:
        rc = option_parse_time(text, &ms);
        *ret = rc == 0 ? (uint64_t)ms : 0;
        return rc;
    default:
        rc = parse_digits(text, type == OPTION_MODE ? 8 : 10, ret, &end);
        return rc == 0 && *end == '\0' && *ret <= INT64_MAX ? 0 : -EINVAL;
    }
}

static const char *number_form(enum option_type type)
{
    switch (type) {
    case OPTION_SIZE:
        return "a size such as 512K, 9M or 1G";
    case OPTION_TIME:
        return "a time such as 500ms, 30s, 10m, 2h or 7d";
    case OPTION_MODE:
        return "an octal number";
    default:
        return "a whole number";
    }
}

/* Splits "MIN..MAX" and parses both. The table is ours: a unit test parses every row. */
static int parse_range(enum option_type type, const char *range, uint64_t *ret_min,
                       uint64_t *ret_max)
{
    const char *dots = strstr(range, "..");
    char min[32];
    if (!dots || (size_t)(dots - range) >= sizeof(min))
        return -EINVAL;

    memcpy(min, range, (size_t)(dots - range));
    min[dots - range] = '\0';
    int rc = parse_number(type, min, ret_min);
    return rc == 0 ? parse_number(type, dots + 2, ret_max) : rc;
}

static int set_number(enum option_type type, const char *range, const char *text, void *field,
                      struct err *err)
{
    uint64_t value, min, max;
    if (parse_number(type, text, &value) < 0)
        return err_set(err, -EINVAL, "expected %s", number_form(type));
    if (parse_range(type, range, &min, &max) < 0)
        return err_set(err, -EINVAL, "its range '%s' is malformed", range);
    if (value < min || value > max)
        return err_set(err, -EINVAL, "must lie within %s", range);

    if (type == OPTION_SIZE)
        *(uint64_t *)field = value;
    else if (type == OPTION_MODE)
        *(uint32_t *)field = (uint32_t)value;
    else
        *(int64_t *)field = (int64_t)value;
    return 0;
}

static int set_bool(const char *text, bool *field, struct err *err)
{
    static const char *const words[][2] = {
        {"on", "off"},
        {"yes", "no"},
        {"true", "false"},
        {"1", "0"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int k = 0; k < 2; k++) {
            if (strcasecmp(text, words[i][k]) == 0) {
                *field = k == 0;
                return 0;
            }
        }
    }
    return err_set(err, -EINVAL, "expected on or off");
}

static int set_enum(const char *range, const char *text, int *field, struct err *err)
{
    size_t n = strlen(text);
    int at = 0;
    for (const char *word = range; word; at++) {
        const char *bar = strchr(word, '|');
        size_t len = bar ? (size_t)(bar - word) : strlen(word);
        if (len == n && strncasecmp(word, text, n) == 0) {
            *field = at;
            return 0;
        }
        word = bar ? bar + 1 : NULL;
    }
    return err_set(err, -EINVAL, "expected %s", range);
}

static int set_string(const char *text, char **field, struct err *err)
{
    if (!*text)
        return err_set(err, -EINVAL, "needs a value");
    char *copy = strdup(text);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");

    free(*field);
    *field = copy;
    return 0;
}

static int set_path(const char *text, char **field, struct err *err)
{
    if (!*text)
        return err_set(err, -EINVAL, "needs a path");
    if (text[0] == '/')
        return set_string(text, field, err);

    /* the daemon works in "/": a relative path means the place where it was typed */
    CLEANUP_FREE char *cwd = getcwd(NULL, 0);
    if (!cwd)
        return err_set(err, -errno, "the current directory cannot be found: %s", err_text(errno));
    CLEANUP_BUF struct buf path = BUF_INIT(PATH_MAX);
    if (buf_addf(&path, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, text) < 0)
        return err_set(err, -EINVAL, "the path is too long");
    return set_string(buf_str(&path), field, err);
}

static int set_id(enum option_type type, const char *text, uint32_t *field, struct err *err)
{
    uint64_t value;
    if (parse_number(OPTION_INT, text, &value) == 0) {
        if (value >= UINT32_MAX)
            return err_set(err, -EINVAL, "is not a valid id");
        *field = (uint32_t)value;
        return 0;
    }

    const struct passwd *user = type == OPTION_UID ? getpwnam(text) : NULL;
    const struct group *group = type == OPTION_GID ? getgrnam(text) : NULL;
    if (!user && !group)
        return err_set(err, -EINVAL, "there is no such %s", type == OPTION_UID ? "user" : "group");
    *field = user ? user->pw_uid : group->gr_gid;
    return 0;
}

bool option_header_is_ours(const char *name, size_t n)
{
    static const char *const ours[] = {
        "authorization",
        "host",
        "date",
        "x-obs-date",
        "x-amz-date",
        "connection",
        "content-md5",
        "content-length",
        "expect",
        "range",
        "content-type",
        "transfer-encoding",
        "x-obs-security-token",
        "x-amz-security-token",
        "x-amz-content-sha256",
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strlen(ours[i]) == n && strncasecmp(ours[i], name, n) == 0)
            return true;
    }
    return false;
}

static int add_header(const char *text, struct str_list *list, struct err *err)
{
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (n == 0)
        return err_set(err, -EINVAL, "expected NAME:VALUE");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isalnum(c) && !strchr("!#$%&'*+-.^_`|~", c))
            return err_set(err, -EINVAL, "the name before ':' is not a header name");
    }
    if (option_header_is_ours(text, n))
        return err_set(err, -EINVAL, "the header '%.*s' is set by obsmount itself", (int)n, text);

    const char *value = colon + 1 + strspn(colon + 1, " \t");
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return err_set(err, -EINVAL, "a header's value cannot hold control characters");
    }
    CLEANUP_BUF struct buf line = BUF_INIT(8192);
    if (buf_addf(&line, "%.*s: %s", (int)n, text, value) < 0)
        return err_set(err, line.eno == -ENOMEM ? -ENOMEM : -EINVAL, "the header is too long");
    int rc = str_list_add(list, buf_str(&line));
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* Names and values have rules of their own (fs/property.h). */
static int add_meta(const char *text, struct str_list *list, struct err *err)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text)
        return err_set(err, -EINVAL, "expected NAME:VALUE");
    int rc = str_list_add(list, text);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

int option_value_parse(enum option_type type, const char *range, const char *text, void *field,
                       struct err *err)
{
    switch (type) {
    case OPTION_BOOL:
        return set_bool(text, field, err);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_TIME:
    case OPTION_MODE:
        return set_number(type, range, text, field, err);
    case OPTION_STRING:
        return set_string(text, field, err);
    case OPTION_PATH:
        return set_path(text, field, err);
    case OPTION_ENUM:
        return set_enum(range, text, field, err);
    case OPTION_UID:
    case OPTION_GID:
        return set_id(type, text, field, err);
    case OPTION_HEADER:
        return add_header(text, field, err);
    case OPTION_META:
        return add_meta(text, field, err);
    }
    return err_set(err, -EINVAL, "unknown type");
}

static int format_with_unit(uint64_t value, const struct unit *units, struct buf *out)
{
    if (value == 0)
        return buf_addc(out, '0');
    while (value % units->factor != 0)
        units++;
    return buf_addf(out, "%" PRIu64 "%s", value / units->factor, units->suffix);
}

static int format_enum(const char *range, int value, struct buf *out)
{
    const char *word = range;
    for (; value > 0 && word; value--) {
        word = strchr(word, '|');
        word = word ? word + 1 : NULL;
    }
    return word ? buf_add(out, word, strcspn(word, "|")) : -EINVAL;
}

static int format_headers(const struct str_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++)
        (void)buf_addf(out, "%s%s", i ? ", " : "", list->v[i]);
    return out->eno;
}

int option_value_format(enum option_type type, const char *range, const void *field,
                        struct buf *out)
{
    switch (type) {
    case OPTION_BOOL:
        return buf_adds(out, *(const bool *)field ? "on" : "off");
    case OPTION_INT:
        return buf_addf(out, "%" PRId64, *(const int64_t *)field);
    case OPTION_SIZE:
        return format_with_unit(*(const uint64_t *)field, size_units, out);
    case OPTION_TIME:
        return format_with_unit((uint64_t) * (const int64_t *)field, time_units, out);
    case OPTION_MODE:
        return buf_addf(out, "%04" PRIo32, *(const uint32_t *)field);
    case OPTION_UID:
    case OPTION_GID:
        return buf_addf(out, "%" PRIu32, *(const uint32_t *)field);
    case OPTION_STRING:
    case OPTION_PATH:
        return *(char *const *)field ? buf_adds(out, *(char *const *)field) : 0;
    case OPTION_ENUM:
        return format_enum(range, *(const int *)field, out);
    case OPTION_HEADER:
    case OPTION_META:
        return format_headers(field, out);
    }
    return -EINVAL;
}

void option_value_done(enum option_type type, void *field)
{
    if (type == OPTION_STRING || type == OPTION_PATH) {
        free(*(char **)field);
        *(char **)field = NULL;
    } else if (type == OPTION_HEADER || type == OPTION_META) {
        str_list_done(field);
    }
}

const char *option_value_placeholder(enum option_type type)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "",      [OPTION_INT] = "NUMBER",        [OPTION_SIZE] = "SIZE",
        [OPTION_TIME] = "TIME",  [OPTION_STRING] = "TEXT",       [OPTION_PATH] = "PATH",
        [OPTION_ENUM] = "",      [OPTION_UID] = "USER",          [OPTION_GID] = "GROUP",
        [OPTION_MODE] = "OCTAL", [OPTION_HEADER] = "NAME:VALUE", [OPTION_META] = "NAME:VALUE",
    };
    return names[type];
}
