// SPDX-License-Identifier: Apache-2.0
// Where access keys come from; see keys.h.
#include "fs/keys.h"

#include "fs/options.h"
#include "net/agency.h"
#include "net/cred.h"

int keys_open(const struct options *opt, struct log *log, struct keys *ret, struct err *err)
{
    struct cred_config config = {.file = opt->credential_file, .env = !opt->credential_file};
    *ret = (struct keys){0};
    if (opt->credential_source == OPTION_KEYS_METADATA) {
        int rc = agency_new(opt->metadata_endpoint, log, &ret->agency, err);
        if (rc < 0)
            return err_prefix(err, "option 'metadata_endpoint'");
        config.env = false;
        config.refresh = agency_refresh;
        config.refresh_arg = ret->agency;
    }
    return cred_source_new(&config, &ret->source, err);
}

int keys_start(struct keys *keys, struct engine *engine, struct err *err)
{
    if (!keys->agency)
        return 0;
    agency_start(keys->agency, engine, keys->source);
    int rc = agency_wait(keys->agency, err);
    return rc < 0 ? err_prefix(err, "no access keys from the metadata service") : 0;
}

void keys_done(struct keys *keys)
{
    agency_free(keys->agency);
    cred_source_free(keys->source);
    *keys = (struct keys){0};
}
