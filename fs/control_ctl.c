// SPDX-License-Identifier: Apache-2.0
// The commands of the file ctl; see control.h.
#include <errno.h>
#include <string.h>

#include "fs/control.h"
#include "net/base/log.h"

struct command {
    const char *name;
    const char *argument; /* what it is, for messages; NULL: it takes none */
    int (*run)(struct fs *fs, const char *argument, struct intr *intr, struct err *err);
};

static int run_log(struct fs *fs, const char *argument, struct intr *intr, struct err *err)
{
    enum log_level level;
    if (log_level_parse(argument, &level) < 0)
        return err_set(err, -EINVAL, "'%.32s' is no level: error, warning, notice, info, debug",
                       argument);
    log_set_level(fs->log, level);
    return 0;
}

static const struct command commands[] = {
    {"log", "LEVEL", run_log},
};

static int run_line(struct fs *fs, char *line, struct intr *intr, struct err *err)
{
    char *word = line + strspn(line, " \t");
    char *end = word + strcspn(word, " \t\r");
    char *argument = end + strspn(end, " \t\r");
    argument[strcspn(argument, "\r")] = '\0';
    *end = '\0';
    if (!*word)
        return 0;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, word) != 0)
            continue;
        if (c->argument && !*argument)
            return err_set(err, -EINVAL, "'%s' needs %s", c->name, c->argument);
        if (!c->argument && *argument)
            return err_set(err, -EINVAL, "'%s' takes nothing more", c->name);
        return c->run(fs, argument, intr, err);
    }
    return err_set(err, -EINVAL, "there is no command '%.32s'", word);
}

int control_ctl_locked(struct fs *fs, char *text, struct intr *intr, struct err *err)
{
    int rc = 0;
    char *rest = text;
    for (char *line; rc == 0 && (line = strsep(&rest, "\n"));)
        rc = run_line(fs, line, intr, err);
    return rc;
}
