// SPDX-License-Identifier: Apache-2.0
/* iam - what is said to and heard from IAM
 *
 * Role        The pure parts of logging in (IAM API: obtaining a user token through password
 *             authentication) and of finding the project of a region (querying project information
 *             based on the specified criteria). net/cloud_auth.c sends the requests.
 */
#ifndef OBSM_NET_IAM_H
#define OBSM_NET_IAM_H

#include "net/base/buf.h"
#include "net/base/err.h"
#include "net/json.h"

enum { IAM_NAME_MAX = 256, IAM_PASSWORD_MAX = 512, IAM_PROJECT_ID_MAX = 63 };

struct iam_login {
    const char *user;
    const char *domain; /* NULL or "": the account has the user's name */
    const char *password;
    const char *project_id; /* NULL or "": by name */
    const char *project;    /* the region's name */
};

/* Appends the body of POST /v3/auth/tokens; it holds the password. -EINVAL without a user, a
 * password or a project; the errors of buf_add(). */
int iam_login_body(struct buf *out, const struct iam_login *login, struct err *err);

/* Reads the one line of a password file (mode 0600, see net/cred.h) into out, without its line end.
 * -EINVAL if it is empty or has several lines; those of cred_read_file(). The caller wipes it. */
int iam_read_password(const char *path, char out[IAM_PASSWORD_MAX], struct err *err);

/* 0, or -EINVAL: 1 to IAM_PROJECT_ID_MAX letters and digits, '-', '_'. */
int iam_check_project_id(const char *id, struct err *err);

/* The id of the one project with exactly this name; others are passed over. -ENOENT: none; -EINVAL:
 * several, and their ids. */
int iam_pick_project(const struct project *v, size_t n, const char *name,
                     char ret[IAM_PROJECT_ID_MAX + 1], struct err *err);

#endif
