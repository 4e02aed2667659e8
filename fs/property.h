// SPDX-License-Identifier: Apache-2.0
/* property - the properties of objects that a user can name
 *
 * Role        One table of what `user.obs.NAME` and the mount options of the same names may say: the
 *             rule of its value, the header that carries it, and how it is changed on an object that
 *             is stored already. Pure. What an inode has of them is in fs/properties.h.
 * Names       Without "user.obs.". Those that end in a dot are families: "meta." and "header." take
 *             any name behind it. A name is canonical when it was through property_set(): metadata
 *             in lower case.
 * Sets        A set of properties is a struct obs_props whose entries are of kind OBS_PROP_RAW, with
 *             canonical names.
 * Stored      What no HEAD tells (an ACL, the days until it expires, a directory's defaults) is kept
 *             with the object as one metadata value, PROPERTY_META: "1" and "&name=value" for each,
 *             '%' and '&' as %25 and %26. It is checked like a user's input when it is read: a value
 *             that breaks its rule, or an unknown name, is left out.
 * New ones    A row in property.c; one that is no header of its own is made into headers by
 *             properties_to_headers().
 */
#ifndef OBSM_FS_PROPERTY_H
#define OBSM_FS_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/base/buf.h"
#include "net/base/err.h"
#include "net/obs.h"

#define PROPERTY_XATTR "user.obs."
#define PROPERTY_META "obsmount"

enum { PROPERTY_NAME_MAX = 255, PROPERTY_VALUE_MAX = 8192 };

/* How it gets to an object. */
enum property_place {
    PROPERTY_STATE,      /* read only: the service or this program says it */
    PROPERTY_NEW,        /* with PUT and Initiate only */
    PROPERTY_METADATA,   /* also by PUT ?metadata */
    PROPERTY_ACL,        /* also by PUT ?acl */
    PROPERTY_LOCAL,      /* never: it tells this program what to do */
    PROPERTY_ENCRYPTION, /* by fs/encrypt.h; also by a copy onto itself */
};

enum {
    PROPERTY_TOLD = 1,     /* a HEAD tells it: not kept in PROPERTY_META of a file */
    PROPERTY_EVERY = 2,    /* also for links, fifos, devices */
    PROPERTY_DIR_ONLY = 4, /* a directory's, it has no meaning for a file */
};

struct property {
    const char *name;
    enum property_place place;
    unsigned flags;
    enum obs_prop_kind kind;
    const char *header; /* NULL: none; of a family: what follows the dot is the header's name */
    int (*check)(const char *value, struct err *err);
};

/* The row of a name, NULL if there is none. */
const struct property *property_find(const char *name);

/* The flags and the place of one name: a header that is stored with the object (Cache-Control, ..)
 * counts as told. */
unsigned property_flags(const struct property *p, const char *name);
enum property_place property_place_of(const struct property *p, const char *name);

/* Checks a value by its rule and puts it into the set, under its canonical name. -EINVAL with a
 * sentence for a value that breaks the rule, a name that does not exist or cannot be set; -ENOMEM. */
int property_set(struct obs_props *set, const char *name, const char *value, size_t n,
                 struct err *err);

/* The mount's options as a set; also the check of their values. -EINVAL with a sentence, -ENOMEM. In
 * property_options.c. */
struct options;
int property_from_options(const struct options *opt, struct obs_props *ret, struct err *err);

/* Takes one out of a set, by kind and name. False: it was not there. */
bool property_drop(struct obs_props *set, enum obs_prop_kind kind, const char *name);

/* The header or metadata of one, put into `out`. PROPERTY_LOCAL and those without a header: nothing.
 * -ENOMEM. */
int property_to_header(const char *name, const char *value, struct obs_props *out);

/* The form of PROPERTY_META, "1" for an empty set. -ENOMEM, -EMSGSIZE. */
int property_encode(const struct obs_props *set, struct buf *out);

/* Replaces *set by what the text says; another version's text is an empty set. -ENOMEM. */
int property_decode(struct obs_props *set, const char *text);

#endif
