// SPDX-License-Identifier: Apache-2.0
/* tempname - is this file meant to be renamed at once
 *
 * Role        Many programs write a temporary file beside the target and rename it. An object store
 *             cannot rename an unfinished upload, so such names are recognised when the file is
 *             created: it is held for its rename, and with rsync the final name can be predicted.
 *             A wrong guess costs time, never data. Pure.
 * Kinds       TEMP_RSYNC    ".NAME.XXXXXX". Predicts. Counts however it was created if the last six
 *                           look random; any six letters and digits if created as mkstemp(3) does.
 *             TEMP_MKSTEMP  names that sed, Python, mktemp, GLib, dpkg, editors and others make.
 *                           Counts only if created as mkstemp(3) does: `cp -p` also creates O_EXCL
 *                           with 0600, but write-only. (".goutputstream-XXXXXX" is GLib's alone,
 *                           "tmp_obj_XXXXXX" and the like are git's, "NAME.pyc.DIGITS" is Python's:
 *                           they count always, their mode being the target's.)
 *             TEMP_PATTERN  matches one of the user's patterns (option hold_patterns).
 * rsync       get_tmpname() of rsync 3.1 and later: one leading dot of NAME is dropped, "." is put
 *             in front, what is too long is cut after 246 bytes (and then before a byte over 0x7f),
 *             a trailing dot is dropped, ".XXXXXX" is added. So ".a.XXXXXX" stands for "a" or ".a";
 *             "..a.XXXXXX" for "..a" (3.0 and before: ".a"); a name that was cut predicts nothing.
 */
#ifndef OBSM_FS_TEMPNAME_H
#define OBSM_FS_TEMPNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "net/base/err.h"

enum temp_kind { TEMP_NONE, TEMP_RSYNC, TEMP_MKSTEMP, TEMP_PATTERN };

enum { TEMP_FINALS_MAX = 2, TEMP_NAME_MAX = 255, TEMP_PATTERNS_MAX = 64 };

struct temp_guess {
    unsigned n_finals; /* names it can stand for; 0: nothing is predicted */
    char finals[TEMP_FINALS_MAX][TEMP_NAME_MAX + 1]; /* the likelier first */
};

/* Globs of the user. A zeroed struct is the empty list. */
struct tempname_patterns {
    char **v;
    size_t n;
};

/* "*.part:*.tmp" -> list; empty pieces are left out; NULL or "" is the empty list. -EINVAL: one has
 * a '/', or there are more than TEMP_PATTERNS_MAX; -ENOMEM. *ret is then empty. */
int tempname_patterns_parse(const char *text, struct tempname_patterns *ret, struct err *err);
void tempname_patterns_done(struct tempname_patterns *patterns);

/* True if open(2) flags and mode are those of mkstemp(3) (O_EXCL, O_RDWR, 0600), or of dpkg
 * (O_EXCL, mode 0). The mode may have type bits. */
bool tempname_like_mkstemp(int open_flags, mode_t mode);

/* Classifies the last component of a path. `like_mkstemp`: see above. patterns and ret may be NULL.
 * ret->n_finals is set for every kind (0 but for TEMP_RSYNC). */
enum temp_kind tempname_classify(const char *name, bool like_mkstemp,
                                 const struct tempname_patterns *patterns, struct temp_guess *ret);

/* "rsync", "mkstemp", "pattern", "none" */
const char *temp_kind_name(enum temp_kind kind);

#endif
