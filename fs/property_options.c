// SPDX-License-Identifier: Apache-2.0
// What the mount's options say of new files; see property.h.
#include <stdio.h>
#include <string.h>

#include "fs/options.h"
#include "fs/property.h"

int property_from_options(const struct options *opt, struct obs_props *ret, struct err *err)
{
    const struct {
        const char *option, *property, *value;
    } v[] = {
        {"acl", "acl", opt->acl},
        {"content_type", "content_type", opt->content_type},
        {"storage_class", "storage_class", opt->storage_class},
        {"website_redirect_location", "website_redirect_location", opt->website_redirect_location},
        {"expires", "expires", opt->expires},
        {"success_action_redirect", "success_action_redirect", opt->success_action_redirect},
        {"grant_read", "grant.read", opt->grant_read},
        {"grant_read_acp", "grant.read_acp", opt->grant_read_acp},
        {"grant_write_acp", "grant.write_acp", opt->grant_write_acp},
        {"grant_full_control", "grant.full_control", opt->grant_full_control},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v) && rc == 0; i++) {
        struct err why = {0};
        if (!v[i].value)
            continue;
        rc = property_set(ret, v[i].property, v[i].value, strlen(v[i].value), &why);
        if (rc < 0)
            err_set(err, rc, "option '%s=%.100s': %s", v[i].option, v[i].value, why.msg);
    }
    for (size_t i = 0; i < opt->meta.n && rc == 0; i++) {
        const char *text = opt->meta.v[i];
        size_t n = strcspn(text, ":");
        char name[PROPERTY_NAME_MAX + 8];
        struct err why = {0};
        (void)snprintf(name, sizeof(name), "meta.%.*s", (int)n, text);
        rc = property_set(ret, name, text + n + 1, strlen(text + n + 1), &why);
        if (rc < 0)
            err_set(err, rc, "option 'meta=%.100s': %s", text, why.msg);
    }
    return rc;
}
