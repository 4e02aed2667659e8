// SPDX-License-Identifier: Apache-2.0
/* cleanup - resources that leave with their scope
 *
 * CLEANUP_FREE char *p = NULL;       free(p) at the end of the scope
 * CLEANUP_CLOSE int fd = -1;         close(fd), errno kept
 * CLEANUP_FCLOSE FILE *f = NULL;
 * return steal_ptr(&p);              hands the resource on instead
 */
#ifndef OBSM_BASE_CLEANUP_H
#define OBSM_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f) {
        int saved = errno;
        fclose(*f);
        errno = saved;
    }
}

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close)))
#define CLEANUP_FCLOSE __attribute__((cleanup(cleanup_fclose)))

#define steal_ptr(pp)                                                                              \
    ({                                                                                             \
        __typeof__(*(pp)) stolen_ = *(pp);                                                         \
        *(pp) = NULL;                                                                              \
        stolen_;                                                                                   \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#endif
