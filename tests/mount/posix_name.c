// SPDX-License-Identifier: Apache-2.0
// Names: open, directories, links, rename, unlink; see posix.h.
#include "posix.h"

#include <dirent.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

void open_flags(void)
{
    int fd;
    char c;
    OK(fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
    IS((posix_stat("f").st_mode & 07777) == 0640);
    OK(write(fd, "0123456789", 10));
    OK(close(fd));
    NO(EEXIST, open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
    OK(fd = open("f", O_RDWR | O_CREAT, 0777)); /* its mode stays */
    IS((posix_stat("f").st_mode & 07777) == 0640);
    OK(close(fd));

    OK(fd = open("f", O_WRONLY | O_APPEND));
    OK(lseek(fd, 0, SEEK_SET));
    OK(write(fd, "a", 1));
    IS(lseek(fd, 0, SEEK_CUR) == 11);
    NO(EBADF, read(fd, &c, 1));
    OK(close(fd));
    IS(posix_has("f", "0123456789a"));

    OK(fd = open("f", O_RDONLY));
    NO(EBADF, write(fd, "x", 1));
    NO(EINVAL, ftruncate(fd, 0));
    OK(close(fd));

    OK(fd = open("f", O_WRONLY | O_TRUNC));
    IS(posix_stat("f").st_size == 0);
    OK(close(fd));
    IS(posix_has("f", ""));

    OK(mkdir("d", 0755));
    OK(fd = open("d", O_RDONLY | O_DIRECTORY));
    NO(EISDIR, read(fd, &c, 1));
    NO(EBADF, write(fd, &c, 1));
    OK(close(fd));
    OK(fd = open("d", O_PATH));
    OK(fchdir(fd));
    OK(chdir(".."));
    OK(close(fd));
    OK(symlink("f", "l"));
    OK(fd = open("l", O_PATH | O_NOFOLLOW));
    NO(EBADF, read(fd, &c, 1));
    OK(close(fd));
}

void open_errors(void)
{
    char path[PATH_MAX + 8];
    posix_make("f", "text");
    OK(mkdir("d", 0755));
    OK(symlink("loop", "loop"));
    OK(symlink("nothing", "dangling"));
    NO(ENOENT, open("", O_RDONLY));
    NO(ENOENT, open("missing", O_RDWR));
    NO(ENOENT, open("missing/f", O_RDWR | O_CREAT, 0644));
    NO(ENOENT, open("dangling", O_RDONLY));
    NO(ENOTDIR, open("f/x", O_RDONLY));
    NO(ENOTDIR, open("f/x", O_RDWR | O_CREAT, 0644));
    NO(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
    NO(ENOTDIR, open("f/", O_RDONLY));
    NO(EISDIR, open("d", O_WRONLY));
    NO(EISDIR, open("d", O_RDWR));
    NO(EISDIR, open("d", O_RDONLY | O_TRUNC));
    NO(EISDIR, open("d", O_RDONLY | O_CREAT, 0644));
    NO(EISDIR, open("new/", O_WRONLY | O_CREAT, 0644));
    NO(EEXIST, open("d", O_RDONLY | O_CREAT | O_EXCL, 0644));
    NO(EEXIST, open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
    NO(ELOOP, open("loop", O_RDONLY));
    NO(ELOOP, open("dangling", O_RDONLY | O_NOFOLLOW));
    NO(EOPNOTSUPP, open("d", O_RDWR | O_TMPFILE, 0644));
    NO(ENAMETOOLONG, open(posix_long_name(256), O_RDONLY));
    NO(ENAMETOOLONG, open(posix_long_name(256), O_WRONLY | O_CREAT, 0644));
    (void)snprintf(path, sizeof(path), "%0*d", PATH_MAX + 4, 0);
    for (size_t i = 1; i < PATH_MAX; i += 2)
        path[i] = '/';
    NO(ENAMETOOLONG, open(path, O_RDONLY));
    /* through a dangling link a file is made */
    OK(close(open("dangling", O_WRONLY | O_CREAT, 0644)));
    IS(S_ISREG(posix_stat("nothing").st_mode));
    /* the longest name */
    OK(close(open(posix_long_name(255), O_WRONLY | O_CREAT, 0644)));
    OK(unlink(posix_long_name(255)));
}

/* All entries, with inode numbers and types as lstat has them. */
static int count_entries(const char *name)
{
    DIR *dir = opendir(name);
    struct dirent *e;
    int n = 0;
    while (dir && (e = readdir(dir))) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", name, e->d_name);
        struct stat st = posix_stat(path);
        if (strcmp(e->d_name, "..") != 0)
            IS(e->d_ino == st.st_ino);
        IS(e->d_type == DT_UNKNOWN || e->d_type == IFTODT(st.st_mode));
        n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

void directories(void)
{
    char cwd[PATH_MAX];
    posix_make("f", "");
    OK(symlink("nothing", "l"));
    OK(mkdir("d", 0777));
    IS((posix_stat("d").st_mode & 07777) == 0755);
    IS(posix_stat("d").st_nlink >= 2);
    NO(EEXIST, mkdir("d", 0755));
    NO(EEXIST, mkdir("f", 0755));
    NO(EEXIST, mkdir("l", 0755));
    NO(EEXIST, mkdir(".", 0755));
    NO(ENOENT, mkdir("missing/d", 0755));
    NO(ENOENT, mkdir("", 0755));
    NO(ENOTDIR, mkdir("f/d", 0755));
    NO(ENAMETOOLONG, mkdir(posix_long_name(256), 0755));
    OK(mkdir("d/e/", 0700));

    NO(ENOTEMPTY, rmdir("d"));
    NO(ENOTEMPTY, rmdir("d/e/.."));
    NO(EINVAL, rmdir("d/e/."));
    NO(ENOTDIR, rmdir("f"));
    NO(ENOTDIR, rmdir("l"));
    NO(ENOTDIR, rmdir("f/x"));
    NO(ENOENT, rmdir("missing"));
    NO(ENOENT, rmdir(""));
    NO(ENAMETOOLONG, rmdir(posix_long_name(256)));

    IS(posix_stat("d/e/../..").st_ino == posix_stat(".").st_ino);
    IS(posix_stat("d/./e/.").st_ino == posix_stat("d/e").st_ino);
    OK(chdir("d/e"));
    IS(getcwd(cwd, sizeof(cwd)) && strcmp(cwd + strlen(cwd) - 4, "/d/e") == 0);
    OK(chdir("../.."));
    NO(ENOTDIR, chdir("f"));
    NO(ENOENT, chdir("missing"));
    IS(count_entries("d") == 3);
    IS(count_entries(".") == 5);
    OK(rmdir("d/e"));
    IS(count_entries("d") == 2);
    /* who stands in a directory that goes */
    OK(mkdir("gone", 0755));
    OK(chdir("gone"));
    OK(rmdir("../gone"));
    NO(ENOENT, open("f", O_WRONLY | O_CREAT, 0644));
    NO(ENOENT, mkdir("d", 0755));
    OK(chdir(cwd[0] ? "/" : "."));
    cwd[strlen(cwd) - 4] = 0;
    OK(chdir(cwd));
    OK(rmdir("d"));
    NO(ENOENT, stat("d/.", &(struct stat){0}));
}

void links(void)
{
    char text[PATH_MAX + 1];
    posix_make("f", "text");
    OK(mkdir("d", 0755));
    NO(EPERM, link("f", "g"));
    NO(EPERM, link("d", "g"));
    NO(EEXIST, link("f", "d"));
    NO(ENOENT, link("missing", "g"));
    NO(ENOENT, link("f", "missing/g"));
    NO(EXDEV, link("/etc/passwd", "g"));
    IS(posix_stat("f").st_nlink == 1);

    OK(symlink("f", "l"));
    struct stat st = posix_stat("l");
    IS(S_ISLNK(st.st_mode) && (st.st_mode & 0777) == 0777 && st.st_size == 1);
    IS(readlink("l", text, sizeof(text)) == 1 && text[0] == 'f');
    OK(symlink("/a/long/target", "d/l"));
    IS(readlink("d/l", text, 3) == 3 && memcmp(text, "/a/", 3) == 0);
    OK(symlink(posix_long_name(PATH_MAX - 1), "longest"));
    IS(readlink("longest", text, sizeof(text)) == PATH_MAX - 1);
    NO(ENAMETOOLONG, symlink(posix_long_name(PATH_MAX), "longer"));
    NO(ENAMETOOLONG, symlink("f", posix_long_name(256)));
    NO(EEXIST, symlink("f", "l"));
    NO(EEXIST, symlink("f", "d"));
    NO(ENOENT, symlink("f", "missing/l"));
    NO(ENOENT, symlink("", "empty"));
    NO(ENOENT, symlink("f", ""));
    NO(ENOTDIR, symlink("f", "f/l"));
    NO(EINVAL, readlink("f", text, sizeof(text)));
    NO(EINVAL, readlink("d", text, sizeof(text)));
    NO(ENOENT, readlink("missing", text, sizeof(text)));
    NO(ENOTDIR, readlink("f/l", text, sizeof(text)));

    IS(posix_has("l", "text"));
    OK(chmod("l", 0600)); /* of what it points to */
    IS((posix_stat("f").st_mode & 0777) == 0600);
    OK(lchown("l", 7, 8));
    IS(posix_stat("l").st_uid == 7 && posix_stat("l").st_gid == 8 && posix_stat("f").st_uid == 0);
    OK(symlink("d", "ld"));
    OK(mkdir("ld/e", 0755));
    IS(S_ISDIR(posix_stat("d/e").st_mode));
    OK(rename("l", "m"));
    IS(S_ISLNK(posix_stat("m").st_mode));
    OK(unlink("m"));
    IS(posix_has("f", "text"));
}

static int rename2(const char *from, const char *to, unsigned flags)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void renames_that_fail(void)
{
    NO(ENOENT, rename("missing", "x"));
    NO(ENOENT, rename("a", "missing/x"));
    NO(ENOENT, rename("", "x"));
    NO(ENOENT, rename("a", ""));
    NO(ENOTDIR, rename("a/x", "y"));
    NO(ENOTDIR, rename("b", "a/x"));
    NO(ENOTDIR, rename("d", "a"));
    NO(ENOTDIR, rename("a/", "x"));
    NO(EISDIR, rename("a", "d"));
    NO(ENOTEMPTY, rename("e", "d"));
    NO(EINVAL, rename("d", "d/sub/x"));
    NO(ENOTEMPTY, rename("d/sub", "d")); /* its own parent */
    NO(EBUSY, rename("d/.", "x"));
    NO(EBUSY, rename("d/sub/..", "x"));
    NO(EBUSY, rename("d", "e/.."));
    NO(ENAMETOOLONG, rename("a", posix_long_name(256)));
    NO(ENAMETOOLONG, rename(posix_long_name(256), "x"));
    NO(EXDEV, rename("a", "/proc/obsmount"));
    NO(EEXIST, rename2("a", "b", RENAME_NOREPLACE));
    NO(EINVAL, rename2("a", "b", RENAME_EXCHANGE));
    NO(EINVAL, rename2("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    NO(EINVAL, rename2("a", "x", RENAME_WHITEOUT));
}

void renames(void)
{
    posix_make("a", "of a");
    posix_make("b", "of b");
    OK(mkdir("d", 0755));
    OK(mkdir("d/sub", 0755));
    OK(mkdir("e", 0755));
    renames_that_fail();
    IS(posix_has("a", "of a") && posix_has("b", "of b"));

    OK(rename("a", "a"));
    IS(posix_has("a", "of a"));
    OK(rename("a", "c"));
    NO(ENOENT, lstat("a", &(struct stat){0}));
    OK(rename("c", "b"));
    IS(posix_has("b", "of a"));
    NO(ENOENT, lstat("c", &(struct stat){0}));
    OK(rename2("b", "d/b", RENAME_NOREPLACE));
    IS(posix_has("d/b", "of a"));
    OK(rename("d", "e")); /* over an empty directory */
    IS(posix_has("e/b", "of a") && S_ISDIR(posix_stat("e/sub").st_mode));
    NO(ENOENT, lstat("d", &(struct stat){0}));
    OK(rename("e/", "d/"));
    IS(posix_has("d/b", "of a"));
    OK(mkfifo("fifo", 0600));
    OK(rename("fifo", "d/b"));
    IS(S_ISFIFO(posix_stat("d/b").st_mode));
    /* an open file, and a directory in which somebody stands */
    int fd;
    OK(fd = open("open", O_RDWR | O_CREAT, 0644));
    OK(write(fd, "1", 1));
    OK(rename("open", "d/renamed"));
    OK(write(fd, "2", 1));
    OK(close(fd));
    IS(posix_has("d/renamed", "12"));
    NO(ENOENT, lstat("open", &(struct stat){0}));
    OK(chdir("d"));
    OK(rename("../d", "../f"));
    IS(posix_has("renamed", "12"));
    OK(chdir(".."));
    IS(posix_has("f/renamed", "12"));
}

/* What gets the name of a renamed or open file is another file. */
void numbers(void)
{
    posix_make("tmp", "1");
    ino_t first = posix_stat("tmp").st_ino;
    OK(rename("tmp", "f"));
    IS(posix_stat("f").st_ino == first);
    posix_make("tmp", "2");
    IS(posix_stat("tmp").st_ino != posix_stat("f").st_ino);
    count_entries(".");
    /* as tail -F and loggers see that a log was rotated */
    int fd;
    struct stat st;
    OK(fd = open("tmp", O_RDONLY));
    OK(unlink("tmp"));
    posix_make("tmp", "3");
    OK(fstat(fd, &st));
    IS(st.st_ino != posix_stat("tmp").st_ino);
    OK(close(fd));
    OK(mkdir("d", 0755));
    posix_make("d/a", "4");
    OK(rename("d", "e"));
    OK(mkdir("d", 0755));
    posix_make("d/a", "5");
    IS(posix_stat("d").st_ino != posix_stat("e").st_ino);
    IS(posix_stat("d/a").st_ino != posix_stat("e/a").st_ino);
    count_entries("e");
}

/* What the driver was not told of, or not as an open file, is still there for who has it. */
static void removed_but_held(void)
{
    struct stat st;
    int fifo, path, dir, target;
    OK(mkfifo("p", 0640));
    OK(fifo = open("p", O_RDWR));
    posix_make("g", "text");
    OK(path = open("g", O_PATH));
    OK(mkdir("e", 0750));
    OK(dir = open("e", O_RDONLY | O_DIRECTORY));
    OK(mkfifo("q", 0600));
    OK(target = open("q", O_RDWR));
    OK(unlink("p"));
    OK(unlink("g"));
    OK(rmdir("e"));
    posix_make("h", "other");
    OK(rename("h", "q"));
    posix_make("p", "new"); /* another file now */
    OK(usleep(1200000));    /* longer than the kernel remembers, see tx_rename_unlink() */
    OK(fstat(fifo, &st));
    IS(S_ISFIFO(st.st_mode) && (st.st_mode & 07777) == 0640 && st.st_nlink == 0);
    OK(fchmod(fifo, 0600));
    OK(fstat(fifo, &st));
    IS((st.st_mode & 07777) == 0600);
    OK(fstat(path, &st));
    IS(S_ISREG(st.st_mode) && st.st_size == 4 && st.st_nlink == 0);
    OK(fstat(dir, &st));
    IS(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0750 && st.st_nlink == 0);
    OK(fstat(target, &st));
    IS(S_ISFIFO(st.st_mode) && st.st_nlink == 0);
    IS(posix_has("p", "new") && posix_has("q", "other"));
    OK(close(fifo));
    OK(close(path));
    OK(close(dir));
    OK(close(target));
}

void unlinks(void)
{
    removed_but_held();
    OK(unlink("p"));
    OK(unlink("q"));
    int fd;
    char text[8] = "";
    struct stat st;
    posix_make("f", "old");
    OK(mkdir("d", 0755));
    OK(symlink("d", "l"));
    NO(ENOENT, unlink("missing"));
    NO(ENOENT, unlink(""));
    NO(EISDIR, unlink("d"));
    NO(ENOTDIR, unlink("f/x"));
    NO(ENOTDIR, unlink("f/"));
    NO(ENAMETOOLONG, unlink(posix_long_name(256)));
    NO(ENOTDIR, unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
    OK(unlink("l"));
    IS(S_ISDIR(posix_stat("d").st_mode));
    OK(mkfifo("p", 0600));
    OK(unlink("p"));

    OK(fd = open("f", O_RDWR));
    OK(unlink("f"));
    NO(ENOENT, lstat("f", &st));
    OK(fstat(fd, &st));
    IS(st.st_nlink == 0 && st.st_size == 3);
    posix_make("f", "new");
    IS(pread(fd, text, sizeof(text), 0) == 3 && memcmp(text, "old", 3) == 0);
    OK(pwrite(fd, "OLD!", 4, 0));
    IS(pread(fd, text, sizeof(text), 0) == 4 && memcmp(text, "OLD!", 4) == 0);
    OK(ftruncate(fd, 1));
    OK(fchmod(fd, 0600));
    OK(fsync(fd));
    OK(close(fd));
    IS(posix_has("f", "new"));
    OK(unlink("f"));
    NO(ENOENT, unlink("f"));
}

static void read_pipe(void)
{
    char text[5] = "";
    int fd;
    OK(fd = open("fifo", O_RDONLY));
    IS(read(fd, text, 4) == 4 && strcmp(text, "pipe") == 0);
    OK(close(fd));
}

static void write_pipe(void)
{
    int fd;
    if (fork() == 0) {
        read_pipe();
        _exit(0);
    }
    OK(fd = open("fifo", O_WRONLY));
    OK(write(fd, "pipe", 4));
    OK(close(fd));
}

void special_files(void)
{
    OK(mkfifo("fifo", 0640));
    IS(S_ISFIFO(posix_stat("fifo").st_mode) && (posix_stat("fifo").st_mode & 0777) == 0640);
    NO(EEXIST, mkfifo("fifo", 0640));
    NO(ENOENT, mkfifo("missing/fifo", 0640));
    NO(ENAMETOOLONG, mkfifo(posix_long_name(256), 0640));
    NO(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
    NO(EINVAL, truncate("fifo", 0));
    posix_in_child(write_pipe);

    OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    IS(S_ISCHR(posix_stat("null").st_mode) && posix_stat("null").st_rdev == makedev(1, 3));
    OK(mknod("disk", S_IFBLK | 0600, makedev(259, 70000)));
    IS(S_ISBLK(posix_stat("disk").st_mode) && posix_stat("disk").st_rdev == makedev(259, 70000));
    OK(mknod("regular", S_IFREG | 0600, 0));
    IS(posix_has("regular", ""));
    OK(mknod("plain", 0600, 0));
    IS(S_ISREG(posix_stat("plain").st_mode));
    NO(EEXIST, mknod("plain", S_IFREG | 0600, 0));

    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int server, client;
    OK(server = socket(AF_UNIX, SOCK_STREAM, 0));
    OK(bind(server, (struct sockaddr *)&address, sizeof(address)));
    OK(listen(server, 1));
    IS(S_ISSOCK(posix_stat("socket").st_mode));
    OK(client = socket(AF_UNIX, SOCK_STREAM, 0));
    OK(connect(client, (struct sockaddr *)&address, sizeof(address)));
    NO(ENXIO, open("socket", O_RDONLY));
    OK(close(client));
    OK(close(server));
    OK(unlink("socket"));
}
