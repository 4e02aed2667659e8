// SPDX-License-Identifier: Apache-2.0
/* cloud - the services beside the object service
 *
 * Role        DLI packages, ModelArts synchronisation, IAM projects and tokens, the metadata
 *             service of a virtual machine.
 */
#ifndef OBSLOCAL_CLOUD_H
#define OBSLOCAL_CLOUD_H

#include "tests/obs-local/server.h"

/* True if the request is for one of these services; r->op is then set. */
bool cloud_route(struct request *r, const char *host);

#endif
