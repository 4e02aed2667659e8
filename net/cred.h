// SPDX-License-Identifier: Apache-2.0
/* cred - access keys: where they come from, how they are kept
 *
 * Role        A `struct cred` is one set of keys, a value that lives for one signature and is wiped
 *             afterwards (CLEANUP_CRED). A `struct cred_source` is the place that they come from:
 *             a file, the environment, or whoever calls cred_put() (the metadata service of a
 *             cloud server).
 * Files       Bounded at CRED_FILE_MAX; '#' begins a comment line. One of
 *               AK:SK or AK:SK:TOKEN                        as obsfs has it
 *               AWSAccessKeyId=AK and AWSSecretKey=SK lines
 *               ak=AK, sk=SK, token=TOKEN lines             as obsutil has it, other keys ignored
 *             A file that group or others may access, or that belongs neither to this user nor to
 *             root, is refused (-EACCES): whoever can write it chooses the account.
 * Rotation    cred_get() looks at the file's time at most once a second and reads it again when it
 *             changed; cred_reload() reads it at once (after ERR_REAUTH).
 * Secrets     The kept copy lies on pages of its own that core dumps leave out, and is wiped before
 *             it is freed. No message contains a part of a secret.
 * Threads     A source may be used by any thread; its lock is never held over a callback.
 */
#ifndef OBSM_NET_CRED_H
#define OBSM_NET_CRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/base/err.h"

enum { CRED_AK_MAX = 256, CRED_SK_MAX = 256, CRED_TOKEN_MAX = 8192, CRED_FILE_MAX = 16384 };

struct cred {
    char ak[CRED_AK_MAX];
    char sk[CRED_SK_MAX];
    char token[CRED_TOKEN_MAX]; /* "" with permanent keys */
    int64_t expires;            /* seconds since 1970; 0: never */
};

#define CLEANUP_CRED __attribute__((cleanup(cred_wipe)))

/* Zeroes it in a way that the compiler keeps. */
void cred_wipe(struct cred *cred);

/* Parses the content of a credential file. -EINVAL with the number of the offending line; *ret is
 * then wiped. Pure. */
int cred_parse(const char *text, size_t n, struct cred *ret, struct err *err);

/* Reads the first complete pair out of the known environment names, in the order
 * OBS_ACCESS_KEY_ID .., AccessKeyID .., HUAWEICLOUD_SDK_AK .., HW_ACCESS_KEY .., OTCCLOUD_SDK_AK ..
 * -ENOENT if there is none. *ret_name (may be NULL) is the name of the access key's variable.
 * `get` is getenv() or a test's own. */
typedef const char *cred_getenv_fn(void *arg, const char *name);
int cred_from_env(cred_getenv_fn *get, void *arg, struct cred *ret, const char **ret_name,
                  struct err *err);

/* Reads a credential file; see Files above. -ENOENT, -EACCES, -EINVAL, -EFBIG. Blocks on the disk.
 */
int cred_from_file(const char *path, struct cred *ret, struct err *err);

/* Reads any file of secrets under the same rules into out[size], whole and NUL-terminated. Its
 * length, or -errno (-EFBIG if it does not fit); the caller wipes it. Blocks on the disk. */
ssize_t cred_read_file(const char *path, char *out, size_t size, struct err *err);

struct cred_source;

/* Asks the owner of the keys for new ones. Must not block: the answer comes by cred_put(). */
typedef void cred_refresh_fn(void *arg);

struct cred_config {
    const char *file;         /* NULL: no file */
    bool env;                 /* without a file: the environment */
    cred_refresh_fn *refresh; /* without either: keys come by cred_put() */
    void *refresh_arg;
};

/* Makes a source out of the first of file, environment, refresh that is configured; file and
 * environment are read at once. -EINVAL if nothing is configured, else as above. The process's own
 * environment is read only here. */
int cred_source_new(const struct cred_config *config, struct cred_source **ret, struct err *err);
void cred_source_free(struct cred_source *source);

/* Copies the present keys. -EAGAIN while none have come by cred_put(). With `refresh` it also asks
 * for new ones when less than ten minutes of their life are left; where the same ones come again, in
 * the middle of what is left. Does not block on the network. */
int cred_get(struct cred_source *source, struct cred *ret, struct err *err);

/* After the service refused the keys: 1 if there are now others than `used` (try again), 0 if they
 * are the same (give up), -EAGAIN if new ones have been asked for (try again later), or -errno of
 * reading the file, which leaves the old keys. */
int cred_reload(struct cred_source *source, const struct cred *used, struct err *err);

/* Replaces the keys. Any thread. */
void cred_put(struct cred_source *source, const struct cred *cred);

/* "file '/etc/passwd-obs'", "environment (OBS_ACCESS_KEY_ID)" or "metadata service": for messages;
 * valid as long as the source. */
const char *cred_source_name(const struct cred_source *source);

#endif
