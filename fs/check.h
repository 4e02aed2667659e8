// SPDX-License-Identifier: Apache-2.0
/* check - obsmount --check
 *
 * Role        Tries, one after another, what a mount needs: the keys, those of sse_c_keys, the
 *             endpoint's name and address, the service's clock, the bucket, the right to list. Each step prints one line
 *             ("ok" or "FAIL", with advice) on stdout; after a failure the rest is not tried, since
 *             it would fail for the same reason. Nothing is written to the bucket.
 * Threads     Makes an engine of its own; blocks.
 */
#ifndef OBSM_FS_CHECK_H
#define OBSM_FS_CHECK_H

struct log;
struct options;

/* Returns an exit code of mount(8). */
int check_run(const struct options *opt, struct log *log);

#endif
