// SPDX-License-Identifier: Apache-2.0
// The command line; see helper.h.
#include "fs/helper.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/cleanup.h"

enum { LONG_HELP = 256, LONG_VERSION, LONG_CHECK, LONG_UPLOADS, LONG_WATCH, LONG_DRAIN };

static const struct option long_options[] = {
    {"help", no_argument, NULL, LONG_HELP},
    {"version", no_argument, NULL, LONG_VERSION},
    {"check", no_argument, NULL, LONG_CHECK},
    {"options", required_argument, NULL, 'o'},
    {"foreground", no_argument, NULL, 'F'},
    {"uploads", no_argument, NULL, LONG_UPLOADS},
    {"watch", no_argument, NULL, LONG_WATCH},
    {"drain", no_argument, NULL, LONG_DRAIN},
    {NULL, 0, NULL, 0},
};

/* Short options by role. In a helper's set, -n, -t and others are accepted and mean nothing here.
 */
static const char own_short[] = ":o:fdhV";
static const char mount_short[] = ":o:sfnvrwt:N:";
static const char umount_short[] = ":cdflnrvt:N:";

/* -o words are parsed after all other arguments: -s may stand behind them. */
struct seen {
    struct str_list words;
    bool sloppy, debug, foreground;
};

static int usage(const struct command *cmd, struct err *err, const char *text)
{
    return err_set(err, -EINVAL, "%s; '%s --help' tells more", text,
                   cmd->helper ? "obsmount" : cmd->program);
}

static int keep_word(struct seen *seen, const char *word, struct err *err)
{
    int rc = str_list_add(&seen->words, word);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

static int take_common(struct command *cmd, struct seen *seen, int c, struct err *err)
{
    switch (c) {
    case 'o':
        return keep_word(seen, optarg, err);
    case 'v':
        cmd->verbose = true;
        return 0;
    case 'N':
        cmd->ns = optarg;
        return 0;
    case LONG_HELP:
    case 'h':
        cmd->action = COMMAND_HELP;
        return 0;
    case LONG_VERSION:
    case 'V':
        cmd->action = COMMAND_VERSION;
        return 0;
    default:
        return 0; /* of no meaning here */
    }
}

static int take_own(struct command *cmd, struct seen *seen, int c, struct err *err)
{
    switch (c) {
    case 'd':
        seen->debug = true;
        return 0;
    case 'f':
    case 'F':
        seen->foreground = true;
        return 0;
    case LONG_CHECK:
        cmd->action = COMMAND_CHECK;
        return 0;
    case LONG_UPLOADS:
        cmd->action = COMMAND_UPLOADS;
        return 0;
    case LONG_DRAIN:
        cmd->action = COMMAND_DRAIN;
        return 0;
    case LONG_WATCH:
        cmd->watch = true;
        return 0;
    default:
        return take_common(cmd, seen, c, err);
    }
}

static int take_mount(struct command *cmd, struct seen *seen, int c, struct err *err)
{
    switch (c) {
    case 's':
        seen->sloppy = true;
        return 0;
    case 'f':
        cmd->fake = true;
        return 0;
    case 'r':
    case 'w':
        return keep_word(seen, c == 'r' ? "ro" : "rw", err);
    default:
        return take_common(cmd, seen, c, err);
    }
}

static int take_umount(struct command *cmd, struct seen *seen, int c, struct err *err)
{
    if (c == 'l')
        cmd->lazy = true;
    else if (c == 'f')
        cmd->force = true;
    else
        return take_common(cmd, seen, c, err);
    return 0;
}

/* Walks argv; positionals end up behind optind. */
static int read_flags(int argc, char **argv, struct command *cmd, struct seen *seen,
                      struct err *err)
{
    const char *letters = own_short;
    int (*take)(struct command *, struct seen *, int, struct err *) = take_own;
    if (cmd->helper) {
        letters = cmd->action == COMMAND_UMOUNT ? umount_short : mount_short;
        take = cmd->action == COMMAND_UMOUNT ? take_umount : take_mount;
    }

    optind = 0; /* getopt starts afresh */
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        char text[96];
        if (c == ':' || c == '?') {
            const char *what = c == ':' ? "needs a value" : "is not known";
            if (optopt > 0 && optopt < 256)
                snprintf(text, sizeof(text), "argument '-%c' %s", optopt, what);
            else
                snprintf(text, sizeof(text), "argument '%.60s' %s", argv[optind - 1], what);
            return usage(cmd, err, text);
        }
        int rc = take(cmd, seen, c, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_words(struct command *cmd, const struct seen *seen, struct err *err)
{
    for (size_t i = 0; i < seen->words.n; i++) {
        int rc = options_parse(&cmd->opt, seen->words.v[i], seen->sloppy, err);
        if (rc < 0)
            return rc;
    }
    if (seen->debug)
        (void)options_parse(&cmd->opt, "log_level=debug,foreground", false, NULL);
    if (seen->foreground)
        cmd->opt.foreground = true;
    if (cmd->helper && cmd->opt.foreground)
        return err_set(
            err, -EINVAL,
            "option 'foreground' cannot be used with mount(8) or in fstab: it would wait "
            "for ever");
    return 0;
}

static int set_mountpoint(struct command *cmd, const char *dir, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT(PATH_MAX);
    CLEANUP_FREE char *cwd = dir[0] == '/' ? strdup("") : getcwd(NULL, 0);
    if (!cwd)
        return err_set(err, -errno, "the current directory cannot be found: %s", err_text(errno));
    if (!*dir)
        return usage(cmd, err, "the mount point is empty");
    if (dir[0] == '/')
        (void)buf_adds(&path, dir);
    else
        (void)buf_addf(&path, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, dir);
    if (path.eno < 0)
        return err_set(err, -EINVAL, "the mount point's path is too long");

    cmd->opt.mountpoint = buf_steal(&path);
    return 0;
}

/* About a mount that is there. */
static bool takes_target(const struct command *cmd)
{
    return cmd->action == COMMAND_UMOUNT || cmd->action == COMMAND_UPLOADS ||
           cmd->action == COMMAND_DRAIN;
}

static int read_positionals(int argc, char **argv, struct command *cmd, struct err *err)
{
    int n = argc - optind;
    if (cmd->watch && cmd->action != COMMAND_UPLOADS)
        return usage(cmd, err, "--watch belongs to --uploads");
    if (takes_target(cmd)) {
        if (n != 1)
            return usage(cmd, err, "expected one mount point");
        cmd->target = argv[optind];
        return 0;
    }

    if (n < 1)
        return usage(cmd, err, "expected BUCKET[:/PREFIX] and a mount point");
    if (n > 2)
        return usage(cmd, err, "too many arguments: expected BUCKET[:/PREFIX] and a mount point");
    if (n == 1 && cmd->action == COMMAND_MOUNT)
        return usage(cmd, err, "the mount point is missing");
    int rc = options_set_source(&cmd->opt, argv[optind], err);
    if (rc == 0 && n == 2)
        rc = set_mountpoint(cmd, argv[optind + 1], err);
    return rc;
}

static bool is_name(const char *program, const char *verb)
{
    size_t n = strlen(verb);
    return strncmp(program, verb, n) == 0 &&
           (strcmp(program + n, "obsmount") == 0 || strcmp(program + n, "fuse.obsmount") == 0);
}

int command_parse(int argc, char **argv, struct command *cmd, struct err *err)
{
    const char *path = argc > 0 && argv[0] && argv[0][0] ? argv[0] : "obsmount";
    const char *slash = strrchr(path, '/');
    *cmd = (struct command){.program = slash && slash[1] ? slash + 1 : path};
    if (is_name(cmd->program, "umount."))
        cmd->action = COMMAND_UMOUNT;
    cmd->helper = cmd->action == COMMAND_UMOUNT || is_name(cmd->program, "mount.");

    int rc = options_init(&cmd->opt);
    if (rc < 0)
        return err_set(err, rc, "the options cannot be set up: %s", err_text(rc));

    struct seen seen = {0};
    rc = read_flags(argc, argv, cmd, &seen, err);
    if (rc < 0 || cmd->action == COMMAND_HELP || cmd->action == COMMAND_VERSION)
        goto out;
    rc = read_positionals(argc, argv, cmd, err);
    if (rc < 0 || takes_target(cmd))
        goto out;
    rc = parse_words(cmd, &seen, err);
    if (rc == 0)
        rc = options_check(&cmd->opt, err);
out:
    str_list_done(&seen.words);
    return rc;
}

void command_done(struct command *cmd)
{
    options_done(&cmd->opt);
}

int command_help(struct buf *out)
{
    (void)buf_adds(
        out, "usage: obsmount BUCKET[:/PREFIX] DIR [-o OPTION[=VALUE],...] [-f] [-d]\n"
             "       obsmount --check BUCKET[:/PREFIX] [-o OPTION[=VALUE],...]\n"
             "       obsmount --uploads [--watch] DIR|BUCKET\n"
             "       obsmount --drain DIR|BUCKET\n"
             "\n"
             "Mounts a bucket of an object storage service as a directory.\n"
             "\n"
             "  -o OPTION[=VALUE],...  options, see below; may be given several times\n"
             "  -f, --foreground       stay in the foreground and log to stderr\n"
             "  -d                     the same, with log_level=debug\n"
             "  --check                try address, clock, keys, bucket and rights one by one\n"
             "  --uploads              show what a mount is storing, and how far it is\n"
             "  --watch                with --uploads: until nothing is left\n"
             "  --drain                wait until a mount has stored everything\n"
             "  -h, --help             this text\n"
             "  -V, --version          the version\n"
             "\n"
             "Keys come from credential_file, or from the environment (OBS_ACCESS_KEY_ID and\n"
             "OBS_SECRET_ACCESS_KEY, or the names of other tools), or with\n"
             "credential_source=metadata from the metadata service. Unmount with 'umount DIR'.\n"
             "Sizes take K M G T, times ms s m h d. See obsmount(1) and mount.obsmount(8).\n");
    return options_help(out);
}
