// SPDX-License-Identifier: Apache-2.0
/* option_value - one value of one type, from text and back to text
 *
 * Role        What the types of fs/options.def mean. Knows nothing of the table; fs/options.c does.
 * Errors      -EINVAL with a message that says what the type takes and does not repeat the value;
 *             -ENOMEM.
 * Threads     Any; getpwnam and getgrnam are used before there are threads.
 */
#ifndef OBSM_FS_OPTION_VALUE_H
#define OBSM_FS_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"
#include "net/base/err.h"

enum option_type {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_SIZE,
    OPTION_TIME,
    OPTION_STRING,
    OPTION_PATH,
    OPTION_ENUM,
    OPTION_UID,
    OPTION_GID,
    OPTION_MODE,
    OPTION_HEADER,
    OPTION_META,
};

/* Parses `text` into *field, which has the C type of fs/options.h for that option type. Strings
 * that were there are freed; a header is added to the list. `range` as in the table. */
int option_value_parse(enum option_type type, const char *range, const char *text, void *field,
                       struct err *err);

/* Appends the value as a user would write it; nothing for an unset string. */
int option_value_format(enum option_type type, const char *range, const void *field,
                        struct buf *out);

/* Frees what the field holds. */
void option_value_done(enum option_type type, void *field);

/* What stands for a value in --help ("SIZE"), "" for a switch. */
const char *option_value_placeholder(enum option_type type);

/* True for headers that the driver itself must be in charge of (`n`: length of the name). */
bool option_header_is_ours(const char *name, size_t n);

#endif
