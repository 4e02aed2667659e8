// SPDX-License-Identifier: Apache-2.0
/* xml_impl - the streaming reader behind net/xml*.c; private to them
 *
 * Role        All answers have the same shape: a root, below it fields and records, in a record
 *             fields, in them at most two more levels. What lies deeper is passed over. Names are
 *             local names.
 */
#ifndef OBSM_NET_XML_IMPL_H
#define OBSM_NET_XML_IMPL_H

#include <stdbool.h>

#include "net/xml.h"

/* Callbacks return 0 or -errno, which ends the reading. `text` is terminated and contains no 0
 * before n. */
struct xml_handler {
    const char *const *roots; /* accepted names, NULL at the end */
    /* An element below the root begins: it may become a record. May be NULL. */
    int (*begin)(void *arg, const char *record);
    /* An element without children ended; record NULL: it is below the root itself. One within a
     * field of a record is named FIELD/NAME ("Initiator/ID"), within that FIELD/NAME/NAME. */
    int (*field)(void *arg, const char *record, const char *name, const char *text, size_t n);
    /* A field of a record that has children ended. May be NULL. */
    int (*close)(void *arg, const char *record, const char *name);
    /* An element below the root ended. May be NULL. */
    int (*end)(void *arg, const char *record);
};

/* 0, -EREMOTEIO with *fault, -EBADMSG, -ENOMEM, or what a callback returned. */
int xml_read(const void *p, size_t n, const struct xml_handler *handler, void *arg,
             struct xml_fault *fault, struct err *err);

/* A decimal number without sign, blanks around it allowed. -EBADMSG. */
int xml_number(const char *text, uint64_t max, uint64_t *ret);
bool xml_is(const char *name, const char *wanted);
/* Text of an element. -EILSEQ for what XML 1.0 cannot carry: control characters. */
int xml_add_text(struct buf *out, const char *text);
/* Replaces *to by a copy of the text. -ENOMEM. */
int xml_keep(char **to, const char *text);

#endif
