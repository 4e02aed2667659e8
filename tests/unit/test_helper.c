// SPDX-License-Identifier: Apache-2.0
// Command lines as mount(8), systemd, mount.fuse and people write them; the list of mounts.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/helper.h"
#include "fs/runtime.h"
#include "net/base/cleanup.h"

enum { ARGS_MAX = 24 };

/* Parses a command line whose words are separated by '|'. */
static int parse(struct command *cmd, char *storage, size_t n, const char *line, struct err *err)
{
    char *argv[ARGS_MAX + 1];
    int argc = 0;
    snprintf(storage, n, "%s", line);
    char *rest = storage;
    for (char *word; argc < ARGS_MAX && (word = strsep(&rest, "|"));)
        argv[argc++] = word;
    argv[argc] = NULL;
    *err = (struct err){0};
    return command_parse(argc, argv, cmd, err);
}

#define E "endpoint=http://127.0.0.1:9000"

static void accept(struct command *cmd, char *storage, size_t n, const char *line)
{
    struct err err;
    if (parse(cmd, storage, n, line, &err) < 0)
        fail_msg("'%s' was refused: %s", line, err.msg);
}

static void refuse(const char *line, const char *expected)
{
    struct command cmd;
    struct err err;
    char storage[512];
    assert_int_equal(parse(&cmd, storage, sizeof(storage), line, &err), -EINVAL);
    if (!strstr(err.msg, expected))
        fail_msg("'%s' gave \"%s\", expected \"%s\"", line, err.msg, expected);
    command_done(&cmd);
}

static void test_plain(void **state)
{
    static const char *const lines[] = {
        "obsmount|data:/a|/mnt|-o|" E ",ro",
        "/usr/bin/obsmount|-o|" E "|data:/a|/mnt|-oro",
        "obsmount|data:/a|-o|ro|/mnt|--options|" E,
        "obsmount|-o|ro|-o|" E "|--|data:/a|/mnt",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct command cmd;
        char storage[512];
        accept(&cmd, storage, sizeof(storage), lines[i]);
        assert_int_equal(cmd.action, COMMAND_MOUNT);
        assert_false(cmd.helper);
        assert_string_equal(cmd.program, "obsmount");
        assert_string_equal(cmd.opt.bucket, "data");
        assert_string_equal(cmd.opt.prefix, "a/");
        assert_string_equal(cmd.opt.mountpoint, "/mnt");
        assert_true(cmd.opt.ro);
        assert_false(cmd.opt.foreground);
        command_done(&cmd);
    }
}

static void test_plain_flags(void **state)
{
    struct command cmd;
    char storage[512];
    accept(&cmd, storage, sizeof(storage), "obsmount|-f|data|/mnt|-o|" E);
    assert_true(cmd.opt.foreground);
    assert_int_equal(cmd.opt.log_level, 2);
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "obsmount|-d|data|mnt|-o|" E);
    assert_true(cmd.opt.foreground);
    assert_int_equal(cmd.opt.log_level, 4);
    assert_int_equal(cmd.opt.mountpoint[0], '/');
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "obsmount|--check|data|-o|" E);
    assert_int_equal(cmd.action, COMMAND_CHECK);
    assert_null(cmd.opt.mountpoint);
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "obsmount|--help");
    assert_int_equal(cmd.action, COMMAND_HELP);
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "obsmount|--version|whatever");
    assert_int_equal(cmd.action, COMMAND_VERSION);
    command_done(&cmd);

    refuse("obsmount", "expected BUCKET");
    refuse("obsmount|data|-o|" E, "mount point is missing");
    refuse("obsmount|data||-o|" E, "mount point is empty");
    refuse("obsmount|data|/mnt|/more|-o|" E, "too many");
    refuse("obsmount|data|/mnt|-o", "'-o' needs a value");
    refuse("obsmount|data|/mnt|-x", "'-x' is not known");
    refuse("obsmount|data|/mnt|--nonsense", "'--nonsense' is not known");
    refuse("obsmount|data|/mnt", "no endpoint");
    refuse("obsmount|Data|/mnt|-o|" E, "a bucket name has only");
}

/* What util-linux passes: SOURCE DIR [-s] [-f] [-n] [-v] [-o ..] [-t type] [-N ns]. */
static void test_mount_helper(void **state)
{
    struct command cmd;
    char storage[512];
    accept(&cmd, storage, sizeof(storage),
           "/sbin/mount.obsmount|data|/mnt|-s|-f|-n|-v|-o|rw,_netdev,user=me,unheard=1," E
           "|-t|fuse.obsmount|-N|/proc/7/ns/mnt");
    assert_int_equal(cmd.action, COMMAND_MOUNT);
    assert_true(cmd.helper);
    assert_true(cmd.fake);
    assert_true(cmd.verbose);
    assert_false(cmd.opt.foreground);
    assert_string_equal(cmd.ns, "/proc/7/ns/mnt");
    assert_int_equal(cmd.opt.skipped.n, 1);
    assert_string_equal(cmd.opt.skipped.v[0], "unheard");
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "mount.fuse.obsmount|data|/mnt|-o|unheard," E "|-s");
    assert_int_equal(cmd.opt.skipped.n, 1);
    command_done(&cmd);
    accept(&cmd, storage, sizeof(storage), "mount.obsmount|obsmount#data|/mnt|-r|-o|" E);
    assert_string_equal(cmd.opt.source, "data");
    assert_true(cmd.opt.ro);
    command_done(&cmd);
    accept(&cmd, storage, sizeof(storage), "obsmount|data|/dev/fd/3|-o|rw,dev,suid," E);
    assert_string_equal(cmd.opt.mountpoint, "/dev/fd/3");
    command_done(&cmd);

    refuse("mount.obsmount|data|/mnt|-o|unheard," E, "unknown option 'unheard'");
    refuse("mount.obsmount|data|/mnt|-o|foreground," E, "fstab");
    refuse("mount.obsmountx|-s|data|/mnt|-o|" E, "'-s' is not known");
}

static void test_umount_helper(void **state)
{
    struct command cmd;
    char storage[512];
    accept(&cmd, storage, sizeof(storage),
           "/sbin/umount.fuse.obsmount|/mnt|-f|-l|-n|-r|-v|-N|/n|-t|fuse.obsmount");
    assert_int_equal(cmd.action, COMMAND_UMOUNT);
    assert_string_equal(cmd.target, "/mnt");
    assert_true(cmd.lazy);
    assert_true(cmd.force);
    assert_true(cmd.verbose);
    command_done(&cmd);

    accept(&cmd, storage, sizeof(storage), "umount.obsmount|-c|/mnt");
    assert_false(cmd.lazy);
    assert_false(cmd.force);
    command_done(&cmd);
    refuse("umount.obsmount", "expected one mount point");
    refuse("umount.obsmount|/a|/b", "expected one mount point");
}

static const char mountinfo[] =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "30 21 0:39 / /mnt/a\\040b rw,nosuid,nodev - fuse.obsmount data:/x\\054 "
    "rw,user_id=1000,group_id=5\n"
    "31 21 0:40 / /mnt/c rw shared:7 master:2 - fuse.sshfs host: rw,user_id=0\n"
    "nonsense\n"
    "32 21 0:41 / /mnt/c rw - fuse.obsmount data:/c rw,user_id=0,group_id=0\n"
    "33 21 0:42 / /mnt/d rw - fuse.obsmount data:/c rw,user_id=0,group_id=0";

static void test_mount_list(void **state)
{
    struct mount_entry e = {0};
    assert_int_equal(mounts_find_in(mountinfo, "/mnt/a b", false, &e), 0);
    assert_int_equal(e.major, 0);
    assert_int_equal(e.minor, 39);
    assert_int_equal(e.user_id, 1000);
    assert_string_equal(e.source, "data:/x,");
    assert_true(mount_entry_is_ours(&e));
    mount_entry_done(&e);

    assert_int_equal(mounts_find_in(mountinfo, "/mnt/c", false, &e), 0);
    assert_int_equal(e.minor, 41); /* the one on top */
    mount_entry_done(&e);

    assert_int_equal(mounts_find_in(mountinfo, "data:/c", true, &e), 0);
    assert_string_equal(e.mountpoint, "/mnt/d");
    mount_entry_done(&e);
    assert_int_equal(mounts_find_in(mountinfo, "data:/c", false, &e), -ENOENT);
    assert_int_equal(mounts_find_in(mountinfo, "/", false, &e), 0);
    assert_false(mount_entry_is_ours(&e));
    mount_entry_done(&e);
    assert_int_equal(mounts_find_in("", "/", false, &e), -ENOENT);
}

static void bucket_is(const char *bucket, int n, const char *names, const char *first)
{
    struct mount_entry e = {0};
    CLEANUP_BUF struct buf out = BUF_INIT(400);
    assert_int_equal(mounts_of_bucket_in(mountinfo, bucket, &e, &out), n);
    assert_string_equal(buf_str(&out), names);
    if (n)
        assert_string_equal(e.mountpoint, first);
    mount_entry_done(&e);
}

static void test_mounts_of_a_bucket(void **state)
{
    bucket_is("data", 3, "'/mnt/a b', '/mnt/c', '/mnt/d'", "/mnt/a b");
    bucket_is("dat", 0, "", NULL);
    bucket_is("host", 0, "", NULL);
    bucket_is("", 0, "", NULL);

    static const char covered[] = "32 21 0:41 / /m rw - fuse.obsmount b:/x rw,user_id=0\n"
                                  "34 21 0:41 / /n rw - fuse.obsmount b:/x rw,user_id=0\n"
                                  "33 21 0:42 / /m rw - fuse.obsmount b rw,user_id=0\n";
    struct mount_entry e = {0};
    CLEANUP_BUF struct buf out = BUF_INIT(400);
    assert_int_equal(mounts_of_bucket_in(covered, "b", &e, &out), 2);
    assert_string_equal(buf_str(&out), "'/n', '/m'");
    mount_entry_done(&e);
    CLEANUP_BUF struct buf small = BUF_INIT(12);
    assert_int_equal(mounts_of_bucket_in(mountinfo, "data", &e, &small), -EMSGSIZE);
}

static void test_commands_about_a_mount(void **state)
{
    struct command cmd;
    char storage[512];
    accept(&cmd, storage, sizeof(storage), "obsmount|--uploads|--watch|/mnt");
    assert_int_equal(cmd.action, COMMAND_UPLOADS);
    assert_true(cmd.watch);
    assert_string_equal(cmd.target, "/mnt");
    command_done(&cmd);
    accept(&cmd, storage, sizeof(storage), "obsmount|bucket|--drain");
    assert_int_equal(cmd.action, COMMAND_DRAIN);
    assert_string_equal(cmd.target, "bucket");
    command_done(&cmd);
    refuse("obsmount|--drain|--watch|/mnt", "belongs to --uploads");
    refuse("obsmount|--uploads", "expected one mount point");
    refuse("obsmount|--drain|/a|/b", "expected one mount point");
}

static void test_mountpoint(void **state)
{
    struct err err = {0};
    char *path = strdup("/no/such/place");
    assert_int_equal(mountpoint_check(&path, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "does not exist"));
    free(path);

    path = strdup("/proc/version");
    assert_int_equal(mountpoint_check(&path, &err), -ENOTDIR);
    assert_non_null(strstr(err.msg, "not a directory"));
    free(path);

    path = strdup("/usr/../usr/./bin/");
    assert_int_equal(mountpoint_check(&path, &err), 0);
    assert_string_equal(path, "/usr/bin");
    free(path);

    path = strdup("/dev/fd/99");
    assert_int_equal(mountpoint_check(&path, &err), 0);
    assert_string_equal(path, "/dev/fd/99");
    free(path);
}

static void test_process_start(void **state)
{
    assert_true(process_start(getpid()) != 0);
    assert_int_equal(process_start(getpid()), process_start(getpid()));
    assert_true(process_start(0x7fffffff) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_flags),
        cmocka_unit_test(test_mount_helper),
        cmocka_unit_test(test_umount_helper),
        cmocka_unit_test(test_mount_list),
        cmocka_unit_test(test_mountpoint),
        cmocka_unit_test(test_process_start),
        cmocka_unit_test(test_mounts_of_a_bucket),
        cmocka_unit_test(test_commands_about_a_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
