// SPDX-License-Identifier: Apache-2.0
/* stats - what was asked of the service, and in which order
 *
 * Role        Counters by operation, and a ring of the last requests, for tests and benchmarks:
 *             GET /-/requests, GET /-/log, POST /-/reset. A request is counted just before its
 *             answer leaves, so that who has read the answer finds it counted.
 * Locking     Its own lock.
 */
#ifndef OBSLOCAL_STATS_H
#define OBSLOCAL_STATS_H

#include <stdint.h>

#include "tests/obs-local/text.h"

struct stats;
struct request;

struct stats *stats_new(void);
void stats_free(struct stats *st);

/* A request whose operation is known began / its answer is about to be sent. */
void stats_begin(struct stats *st, const char *op);
void stats_end(struct stats *st, const struct request *r);
/* Corrects bytes_out of a body that was cut short. */
void stats_unsent(struct stats *st, const char *op, uint64_t n);

void stats_reset(struct stats *st);
/* JSON texts. `tail`: the last so many entries; `op` NULL or a name to filter by. */
void stats_json(struct stats *st, struct buf *out);
void stats_log_json(struct stats *st, uint64_t tail, const char *op, struct buf *out);

#endif
