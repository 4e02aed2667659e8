// SPDX-License-Identifier: Apache-2.0
// Is this file meant to be renamed at once; see tempname.h.
#include "fs/tempname.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_LEN = 6,              /* of mkstemp(3)'s XXXXXX */
    SUFFIX_LEN = 1 + RANDOM_LEN, /* ".XXXXXX" */
    RSYNC_STEM_MAX = 246,        /* NAME_MAX - 1 - SUFFIX_LEN, less one for the final 0 */
};

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Names of a fixed form: prefix, so many characters of an alphabet, the end. */
static const struct form {
    const char *prefix;
    unsigned random;
    const char *alphabet;
    bool always; /* whatever the mode it was created with */
} forms[] = {
    {"sed", 6, LOWER UPPER DIGITS, false},      /* sed -i */
    {"tmp", 8, LOWER DIGITS "_", false},        /* Python: tempfile */
    {"tmp.", 10, LOWER UPPER DIGITS, false},    /* mktemp(1) */
    {"tmp", 6, LOWER UPPER DIGITS, false},      /* Emacs: make-temp-file */
    {".tmp", 6, LOWER UPPER DIGITS, false},     /* Rust: tempfile */
    {".goutputstream-", 6, UPPER DIGITS, true}, /* GLib: g_file_replace */
    {"zi", 6, LOWER UPPER DIGITS, false},       /* zip */
    /* git, for loose objects and for what stands beside a pack; created with mode 0444 */
    {"tmp_obj_", 6, LOWER UPPER DIGITS, true},
    {"tmp_pack_", 6, LOWER UPPER DIGITS, true},
    {"tmp_idx_", 6, LOWER UPPER DIGITS, true},
    {"tmp_rev_", 6, LOWER UPPER DIGITS, true},
    {"tmp_bitmap_", 6, LOWER UPPER DIGITS, true},
    {"tmp_mtimes_", 6, LOWER UPPER DIGITS, true},
};

static bool ends_with(const char *name, size_t n, const char *suffix)
{
    size_t len = strlen(suffix);
    return n > len && memcmp(name + n - len, suffix, len) == 0;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool all_alnum(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(p[i]))
            return false;
    }
    return true;
}

static bool word_then_number(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] >= 'a' && p[i] <= 'z')
        i++;
    while (i < n && p[i] >= '0' && p[i] <= '9')
        i++;
    return i == n;
}

/* Six letters and digits that no person would write: not a word ("backup", "Photos", "README"), not
 * a number, not a word with a number behind it ("test01", "Test01"). Of mkstemp(3)'s strings 2 in
 * 100 look like such a word. */
static bool looks_random(const char *p)
{
    if (!all_alnum(p, RANDOM_LEN))
        return false;
    size_t first = p[0] >= 'A' && p[0] <= 'Z';
    if (word_then_number(p + first, RANDOM_LEN - first))
        return false;
    return strspn(p, UPPER) < RANDOM_LEN;
}

bool tempname_like_mkstemp(int open_flags, mode_t mode)
{
    if (!(open_flags & O_EXCL))
        return false;
    mode &= 07777;
    /* dpkg creates without any permission, and sets them when the content is there. */
    return mode == 0 || (mode == 0600 && (open_flags & O_ACCMODE) == O_RDWR);
}

static void add_final(struct temp_guess *guess, const char *p, size_t n)
{
    bool dots = (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
    if (n == 0 || dots || guess->n_finals == TEMP_FINALS_MAX)
        return;
    char *out = guess->finals[guess->n_finals++];
    memcpy(out, p, n);
    out[n] = 0;
}

/* Rsync's form; n is the length of the name. */
static bool is_rsync(const char *name, size_t n, bool like_mkstemp, struct temp_guess *guess)
{
    if (n < 1 + 1 + SUFFIX_LEN || name[0] != '.' || name[n - SUFFIX_LEN] != '.')
        return false;
    const char *random = name + n - RANDOM_LEN;
    const char *stem = name + 1;
    size_t stem_len = n - 1 - SUFFIX_LEN;
    if (stem_len > RSYNC_STEM_MAX || !all_alnum(random, RANDOM_LEN))
        return false;
    if (!like_mkstemp && !looks_random(random))
        return false;

    if (stem_len == RSYNC_STEM_MAX)
        return true; /* it may have been cut */
    bool dotted = stem[0] == '.';
    add_final(guess, stem - dotted, stem_len + dotted);
    add_final(guess, stem - !dotted, stem_len + !dotted);
    return true;
}

static bool is_form(const struct form *form, const char *name, size_t n)
{
    size_t len = strlen(form->prefix);
    return n == len + form->random && memcmp(name, form->prefix, len) == 0 &&
           strspn(name + len, form->alphabet) == form->random;
}

/* Names of editors and dpkg that lead or end in something of their own. */
static bool is_marked(const char *name, size_t n)
{
    if (n >= 3 && name[0] == '#' && name[n - 1] == '#')
        return true;
    if (n >= 3 && name[0] == '.' && name[1] == '#')
        return true;
    return (n >= 2 && name[n - 1] == '~') || ends_with(name, n, ".dpkg-new") ||
           ends_with(name, n, ".dpkg-tmp");
}

/* How many of the last characters are digits. */
static size_t digits_at_end(const char *name, size_t n)
{
    size_t i = n;
    while (i > 0 && name[i - 1] >= '0' && name[i - 1] <= '9')
        i--;
    return n - i;
}

/* "NAME.pyc.140234", as Python's import stores what it has compiled, with the source's mode. */
static bool is_pyc(const char *name, size_t n)
{
    size_t digits = digits_at_end(name, n);
    return digits >= 6 && ends_with(name, n - digits, ".pyc.");
}

/* "NAME1234567890" of Go's os.CreateTemp, "NAME.tmp" of tempfile with a suffix. */
static bool is_other(const char *name, size_t n)
{
    return digits_at_end(name, n) >= 8 || ends_with(name, n, ".tmp");
}

/* "NAME.XXXXXX", "NAME-XXXXXX", "NAME_XXXXXX" */
static bool is_generic(const char *name, size_t n)
{
    return n >= SUFFIX_LEN && strchr(".-_", name[n - SUFFIX_LEN]) &&
           looks_random(name + n - RANDOM_LEN);
}

static bool is_mkstemp(const char *name, size_t n, bool like_mkstemp)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if ((forms[i].always || like_mkstemp) && is_form(&forms[i], name, n))
            return true;
    }
    if (is_pyc(name, n))
        return true;
    return like_mkstemp && (is_marked(name, n) || is_generic(name, n) || is_other(name, n));
}

static bool is_pattern(const char *name, const struct tempname_patterns *patterns)
{
    for (size_t i = 0; patterns && i < patterns->n; i++) {
        if (fnmatch(patterns->v[i], name, 0) == 0)
            return true;
    }
    return false;
}

enum temp_kind tempname_classify(const char *name, bool like_mkstemp,
                                 const struct tempname_patterns *patterns, struct temp_guess *ret)
{
    struct temp_guess unused;
    struct temp_guess *guess = ret ? ret : &unused;
    size_t n = strlen(name);

    guess->n_finals = 0;
    if (n == 0 || n > TEMP_NAME_MAX || strchr(name, '/'))
        return TEMP_NONE;
    if (is_rsync(name, n, like_mkstemp, guess))
        return TEMP_RSYNC;
    if (is_mkstemp(name, n, like_mkstemp))
        return TEMP_MKSTEMP;
    return is_pattern(name, patterns) ? TEMP_PATTERN : TEMP_NONE;
}

static int add_pattern(struct tempname_patterns *patterns, const char *p, size_t n, struct err *err)
{
    if (memchr(p, '/', n))
        return err_set(err, -EINVAL, "pattern '%.*s' contains a '/'", (int)n, p);
    if (n > TEMP_NAME_MAX)
        return err_set(err, -EINVAL, "pattern has over %d bytes", TEMP_NAME_MAX);
    if (patterns->n == TEMP_PATTERNS_MAX)
        return err_set(err, -EINVAL, "more than %d patterns", TEMP_PATTERNS_MAX);

    char *copy = strndup(p, n);
    char **v = copy ? reallocarray(patterns->v, patterns->n + 1, sizeof(*v)) : NULL;
    if (!v) {
        free(copy);
        return err_set(err, -ENOMEM, "out of memory");
    }
    patterns->v = v;
    v[patterns->n++] = copy;
    return 0;
}

int tempname_patterns_parse(const char *text, struct tempname_patterns *ret, struct err *err)
{
    *ret = (struct tempname_patterns){0};
    while (text && *text) {
        size_t n = strcspn(text, ":");
        int rc = n ? add_pattern(ret, text, n, err) : 0;
        if (rc < 0) {
            tempname_patterns_done(ret);
            return rc;
        }
        text += n + (text[n] == ':');
    }
    return 0;
}

void tempname_patterns_done(struct tempname_patterns *patterns)
{
    for (size_t i = 0; i < patterns->n; i++)
        free(patterns->v[i]);
    free(patterns->v);
    *patterns = (struct tempname_patterns){0};
}

const char *temp_kind_name(enum temp_kind kind)
{
    static const char *const names[] = {
        [TEMP_NONE] = "none",
        [TEMP_RSYNC] = "rsync",
        [TEMP_MKSTEMP] = "mkstemp",
        [TEMP_PATTERN] = "pattern",
    };
    return names[kind];
}
