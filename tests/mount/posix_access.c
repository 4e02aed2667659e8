// SPDX-License-Identifier: Apache-2.0
// What another user may do, owners and modes; see posix.h.
#include "posix.h"

#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Names of each kind of access: r-- is readable by others, and so on. */
static void nobody_and_directories(void)
{
    struct stat st;
    NO(EACCES, open("closed", O_RDONLY | O_DIRECTORY));
    NO(EACCES, stat("closed/f", &st));
    NO(EACCES, open("closed/f", O_RDONLY));
    NO(EACCES, chdir("closed"));
    NO(EACCES, unlink("closed/f"));
    NO(EACCES, stat("listed/f", &st));
    OK(close(open("listed", O_RDONLY | O_DIRECTORY)));
    NO(EACCES, open("entered", O_RDONLY | O_DIRECTORY));
    OK(stat("entered/f", &st));
    NO(EACCES, open("entered/new", O_WRONLY | O_CREAT, 0644));
    NO(EACCES, mkdir("entered/new", 0755));
    NO(EACCES, symlink("f", "entered/new"));
    NO(EACCES, mkfifo("entered/new", 0644));
    NO(EACCES, unlink("entered/f"));
    NO(EACCES, rmdir("entered/d"));
    NO(EACCES, rename("entered/f", "entered/g"));
    NO(EACCES, rename("open/f", "entered/g"));
    NO(EACCES, rename("entered/f", "open/g"));
    OK(rename("open/f", "open/g"));
    OK(rename("open/g", "open/f"));
    OK(close(open("open/new", O_WRONLY | O_CREAT, 0600)));
    OK(unlink("open/new"));
}

static void nobody_and_files(void)
{
    NO(EACCES, open("entered/secret", O_RDONLY));
    NO(EACCES, open("entered/secret", O_WRONLY));
    NO(EACCES, open("entered/f", O_WRONLY));
    NO(EACCES, open("entered/f", O_RDONLY | O_TRUNC));
    NO(EACCES, truncate("entered/f", 0));
    OK(close(open("entered/f", O_RDONLY)));
    OK(close(open("open/shared", O_RDWR)));
    OK(truncate("open/shared", 1));
    OK(access("entered/f", R_OK));
    NO(EACCES, access("entered/f", W_OK));
    NO(EACCES, access("entered/f", X_OK));
    OK(access("entered/run", X_OK));
    NO(EACCES, execl("entered/f", "f", NULL));
    NO(EACCES, setxattr("entered/f", "user.a", "1", 1, 0));
    NO(EACCES, getxattr("entered/secret", "user.a", NULL, 0));
    OK(setxattr("open/shared", "user.a", "1", 1, 0));
    NO(EPERM, mknod("open/device", S_IFCHR | 0666, makedev(1, 3)));
    OK(mkfifo("open/fifo", 0600));
    NO(EPERM, link("open/shared", "open/link"));
}

static void member_of_group(void)
{
    OK(close(open("entered/group", O_RDONLY)));
    NO(EACCES, open("entered/group", O_WRONLY));
}

static void no_member_of_group(void)
{
    NO(EACCES, open("entered/group", O_RDONLY));
}

void permissions(void)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"closed", 0700}, {"listed", 0744}, {"entered", 0711}, {"open", 0777}};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        OK(mkdir(dirs[i].name, 0755));
        OK(chdir(dirs[i].name));
        posix_make("f", "text");
        OK(mkdir("d", 0755));
        OK(chdir(".."));
        OK(chmod(dirs[i].name, dirs[i].mode));
    }
    posix_make("entered/secret", "secret");
    OK(chmod("entered/secret", 0600));
    posix_make("entered/group", "group");
    OK(chown("entered/group", 0, 4321));
    OK(chmod("entered/group", 0640));
    posix_make("entered/run", "#!/bin/sh\n");
    OK(chmod("entered/run", 0755));
    posix_make("open/shared", "shared");
    OK(chmod("open/shared", 0666));
    posix_as(NOBODY, 0, nobody_and_directories);
    posix_as(NOBODY, 0, nobody_and_files);
    posix_as(NOBODY, 4321, member_of_group);
    posix_as(NOBODY, 0, no_member_of_group);
    IS(posix_stat("open/fifo").st_uid == NOBODY && posix_stat("open/fifo").st_gid == NOBODY);
}

static void nobody_and_owners(void)
{
    const struct timespec both[2] = {{.tv_sec = 1}, {.tv_sec = 2}};
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    const struct timespec one[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    /* of root, may be written */
    NO(EPERM, chmod("root", 0777));
    NO(EPERM, chown("root", NOBODY, NOBODY));
    NO(EPERM, chown("root", (uid_t)-1, NOBODY));
    NO(EPERM, utimensat(AT_FDCWD, "root", both, 0));
    NO(EPERM, utimensat(AT_FDCWD, "root", one, 0));
    OK(utimensat(AT_FDCWD, "root", now, 0));
    OK(utimensat(AT_FDCWD, "root", NULL, 0));
    /* .. may be read */
    NO(EACCES, utimensat(AT_FDCWD, "read", now, 0));
    NO(EACCES, utimensat(AT_FDCWD, "read", NULL, 0));
    /* their own */
    OK(chmod("own", 0604));
    OK(chown("own", NOBODY, NOBODY));
    OK(chown("own", (uid_t)-1, 4321)); /* a group that they are in */
    OK(utimensat(AT_FDCWD, "own", both, 0));
    NO(EPERM, chown("own", (uid_t)-1, 4322));
    NO(EPERM, chown("own", 0, (gid_t)-1));
    /* setgid needs membership, and setuid ends with another owner */
    OK(chmod("foreign", 02755));
    IS((posix_stat("foreign").st_mode & 07777) == 0755);
    OK(chmod("own", 06755));
    IS((posix_stat("own").st_mode & 07777) == 06755);
    OK(chown("own", (uid_t)-1, NOBODY));
    IS((posix_stat("own").st_mode & 07777) == 0755);
}

static void nobody_writes(void)
{
    int fd;
    OK(fd = open("setuid", O_WRONLY));
    OK(write(fd, "x", 1));
    OK(close(fd));
}

void ownership(void)
{
    posix_make("root", "");
    OK(chmod("root", 0666));
    posix_make("read", "");
    posix_make("own", "");
    OK(chown("own", NOBODY, NOBODY));
    posix_make("foreign", "");
    OK(chown("foreign", NOBODY, 4322));
    posix_as(NOBODY, 4321, nobody_and_owners);
    struct stat st = posix_stat("own");
    IS(st.st_uid == NOBODY && st.st_gid == NOBODY && st.st_mtime == 2 && st.st_atime == 1);

    NO(ENOENT, chmod("missing", 0644));
    NO(ENOTDIR, chmod("read/x", 0644));
    NO(ENAMETOOLONG, chmod(posix_long_name(256), 0644));
    NO(ENOENT, chown("missing", 1, 1));
    NO(ENOTDIR, chown("read/x", 1, 1));
    OK(symlink("loop", "loop"));
    NO(ELOOP, chmod("loop", 0644));
    NO(ELOOP, chown("loop", 1, 1));
    NO(EBADF, fchmod(-1, 0644));
    OK(chown("read", (uid_t)-1, (gid_t)-1));
    IS(posix_stat("read").st_uid == 0);
    OK(chown("read", 100000, 200000));
    IS(posix_stat("read").st_uid == 100000 && posix_stat("read").st_gid == 200000);

    posix_make("setuid", "");
    OK(chmod("setuid", 06777));
    posix_as(NOBODY, 0, nobody_writes);
    IS((posix_stat("setuid").st_mode & 07777) == 0777);
    IS(posix_has("setuid", "x"));
}

static void nobody_and_sticky(void)
{
    NO(EPERM, unlink("sticky/root"));
    NO(EPERM, rename("sticky/root", "sticky/x"));
    NO(EPERM, rename("sticky/root", "free/x"));
    NO(EPERM, rmdir("sticky/rootdir"));
    OK(close(open("sticky/mine", O_WRONLY | O_CREAT, 0644)));
    OK(mkdir("sticky/minedir", 0755));
    NO(EPERM, rename("sticky/mine", "sticky/root"));
    OK(rename("sticky/mine", "sticky/mine2"));
    OK(unlink("sticky/mine2"));
    OK(rmdir("sticky/minedir"));
    OK(unlink("own/root")); /* their own sticky directory */
    OK(unlink("free/root"));
}

void sticky_and_setgid(void)
{
    OK(mkdir("sticky", 0777));
    OK(chmod("sticky", 01777));
    IS((posix_stat("sticky").st_mode & 07777) == 01777);
    OK(mkdir("free", 0777));
    OK(chmod("free", 0777));
    OK(mkdir("own", 0777));
    OK(chmod("own", 01777));
    OK(chown("own", NOBODY, NOBODY));
    posix_make("sticky/root", "");
    posix_make("own/root", "");
    posix_make("free/root", "");
    OK(mkdir("sticky/rootdir", 0777));
    posix_as(NOBODY, 0, nobody_and_sticky);
    IS(posix_has("sticky/root", ""));

    OK(mkdir("group", 0777));
    OK(chown("group", 0, 4321));
    OK(chmod("group", 02775));
    posix_make("group/f", "");
    OK(mkdir("group/d", 0755));
    IS(posix_stat("group/f").st_gid == 4321);
    IS(posix_stat("group/d").st_gid == 4321);
    IS((posix_stat("group/d").st_mode & 07777) == 02755);
    OK(mkfifo("group/p", 0600));
    IS(posix_stat("group/p").st_gid == 4321);
    OK(symlink("f", "group/l"));
    IS(posix_stat("group/l").st_gid == 4321);
    posix_make("g", "");
    IS(posix_stat("g").st_gid == 0);
}
