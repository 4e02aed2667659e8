// SPDX-License-Identifier: Apache-2.0
// The bucket as the source of the read cache, see fetch.h.
#include "fs/fetch.h"

#include "net/obs.h"

static void submit(void *arg, struct obs_call *call)
{
    obs_submit(arg, call);
}

static void cancel(void *arg, struct obs_call *call)
{
    obs_cancel(arg, call);
}

static void clear(void *arg, struct obs_call *call)
{
    obs_call_clear(call);
}

struct fetch_source fetch_source_obs(struct obs *obs)
{
    return (struct fetch_source){.submit = submit, .cancel = cancel, .clear = clear, .arg = obs};
}
