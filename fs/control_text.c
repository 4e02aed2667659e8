// SPDX-License-Identifier: Apache-2.0
// Fixed texts; see control_text.h.
#include "fs/control_text.h"

static const char readme[] =
    "The control files of this mount. They are not in the bucket, and only the user who mounted\n"
    "(and root) can use them. obsmount-control(5) describes them in full.\n"
    "\n"
    "  version       the program's version\n"
    "  config        the options in effect, without secrets\n"
    "  stats         counters, in the text format of Prometheus\n"
    "  uploads       what is being stored, waits, was interrupted or has failed\n"
    "  uploads.json  the same as JSON\n"
    "  errors        the last failures, one a line\n"
    "  ctl           commands, one a line; reading it lists them\n"
    "\n"
    "  dli/jars/GROUP  dli/pyfiles/GROUP  dli/files/GROUP\n"
    "      write paths, one a line (of files in this mount, obs://BUCKET/KEY, https URLs), or the\n"
    "      request's own JSON: the files are registered as packages of GROUP\n"
    "      read: the service's last answer\n"
    "  modelarts/data-annotations/ID  modelarts/datasets/ID\n"
    "      write 'sync', 'sync wait' or 'sync wait PATH': ModelArts looks at the bucket again\n"
    "      read: the service's last answer\n"
    "\n"
    "A command is executed by the write itself, whose error is the command's. The groups and ids\n"
    "need not be made: each name works, and those that were used are listed.\n"
    "\n"
    "  echo jobs/etl.py > dli/pyfiles/nightly && cat dli/pyfiles/nightly\n"
    "  echo sync wait > modelarts/datasets/gfghHSokody6AJigS5A\n"
    "  echo drain > ctl\n";

static const char ctl[] = "refresh PATH  ask the bucket again about PATH and what is below it\n"
                          "drop-caches   give up everything that is kept of stored files\n"
                          "pause ID      stop sending an upload; what is stored of it stays\n"
                          "resume ID     go on with a paused upload\n"
                          "retry ID      try a failed upload again\n"
                          "publish ID    store a held or interrupted file as it is\n"
                          "abort ID      give an upload and its content up\n"
                          "drain         wait until everything that was closed is stored\n"
                          "log LEVEL     error, warning, notice, info or debug\n";

const char *control_text_readme(void)
{
    return readme;
}

const char *control_text_ctl(void)
{
    return ctl;
}
