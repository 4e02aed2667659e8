// SPDX-License-Identifier: Apache-2.0
// The table of options and its parser; see options.h.
#include "fs/options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/encrypt.h"
#include "fs/option_value.h"
#include "fs/property.h"
#include "net/base/cleanup.h"
#include "net/url.h"

enum option_group {
    OPTION_SERVICE,
    OPTION_TRANSFER,
    OPTION_OBJECTS,
    OPTION_METADATA,
    OPTION_ACCESS,
    OPTION_PROCESS,
};

static const char *const group_titles[] = {
    [OPTION_SERVICE] = "The service", [OPTION_TRANSFER] = "Transfers and local data",
    [OPTION_OBJECTS] = "New objects", [OPTION_METADATA] = "Names and attributes",
    [OPTION_ACCESS] = "Access",       [OPTION_PROCESS] = "The process",
};

struct row {
    const char *name;
    enum option_type type;
    size_t offset;
    const char *dflt;
    const char *range;
    enum option_group group;
    unsigned flags;
    const char *help;
};

static const struct row rows[] = {
#define OPT(name, type, dflt, range, group, flags, help)                                           \
    {#name, OPTION_##type, offsetof(struct options, name), dflt, range, OPTION_##group,            \
     flags, help},
#include "fs/options.def"
#undef OPT
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Words for libfuse and the kernel; with '=': a value follows. */
static const char *const kernel_words[] = {
    "dev",     "nodev",    "suid",     "nosuid",     "exec",        "noexec",
    "sync",    "async",    "atime",    "noatime",    "dirsync",     "max_read=",
    "fsname=", "subtype=", "context=", "fscontext=", "defcontext=", "rootcontext=",
};

/* Words of mount(8), fstab(5) and systemd that ask nothing of a driver. '*': anything may follow.
 */
static const char *const ignored_words[] = {
    "_netdev",    "nofail",      "auto",          "noauto",   "defaults",   "user",
    "user=*",     "users",       "nouser",        "nousers",  "owner",      "noowner",
    "group",      "nogroup",     "uhelper=*",     "helper=*", "x-*",        "X-*",
    "comment=*",  "nobootwait",  "bootwait",      "relatime", "norelatime", "diratime",
    "nodiratime", "strictatime", "nostrictatime", "lazytime", "nolazytime", "iversion",
    "noiversion", "mand",        "nomand",        "silent",   "loud",
};

/* Names that other drivers use, with the reason or the name that holds here. */
static const struct {
    const char *word;
    const char *text;
} foreign_words[] = {
    {"auto_unmount", "is not supported: an empty mount point after a crash could be taken for "
                     "deleted files"},
    {"nonempty", "is not needed: a mount point need not be empty"},
    {"passwd_file", "is called 'credential_file' here"},
    {"url", "is called 'endpoint' here"},
    {"use_path_request_style", "is called 'path_style' here"},
    {"multipart_size", "is called 'part_size' here"},
    {"parallel_count", "is called 'parallel' here"},
    {"ak", "is refused: keys belong into a file, see 'credential_file'"},
    {"sk", "is refused: keys belong into a file, see 'credential_file'"},
    {"access_key", "is refused: keys belong into a file, see 'credential_file'"},
    {"secret_key", "is refused: keys belong into a file, see 'credential_file'"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int str_list_add(struct str_list *list, const char *text)
{
    char *copy = strdup(text);
    char **grown = copy ? reallocarray(list->v, list->n + 2, sizeof(*grown)) : NULL;
    if (!grown) {
        free(copy);
        return -ENOMEM;
    }

    grown[list->n] = copy;
    grown[list->n + 1] = NULL;
    list->v = grown;
    list->n++;
    return 0;
}

void str_list_done(struct str_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct str_list){0};
}

static void *field_of(struct options *opt, const struct row *row)
{
    return (char *)opt + row->offset;
}

static const void *const_field_of(const struct options *opt, const struct row *row)
{
    return (const char *)opt + row->offset;
}

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

const char *option_name(size_t i)
{
    return i < N_ROWS ? rows[i].name : NULL;
}

int options_init(struct options *opt)
{
    *opt = (struct options){.uid = getuid(), .gid = getgid()};
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!*rows[i].dflt)
            continue;
        int rc = option_value_parse(rows[i].type, rows[i].range, rows[i].dflt,
                                    field_of(opt, &rows[i]), NULL);
        if (rc < 0) {
            options_done(opt);
            return rc;
        }
    }
    return 0;
}

void options_done(struct options *opt)
{
    for (size_t i = 0; i < N_ROWS; i++)
        option_value_done(rows[i].type, field_of(opt, &rows[i]));
    free(opt->source);
    free(opt->bucket);
    free(opt->prefix);
    free(opt->mountpoint);
    str_list_done(&opt->pass_on);
    str_list_done(&opt->skipped);
    *opt = (struct options){0};
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

enum { WORD_MAX = 40 };

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b; both are
 * shorter than WORD_MAX. */
static unsigned edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned)i;
    for (size_t k = 0; k <= m; k++)
        d[0][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        for (size_t k = 1; k <= m; k++) {
            unsigned cost = a[i - 1] != b[k - 1];
            d[i][k] = min3(d[i - 1][k] + 1, d[i][k - 1] + 1, d[i - 1][k - 1] + cost);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                d[i - 2][k - 2] + 1 < d[i][k])
                d[i][k] = d[i - 2][k - 2] + 1;
        }
    }
    return d[n][m];
}

const char *option_nearest(const char *word)
{
    size_t n = strlen(word);
    if (n == 0 || n > WORD_MAX)
        return NULL;

    const char *best = NULL;
    unsigned best_distance = n < 6 ? 1 : (unsigned)n / 3;
    for (size_t i = 0; i < N_ROWS; i++) {
        unsigned distance = edit_distance(word, rows[i].name);
        if (distance < best_distance || (distance == best_distance && !best)) {
            best = rows[i].name;
            best_distance = distance;
        }
    }
    return best;
}

static bool word_matches(const char *pattern, const char *word)
{
    size_t n = strlen(pattern);
    if (n && pattern[n - 1] == '*')
        return strncmp(pattern, word, n - 1) == 0;
    if (n && pattern[n - 1] == '=')
        return strncmp(pattern, word, n) == 0 && word[n] != '\0';
    return strcmp(pattern, word) == 0;
}

static bool word_in(const char *const *patterns, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (word_matches(patterns[i], word))
            return true;
    }
    return false;
}

static int pass_on(struct options *opt, const char *word, struct err *err)
{
    if (strcmp(word, "dev") == 0 || strcmp(word, "nodev") == 0)
        opt->dev = word[0] == 'd';
    else if (strcmp(word, "suid") == 0 || strcmp(word, "nosuid") == 0)
        opt->suid = word[0] == 's';
    else if (strncmp(word, "fsname=", 7) == 0)
        opt->own_fsname = true;
    else if (strncmp(word, "subtype=", 8) == 0)
        opt->own_subtype = true;
    if (str_list_add(&opt->pass_on, word) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int set_row(struct options *opt, const struct row *row, const char *value, struct err *err)
{
    if (!value && row->type != OPTION_BOOL)
        return err_set(err, -EINVAL, "option '%s' needs a value: %s=%s", row->name, row->name,
                       row->type == OPTION_ENUM ? row->range : option_value_placeholder(row->type));

    struct err why = {0};
    int rc =
        option_value_parse(row->type, row->range, value ? value : "on", field_of(opt, row), &why);
    if (rc == 0)
        return 0;
    if (row->flags & OPTION_SECRET)
        return err_set(err, rc, "option '%s': %s", row->name, why.msg);
    return err_set(err, rc, "option '%s=%.100s': %s", row->name, value ? value : "", why.msg);
}

static int refuse(const char *name, struct err *err)
{
    for (size_t i = 0; i < COUNT(foreign_words); i++) {
        if (strcmp(foreign_words[i].word, name) == 0)
            return err_set(err, -EINVAL, "option '%s' %s", name, foreign_words[i].text);
    }
    const char *near = option_nearest(name);
    if (near)
        return err_set(err, -EINVAL, "unknown option '%.60s': did you mean '%s'?", name, near);
    return err_set(err, -EINVAL, "unknown option '%.60s'", name);
}

static int take_word(struct options *opt, const char *word, bool sloppy, struct err *err)
{
    if (!*word || word_in(ignored_words, COUNT(ignored_words), word))
        return 0;
    if (strcmp(word, "rw") == 0) {
        opt->ro = false;
        return 0;
    }
    if (word_in(kernel_words, COUNT(kernel_words), word))
        return pass_on(opt, word, err);

    const char *equals = strchr(word, '=');
    CLEANUP_FREE char *name = equals ? strndup(word, (size_t)(equals - word)) : strdup(word);
    if (!name)
        return err_set(err, -ENOMEM, "out of memory");
    const struct row *row = find_row(name);
    if (row)
        return set_row(opt, row, equals ? equals + 1 : NULL, err);
    if (!sloppy)
        return refuse(name, err);
    if (str_list_add(&opt->skipped, name) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static bool is_octal(const char *p)
{
    return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

/* Adds one word to `out` and returns where it ended: at its comma or at the end of the text. */
static const char *unescape_word(const char *p, struct buf *out)
{
    while (*p && *p != ',') {
        if (*p == '\\' && is_octal(p + 1)) {
            (void)buf_addc(out, (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0')));
            p += 4;
            continue;
        }
        if (*p == '\\' && p[1])
            p++;
        (void)buf_addc(out, *p++);
    }
    return p;
}

int options_parse(struct options *opt, const char *text, bool sloppy, struct err *err)
{
    CLEANUP_BUF struct buf word = BUF_INIT(16384);
    for (const char *p = text;;) {
        buf_reset(&word);
        p = unescape_word(p, &word);
        if (word.eno < 0)
            return err_set(err, word.eno == -ENOMEM ? -ENOMEM : -EINVAL, "an option is too long");
        if (strlen(buf_str(&word)) != word.n)
            return err_set(err, -EINVAL, "an option holds a zero byte");
        int rc = take_word(opt, buf_str(&word), sloppy, err);
        if (rc < 0)
            return rc;
        if (!*p)
            return 0;
        p++;
    }
}

/* "/a//b/" -> -EINVAL, "a/b" -> "a/b/", "/" -> "" */
static int make_prefix(const char *text, char **ret_prefix, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1024);
    text += strspn(text, "/");
    while (*text) {
        size_t n = strcspn(text, "/");
        if (n == 0 && strspn(text, "/") == strlen(text))
            break;
        if (n == 0 || (n == 1 && text[0] == '.') || (n == 2 && text[0] == '.' && text[1] == '.'))
            return err_set(err, -EINVAL, "the prefix '%.200s' holds an empty, '.' or '..' part",
                           text);
        if (n > 255)
            return err_set(err, -EINVAL, "a part of the prefix is longer than 255 bytes");
        (void)buf_add(&out, text, n);
        (void)buf_addc(&out, '/');
        text += n;
        text += *text == '/';
    }
    if (out.eno)
        return err_set(err, out.eno == -ENOMEM ? -ENOMEM : -EINVAL,
                       "the prefix is longer than a key may be (1024 bytes)");
    char *prefix = out.n ? buf_steal(&out) : strdup("");
    if (!prefix)
        return err_set(err, -ENOMEM, "out of memory");
    *ret_prefix = prefix;
    return 0;
}

/* "obsmount#bucket" and "/usr/bin/obsmount#bucket" -> "bucket" */
static const char *skip_type(const char *source)
{
    static const char type[] = "obsmount";
    const char *hash = strchr(source, '#');
    size_t n = hash ? (size_t)(hash - source) : 0;
    if (n < sizeof(type) - 1 || strncmp(hash - (sizeof(type) - 1), type, sizeof(type) - 1) != 0)
        return source;
    if (n > sizeof(type) - 1 && source[n - sizeof(type)] != '/')
        return source;
    return hash + 1;
}

int options_set_source(struct options *opt, const char *source, struct err *err)
{
    source = skip_type(source);
    const char *colon = strchr(source, ':');
    CLEANUP_FREE char *copy = strdup(source);
    CLEANUP_FREE char *bucket = colon ? strndup(source, (size_t)(colon - source)) : strdup(source);
    if (!copy || !bucket)
        return err_set(err, -ENOMEM, "out of memory");
    if (!colon && strchr(source, '/'))
        return err_set(err, -EINVAL, "'%.200s': a prefix is written BUCKET:/PREFIX", source);

    int rc = url_bucket_check(bucket, err);
    CLEANUP_FREE char *prefix = NULL;
    if (rc < 0)
        err_prefix(err, "'%.80s'", bucket);
    else
        rc = make_prefix(colon ? colon + 1 : "", &prefix, err);
    if (rc < 0)
        return rc;

    free(opt->source);
    free(opt->bucket);
    free(opt->prefix);
    opt->source = steal_ptr(&copy);
    opt->bucket = steal_ptr(&bucket);
    opt->prefix = steal_ptr(&prefix);
    return 0;
}

/* The endpoint names its region, unless that was given. */
static int take_region(struct options *opt, const struct url_endpoint *endpoint, struct err *err)
{
    char region[URL_HOST_MAX];
    if (opt->region || url_region(endpoint, region, sizeof(region)) < 0)
        return 0;
    opt->region = strdup(region);
    return opt->region ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int check_keys(const struct options *opt, struct err *err)
{
    int from = opt->credential_source;
    if (from == OPTION_KEYS_FILE && !opt->credential_file)
        return err_set(err, -EINVAL, "credential_source=file needs 'credential_file'");
    if ((from == OPTION_KEYS_ENVIRONMENT || from == OPTION_KEYS_METADATA) && opt->credential_file)
        return err_set(err, -EINVAL,
                       "option 'credential_file' and credential_source=%s exclude "
                       "each other",
                       from == OPTION_KEYS_METADATA ? "metadata" : "environment");
    if (from != OPTION_KEYS_METADATA && opt->metadata_endpoint)
        return err_set(err, -EINVAL, "option 'metadata_endpoint' needs credential_source=metadata");
    return 0;
}

int options_check(struct options *opt, struct err *err)
{
    if (!opt->endpoint && opt->region) {
        CLEANUP_BUF struct buf name = BUF_INIT(256);
        if (opt->dialect != 0)
            return err_set(err, -EINVAL, "dialect=s3 needs an endpoint: -o endpoint=HOST[:PORT]");
        if (buf_addf(&name, "obs.%s.myhuaweicloud.com", opt->region) < 0)
            return err_set(err, -EINVAL, "option 'region' is too long");
        opt->endpoint = buf_steal(&name);
    }
    if (!opt->endpoint)
        return err_set(err, -EINVAL,
                       "no endpoint: give -o endpoint=HOST[:PORT], or -o region=NAME for Huawei "
                       "Cloud");
    struct url_endpoint parsed;
    struct err why = {0};
    if (url_endpoint_parse(opt->endpoint, &parsed, &why) < 0)
        return err_set(err, -EINVAL, "option 'endpoint=%.100s': %s", opt->endpoint, why.msg);
    int rc = take_region(opt, &parsed, err);
    if (rc == 0)
        rc = check_keys(opt, err);
    if (rc == 0)
        rc = encrypt_check(opt, parsed.tls, err);
    if (rc < 0)
        return rc;
    if (opt->allow_other && opt->allow_root)
        return err_set(err, -EINVAL, "options 'allow_other' and 'allow_root' exclude each other");
    if (opt->dialect != 0 && opt->part_size < 5u << 20)
        return err_set(err, -EINVAL, "option 'part_size': dialect=s3 takes parts of 5M or more");
    if (opt->dialect != 0 && opt->adopt_uploads)
        return err_set(err, -EINVAL, "option 'adopt_uploads': only with dialect=obs");
    if (opt->dialect != 0 && opt->crc64)
        return err_set(err, -EINVAL, "option 'crc64': only dialect=obs has such checksums");
    struct obs_props props = {0};
    rc = property_from_options(opt, &props, err);
    obs_props_clear(&props);
    return rc;
}

static int help_row(const struct row *row, struct buf *out)
{
    CLEANUP_BUF struct buf left = BUF_INIT(256);
    const char *value = row->type == OPTION_ENUM ? row->range : option_value_placeholder(row->type);
    (void)buf_addf(&left, "%s%s%s", row->name, *value ? "=" : "", value);
    (void)buf_addf(out, "  %-28s %s", buf_str(&left), row->help);
    bool ranged = *row->range && row->type != OPTION_ENUM;
    if (ranged || *row->dflt)
        (void)buf_addf(out, " (%s%s%s%s)", ranged ? row->range : "",
                       ranged && *row->dflt ? ", " : "", *row->dflt ? "default " : "", row->dflt);
    return buf_addc(out, '\n');
}

int options_help(struct buf *out)
{
    for (size_t g = 0; g < COUNT(group_titles); g++) {
        (void)buf_addf(out, "\n%s:\n", group_titles[g]);
        for (size_t i = 0; i < N_ROWS; i++) {
            if (rows[i].group == g)
                (void)help_row(&rows[i], out);
        }
    }
    return out->eno;
}

int options_dump(const struct options *opt, struct buf *out)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        (void)buf_addf(out, "%s=", rows[i].name);
        if (!(rows[i].flags & OPTION_SECRET))
            (void)option_value_format(rows[i].type, rows[i].range, const_field_of(opt, &rows[i]),
                                      out);
        (void)buf_addc(out, '\n');
    }
    return out->eno;
}

static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            (void)buf_addc(out, '\\');
        (void)buf_addc(out, *text);
    }
}

char *options_fuse_words(const struct options *opt)
{
    CLEANUP_BUF struct buf out = BUF_INIT(65536);
    (void)buf_adds(&out, opt->ro ? "ro" : "rw");
    if (!opt->own_fsname) {
        (void)buf_adds(&out, ",fsname=");
        add_escaped(&out, opt->source);
    }
    if (!opt->own_subtype)
        (void)buf_adds(&out, ",subtype=obsmount");
    if (!opt->dev)
        (void)buf_adds(&out, ",nodev");
    if (!opt->suid)
        (void)buf_adds(&out, ",nosuid");
    if (opt->default_permissions)
        (void)buf_adds(&out, ",default_permissions");
    if (opt->allow_other)
        (void)buf_adds(&out, ",allow_other");
    if (opt->allow_root)
        (void)buf_adds(&out, ",allow_root");
    for (size_t i = 0; i < opt->pass_on.n; i++) {
        (void)buf_addc(&out, ',');
        add_escaped(&out, opt->pass_on.v[i]);
    }
    return out.eno ? NULL : buf_steal(&out);
}
