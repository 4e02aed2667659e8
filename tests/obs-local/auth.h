// SPDX-License-Identifier: Apache-2.0
/* auth - who may do what
 *
 * Role        The table of credentials, and the check of a request's signature against it.
 * Locking     Its own lock: credentials may come and go while the service runs.
 * Errors      A refused request is answered with ans_error(); the check itself does not fail.
 */
#ifndef OBSLOCAL_AUTH_H
#define OBSLOCAL_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/obs-local/text.h"

struct auth;
struct request;
struct err;

struct auth *auth_new(void);
void auth_free(struct auth *a);

/* "AK:SK" or "AK:SK:TOKEN". expires_s 0: never. -EINVAL. An access key that is there is replaced.
 */
int auth_add(struct auth *a, const char *text, bool read_only, int64_t expires_s);
bool auth_remove(struct auth *a, const char *ak);
bool auth_expire(struct auth *a, const char *ak, int64_t expires_s);
/* One credential a line; a line "ro AK:SK" is read-only; '#' begins a comment. */
int auth_add_file(struct auth *a, const char *path, struct err *err);
/* A text "AK:SK[:TOKEN]" of a credential that never expires, or NULL; caller frees. */
char *auth_any(struct auth *a);
/* Copies the secret key of `ak`; false: unknown or expired. `token` must be the credential's. */
bool auth_secret(struct auth *a, const char *ak, const char *token, int64_t now_s, char *out,
                 size_t size, bool *ret_read_only);

/* Sets r->sign and r->dialect from the form of the request, without checking anything. */
void auth_classify(struct request *r);

/* Checks signature, date, token and right. On refusal ans_error() was called. A request without a
 * signature passes here with r->ak NULL: the operation must ask auth_anonymous(). */
void auth_check(struct request *r);

#endif
