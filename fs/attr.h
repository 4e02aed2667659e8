// SPDX-License-Identifier: Apache-2.0
/* attr - POSIX attributes as user metadata of an object
 *
 * Role        Reads owner, mode, times and type of an object from its metadata, and writes them,
 *             under the names that s3fs and obsfs use, so that a bucket can be shared with them.
 *             Pure; no allocation apart from that of obs_props_set().
 * Written     mode   decimal of the whole st_mode, type bits included
 *             uid, gid   decimal
 *             mtime, atime, ctime   seconds "." exactly nine digits: s3fs reads what follows the
 *                    point as an integer number of nanoseconds
 *             rdev   decimal, devices only; s3fs itself keeps no device number
 *             A symbolic link is an object whose body is the target and whose mode has S_IFLNK,
 *             content type application/octet-stream; fifo, socket and device are empty objects.
 * Read        Besides those: s3sync's permissions, owner, group; goog-reserved-posix-mode (octal),
 *             -uid, -gid and goog-reserved-file-mtime; s3cmd-attrs; rclone's mtime, whose fraction
 *             has its trailing zeros cut; rclone's octal mode (it begins with 0); a link's target
 *             as metadata: symlink-target (obsfs), --symlink-target (geesefs). Our own names come
 *             first, field by field.
 * Errors      A value that is malformed or out of range is taken as absent, never as a failure.
 */
#ifndef OBSM_FS_ATTR_H
#define OBSM_FS_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "net/obs.h"

#define ATTR_DIR_TYPE "application/x-directory"    /* content type of a directory's marker */
#define ATTR_UPLOAD_META "obsmount-upload"         /* tells whose upload it was, see fs/publish.h */
#define ATTR_PLAIN_TYPE "application/octet-stream" /* of links, devices, unknown suffixes */

/* Which fields the metadata stated. */
enum attr_present {
    ATTR_MODE = 1 << 0,
    ATTR_UID = 1 << 1,
    ATTR_GID = 1 << 2,
    ATTR_MTIME = 1 << 3,
    ATTR_ATIME = 1 << 4,
    ATTR_CTIME = 1 << 5,
    ATTR_RDEV = 1 << 6,
    ATTR_TYPE = 1 << 7, /* the file type was stated, not guessed from the key */
};

struct posix_attr {
    mode_t mode; /* of st_mode, type bits included: exactly one type */
    uid_t uid;
    gid_t gid;
    dev_t rdev; /* 0 unless a device */
    struct timespec mtime, atime, ctime;
    unsigned present; /* enum attr_present; the other fields hold defaults */
};

/* What an object has that states nothing. */
struct attr_defaults {
    mode_t umask; /* taken from 0666, or from 0777 for a directory */
    uid_t uid;
    gid_t gid;
};

/* Fills *out from the properties of the object `key` (only its last character matters: '/' makes a
 * directory whatever the metadata say). `size` is the length of the body; last_modified_ms stands
 * in for an absent mtime, and mtime for absent atime and ctime. props may be NULL: all defaults.
 * Without a stated type: a directory by content type (application/x-directory,
 * httpd/unix-directory; empty body), a link if a target stands in the metadata, else a regular
 * file. A key without '/' may turn out to be a directory (old s3fs): the mode tells. */
void attr_from_props(const struct obs_props *props, const char *key, uint64_t size,
                     int64_t last_modified_ms, const struct attr_defaults *defaults,
                     struct posix_attr *out);

/* The attributes of an object that states nothing; is_dir tells the type. */
void attr_default(bool is_dir, int64_t last_modified_ms, const struct attr_defaults *defaults,
                  struct posix_attr *out);

/* Sets mode, uid, gid, the three times, and rdev of a device, in `props`: all of them, whether
 * present or default. Other properties stay. -ENOMEM. */
int attr_to_props(const struct posix_attr *attr, struct obs_props *props);

/* Takes the three times out of `props`, for an object whose Last-Modified says the same. */
void attr_drop_times(struct obs_props *props);

/* True for the names of metadata that attr_to_props(), fs/xattr_codec.h and fs/property.h write: what else an
 * object carries, other tools' names for the same things too, the caller keeps. */
bool attr_owns_meta(const char *name);

/* The target of a symbolic link where the metadata hold it (obsfs, geesefs), pointing into props;
 * NULL: it is the object's body. */
const char *attr_link_target(const struct obs_props *props);

/* True if the content type (NULL allowed, parameters ignored) is one that marks a directory. */
bool attr_is_dir_type(const char *content_type);

/* "sec" or "sec.fraction" -> *out; a fraction of fewer than nine digits is filled up with zeros, of
 * more is cut. -EINVAL: malformed, or over 2^40 seconds from 1970. *out is then unchanged. */
int attr_parse_time(const char *text, struct timespec *out);

enum { ATTR_TIME_MAX = 40 };

/* "sec.nnnnnnnnn" */
void attr_format_time(const struct timespec *ts, char out[ATTR_TIME_MAX]);

#endif
