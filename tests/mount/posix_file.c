// SPDX-License-Identifier: Apache-2.0
// Content, times, locks, extended attributes; see posix.h.
#include "posix.h"

#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static bool newer(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static bool same(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* The change time of `f` becomes later by this. */
#define CHANGES(call)                                                                              \
    do {                                                                                           \
        struct timespec was = posix_stat("f").st_ctim;                                             \
        usleep(2000);                                                                              \
        OK(call);                                                                                  \
        IS(newer(posix_stat("f").st_ctim, was));                                                   \
    } while (0)

static void times_of_operations(void)
{
    int fd;
    char c;
    struct stat before = posix_stat("f");
    usleep(2000);
    OK(fd = open("f", O_RDWR));
    OK(read(fd, &c, 1));
    IS(same(posix_stat("f").st_atim, before.st_atim)); /* reading does not change it */
    IS(same(posix_stat("f").st_mtim, before.st_mtim));
    OK(pwrite(fd, "x", 1, 0));
    IS(newer(posix_stat("f").st_mtim, before.st_mtim));
    IS(newer(posix_stat("f").st_ctim, before.st_ctim));
    before = posix_stat("f");
    usleep(2000);
    OK(ftruncate(fd, 2));
    IS(newer(posix_stat("f").st_mtim, before.st_mtim));
    OK(close(fd));
    CHANGES(chmod("f", 0600));
    CHANGES(chown("f", 1, 1));
    CHANGES(utimensat(AT_FDCWD, "f", NULL, 0));
    CHANGES(setxattr("f", "user.a", "1", 1, 0));
    CHANGES(removexattr("f", "user.a"));
    CHANGES(truncate("f", 1));
}

void times(void)
{
    int fd;
    const struct timespec set[2] = {{1234567890, 123456789}, {987654321, 987654321}};
    const struct timespec far[2] = {{-5, 999999999}, {(time_t)1 << 33, 1}};
    const struct timespec nothing[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    const struct timespec one[2] = {{.tv_nsec = UTIME_OMIT}, {55, 66}};
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    const struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    posix_make("f", "text");
    OK(symlink("f", "l"));
    OK(mkdir("d", 0755));
    struct timespec start = posix_stat("f").st_mtim;

    OK(utimensat(AT_FDCWD, "f", set, 0));
    IS(same(posix_stat("f").st_atim, set[0]) && same(posix_stat("f").st_mtim, set[1]));
    OK(utimensat(AT_FDCWD, "f", nothing, 0));
    IS(same(posix_stat("f").st_atim, set[0]) && same(posix_stat("f").st_mtim, set[1]));
    OK(utimensat(AT_FDCWD, "l", one, 0)); /* of what it points to */
    IS(same(posix_stat("f").st_atim, set[0]) && same(posix_stat("f").st_mtim, one[1]));
    OK(utimensat(AT_FDCWD, "f", now, 0));
    IS(!newer(start, posix_stat("f").st_atim) && same(posix_stat("f").st_mtim, one[1]));
    OK(utimensat(AT_FDCWD, "l", set, AT_SYMLINK_NOFOLLOW));
    IS(same(posix_stat("l").st_mtim, set[1]) && same(posix_stat("f").st_mtim, one[1]));
    OK(utimensat(AT_FDCWD, "d", set, 0));
    IS(same(posix_stat("d").st_mtim, set[1]));
    posix_make("d/f", ""); /* a directory's times are those that were set */
    IS(same(posix_stat("d").st_mtim, set[1]));
    OK(utimensat(AT_FDCWD, "f", far, 0));
    IS(same(posix_stat("f").st_atim, far[0]) && same(posix_stat("f").st_mtim, far[1]));
    OK(fd = open("f", O_RDONLY));
    OK(futimens(fd, set));
    OK(close(fd));
    IS(same(posix_stat("f").st_mtim, set[1]));
    /* what was set before close is not lost by closing */
    OK(fd = open("g", O_WRONLY | O_CREAT, 0644));
    OK(write(fd, "x", 1));
    OK(futimens(fd, set));
    OK(close(fd));
    IS(same(posix_stat("g").st_mtim, set[1]));

    NO(EINVAL, utimensat(AT_FDCWD, "f", bad, 0));
    NO(ENOENT, utimensat(AT_FDCWD, "missing", set, 0));
    NO(ENOTDIR, utimensat(AT_FDCWD, "f/x", set, 0));
    NO(ENAMETOOLONG, utimensat(AT_FDCWD, posix_long_name(256), set, 0));
    NO(EBADF, futimens(-1, set));
    times_of_operations();
}

void sizes(void)
{
    int fd;
    char text[16] = "";
    posix_make("f", "0123456789");
    OK(mkdir("d", 0755));
    OK(truncate("f", 4));
    IS(posix_has("f", "0123"));
    OK(truncate("f", 8));
    OK(fd = open("f", O_RDWR));
    IS(read(fd, text, sizeof(text)) == 8 && memcmp(text, "0123\0\0\0\0", 8) == 0);
    IS(read(fd, text, sizeof(text)) == 0);
    OK(ftruncate(fd, 2));
    IS(lseek(fd, 0, SEEK_CUR) == 8); /* the position stays */
    OK(write(fd, "x", 1));
    IS(posix_stat("f").st_size == 9);
    IS(pread(fd, text, sizeof(text), 0) == 9 && memcmp(text, "01\0\0\0\0\0\0x", 9) == 0);
    IS(posix_stat("f").st_blocks > 0);
    NO(EINVAL, ftruncate(fd, -1));
    NO(EFBIG, ftruncate(fd, (off_t)1 << 60));
    NO(EFBIG, pwrite(fd, "x", 1, (off_t)1 << 60));
    OK(close(fd));
    NO(EBADF, ftruncate(fd, 0));

    NO(EINVAL, truncate("f", -1));
    NO(EFBIG, truncate("f", (off_t)1 << 60));
    NO(EISDIR, truncate("d", 0));
    NO(ENOENT, truncate("missing", 0));
    NO(ENOENT, truncate("", 0));
    NO(ENOTDIR, truncate("f/x", 0));
    NO(ENAMETOOLONG, truncate(posix_long_name(256), 0));
    OK(symlink("loop", "loop"));
    NO(ELOOP, truncate("loop", 0));
    IS(posix_stat("f").st_size == 9);
}

void fallocates(void)
{
    int fd;
    char text[16] = "";
    posix_make("f", "0123456789");
    OK(fd = open("f", O_RDWR));
    OK(fallocate(fd, 0, 0, 5));
    IS(posix_stat("f").st_size == 10);
    OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1000));
    IS(posix_stat("f").st_size == 10);
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 8, 4));
    IS(pread(fd, text, sizeof(text), 0) == 12);
    IS(memcmp(text,
              "01\0\0\0"
              "567\0\0\0\0",
              12) == 0);
    OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 11, 100));
    IS(posix_stat("f").st_size == 12);
    OK(posix_fallocate(fd, 0, 14));
    IS(posix_stat("f").st_size == 14);
    NO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1));
    NO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
    NO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
    NO(EINVAL, fallocate(fd, 0, 0, 0));
    NO(EINVAL, fallocate(fd, 0, -1, 1));
    NO(EFBIG, fallocate(fd, 0, 0, (off_t)1 << 60));
    OK(close(fd));
    OK(fd = open("f", O_RDONLY));
    NO(EBADF, fallocate(fd, 0, 0, 20));
    OK(close(fd));
    OK(fd = open(".", O_RDONLY));
    NO(EBADF, fallocate(fd, 0, 0, 20));
    OK(close(fd));
    OK(mkfifo("p", 0600));
    OK(fd = open("p", O_RDWR));
    NO(ESPIPE, fallocate(fd, 0, 0, 20));
    OK(close(fd));
}

static void *map(int fd, int protection, int flags, size_t n)
{
    return mmap(NULL, n, protection, flags, fd, 0);
}

void maps(void)
{
    int fd, other;
    char text[16] = "";
    enum { N = 10000 };
    posix_make("f", "0123456789");
    OK(truncate("f", N));
    OK(fd = open("f", O_RDWR));
    char *p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, N);
    char *copy = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, N);
    IS(p != MAP_FAILED && copy != MAP_FAILED);
    IS(memcmp(p, "0123456789", 11) == 0);
    memcpy(p, "map", 3);
    p[N - 1] = 'e';
    copy[5] = '?';
    OK(msync(p, N, MS_SYNC));
    OK(other = open("f", O_RDONLY));
    IS(pread(other, text, 10, 0) == 10 && memcmp(text, "map3456789", 10) == 0);
    IS(pread(other, text, 10, N - 1) == 1 && text[0] == 'e');
    OK(pwrite(fd, "write", 5, 0)); /* what is written is seen in the map */
    IS(memcmp(p, "write56789", 10) == 0);
    OK(close(fd)); /* the map stays */
    p[0] = 'W';
    OK(munmap(copy, N));
    OK(munmap(p, N));
    IS(pread(other, text, 10, 0) == 10 && memcmp(text, "Write56789", 10) == 0);
    IS(map(other, PROT_READ, MAP_SHARED, N) != MAP_FAILED);
    IS(map(other, PROT_READ | PROT_WRITE, MAP_SHARED, N) == MAP_FAILED && errno == EACCES);
    OK(close(other));
    OK(fd = open("f", O_WRONLY));
    IS(map(fd, PROT_READ, MAP_SHARED, N) == MAP_FAILED && errno == EACCES);
    OK(close(fd));
    OK(fd = open(".", O_RDONLY));
    IS(map(fd, PROT_READ, MAP_SHARED, N) == MAP_FAILED && errno == ENODEV);
    OK(close(fd));
    IS(posix_stat("f").st_size == N);
}

static void other_process_locks(void)
{
    int fd;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    OK(fd = open("f", O_RDWR));
    NO(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
    NO(EWOULDBLOCK, flock(fd, LOCK_SH | LOCK_NB));
    NO(EAGAIN, fcntl(fd, F_SETLK, &lock));
    lock.l_type = F_RDLCK;
    NO(EAGAIN, fcntl(fd, F_SETLK, &lock));
    OK(fcntl(fd, F_GETLK, &lock));
    IS(lock.l_type == F_WRLCK && lock.l_pid == getppid() && lock.l_len == 5);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
    OK(fcntl(fd, F_SETLK, &lock)); /* behind it */
    OK(close(fd));
}

static void other_process_shares(void)
{
    int fd;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fd = open("f", O_RDWR));
    OK(flock(fd, LOCK_SH | LOCK_NB));
    NO(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
    OK(fcntl(fd, F_SETLK, &lock)); /* the other kind of lock is another one */
    OK(close(fd));
}

static void other_process_is_free(void)
{
    int fd;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fd = open("f", O_RDWR));
    OK(flock(fd, LOCK_EX | LOCK_NB));
    OK(fcntl(fd, F_SETLK, &lock));
    OK(close(fd));
}

void locks(void)
{
    int fd;
    posix_make("f", "0123456789");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    OK(fd = open("f", O_RDWR));
    OK(flock(fd, LOCK_EX));
    OK(fcntl(fd, F_SETLK, &lock));
    posix_in_child(other_process_locks);
    OK(flock(fd, LOCK_SH));
    lock.l_type = F_UNLCK;
    OK(fcntl(fd, F_SETLK, &lock));
    posix_in_child(other_process_shares);
    OK(flock(fd, LOCK_UN));
    posix_in_child(other_process_is_free);
    OK(flock(fd, LOCK_EX));
    lock.l_type = F_WRLCK;
    lock.l_pid = 0;
    OK(fcntl(fd, F_OFD_SETLK, &lock));
    OK(close(fd)); /* ends both */
    posix_in_child(other_process_is_free);
    OK(fd = open("f", O_RDONLY));
    lock.l_type = F_WRLCK;
    NO(EBADF, fcntl(fd, F_SETLK, &lock));
    OK(close(fd));
    IS(posix_has("f", "0123456789"));
}

static void xattr_errors(void)
{
    char value[16];
    static char big[XATTR_SIZE_MAX + 1];
    NO(EEXIST, setxattr("f", "user.a", "2", 1, XATTR_CREATE));
    NO(ENODATA, setxattr("f", "user.missing", "2", 1, XATTR_REPLACE));
    NO(EINVAL, setxattr("f", "user.a", "2", 1, XATTR_CREATE | XATTR_REPLACE | 8));
    NO(ENODATA, getxattr("f", "user.missing", value, sizeof(value)));
    NO(ENODATA, removexattr("f", "user.missing"));
    NO(ERANGE, getxattr("f", "user.a", value, 1));
    NO(ERANGE, listxattr("f", value, 3));
    NO(ENOENT, setxattr("missing", "user.a", "1", 1, 0));
    NO(ENOENT, listxattr("missing", value, sizeof(value)));
    NO(ENOTDIR, getxattr("f/x", "user.a", value, sizeof(value)));
    NO(EOPNOTSUPP, setxattr("f", "trusted.a", "1", 1, 0));
    NO(EOPNOTSUPP, setxattr("f", "system.a", "1", 1, 0));
    NO(EOPNOTSUPP, setxattr("f", "other", "1", 1, 0));
    NO(EPERM, lsetxattr("l", "user.a", "1", 1, 0));
    NO(EPERM, setxattr("p", "user.a", "1", 1, 0));
    NO(E2BIG, setxattr("f", "user.big", big, XATTR_SIZE_MAX + 1, 0));
    NO(ENOSPC, setxattr("f", "user.big", big, 10000, 0));
    NO(ERANGE, setxattr("f", posix_long_name(256), "1", 1, 0));
}

void xattrs(void)
{
    char value[4096], name[XATTR_NAME_MAX + 1] = "user.";
    posix_make("f", "text");
    OK(symlink("f", "l"));
    OK(mkfifo("p", 0600));
    OK(mkdir("d", 0755));
    IS(listxattr("f", value, sizeof(value)) == 0);
    OK(setxattr("f", "user.a", "one", 3, XATTR_CREATE));
    IS(getxattr("f", "user.a", NULL, 0) == 3);
    IS(getxattr("f", "user.a", value, sizeof(value)) == 3 && memcmp(value, "one", 3) == 0);
    OK(setxattr("f", "user.a", "se\0nd", 5, XATTR_REPLACE));
    IS(getxattr("l", "user.a", value, 5) == 5 && memcmp(value, "se\0nd", 5) == 0);
    OK(setxattr("f", "user.empty", "", 0, 0));
    IS(getxattr("f", "user.empty", value, sizeof(value)) == 0);
    IS(listxattr("f", NULL, 0) == 18);
    IS(listxattr("f", value, sizeof(value)) == 18);
    xattr_errors();
    OK(removexattr("f", "user.empty"));
    IS(listxattr("f", value, sizeof(value)) == 7 && strcmp(value, "user.a") == 0);
    OK(setxattr("d", "user.d", "dir", 3, 0));
    IS(getxattr("d", "user.d", value, sizeof(value)) == 3);
    memset(name + 5, 'n', XATTR_NAME_MAX - 5);
    OK(setxattr("f", name, "1", 1, 0)); /* the longest name */
    memset(value, 'v', 3000);
    OK(setxattr("f", "user.long", value, 3000, 0));
    IS(getxattr("f", "user.long", value, sizeof(value)) == 3000);
    OK(removexattr("f", name));
    /* they stay with the content */
    OK(truncate("f", 0));
    IS(getxattr("f", "user.a", NULL, 0) == 5);
    OK(rename("f", "g"));
    IS(getxattr("g", "user.a", NULL, 0) == 5);
    int fd;
    OK(fd = open("g", O_RDONLY));
    OK(fsetxattr(fd, "user.fd", "1", 1, 0));
    OK(fremovexattr(fd, "user.fd"));
    OK(close(fd));
}

static void directory_io(void)
{
    int fd;
    char c;
    OK(fd = open(".", O_RDONLY));
    OK(fsync(fd));
    OK(fdatasync(fd));
    NO(EISDIR, pread(fd, &c, 1, 0));
    OK(syncfs(fd));
    OK(close(fd));
}

void input_output(void)
{
    int fd, to;
    char a[4], b[8] = "";
    char *volatile nowhere = NULL;
    const struct iovec out[2] = {{"0123", 4}, {"456789", 6}};
    const struct iovec in[2] = {{a, 4}, {b, 3}};
    struct statvfs vfs;
    OK(fd = open("f", O_RDWR | O_CREAT | O_SYNC, 0644));
    IS(writev(fd, out, 2) == 10);
    IS(write(fd, "", 0) == 0);
    IS(preadv(fd, in, 2, 1) == 7 && memcmp(a, "1234", 4) == 0 && memcmp(b, "567", 3) == 0);
    IS(pread(fd, b, 8, 10) == 0 && pread(fd, b, 8, 1000) == 0 && pread(fd, b, 8, 8) == 2);
    IS(lseek(fd, 0, SEEK_END) == 10);
    IS(lseek(fd, 100, SEEK_SET) == 100);
    NO(EINVAL, lseek(fd, -1, SEEK_SET));
    NO(EINVAL, lseek(fd, 0, 99));
    NO(ENXIO, lseek(fd, 10, SEEK_DATA));
    NO(EINVAL, pread(fd, b, 1, -1));
    NO(EFAULT, pread(fd, nowhere, 1, 0));
    NO(EFAULT, pwrite(fd, nowhere, 1, 0));
    OK(to = dup(fd));
    OK(close(to)); /* the other descriptor goes on */
    OK(pwrite(fd, "x", 1, 0));
    OK(fsync(fd));
    OK(fdatasync(fd));
    OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    OK(to = open("g", O_WRONLY | O_CREAT, 0644));
    IS(sendfile(to, fd, &(off_t){0}, 10) == 10);
    OK(close(to));
    OK(fstatvfs(fd, &vfs));
    IS(vfs.f_namemax == 255 && vfs.f_bsize > 0 && vfs.f_blocks > 0 && vfs.f_bavail > 0);
    IS(fpathconf(fd, _PC_NAME_MAX) == 255);
    NO(ENOENT, statvfs("missing", &vfs));
    OK(close(fd));
    IS(posix_has("g", "x123456789"));
    OK(fd = open("f", O_RDONLY));
    OK(fsync(fd)); /* nothing to store */
    OK(close(fd));
    directory_io();
}
