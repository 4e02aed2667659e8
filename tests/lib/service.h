// SPDX-License-Identifier: Apache-2.0
/* service - obs-local as the child of a test
 *
 * Role        Starts the program on a free port with an empty data folder below /tmp, waits until
 *             it listens, and ends it by its process id. It dies with the test.
 */
#ifndef OBSM_TEST_SERVICE_H
#define OBSM_TEST_SERVICE_H

#include <stdint.h>
#include <sys/types.h>

struct service {
    pid_t pid;
    uint16_t port;
    char dir[64];
};

/* `more`: further arguments, NULL-terminated, or NULL. 0; -errno, -ETIMEDOUT if it does not listen
 * within ten seconds. */
int service_start(struct service *s, const char *program, const char *const *more);
/* Ends it and removes its folder. */
void service_stop(struct service *s);

#endif
