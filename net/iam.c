// SPDX-License-Identifier: Apache-2.0
// The pure parts of logging in and finding the project; see iam.h.
#include "net/iam.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/cred.h"

static bool given(const char *s)
{
    return s && s[0];
}

int iam_login_body(struct buf *out, const struct iam_login *login, struct err *err)
{
    if (!given(login->user) || !given(login->password))
        return err_set(err, -EINVAL, "logging in needs a user and a password");
    if (!given(login->project_id) && !given(login->project))
        return err_set(err, -EINVAL, "logging in needs the project: set project_id or region");

    (void)buf_adds(out, "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":"
                        "{\"user\":{\"name\":");
    (void)json_quote(out, login->user);
    (void)buf_adds(out, ",\"password\":");
    (void)json_quote(out, login->password);
    (void)buf_adds(out, ",\"domain\":{\"name\":");
    (void)json_quote(out, given(login->domain) ? login->domain : login->user);
    (void)buf_adds(out, "}}}},\"scope\":{\"project\":{");
    bool by_id = given(login->project_id);
    (void)buf_adds(out, by_id ? "\"id\":" : "\"name\":");
    (void)json_quote(out, by_id ? login->project_id : login->project);
    (void)buf_adds(out, "}}}}");
    return out->eno ? err_set(err, out->eno, "the login cannot be built") : 0;
}

int iam_read_password(const char *path, char out[IAM_PASSWORD_MAX], struct err *err)
{
    ssize_t n = cred_read_file(path, out, IAM_PASSWORD_MAX, err);
    if (n < 0)
        return (int)n;

    size_t line = strcspn(out, "\r\n");
    size_t end = line + strspn(out + line, "\r\n");
    if (line == 0 || end != (size_t)n) {
        explicit_bzero(out, IAM_PASSWORD_MAX);
        return err_set(err, -EINVAL, "'%.160s' is not one line with a password", path);
    }
    out[line] = 0;
    return 0;
}

int iam_check_project_id(const char *id, struct err *err)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = strlen(id);
    if (n == 0 || n > IAM_PROJECT_ID_MAX || strspn(id, allowed) != n)
        return err_set(err, -EINVAL, "'%.80s' cannot be a project's id (letters and digits)", id);
    return 0;
}

int iam_pick_project(const struct project *v, size_t n, const char *name,
                     char ret[IAM_PROJECT_ID_MAX + 1], struct err *err)
{
    char ids[128] = "";
    const struct project *found = NULL;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(v[i].name, name) != 0)
            continue;
        size_t len = strlen(ids);
        (void)snprintf(ids + len, sizeof(ids) - len, "%s%s", count ? ", " : "", v[i].id);
        found = &v[i];
        count++;
    }
    if (count == 0)
        return err_set(err, -ENOENT, "there is no project '%.64s': set project_id", name);
    if (count > 1)
        return err_set(err, -EINVAL, "%zu projects have the name '%.64s': set project_id (%s)",
                       count, name, ids);
    int rc = iam_check_project_id(found->id, err);
    if (rc == 0)
        (void)snprintf(ret, IAM_PROJECT_ID_MAX + 1, "%s", found->id);
    return rc;
}
