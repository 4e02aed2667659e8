// SPDX-License-Identifier: Apache-2.0
/* options - what a mount is told
 *
 * Role        One table, fs/options.def, has a row for every option. From it come the fields of
 *             struct options, the parser, the defaults, the validation, --help, and the text of the
 *             effective options; a test compares it with the manual. A new option is one row.
 *
 * Syntax      -o takes words separated by commas. "\," is a comma, "\\" a backslash, "\ooo" the
 *             byte of that octal number: the rule of libfuse. Sizes take K M G T (powers of 1024),
 *             times ms s m h d (a bare number is in seconds), switches on|off, yes|no, true|false,
 *             1|0 or nothing (on). Given twice, the last one holds; a header is added. Words for
 *             the kernel (nodev, noatime, max_read=N, ...) are passed on to libfuse; words that
 *             only mean something to mount(8) or systemd (_netdev, nofail, user, x-*, ...) are
 *             accepted and do nothing. Everything else is refused by name.
 *
 * Ownership   The caller owns the struct; options_done() frees what it holds.
 * Errors      -EINVAL with one sentence that names the option; -ENOMEM.
 */
#ifndef OBSM_FS_OPTIONS_H
#define OBSM_FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"
#include "net/base/err.h"

/* v[n] is NULL; v itself is NULL while n == 0. */
struct str_list {
    char **v;
    size_t n;
};

int str_list_add(struct str_list *list, const char *text);
void str_list_done(struct str_list *list);

enum option_durability { OPTION_DURABILITY_STORE, OPTION_DURABILITY_STAGE };

enum option_conflict {
    OPTION_CONFLICT_ERROR,
    OPTION_CONFLICT_KEEP_MINE,
    OPTION_CONFLICT_KEEP_THEIRS
};

enum option_keys {
    OPTION_KEYS_AUTO,
    OPTION_KEYS_FILE,
    OPTION_KEYS_ENVIRONMENT,
    OPTION_KEYS_METADATA
};

enum option_killed { OPTION_KILLED_KEEP, OPTION_KILLED_PUBLISH };

enum option_attr { OPTION_ATTR_GATHER, OPTION_ATTR_SYNC };

/* Types of the fields. ENUM: the position of the word in the row's range (dialect: enum
 * obs_dialect; attr: enum option_attr; killed_writer: enum option_killed; credential_source: enum option_keys; log_level:
 * LOG_LEVEL_ERROR + position). TIME: milliseconds. STRING and PATH: NULL if not given; a PATH is
 * absolute. HEADER: "Name: value" strings. META: "name:value" strings. */
#define OPTION_FIELD_BOOL bool
#define OPTION_FIELD_INT int64_t
#define OPTION_FIELD_SIZE uint64_t
#define OPTION_FIELD_TIME int64_t
#define OPTION_FIELD_STRING char *
#define OPTION_FIELD_PATH char *
#define OPTION_FIELD_ENUM int
#define OPTION_FIELD_UID uint32_t
#define OPTION_FIELD_GID uint32_t
#define OPTION_FIELD_MODE uint32_t
#define OPTION_FIELD_HEADER struct str_list
#define OPTION_FIELD_META struct str_list

#define OPTION_SECRET 1u

struct options {
    char *source;     /* as given, without "obsmount#" in front: what df and findmnt show */
    char *bucket;     /* a valid bucket name */
    char *prefix;     /* of all keys of this mount: "" or "a/b/" */
    char *mountpoint; /* absolute, or /dev/fd/N */

#define OPT(name, type, dflt, range, group, flags, help) OPTION_FIELD_##type name;
#include "fs/options.def"
#undef OPT

    struct str_list pass_on; /* words for libfuse and the kernel, as given */
    struct str_list skipped; /* unknown words that a sloppy parse went past */
    bool dev, suid;          /* "dev", "suid" were given: do not add nodev, nosuid */
    bool own_fsname, own_subtype;
};

/* All defaults; uid, gid: of the calling process. -ENOMEM. */
int options_init(struct options *opt);
void options_done(struct options *opt);

/* One -o argument. `sloppy`: unknown words are collected in opt->skipped instead of refused. */
int options_parse(struct options *opt, const char *text, bool sloppy, struct err *err);

/* BUCKET[:/PREFIX], also with "obsmount#" or "/usr/bin/obsmount#" in front. Checks the bucket's
 * name (OBS API, creating a bucket) and that the prefix can be shown as a path. */
int options_set_source(struct options *opt, const char *source, struct err *err);

/* What only shows when everything was given: an endpoint (derived from the region if need be) and
 * options that exclude one another. */
int options_check(struct options *opt, struct err *err);

/* The rows as text for --help. */
int options_help(struct buf *out);

/* The effective options, a line "name=value" each in table order, values of secret ones left out.
 */
int options_dump(const struct options *opt, struct buf *out);

/* The argument of libfuse's -o for this mount: fsname, subtype, the access options, nodev and
 * nosuid unless dev and suid were asked for, and the words to pass on; escaped. Caller frees; NULL:
 * out of memory. */
char *options_fuse_words(const struct options *opt);

/* Strict numbers as options take them, for whoever reads the same units elsewhere. -EINVAL. */
int option_parse_size(const char *text, uint64_t *ret_bytes);
int option_parse_time(const char *text, int64_t *ret_ms);

/* The row whose name is nearest to `word`, NULL if none is near. */
const char *option_nearest(const char *word);

/* Names in table order; NULL after the last one. */
const char *option_name(size_t i);

#endif
