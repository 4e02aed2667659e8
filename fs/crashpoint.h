// SPDX-License-Identifier: Apache-2.0
/* crashpoint - places at which a test ends the driver as a crash would
 *
 * Role        CRASH_POINT("name") stands at every transition that a recovery must cope with. It
 *             compiles to nothing unless the build has OBSM_TEST_HOOKS (debug builds with tests).
 * Control     OBSM_CRASH_AT=NAME   SIGKILL when that point is reached
 *             OBSM_CRASH_AT=NAME:N .. for the N-th time; needs OBSM_CRASH_LOG, where it counts
 *             OBSM_CRASH_LOG=FILE  the name of each point that is reached becomes a line there
 * Threads     any; who passes a point at the same time as others is counted one after the other, so
 *             that the N-th time always comes.
 */
#ifndef OBSM_FS_CRASHPOINT_H
#define OBSM_FS_CRASHPOINT_H

#ifdef OBSM_TEST_HOOKS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Notes that the point was reached; how often it stands in the log by now. */
static inline unsigned long crash_point_note(const char *log, const char *name)
{
    char line[128];
    unsigned long seen = 0;
    int n = snprintf(line, sizeof(line), "%s\n", name);
    int fd = open(log, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!f || n <= 0 || flock(fd, LOCK_EX) < 0 || write(fd, line, (size_t)n) != n ||
        lseek(fd, 0, SEEK_SET) < 0)
        n = 0;
    while (n > 0 && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        seen += strcmp(line, name) == 0;
    }
    if (f)
        fclose(f); /* and the lock */
    else if (fd >= 0)
        close(fd);
    return seen;
}

static inline void crash_point(const char *name)
{
    const char *at = getenv("OBSM_CRASH_AT"), *log = getenv("OBSM_CRASH_LOG");
    unsigned long seen = log ? crash_point_note(log, name) : 1;
    size_t n = strlen(name);
    if (!at || strncmp(at, name, n) != 0)
        return;
    if (at[n] == 0 || (at[n] == ':' && strtoul(at + n + 1, NULL, 10) == seen))
        raise(SIGKILL);
}

#define CRASH_POINT(name) crash_point(name)

#else

#define CRASH_POINT(name) ((void)0)

#endif

#endif
