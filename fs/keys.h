// SPDX-License-Identifier: Apache-2.0
/* keys - where a mount's access keys come from
 *
 * Role        Makes the credential source (net/cred.h) that the options ask for: a file, the
 *             environment, or the temporary keys of the metadata service (net/agency.h), which
 *             renews them as long as the mount lives.
 * Order       keys_open(), the engine is made, keys_start(); at the end engine_stop(),
 *             keys_done().
 */
#ifndef OBSM_FS_KEYS_H
#define OBSM_FS_KEYS_H

#include "net/base/err.h"

struct agency;
struct cred_source;
struct engine;
struct log;
struct options;

struct keys {
    struct cred_source *source;
    struct agency *agency; /* NULL: not from the metadata service */
};

/* Reads the file or the environment. -EINVAL, -ENOENT, -EACCES, -EFBIG, -ENOMEM. */
int keys_open(const struct options *opt, struct log *log, struct keys *ret, struct err *err);

/* Asks the metadata service for the first keys, if they come from there, and waits for them: a few
 * seconds at most. */
int keys_start(struct keys *keys, struct engine *engine, struct err *err);

/* After engine_stop(). Also for a struct that is all zeros. */
void keys_done(struct keys *keys);

#endif
