// SPDX-License-Identifier: Apache-2.0
/* agency - access keys from the metadata service of a cloud server
 *
 * Role        Fills a credential source (net/cred.h) with the temporary keys of the agency that the
 *             server was given (ECS: obtaining temporary access keys from the metadata). A session
 *             token is asked for first (PUT /meta-data/latest/api/token); services that do not know
 *             it (404, 405, 503) are asked without. Never through a proxy.
 * Use         agency_new(); cred_source_new() with .refresh = agency_refresh, .refresh_arg = the
 *             agency; agency_start(). From then on the source asks by itself: at once when it has
 *             no keys, and when less than ten minutes of their life are left.
 * States      IDLE -> TOKEN -> KEYS -> IDLE; one question at a time, further ones in between are
 *             dropped. Each is given up after a few seconds, the source asks again; after an answer
 *             the next question waits a second.
 * Errors      None is returned: without keys cred_get() answers -EAGAIN. agency_failure() tells
 *             the last reason.
 * Threads     agency_refresh() from any thread, never blocking. One lock for the state; nothing is
 *             called under it.
 */
#ifndef OBSM_NET_AGENCY_H
#define OBSM_NET_AGENCY_H

#include <stdbool.h>

#include "net/base/err.h"

struct agency;
struct cred_source;
struct engine;
struct log;

/* `endpoint` NULL or "": http://169.254.169.254. -EINVAL, -ENOMEM. */
int agency_new(const char *endpoint, struct log *log, struct agency **ret, struct err *err);

/* Sends the first question. Engine and source outlive it. Does not block. */
void agency_start(struct agency *agency, struct engine *engine, struct cred_source *source);

/* A cred_refresh_fn; `arg` is the agency. Before agency_start() it does nothing. */
void agency_refresh(void *arg);

/* Waits for the end of the first question after agency_start(): 0, or why there are no keys. It ends
 * within seconds. Not on a thread of the engine. */
int agency_wait(struct agency *agency, struct err *err);

/* True if the last question failed; *ret says why. */
bool agency_failure(struct agency *agency, struct err *ret);

/* Only after engine_stop(). NULL is allowed. */
void agency_free(struct agency *agency);

#endif
